"""A clash with another distribution that owns one of the package names is found and explained."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from selfplay.installation import clash

ROOT = Path(__file__).resolve().parents[2]


def test_this_checkout_is_clean() -> None:
    assert clash() == ""


def test_a_stub_distribution_is_named_with_the_remedy(tmp_path: Path) -> None:
    stub = tmp_path / "verifiers"
    stub.mkdir()
    (stub / "__init__.py").write_text("")
    code = f"import sys; sys.path[:0] = [{str(tmp_path)!r}, {str(ROOT)!r}]; from selfplay.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, "--help"], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert done.returncode == 2
    assert "`verifiers` is found in" in done.stderr
    assert "pip uninstall verifiers" in done.stderr
