"""The README's code runs as it stands."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

from tests.e2e.conftest import ROOT, environment, selfplay

README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", README, re.S)


def test_the_verifier_in_ten_lines_works(tmp_path: Path) -> None:
    module = next(block for block in BLOCKS if "my_rules.py" in block)
    (tmp_path / "my_rules.py").write_text(module)
    rows = [{"completion": "it is 4", "answer": "4"}, {"completion": "word " * 60 + "4", "answer": "4"}]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    done = selfplay("verify", "--verifier", "my_rules:short_and_right", "rows.jsonl", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert [json.loads(line)["passed"] for line in done.stdout.splitlines()] == [True, False]


def test_the_library_use_works() -> None:
    snippet = next(block for block in BLOCKS if "MathVerifier()" in block)
    done = subprocess.run(
        [sys.executable, "-c", snippet], capture_output=True, text=True, cwd=ROOT, env=environment(), check=True
    )
    assert done.stdout.strip() == "True"


def test_every_command_named_exists() -> None:
    for verb in ("run", "synthesize", "check", "status", "report", "verify"):
        assert f"selfplay {verb}" in README
        assert selfplay(verb, "--help").returncode == 0
