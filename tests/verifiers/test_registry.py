"""Names, dotted paths, decorated functions, and plug-ins that fail."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from verifiers import registry
from verifiers.answers import answer_reader
from verifiers.catalogue import describe, descriptions
from verifiers.mathematics import MathVerifier
from verifiers.model import Task, Verdict
from verifiers.plugins.guard import FunctionVerifier, GuardedVerifier
from verifiers.programs import CodeVerifier
from verifiers.registry import UnknownVerifier, load, make, names, offers, verifier


@verifier("starts_with_a")
def starts_with_a(task: Task, completion: str, letter: str = "a") -> bool:
    return completion.startswith(letter)


class Faulty:
    name = "faulty"

    def verify(self, task: Task, completion: str) -> Verdict:
        if completion == "bad":
            raise RuntimeError("cannot")
        return Verdict(True, 1.0, "correct")

    def verify_many(self, items: Sequence[tuple[Task, str]]) -> list[Verdict]:
        return [self.verify(task, completion) for task, completion in items]

    def close(self) -> None:
        pass


def test_built_in_and_registered_names() -> None:
    assert {"math", "code", "choice", "starts_with_a"} <= set(names())
    assert answer_reader(load("math", {"deadline_s": 1.0})) is not None
    assert load("starts_with_a").verify(Task(), "abc").passed is True
    assert load("starts_with_a", {"letter": "b"}).verify(Task(), "abc").passed is False


def test_the_stable_names_are_what_is_registered() -> None:
    assert registry.find("math") is MathVerifier
    assert registry.find("code") is CodeVerifier
    for door, name in (
        ("verifiers.mathematics", "MathVerifier"),
        ("verifiers.programs", "CodeVerifier"),
        ("sandbox.open", "open_sandbox"),
    ):
        module = importlib.import_module(door)
        assert name in module.__all__
        assert all(hasattr(module, offered) for offered in module.__all__)


def test_a_dotted_path() -> None:
    assert load("verifiers.rules.text:ChoiceVerifier").verify(Task(answer="B"), "B").passed is True


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("maths", "did you mean math"),
        ("zzzz", "known: "),
        ("nowhere_at_all:Thing", "could not be loaded"),
        ("verifiers.rules.text:Missing", "could not be loaded"),
        ("verifiers.model:Task", "is no verifier"),
        ("verifiers.rules.text:", "could not be loaded"),
        (":", "could not be loaded"),
        ("my_rules.right", r"did you mean my_rules:right\?"),
        ("my_rules.py", r"give my_rules:NAME, with that of its function or class"),
        ("my_rules.py:right", r"a module is named without \.py: give my_rules:right; looked in"),
    ],
)
def test_an_unknown_name_is_one_clear_error(name: str, message: str) -> None:
    with pytest.raises(UnknownVerifier, match=message):
        load(name)


def test_wrong_parameters_are_named() -> None:
    with pytest.raises(UnknownVerifier, match="deadline"):
        load("math", {"deadline": 1})
    with pytest.raises(UnknownVerifier, match=r"'lettre'; it takes letter$"):
        load("starts_with_a", {"lettre": "b"})


def test_a_plug_in_that_raises_costs_one_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(registry._registered, "faulty", Faulty)
    judge = load("faulty")
    verdicts = judge.verify_many([(Task(), "good"), (Task(), "bad"), (Task(), "good")])
    assert [verdict.status for verdict in verdicts] == ["correct", "not_checked", "correct"]
    assert "cannot" in verdicts[1].reason


@pytest.mark.parametrize("result", ["yes", 2.0, float("nan"), None])
def test_a_function_that_returns_nonsense_is_not_checked(monkeypatch: pytest.MonkeyPatch, result: object) -> None:
    monkeypatch.setitem(registry._registered, "nonsense", lambda task, completion: result)
    assert load("nonsense").verify(Task(), "x").status == "not_checked"


def other(task: Task, completion: str) -> bool:
    return bool(completion)


def test_a_name_is_taken_once() -> None:
    with pytest.raises(ValueError, match="built-in"):
        verifier("math")(other)
    with pytest.raises(ValueError, match=r"is taken by .*:starts_with_a"):
        verifier("starts_with_a")(other)
    assert verifier("starts_with_a")(starts_with_a) is starts_with_a
    for name in ("", "a:b"):
        with pytest.raises(ValueError, match="is no name"):
            verifier(name)


def test_the_decorator_says_what_is_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_registered", {})

    @verifier("neat", judges="form")
    def neat(task: Task, completion: str) -> bool:
        return completion == completion.strip()

    assert getattr(load("neat"), "judges") == "form"  # noqa: B009 - no part of the protocol
    assert getattr(load("tests.verifiers.test_registry:other"), "judges") == "answer"  # noqa: B009


def test_wrong_parameters_are_found_before_the_first_call() -> None:
    with pytest.raises(UnknownVerifier, match="lettre"):
        load("starts_with_a", {"lettre": "b"})
    with pytest.raises(UnknownVerifier, match="refuses its parameters: buffer must lie"):
        load("length", {"limit": 1, "buffer": 2})


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], Path]:
    """Writes a module to where it can be imported."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def write(name: str, source: str) -> Path:
        monkeypatch.delitem(sys.modules, name, raising=False)
        path = tmp_path / f"{name}.py"
        path.write_text(source)
        return path

    return write


