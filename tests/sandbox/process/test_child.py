"""Children are spoken to within deadlines, end with all that they started, and never outlive their owner unasked."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.process.child import Child, ChildGone, exit_reason
from sandbox.process.inside import read_frame, write_frame

ROOT = Path(__file__).resolve().parents[3]
MODULE = """
import os, signal, subprocess, sys, time
from sandbox.process.inside import read_frame, take_channel, write_all, write_frame

into, out = take_channel()
print("this is no answer", flush=True)

def grandchild(**options):
    return subprocess.Popen(["sleep", "600"], **options).pid

while (asked := read_frame(into)) is not None:
    word, _, rest = asked.decode().partition(" ")
    if word == "echo":
        write_frame(out, rest.encode())
    elif word == "line":
        write_all(out, rest.encode() + b"\\n")
    elif word == "pids":
        own = [os.getpid(), grandchild(), grandchild(start_new_session=True)]
        write_frame(out, " ".join(map(str, own)).encode())
    elif word == "half":
        os.write(out, b"\\x00" * 7 + b"\\xff" + b"abc")
        os.kill(os.getpid(), signal.SIGSTOP)
    elif word == "fork":
        pid = os.fork()
        if pid == 0:
            time.sleep(600)
        write_frame(out, str(pid).encode())
        os._exit(0)
    elif word == "exit":
        os._exit(int(rest))
    elif word == "kill":
        os.kill(os.getpid(), int(rest))
    elif word == "sleep":
        time.sleep(600)
    elif word == "complain":
        os.write(2, rest.encode())
        write_frame(out, b"done")
    elif word == "seen":
        write_frame(out, repr((sys.stdin.read(), sorted(os.environ), os.listdir("/proc/self/fd"))).encode())
    elif word == "flood":
        write_all(out, b"x" * int(rest))
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("children")
    (made / "child_of_test.py").write_text(MODULE)
    return made


@pytest.fixture
def start(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Child]]:
    monkeypatch.syspath_prepend(str(folder))
    made: list[Child] = []

    def begin(**options: object) -> Child:
        made.append(Child("child_of_test", **options))  # type: ignore[arg-type]
        return made[-1]

    yield begin
    for child in made:
        child.close()


def ask(child: Child, question: str, seconds: float = 30.0) -> str:
    child.write_frame(question.encode())
    return child.frame(time.monotonic() + seconds).decode()


def test_frames_and_lines_come_back_whatever_the_child_prints(start: Callable[..., Child]) -> None:
    child = start()
    assert ask(child, "echo ä") == "ä"
    assert ask(child, "echo ") == ""
    for text in ("one", "two\nthree"):
        child.write_frame(f"line {text}".encode())
    assert [child.line(time.monotonic() + 30) for _ in range(3)] == [b"one", b"two", b"three"]


@given(st.lists(st.binary(max_size=300), max_size=8))
def test_frames_of_any_bytes_come_back_in_order(frames: list[bytes]) -> None:
    read_end, write_end = os.pipe()
    for frame in frames:
        write_frame(write_end, frame)
    os.close(write_end)
    assert list(iter(lambda: read_frame(read_end), None)) == frames
    os.close(read_end)


def test_a_frame_larger_than_a_pipe_goes_both_ways(start: Callable[..., Child]) -> None:
    text = "y" * (5 << 20)
    assert ask(start(), f"echo {text}") == text


def test_a_deadline_holds_for_silence_for_half_a_message_and_for_a_full_pipe(start: Callable[..., Child]) -> None:
    child = start()
    assert ask(child, "echo ready") == "ready"
    child.write_frame(b"half")
    for _ in range(2):
        with pytest.raises(TimeoutError):
            child.frame(time.monotonic() + 0.2)
    with pytest.raises(TimeoutError):
        child.write(b"z" * (1 << 20), time.monotonic() + 0.2)
    assert child.end() == -signal.SIGKILL


@pytest.mark.parametrize(
    ("question", "how"),
    [("exit 0", "ended with exit code 0"), ("exit 7", "ended with exit code 7"), ("kill 11", "was ended by SIGSEGV")],
)
def test_how_it_ended_is_said(start: Callable[..., Child], question: str, how: str) -> None:
    child = start()
    with pytest.raises(ChildGone):
        ask(child, question)
    assert exit_reason(child.end(5.0)) == how
    child.close()
    child.close()
    assert exit_reason(child.end(5.0)) == how
    for use in (lambda: child.frame(time.monotonic()), lambda: child.write(b"x")):
        with pytest.raises((ChildGone, OSError)):
            use()


