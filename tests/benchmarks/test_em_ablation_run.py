"""`python -m benchmarks em_ablation` as it is run, at a size that shows nothing but that it works."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.e2e.conftest import ROOT, SMALL, environment, selfplay

TINY = ("domains.code=null", "synthesis.prompts=48", "em.rounds=1", "model.args.max_steps=300")


def command(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "benchmarks", "em_ablation", *map(str, arguments)]


def em_ablation(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*arguments), cwd=ROOT, env=environment(), capture_output=True, text=True, timeout=500, check=False
    )


@pytest.mark.long
def test_the_comparison_goes_on_after_a_kill_and_ends_with_figures_and_curves(tmp_path: Path) -> None:
    out = tmp_path / "out"
    arguments = (SMALL, *TINY, "--seeds", "0", "--bound-samples", "2,4", "--out", out)
    process = subprocess.Popen(command(*arguments), cwd=ROOT, env=environment(), stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 400
    while not (out / "seed-0" / "frozen" / "stages").exists():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.2)
    process.send_signal(signal.SIGKILL)
    process.wait()
    done = em_ablation(*arguments)
    assert done.returncode == 0, done.stderr
    assert "seed 0, e_step: already done" in done.stderr
    found = json.loads((out / "em-ablation.json").read_text())
    assert list(found["arms"]) == ["e_step", "frozen", "with_z", "without_z"]
    assert all(len(arm["rounds"]) == 2 for arm in found["arms"].values())
    start = {arm: found["arms"][arm]["rounds"][0]["joint_nll"]["mean"] for arm in ("e_step", "frozen", "with_z")}
    assert len(set(start.values())) == 1, "the three arms with rationales begin at one cold start"
    bounds = {arm: found["arms"][arm]["bounds"]["last"] for arm in found["arms"]}
    assert all(list(by_size) == ["2", "4"] for by_size in bounds.values())
    assert bounds["without_z"]["2"]["mean"] == bounds["without_z"]["4"]["mean"]
    assert set(found["leads"]) == {"frozen", "with_z", "without_z"}
    assert (out / "em-ablation.svg").stat().st_size > 10_000
    assert json.loads(done.stdout) == found
    assert "E-step frozen" in done.stderr
    status = selfplay("status", out / "seed-0" / "without_z")
    assert status.returncode == 0
    assert "em_1" in status.stdout


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--seeds", "0,x"], "is not a list of numbers"),
        (["--arm", "odd"], "is not written NAME:a.b=value"),
        (["--arm", "odd:em.rouns=1"], "did you mean `rounds`"),
        (["em.rounds=0"], "em.rounds is 0"),
    ],
)
def test_what_cannot_be_compared_is_refused(tmp_path: Path, arguments: list[str], says: str) -> None:
    done = em_ablation(SMALL, *arguments, "--out", tmp_path / "out")
    assert done.returncode == 2
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()