@pytest.mark.parametrize(
    "source", ["def f(:", "1 / 0", "import sys; sys.exit(3)", "import nowhere_at_all", "raise ValueError"]
)
def test_a_module_that_fails_is_one_error(module: Callable[[str, str], Path], source: str) -> None:
    module("failing_rules", source)
    with pytest.raises(UnknownVerifier, match="could not be loaded from failing_rules:f"):
        load("failing_rules:f")


def test_a_module_without_the_name_says_what_it_has(module: Callable[[str, str], Path]) -> None:
    source = "from json import loads\n_x = int\ndef right_and_short(t, c): ...\nclass Strict:\n    def low(self): ...\n"
    file = module("slipped_rules", source)
    for name, says in (
        (
            "right_and_shrt",
            f"{file} has no 'right_and_shrt'; did you mean right_and_short? it has Strict, right_and_sh",
        ),
        ("nothing", f"{file} has no 'nothing'; it has Strict, right_and_short"),
        ("Strict.nothing", "Strict has no 'nothing'; it has no function or class of its own"),
    ):
        with pytest.raises(UnknownVerifier) as refused:
            load(f"slipped_rules:{name}")
        assert says in str(refused.value)
        assert "loads" not in str(refused.value)


def test_what_is_no_verdict_is_told_by_the_file_of_the_plug_in(module: Callable[[str, str], Path]) -> None:
    head = "from verifiers.model import Verdict\n\n\n"
    body = "class Own:\n    name, in_process = 'own', True\n    def verify(self, t, c):\n        return 'yes'\n"
    rest = "    verify_many, close = (lambda self, items: ['yes'] * len(items)), (lambda self: None)\n"
    functions = (
        "def text(t, c): return 'yes'\ndef two(t, c): return 2\ndef bad(t, c):\n    return Verdict(1, 2.0, 'x')\n"
    )
    file = module("odd_results", head + functions + body + rest)
    for name, says in (
        ("text", f"verifier odd_results:text returned str, not a bool, a number or a Verdict ({file}, line 4)"),
        ("two", f"verifier odd_results:two returned 2, not a reward in [0, 1] ({file}, line 5)"),
        ("bad", f"verifier odd_results:bad raised ValueError: reward 2.0 is outside [0, 1] ({file}, line 7)"),
        ("Own", f"verifier own returned str, not a Verdict ({file}, line 10)"),
    ):
        guarded = GuardedVerifier(make(f"odd_results:{name}"))
        verdicts = [guarded.verify(Task(), "x"), *guarded.verify_many([(Task(), "x")])]
        assert [(one.status, one.reason) for one in verdicts] == [("not_checked", says)] * 2


RULES = """
from verifiers.registry import verifier


@verifier("by the book")
def rule(task, completion, at_most=3):
    return len(completion) <= at_most
"""


