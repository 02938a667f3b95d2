"""Workers' beginnings and ends, in a driver of their own, as a user's terminal sees them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]

STOPPED_AT_ONCE = """
import sys
from pathlib import Path
from selfplay.compute.workers import Workers

def nothing():
    pass

if __name__ == "__main__":
    workers = Workers(2, 1, "cpu", Path(sys.argv[1]))
    workers.start(nothing)
    workers.stop()
"""


def _drive(tmp_path: Path, source: str) -> subprocess.CompletedProcess[str]:
    script = tmp_path / "driver.py"
    script.write_text(source)
    command = [sys.executable, str(script), str(tmp_path / "workers.log")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=120, env=environment)


def test_workers_stopped_while_they_start_say_nothing(tmp_path: Path) -> None:
    done = _drive(tmp_path, STOPPED_AT_ONCE)
    assert done.returncode == 0
    assert done.stderr == ""


LEAVES_FILES = """
import sys, tempfile
from pathlib import Path
from selfplay.compute.workers import Workers

def leave(job):
    return tempfile.mkdtemp()

if __name__ == "__main__":
    workers = Workers(1, 1, "cpu", Path(sys.argv[1]))
    print(workers.map(leave, [{}])[0])
    workers.stop()
"""


def test_temporary_files_of_workers_end_with_them(tmp_path: Path) -> None:
    done = _drive(tmp_path, LEAVES_FILES)
    assert done.returncode == 0, done.stderr
    assert not Path(done.stdout.strip()).exists()


FAILS = """
import sys, time
from pathlib import Path
from selfplay.compute.workers import WorkerError, Workers

def fail(job):
    time.sleep(0.2)
    raise ValueError("no")

if __name__ == "__main__":
    workers = Workers(1, 1, "cpu", Path(sys.argv[1]))
    try:
        workers.map(fail, [{}])
    except WorkerError:
        print(workers.busy_seconds)
"""


def test_work_that_failed_was_model_time_too(tmp_path: Path) -> None:
    done = _drive(tmp_path, FAILS)
    assert float(done.stdout) > 0.1, done.stderr
