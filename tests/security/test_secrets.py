"""A run that dumps all it can see does not hold the expected values.

The expected values are random words of a known form, `SECRET-` and 32 digits, and so is a word in the input, which
proves that the search would have found them. The program looks through its own memory, everything below /proc, its
descriptors and every file that it may read, and prints each such word it finds.
"""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from sandbox.model import Execution, Limits, Program, Sandbox, Stop
from sandbox.open import open_sandbox
from verifiers.model import Task, Test
from verifiers.programs import CodeVerifier

_SEARCH = """
import os, re, sys
WORD = re.compile(b"SEC" b"RET-[IE][0-9a-f]{32}")
found = set()
def look(read):
    try: found.update(WORD.findall(read()))
    except (OSError, ValueError, OverflowError, MemoryError): pass
def of_file(path, most=1 << 22):
    def read():
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        try: return os.read(fd, most)
        finally: os.close(fd)
    return read
def own_memory():
    regions = 0
    with open("/proc/self/mem", "rb", 0) as memory:
        for line in open("/proc/self/maps"):
            low, high = (int(part, 16) for part in line.split()[0].split("-"))
            if line.split()[1][0] != "r" or high - low > 1 << 28 or "vvar" in line or "vsyscall" in line: continue
            memory.seek(low)
            look(lambda: memory.read(high - low))
            regions += 1
    return regions
def search():
    regions = own_memory()
    for fd in range(64):
        look(lambda: os.pread(fd, 1 << 22, 0))
        for place in (f"/proc/self/fd/{fd}", f"/dev/fd/{fd}", f"/proc/self/fdinfo/{fd}"): look(of_file(place))
    for root in ("/proc", "/tmp", "/dev", "/etc", "/opt", "/root", "/home", "/var", "/run", os.environ["TMPDIR"]):
        for folder, below, names in os.walk(root):
            below[:] = [name for name in below if name not in ("task", "site-packages")]
            if folder.count("/") > 6: continue
            for name in names:
                path = os.path.join(folder, name)
                # Endless or slow ones hold nothing of ours.
                if name in ("kmsg", "pagemap", "mem", "kcore", "zero", "full", "random", "urandom"): continue
                look(of_file(path, 1 << 16))
    import gc, sys
    for o in gc.get_objects():
        if isinstance(o, (list, tuple, dict)): look(lambda: repr(o)[:10000].encode() if len(o) < 50 else b"")
    frame = sys._getframe()
    while frame:
        look(lambda: repr(frame.f_locals)[:100000].encode())
        frame = frame.f_back
    return regions
"""
_PROGRAM = (
    f"{_SEARCH}\ngiven = sys.stdin.read()\nregions = search()\nprint(regions, *sorted(w.decode() for w in found))\n"
)
_FUNCTION = (
    f"{_SEARCH}\ndef f(given):\n    regions = search()\n    return [regions, *sorted(w.decode() for w in found)]\n"
)
_IN_CPP = r"""
#include <cstdio>
#include <cstring>
#include <string>
#include <fcntl.h>
#include <unistd.h>
// The mark is put together as the program runs, so that it does not find itself.
static void look(const char *at, size_t size, std::string mark) {
    for (size_t i = 0; i + 40 <= size; i++)
        if (!memcmp(at + i, mark.data(), mark.size()) && (at[i + 7] == 'I' || at[i + 7] == 'E'))
            printf("%.40s\n", at + i);
}
int main() {
    static char given[100], buffer[1 << 22];
    if (!fgets(given, 100, stdin)) return 1;
    std::string mark = "TERCES-"; mark = std::string(mark.rbegin() + 1, mark.rend()) + "-";
    FILE *maps = fopen("/proc/self/maps", "r"); char line[512]; int memory = open("/proc/self/mem", O_RDONLY);
    while (fgets(line, 512, maps)) {
        unsigned long low, high; char mode[8];
        if (sscanf(line, "%lx-%lx %7s", &low, &high, mode) != 3 || mode[0] != 'r') continue;
        for (; low < high; low += sizeof buffer - 64) {
            if (low <= (unsigned long)buffer && (unsigned long)buffer < high) break;
            ssize_t n = pread(memory, buffer, std::min(high - low, (unsigned long)sizeof buffer), low);
            if (n <= 0) break;
            look(buffer, n, mark);
        }
    }
    for (int fd = 0; fd < 64; fd++) {
        ssize_t n = pread(fd, buffer, sizeof buffer, 0);
        if (n > 0) look(buffer, n, mark);
    }
}
"""


def word(kind: str) -> str:
    """A word in an input (I) or an expected value (E)."""
    return f"SECRET-{kind}{secrets.token_hex(16)}"