def test_a_decorated_name_works_behind_its_module(
    module: Callable[[str, str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "_registered", {})
    module("decorated_rules", RULES)
    for name in ("decorated_rules:by the book", "decorated_rules:rule", "by the book"):
        assert load(name, {"at_most": 2}).verify(Task(), "abc").passed is False
    offered = {offer.name: offer for offer in offers()}["by the book"]
    assert (offered.source, offered.path) == ("registered", "decorated_rules:rule")


def test_kept_verdicts_are_not_those_of_another_version(module: Callable[[str, str], Path]) -> None:
    def fingerprint(source: str, params: dict[str, Any]) -> str:
        module("edited_rules", source)
        return str(getattr(load("edited_rules:rule", params), "fingerprint"))  # noqa: B009

    plain = RULES.replace('@verifier("by the book")', "")
    first = fingerprint(plain, {"at_most": 2})
    assert first == fingerprint(plain, {"at_most": 2})
    assert first != fingerprint(plain, {"at_most": 3})
    assert first != fingerprint(plain.replace("<=", "<"), {"at_most": 2})


class Odd:
    """Returns what it is told to."""

    name = "odd"
    in_process = True
    result: Any = None

    def verify(self, task: Task, completion: str) -> Any:
        if isinstance(self.result, BaseException):
            raise self.result
        return self.result

    def verify_many(self, items: Sequence[tuple[Task, str]]) -> Any:
        return [self.verify(task, completion) for task, completion in items][:1]

    def close(self) -> None:
        pass


@pytest.mark.parametrize(
    ("result", "says"),
    [(SystemExit(2), "raised SystemExit"), (RecursionError("deep"), "raised RecursionError"), (True, "returned bool")],
)
def test_whatever_a_plug_in_does_costs_one_verdict(monkeypatch: pytest.MonkeyPatch, result: Any, says: str) -> None:
    monkeypatch.setattr(Odd, "result", result)
    judge = load("tests.verifiers.test_registry:Odd")
    for verdict in (judge.verify(Task(), "x"), *judge.verify_many([(Task(), "x"), (Task(), "y")])):
        assert (verdict.passed, verdict.status) == (None, "not_checked")
        assert says in verdict.reason


def test_a_guarded_verdict_is_plain_data(monkeypatch: pytest.MonkeyPatch) -> None:
    odd: Any = Verdict(np.True_, np.float32(1.0), "correct", "\ud800" * 9_000)  # type: ignore[arg-type]
    monkeypatch.setattr(Odd, "result", odd)
    judge = load("tests.verifiers.test_registry:Odd")
    verdicts = judge.verify_many([(Task(), "x"), (Task(), "y")])
    assert [type(verdict.passed) for verdict in verdicts] == [bool, bool]
    assert (type(verdicts[0].reward), verdicts[0].reason) == (float, "?" * 500)


def test_made_for_testing_nothing_stands_between() -> None:
    with pytest.raises(RuntimeError, match="cannot"):
        make("tests.verifiers.test_registry:Faulty").verify(Task(), "bad")
    assert isinstance(make("starts_with_a"), FunctionVerifier)


def distribution(folder: Path, name: str, entry_points: str) -> None:
    """Writes what an installed package leaves behind, as far as entry points go."""
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[selfplay.verifiers]\n{entry_points}\n")


def test_entry_points(module: Callable[[str, str], Path], tmp_path: Path) -> None:
    module("offered_rules", RULES.replace('@verifier("by the book")', ""))
    distribution(tmp_path, "zeta", "brief = nowhere:rule")
    distribution(
        tmp_path, "alpha", "brief = offered_rules:rule\nmath = offered_rules:rule\nbroken = offered_rules:gone"
    )
    found = {offer.name: offer for offer in offers()}
    assert (found["brief"].source, found["brief"].path) == ("alpha 1.0", "offered_rules:rule")
    assert found["math"].source == "built in"
    assert load("brief", {"at_most": 5}).verify(Task(), "four").passed is True
    assert answer_reader(load("math")) is not None
    with pytest.raises(UnknownVerifier, match="could not be loaded from offered_rules:gone"):
        load("broken")
    described = {one.name: one for one in descriptions()}
    assert "offered_rules:gone" in described["broken"].fault
    assert described["brief"].parameters == {"at_most": "3"}


def test_every_built_in_describes_itself() -> None:
    for offer in offers():
        if offer.source != "built in":
            continue
        told = describe(offer)
        assert told.summary.endswith("."), told
        assert len(told.summary) > 20
        assert not told.fault
    by_name = {one.name: one for one in descriptions()}
    assert by_name["judge"].parameters["base_url"] == "required"
    assert by_name["regex"].parameters == {"pattern": "None"}
