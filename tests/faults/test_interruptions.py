"""Interrupted at any instant, in any way, a run ends with the same tables and weights as one that was left alone."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.e2e.conftest import SMALL, command, environment, products, selfplay
from tests.faults.runs import Session, current_stage, progress

pytestmark = pytest.mark.usefixtures("needs_sandbox")

INTERRUPTIONS = 100
KILLED, INTERRUPTED, TERMINATED = signal.SIGKILL, signal.SIGINT, signal.SIGTERM
EXIT_CODES = {KILLED: -KILLED, INTERRUPTED: 130, TERMINATED: 143}


def check_end(session: Session, how: signal.Signals, code: int) -> None:
    """An interruption that a process can hear ends with one sentence, unless it came before Python could listen."""
    if how == KILLED or code == -how:
        return
    assert code == EXIT_CODES[how], session.said
    assert "Finished work is kept; the same command continues" in session.said
    assert "Traceback" not in session.said


@pytest.mark.long
@pytest.mark.parametrize("how", [INTERRUPTED, TERMINATED])
def test_an_interruption_says_how_to_continue(tmp_path: Path, how: signal.Signals) -> None:
    session = Session(tmp_path / "run")
    session.wait_for((tmp_path / "run" / "stages" / "base").exists)
    assert session.interrupt(how) == EXIT_CODES[how]
    check_end(session, how, EXIT_CODES[how])


@pytest.mark.parametrize("how", [INTERRUPTED, TERMINATED])
@pytest.mark.parametrize("name", ["run", "synthesize"])
def test_an_interruption_while_the_recipe_is_read_says_so_too(tmp_path: Path, name: str, how: signal.Signals) -> None:
    recipe, opened = tmp_path / "recipe.yaml", tmp_path / "opened"
    recipe.write_text("name: r\n")
    # The command opens its recipe from a slow disk.
    (tmp_path / "sitecustomize.py").write_text(
        "import os, pathlib, time\n"
        "real = os.open\n"
        "def slow(path, *others, **more):\n"
        f"    if str(path) == {str(recipe)!r}:\n"
        f"        pathlib.Path({str(opened)!r}).touch()\n"
        "        time.sleep(60)\n"
        "    return real(path, *others, **more)\n"
        "os.open = slow\n"
    )
    slow = environment()
    slow["PYTHONPATH"] = f"{tmp_path}{os.pathsep}{slow['PYTHONPATH']}"
    process = subprocess.Popen(command(name, recipe), env=slow, stderr=subprocess.PIPE, text=True)
    while not opened.exists():
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(how)
    _, said = process.communicate(timeout=60)
    assert process.returncode == EXIT_CODES[how]
    assert said == "\nStopped. Finished work is kept; the same command continues.\n"


@pytest.mark.long
def test_a_hundred_interruptions_in_all_stages_change_nothing(finished: Path, tmp_path: Path) -> None:
    rng, where, count, runs = random.Random(0), Counter[str](), 0, 0
    expected = products(finished)
    while count < INTERRUPTIONS:
        run = tmp_path / f"run{runs}"
        runs += 1
        while interrupt_once(run, rng, where):
            count += 1
        assert products(run) == expected, f"run {runs} after interruptions in {dict(where)}"
    stages = {folder.name for folder in (finished / "stages").iterdir()}
    assert len(where.keys() & stages) >= len(stages) - 2, f"interruptions fell in {dict(where)}"


def interrupt_once(run: Path, rng: random.Random, where: Counter[str]) -> bool:
    """Starts a session and interrupts it at a random instant; False when it came to its end first."""
    session, before, stage = Session(run), progress(run), current_stage(run)
    moment = rng.random()
    if moment < 0.1:
        # Also before it has done anything.
        time.sleep(rng.uniform(0, 5))
    elif moment < 0.5:
        session.wait_for(lambda: progress(run) != before)
        time.sleep(rng.uniform(0, 3))
    else:
        # Shortly after another stage began, so that short stages are not spared.
        session.wait_for(lambda: progress(run) != before)
        session.wait_for(lambda: current_stage(run) != stage)
        time.sleep(rng.uniform(0, 0.5))
    if session.goes_on:
        how = rng.choice([KILLED, KILLED, INTERRUPTED, TERMINATED])
        stage = current_stage(run)
        code = session.interrupt(how)
        check_end(session, how, code) if code else None
        where[stage] += 1
        if code:
            return True
    assert session.process.returncode == 0, session.said
    # It may have come to its end just before the signal.
    done = selfplay("run", SMALL, "--run-dir", run)
    assert done.returncode == 0, done.stderr
    return False
