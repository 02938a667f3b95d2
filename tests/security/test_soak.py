"""Many honest runs mixed with attacks, on several workers: every honest verdict right, and nothing left behind.

SELFPLAY_SOAK sets the size of the long test as HONEST,ATTACKS,WORKERS.
"""

from __future__ import annotations

import gc
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import attacks_files
import attacks_kernel
import attacks_memory
import attacks_output
import attacks_processes
import attacks_time
import attacks_warm
import fakes_function
import fakes_output
import pytest
from attack_kit import Attack
from fake_kit import CPP, LINES, SUM

from sandbox.open import open_sandbox
from verifiers.model import Task, Test
from verifiers.pool import readers
from verifiers.programs import CodeVerifier

Item = tuple[Task, str, bool]
"""A task, a submission for it, and whether it is right."""

FULL = tuple(int(part) for part in os.environ.get("SELFPLAY_SOAK", "10000,500,8").split(","))
SMALL = (300, 30, 2)
MOST_GROWTH_MB = 60
_BATCH = 400
_FAMILIES = (
    *(attacks_processes, attacks_memory, attacks_time, attacks_output, attacks_files),
    *(attacks_kernel, attacks_warm),
)
_CPP_RIGHT = '#include <cstdio>\nint main(){int n;scanf("%d",&n);for(int i=1;i<=n;i++)printf("%d\\n",i);}'
_FILES = Task("files", tests=(Test("a b\n", "ab\n"),))
_WORDS = Task("words", tests=(Test("x y x\n", "x 2\ny 1\n"), Test("z\n", "z 1\n")))


