"""Function mode: values come back as plain data, and anything else is a runtime error with a reason."""

import math
from typing import Any

import pytest

from sandbox.inside.plain import NotPlainData
from sandbox.model import Execution, Limits, Program, Status
from sandbox.warm.sandbox import WarmSandbox

LIMITS = Limits(cpu_s=2, wall_s=5, memory_mb=256)


def call(sandbox: WarmSandbox, source: str, *arguments: Any, entry_point: str = "f") -> Execution:
    return sandbox.call(Program(source), entry_point, [arguments], LIMITS)[0]


PLAIN: list[Any] = [
    None,
    True,
    0,
    -(2**63),
    2**63,
    2**20000,
    1.5,
    -0.0,
    math.inf,
    "",
    "\u00e9\ud800\x00",
    [],
    {},
]
PLAIN += [[[1, "a"], {"k": [None]}], {1: "a", None: 2}]


@pytest.mark.parametrize("value", PLAIN, ids=range(len(PLAIN)))
def test_plain_values_survive(sandbox: WarmSandbox, value: Any) -> None:
    execution = call(sandbox, "def f(x): return x", value)
    assert execution.status is Status.OK, execution.reason
    assert execution.value == value
    assert type(execution.value) is type(value)


@pytest.mark.parametrize(
    ("expression", "wanted"),
    [
        ("(1, (2, 3))", (1, (2, 3))),
        ("{3, 1, 2}", {1, 2, 3}),
        ("frozenset('ba')", {"a", "b"}),
        ("{(1, 2): {3}}", {(1, 2): {3}}),
        ("__import__('collections').Counter('aab')", {"a": 2, "b": 1}),
        ("__import__('collections').defaultdict(list, {1: [2]})", {1: [2]}),
    ],
)
def test_containers_keep_their_types(sandbox: WarmSandbox, expression: str, wanted: Any) -> None:
    value = call(sandbox, f"def f(): return {expression}").value
    assert (value, type(value)) == (wanted, type(wanted))


@pytest.mark.parametrize("argument", [(1, 2), {1, 2}, {(1,): 2}])
def test_arguments_keep_their_types(sandbox: WarmSandbox, argument: Any) -> None:
    assert call(sandbox, "def f(x): return repr(x)", argument).value == repr(argument)


@pytest.mark.parametrize(
    "source",
    [
        "class I(int): pass\ndef f(): return I(1)",
        "class S(str):\n    def __eq__(self, o): return True\ndef f(): return S('a')",
        "class A:\n    def __eq__(self, o): return True\ndef f(): return A()",
        "class L(list): pass\ndef f(): return [L()]",
        "def f(): return object",
        "def f(): return 1j",
        "def f(): return (x for x in [1])",
        "def f(): return range(3)",
        "def f(): return {1: 2}.keys()",
        "def f(): return {1: 2}.items()",
        "def f(): return b'a'",
        "def f(): return bytearray(b'a')",
        "def f(): return map(int, '12')",
        "import collections\ndef f(): return collections.deque([1, 2])",
        "import array\ndef f(): return array.array('i', [1, 2])",
        "import fractions\ndef f(): return fractions.Fraction(1)",
        "import decimal\ndef f(): return decimal.Decimal(1)",
        "import enum\nclass E(enum.IntEnum): A = 1\ndef f(): return E.A",
        "import collections\nP = collections.namedtuple('P', 'x')\ndef f(): return P(1)",
        "def f():\n    x = []\n    x.append(x)\n    return x",
    ],
)
def test_other_objects_are_refused(sandbox: WarmSandbox, source: str) -> None:
    execution = call(sandbox, source)
    assert execution.status is Status.RUNTIME_ERROR
    assert execution.value is None
    assert "not plain data" in execution.reason


@pytest.mark.parametrize(
    "body",
    [
        "__import__('os')._exit(0)",
        "__import__('sys').exit(0)",
        "__import__('sys').exit()",
        "raise SystemExit",
        "__import__('os').kill(__import__('os').getpid(), 9)",
        "__import__('os').execv('/bin/true', ['true'])",
    ],
)
def test_ending_without_a_value_is_an_error(sandbox: WarmSandbox, body: str) -> None:
    for source in (f"def f(): {body}", f"def f(): return 1\n{body}"):
        execution = call(sandbox, source)
        assert execution.status is Status.RUNTIME_ERROR
        assert execution.reason


@pytest.mark.parametrize(
    ("source", "entry_point"),
    [
        ("def g(x): return x + 1", "g"),
        ("class Solution:\n    def g(self, x): return x + 1", "g"),
        ("class Solution:\n    def g(self, x): return x + 1", "Solution.g"),
        ("if __name__ == '__main__': raise ValueError\ng = lambda x: x + 1", "g"),
    ],
)
def test_entry_points(sandbox: WarmSandbox, source: str, entry_point: str) -> None:
    assert call(sandbox, source, 1, entry_point=entry_point).value == 2


