"""The code that a program's first process keeps for those after it: the same program, and nothing else of the first."""

from __future__ import annotations

import pytest

from sandbox.model import Execution, Limits, Program, Status
from sandbox.warm.sandbox import WarmSandbox

LIMITS = Limits(cpu_s=2, memory_mb=128)

HOSTILE = {
    "forged": """
        import marshal, os
        forged = marshal.dumps(compile("print('FORGED')", "<string>", "exec"))
        for fd in range(3, 64):
            try: os.ftruncate(fd, 0); os.pwrite(fd, forged, 0); print("ESCAPED", fd)
            except OSError: pass
        for name in os.listdir("/proc/self/fd"):
            if int(name) > 2:
                try: os.open(f"/proc/self/fd/{name}", os.O_RDWR); print("ESCAPED", name)
                except OSError: pass
    """,
    "profiler": """
        import sys
        print(sys.getprofile(), sys.gettrace())
    """,
    "own_code": """
        import ctypes, sys
        text = "as it was"
        code = sys._getframe().f_code
        place = next(c for c in code.co_consts if c == "as it was")
        ctypes.memmove(id(place) + sys.getsizeof("") - 1, b"changed!!", 9)
        print(code.co_name, code.co_filename, __name__)
    """,
    "code_objects": """
        import gc
        for found in gc.get_objects():
            if callable(found) and getattr(found, "__name__", "") == "keep":
                found(None, "call", None)
        print("ran")
    """,
}
PROGRAMS = {
    "exception": "def f():\n    raise ValueError('no')\n\nf()",
    "syntax_error": "print('early')\nprint((",
    "too_deep": "print(" + "(" * 300 + ")" * 300 + ")",
    "null": "print('x\0y')",
    "warnings": "import warnings\nprint('\\d', 1 is 1)",
    "lone_surrogate": "print(ascii('\ud800'))",
    "future": "from __future__ import annotations\ndef f(x: undefined): pass\nprint(f.__annotations__)",
    "exit": "import sys\nprint(input())\nsys.exit(3)",
    "module": "print(sorted(globals()), __name__, __doc__)",
    "docstring": "'''told'''\nprint(__doc__)",
    "generators": "print([y for x in range(3) for y in (lambda: (yield x))()])",
    "many_constants": "print(sum([" + ", ".join(map(str, range(3000))) + "]))",
    "crash": "import os\nprint('early', flush=True)\nos.abort()",
}


def dedented(source: str) -> Program:
    return Program("\n".join(line[8:] for line in source.splitlines()))


def seen(execution: Execution) -> tuple[object, ...]:
    return execution.status, execution.stdout, execution.exit_code, execution.signal


@pytest.mark.parametrize("name", HOSTILE)
def test_a_first_process_can_do_nothing_to_the_code_of_those_after_it(sandbox: WarmSandbox, name: str) -> None:
    program = dedented(HOSTILE[name])
    alone = sandbox.run(program, [b""], LIMITS)[0]
    assert alone.status is Status.OK, alone.stderr
    together = sandbox.run(program, [b""] * 3, LIMITS)
    assert [seen(one) for one in together] == [seen(alone)] * 3
    assert b"ESCAPED" not in alone.stdout
    assert b"FORGED" not in alone.stdout


@pytest.mark.parametrize("name", PROGRAMS)
def test_kept_code_does_as_its_text(sandbox: WarmSandbox, name: str) -> None:
    program = Program(PROGRAMS[name])
    alone = sandbox.run(program, [b"7\n"], LIMITS)[0]
    first, *others = sandbox.run(program, [b"7\n"] * 3, LIMITS)
    assert [seen(one) for one in (first, *others)] == [seen(alone)] * 3
    assert first.stderr == alone.stderr


def test_open_descriptors_and_memory_are_the_same_in_every_test(sandbox: WarmSandbox) -> None:
    source = (
        "import os\nprint([os.readlink(f'/proc/self/fd/{n}') for n in range(12) if os.path.exists(f'/dev/fd/{n}')])"
    )
    outputs = {one.stdout for one in sandbox.run(Program(source), [b""] * 4, LIMITS)}
    assert len(outputs) == 1
    assert outputs.pop().count(b"memfd:") == 3


def test_code_is_kept_for_one_run_only(sandbox: WarmSandbox) -> None:
    for answer in (b"1\n", b"2\n"):
        runs = sandbox.run(Program(f"print({answer.decode().strip()})"), [b""] * 2, LIMITS)
        assert {one.stdout for one in runs} == {answer}
