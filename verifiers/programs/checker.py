"""Custom checkers: a problem's own program that reads input, output and answer, and says by its exit code.

The exit codes are testlib's: 0 accepted, 1 wrong, 2 and 4 and 8 badly formed (wrong), 7 and 16 to 216 a share of
the points (taken as wrong). All else, a crash included, means that the checker failed and the output was not checked.
Source with `#include` is C++, anything else Python. The program finds the three files as its arguments, as with
testlib, whose header is not shipped: a checker that includes it needs the header's text in its place. Since a sandbox
passes standard input only, a few lines around the checker write those files first.
"""

from __future__ import annotations

from pathlib import Path

from sandbox.model import Execution, Program, Status
from verifiers.patterns import linear
from verifiers.untrusted.files import read_text

_REFUSALS = frozenset((1, 2, 4, 7, 8, *range(16, 217)))
_TESTLIB = linear.compile(r'^[ \t]*#[ \t]*include[ \t]*["<][^">\n]*testlib\.h[">]', linear.MULTILINE)
_PYTHON_FRAME = """\
import os as _os, sys as _sys, tempfile as _tempfile
def _place():
    folder = _tempfile.mkdtemp()
    names = []
    for name in ("input", "output", "answer"):
        size = int(_sys.stdin.buffer.readline())
        names.append(_os.path.join(folder, name))
        with open(names[-1], "wb") as file:
            file.write(_sys.stdin.buffer.read(size))
    _sys.argv = ["checker", *names]
try:
    _place()
    exec(compile({source!r}, "checker", "exec"), {{"__name__": "__main__"}})
except SystemExit:
    raise
except BaseException:
    import traceback as _traceback
    _traceback.print_exc()
    _sys.exit(3)
"""

_CPP_HEAD = "#define main checker_main_of_the_problem\n"
_CPP_TAIL = "\n" + read_text(Path(__file__).with_name("checker_tail.cpp"))


def needs_testlib(source: str) -> bool:
    """Tells whether a checker includes testlib.h, which is not there to be included."""
    return bool(_TESTLIB.search(source))


def checker_program(source: str) -> Program:
    """Returns the program that runs a checker on what `checker_input` packs."""
    if "#include" in source:
        return Program(_CPP_HEAD + source + _CPP_TAIL, "cpp")
    return Program(_PYTHON_FRAME.format(source=source), "python")


def checker_input(test_input: str, output: bytes, answer: str) -> bytes:
    """Packs the three files for a checker's standard input: each as its length in bytes, a newline, its
    bytes."""
    parts = (test_input.encode(), output, answer.encode())
    return b"".join(b"%d\n%s" % (len(part), part) for part in parts)


def checker_says(execution: Execution) -> bool | None:
    """Reads a checker's exit: accepted, wrong, or None when the checker itself failed."""
    if execution.status is Status.OK and (execution.exit_code or 0) == 0:
        return True
    if execution.status in {Status.OK, Status.RUNTIME_ERROR} and execution.exit_code in _REFUSALS:
        return False
    return None