def test_missing_entry_point_is_named(sandbox: WarmSandbox) -> None:
    execution = call(sandbox, "x = 1", entry_point="solve")
    assert execution.status is Status.RUNTIME_ERROR
    assert "solve" in execution.reason


def test_raised_exception_is_a_runtime_error(sandbox: WarmSandbox) -> None:
    execution = call(sandbox, "def f(): raise ValueError('mine')")
    assert execution.status is Status.RUNTIME_ERROR
    assert b"ValueError: mine" in execution.stderr


def test_prints_are_kept_apart_from_the_value(sandbox: WarmSandbox) -> None:
    execution = call(sandbox, "def f():\n    print('seen')\n    return 1")
    assert (execution.value, execution.stdout) == (1, b"seen\n")


def test_calls_share_no_state(sandbox: WarmSandbox) -> None:
    source = "seen = []\ndef f(x):\n    seen.append(x)\n    return seen"
    executions = sandbox.call(Program(source), "f", [[1], [2]], LIMITS)
    assert [e.value for e in executions] == [[1], [2]]


def test_huge_value_is_refused(sandbox: WarmSandbox) -> None:
    execution = call(sandbox, "def f(): return 'x' * (20 << 20)")
    assert execution.status is Status.RUNTIME_ERROR


def test_argument_that_is_not_plain_data_is_refused(sandbox: WarmSandbox) -> None:
    with pytest.raises(NotPlainData):
        call(sandbox, "def f(x): return x", object())


def test_functions_of_a_compiled_program_are_refused(sandbox: WarmSandbox) -> None:
    with pytest.raises(ValueError, match="cpp"):
        sandbox.call(Program("", "cpp"), "f", [[]], LIMITS)


def together(sandbox: WarmSandbox, source: str, arguments: list[list[Any]], limits: Limits = LIMITS) -> list[Execution]:
    return sandbox.call_together(Program(source), "f", arguments, limits)


def test_calls_together_share_one_process(sandbox: WarmSandbox) -> None:
    source = "import os\nprint('once')\ndef f(x): return [x, os.getpid()]"
    executions = together(sandbox, source, [[i] for i in range(20)])
    assert [e.value[0] for e in executions] == list(range(20))
    assert len({e.value[1] for e in executions}) == 1
    assert [e.stdout for e in executions] == [b"once\n"] + [b""] * 19
    assert executions[0].cpu_s > 0
    assert not any(e.cpu_s for e in executions[1:])


@pytest.mark.parametrize(
    ("source", "status"),
    [
        ("def f(x): raise ValueError(x)", Status.RUNTIME_ERROR),
        ("def f(x): exit(0)", Status.RUNTIME_ERROR),
        ("def f(x):\n    while True: pass", Status.TIME_LIMIT),
        ("def f(x): return 'x' * (20 << 20)", Status.RUNTIME_ERROR),
        ("def f(x): return print", Status.RUNTIME_ERROR),
        ("raise SystemExit(0)", Status.RUNTIME_ERROR),
    ],
)
def test_a_first_call_that_fails_speaks_for_itself(sandbox: WarmSandbox, source: str, status: Status) -> None:
    limits = Limits(cpu_s=1, wall_s=3, memory_mb=256)
    executions = together(sandbox, source, [[1], [2]], limits)
    assert [e.status for e in executions] == [status]
    alone = sandbox.call(Program(source), "f", [[1]], limits)[0]
    assert alone.status is status
    # A busy machine decides which of the two clocks ends an endless loop.
    assert alone.reason == executions[0].reason or status is Status.TIME_LIMIT


@pytest.mark.parametrize(
    "source",
    [
        "def f(x): return 1 // (x - 3)",
        "import os\ndef f(x):\n    if x == 3: os._exit(0)\n    return x",
        "def f(x):\n    while x == 3: pass\n    return x",
        "def f(x): return 'x' * (3 << 20)",
        "import atexit, os\natexit.register(lambda: os._exit(3))\ndef f(x): return x",
        "def f(x): print('x' * (600 << 10)); return x",
    ],
    ids=["raises", "exits", "hangs", "too large in all", "bad end", "too much output in all"],
)
def test_a_later_failure_says_nothing(sandbox: WarmSandbox, source: str) -> None:
    assert together(sandbox, source, [[i] for i in range(4)], Limits(cpu_s=1, wall_s=3, memory_mb=256)) == []


def test_a_forged_record_gives_no_more_values_than_calls(sandbox: WarmSandbox) -> None:
    source = "import os, struct\ndef f(x):\n    os.write(3, struct.pack('<cQ', b'V', 1) + b'7')\n    return x"
    assert together(sandbox, source, [[1], [2]]) == []