def test_signals_without_a_name_are_told_by_number() -> None:
    assert exit_reason(-signal.SIGTERM) == "was ended by SIGTERM"
    assert exit_reason(-40) == "was ended by signal 40"


def test_it_ends_with_all_that_it_started_also_in_other_sessions(start: Callable[..., Child]) -> None:
    child = start()
    pids = [int(pid) for pid in ask(child, "pids").split()]
    assert all(map(alive, pids))
    child.end()
    assert not any(map(alive, pids))


def test_what_it_left_behind_neither_hides_its_end_nor_survives_it(start: Callable[..., Child]) -> None:
    child = start()
    left = int(ask(child, "fork"))
    with pytest.raises(ChildGone):
        child.frame(time.monotonic() + 30)
    assert alive(left)
    assert child.end() == 0
    until(lambda: not alive(left))


def test_what_it_said_last_is_heard_however_it_ends(start: Callable[..., Child]) -> None:
    for _ in range(5):
        child = start()
        for question in (b"line last", b"exit 0"):
            child.write_frame(question)
        assert child.line(time.monotonic() + 30) == b"last"
        with pytest.raises(ChildGone):
            child.line(time.monotonic() + 30)


def test_answers_have_an_end(start: Callable[..., Child]) -> None:
    child = start(longest=1 << 16)
    child.write_frame(b"flood 100000")
    with pytest.raises(ChildGone, match="has no end"):
        child.line(time.monotonic() + 30)


def test_it_has_an_empty_input_and_only_what_it_was_given(start: Callable[..., Child]) -> None:
    read_end, write_end = os.pipe()
    child = start(environment={"PATH": "/usr/bin"}, fds=(read_end,))
    words, names, descriptors = eval(ask(child, "seen"))
    os.close(read_end)
    os.close(write_end)
    assert words == ""
    assert {"PATH", "PYTHONPATH"} <= set(names) <= {"PATH", "PYTHONPATH", "LC_CTYPE"}
    assert {"0", "1", "2", str(read_end)} <= set(descriptors)


def test_what_it_complains_of_goes_where_it_was_told(start: Callable[..., Child], tmp_path: Path) -> None:
    with (tmp_path / "log").open("ab") as log:
        child = start(stderr=log)
    assert ask(child, "complain oh") == "done"
    assert (tmp_path / "log").read_text() == "this is no answer\noh"


def test_a_folder_that_one_works_in_hides_no_module(
    start: Callable[..., Child], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "struct.py").write_text("raise SystemExit(9)")
    monkeypatch.chdir(tmp_path)
    assert ask(start(), "echo well") == "well"


def test_it_survives_the_thread_that_started_it(start: Callable[..., Child]) -> None:
    with ThreadPoolExecutor(1) as short:
        child = short.submit(start).result()
    assert ask(child, "echo here") == "here"


def test_nothing_is_left_open(start: Callable[..., Child]) -> None:
    ask(start(), "echo x")
    this = psutil.Process()
    before = this.num_fds()
    for _ in range(3):
        child = start(stderr=subprocess.DEVNULL)
        ask(child, "echo x")
        child.close()
    assert this.num_fds() == before


OWNER = """
import os, signal, sys
sys.path.insert(0, sys.argv[1])
from sandbox.process.child import Child
children = [Child("child_of_test"), Child("child_of_test", outlives=True)]
for child in children:
    child.write_frame(b"echo x")
    assert child.frame() == b"x"
    child.write_frame(b"sleep")
print(*[child.pid for child in children], flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_it_dies_with_a_killed_owner_unless_it_is_to_outlive_it(folder: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", OWNER, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, timeout=60)
    assert done.returncode == -signal.SIGKILL, done.stderr
    bound, free = (int(pid) for pid in done.stdout.split())
    try:
        until(lambda: not alive(bound))
        assert alive(free)
    finally:
        os.kill(free, signal.SIGKILL)


def test_an_owner_that_was_gone_before_the_kernel_was_asked_is_noticed(folder: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{folder}", "SELFPLAY_PARENT": "1"}
    command = [sys.executable, "-m", "child_of_test"]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False, env=environment)
    assert (done.returncode, done.stdout) == (1, b"")


def alive(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)