class Recorder:
    """A sandbox that remembers what it was given, and what came of it."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner
        self.given: list[str] = []
        self.executions: list[Execution] = []

    def run(
        self, program: Program, inputs: Sequence[bytes], limits: Limits, stop: Stop | None = None
    ) -> list[Execution]:
        return self._recorded(
            [program.source, *map(repr, inputs)], lambda: self.inner.run(program, inputs, limits, stop)
        )

    def call(self, program: Program, entry_point: str, arguments: Any, limits: Limits, stop: Any = None) -> Any:
        work = lambda: self.inner.call(program, entry_point, arguments, limits, stop)  # noqa: E731
        return self._recorded([program.source, repr(arguments)], work)

    def call_together(self, program: Program, entry_point: str, arguments: Any, limits: Limits) -> list[Execution]:
        work = lambda: self.inner.call_together(program, entry_point, arguments, limits)  # noqa: E731
        return self._recorded([program.source, repr(arguments)], work)

    def close(self) -> None:
        self.inner.close()

    def _recorded(self, given: list[str], work: Callable[[], list[Execution]]) -> list[Execution]:
        self.given += given
        executions = work()
        self.executions += executions
        return executions


@pytest.fixture
def recorded() -> Iterator[tuple[CodeVerifier, list[Recorder]]]:
    opened: list[Recorder] = []

    def opener() -> Sandbox:
        opened.append(Recorder(open_sandbox()))
        return opened[-1]

    open_sandbox().close()
    verifier = CodeVerifier(open_sandbox=opener, stop_at_first_failure=False)
    yield verifier, opened
    verifier.close()


def _texts(sandboxes: Sequence[Recorder]) -> str:
    shown = [
        (e.stdout.decode(errors="replace"), e.stderr.decode(errors="replace"), repr(e.value))
        for s in sandboxes
        for e in s.executions
    ]
    return " ".join(part for texts in shown for part in texts)


def _assert_kept(sandboxes: Sequence[Recorder], inputs: Sequence[str], expected: Sequence[str]) -> None:
    shown, given = _texts(sandboxes), " ".join(text for s in sandboxes for text in s.given)
    # The search works: every run saw its own input.
    assert all(secret in shown for secret in inputs), shown[-2000:]
    assert not any(secret in shown for secret in expected)
    assert not any(secret in given for secret in expected)
    assert "SECRET-E" not in shown


def test_a_program_finds_no_expected_output(recorded: tuple[CodeVerifier, list[Recorder]]) -> None:
    verifier, sandboxes = recorded
    inputs, outputs = [word("I") for _ in range(3)], [word("E") for _ in range(3)]
    task = Task(tests=tuple(Test(i, o) for i, o in zip(inputs, outputs, strict=True)), time_limit_s=20)
    # Twice, so that what the first judgement left behind would be found by the second.
    for _ in range(2):
        assert verifier.verify_source(task, _PROGRAM).passed is False
    _assert_kept(sandboxes, inputs, outputs)
    assert all(int(e.stdout.split()[0]) > 20 for s in sandboxes for e in s.executions)


def test_a_function_finds_no_expected_value(recorded: tuple[CodeVerifier, list[Recorder]]) -> None:
    verifier, sandboxes = recorded
    inputs, outputs = [word("I") for _ in range(3)], [word("E") for _ in range(3)]
    tests = tuple(Test(args=(i,), expected=[o]) for i, o in zip(inputs, outputs, strict=True))
    task = Task(tests=tests, entry_point="f", time_limit_s=20)
    for _ in range(2):
        assert verifier.verify_source(task, _FUNCTION).passed is False
    _assert_kept(sandboxes, inputs, outputs)


def test_a_program_finds_nothing_of_an_earlier_task(recorded: tuple[CodeVerifier, list[Recorder]]) -> None:
    verifier, sandboxes = recorded
    earlier = [word("I"), word("E")]
    right = Task(tests=(Test(earlier[0], earlier[1]),))
    assert verifier.verify_source(right, f"print({earlier[1]!r})").passed is True
    own = word("I")
    before = len(sandboxes[0].executions)
    verifier.verify_source(Task(tests=(Test(own, "no"),), time_limit_s=20), _PROGRAM)
    shown = " ".join(e.stdout.decode() for e in sandboxes[0].executions[before:])
    assert own in shown
    assert not any(secret in shown for secret in earlier)


def test_only_the_checker_sees_the_answer(recorded: tuple[CodeVerifier, list[Recorder]]) -> None:
    verifier, sandboxes = recorded
    given, answer = word("I"), word("E")
    checker = "import sys\nsys.exit(open(sys.argv[2]).read() != open(sys.argv[3]).read())"
    task = Task(tests=(Test(given, answer),), checker=checker, time_limit_s=20)
    for _ in range(2):
        assert verifier.verify_source(task, _PROGRAM).passed is False
    judged = [s for s in sandboxes if not any("_place()" in text for text in s.given)]
    assert len(judged) == len(sandboxes) - 1 == 1
    _assert_kept(judged, [given], [answer])


@pytest.mark.skipif(shutil.which("g++") is None, reason="no g++ on this host")
def test_a_compiled_program_finds_no_expected_output(recorded: tuple[CodeVerifier, list[Recorder]]) -> None:
    verifier, sandboxes = recorded
    given, answer = word("I"), word("E")
    task = Task(tests=(Test(given + "\n", answer),), language="cpp", time_limit_s=20)
    assert verifier.verify_source(task, _IN_CPP).passed is False
    _assert_kept(sandboxes, [given], [answer])