def _honest(number: int) -> Item:
    """Right and wrong programs of every mode, each a little different, so that no cache knows it."""
    mark = f"# {number}\n"
    right: list[tuple[Task, str]] = [
        (SUM, f"{mark}def f(a, b): return a + b"),
        (SUM, f"{mark}class Solution:\n    def f(self, a, b): return sum([a, b])"),
        (LINES, f"{mark}for i in range(int(input())): print(i + 1)"),
        (LINES, f"{mark}import sys\nprint('\\n'.join(map(str, range(1, int(sys.stdin.readline()) + 1))))\nexit()"),
        (_FILES, f"{mark}import os\nopen('f', 'w').write(input())\nprint(open('f').read().replace(' ', ''))"),
        (_WORDS, f"{mark}from collections import Counter\nfor w, n in Counter(input().split()).items(): print(w, n)"),
    ]
    wrong: list[tuple[Task, str]] = [
        (SUM, f"{mark}def f(a, b): return a - b"),
        (LINES, f"{mark}print(1)"),
        (_FILES, f"{mark}print(input())"),
    ]
    if shutil.which("g++") is not None and number % 50 == 0:
        return CPP, _CPP_RIGHT, True
    if number % 4 == 3:
        return (*wrong[number // 4 % len(wrong)], False)
    return (*right[number % len(right)], True)


def _hostile(number: int) -> Item:
    """Attacks as programs and as functions, and fakes: none is right."""
    attacks: list[Attack] = [attack for family in _FAMILIES for attack in family.ATTACKS if not attack.slow]
    fakes = [*fakes_function.FAKES, *fakes_output.FAKES]
    limits = {"time_limit_s": 0.5, "memory_mb": 128}
    if number % 3 == 0:
        fake = fakes[number // 3 % len(fakes)]
        return fake.task, fake.source, False
    attack = attacks[(number * 7 + number // 3) % len(attacks)]
    if number % 3 == 1:
        return Task(attack.name, tests=(Test("input\n", "never printed\n"),), **limits), attack.source, False  # type: ignore[arg-type]
    source = attack.as_function().source
    return Task(attack.name, tests=(Test(args=(), expected="right"),), entry_point="f", **limits), source, False  # type: ignore[arg-type]


def _fenced(item: Item) -> tuple[Task, str]:
    task, source, _ = item
    tag = "cpp" if task.language == "cpp" else "python"
    fence = "`" * (3 + max((len(run) for run in re.findall("`+", source)), default=0))
    return task, f"{fence}{tag}\n{source}\n{fence}"


class Footprint:
    """What this process, and the host on its behalf, holds."""

    def __init__(self) -> None:
        self.descriptors = len(os.listdir("/proc/self/fd"))
        self.children = _descendants(os.getpid())
        self.mounts = Path("/proc/self/mountinfo").read_text().count("\n")
        self.groups = _groups()
        self.files = sorted(os.listdir(tempfile.gettempdir()))


def _descendants(pid: int) -> int:
    direct = [int(child) for file in Path(f"/proc/{pid}/task").glob("*/children") for child in file.read_text().split()]
    return len(direct) + sum(_descendants(child) for child in direct)


def _groups() -> list[str]:
    """Control groups that this process made."""
    mine = f"selfplay-sandbox-{os.getpid()}-"
    return [folder for folder, _, _ in os.walk("/sys/fs/cgroup") if os.path.basename(folder).startswith(mine)]


def _resident_mb() -> float:
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / (1 << 20)


def _until_gone(count: int) -> bool:
    deadline = time.monotonic() + 20
    while _descendants(os.getpid()) > count and time.monotonic() < deadline:
        time.sleep(0.05)
    return _descendants(os.getpid()) <= count


def _close(verifier: CodeVerifier) -> None:
    """Ends all that judging has started, and the readers of completions, which all verifiers of a process share."""
    verifier.close()
    while readers._shared:
        readers._shared.popitem()[1].close()


def _items(honest: int, attacks: int) -> list[Item]:
    items = [_honest(number) for number in range(honest)] + [_hostile(number) for number in range(attacks)]
    random.Random(honest * 31 + attacks).shuffle(items)
    return items


def soak(honest: int, attacks: int, workers: int) -> None:
    """Raises AssertionError; run in a process of its own, whose footprint it measures."""
    items = _items(honest, attacks)
    verifier = CodeVerifier(workers=workers)
    verifier.verify_many([_fenced(item) for item in items[: 2 * workers + 40]])
    _close(verifier)
    assert _until_gone(0)
    before, first_mb = Footprint(), _resident_mb()
    verifier = CodeVerifier(workers=workers)
    sizes: list[float] = []
    wrong: list[tuple[str, str, str]] = []
    unchecked = 0
    for start in range(0, len(items), _BATCH):
        batch = items[start : start + _BATCH]
        for (task, source, right), verdict in zip(batch, verifier.verify_many(list(map(_fenced, batch))), strict=True):
            if verdict.passed is not right:
                wrong.append((task.problem, verdict.status, f"{verdict.reason} {source[:60]!r}"))
            unchecked += verdict.passed is None
        sizes.append(_resident_mb())
    _close(verifier)
    assert _until_gone(before.children)
    after = Footprint()
    grown = f"{first_mb:.0f} MB before, {sizes[0]:.0f} to {sizes[-1]:.0f}"
    print(f"{len(items)} runs, {workers} workers, {unchecked} unchecked; resident: {grown}")
    assert wrong == [], wrong[:20]
    for name in ("descriptors", "children", "mounts", "groups", "files"):
        assert getattr(after, name) == getattr(before, name), (name, getattr(before, name), getattr(after, name))
    assert max(sizes) - first_mb < MOST_GROWTH_MB, sizes
    assert len(sizes) < 5 or sizes[-1] - sizes[len(sizes) // 2] < MOST_GROWTH_MB / 3, sizes


def _in_a_process(size: tuple[int, ...], folder: Path) -> None:
    open_sandbox().close()
    here = Path(__file__).resolve()
    paths = [str(here.parent), str(here.parents[2])]
    script = f"import sys; sys.path[:0] = {paths}; import test_soak; test_soak.soak(*{size})"
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "TMPDIR": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    print(done.stdout)
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
    assert os.listdir(folder) == []


def test_small_soak(tmp_path: Path) -> None:
    _in_a_process(SMALL, tmp_path)


@pytest.mark.long
def test_soak(tmp_path: Path) -> None:
    _in_a_process(FULL, tmp_path)
