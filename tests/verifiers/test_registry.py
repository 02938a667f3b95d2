"""Names, dotted paths, decorated functions, and plug-ins that fail."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from verifiers import registry
from verifiers.math_answer import MathVerifier
from verifiers.model import Task, Verdict
from verifiers.registry import UnknownVerifier, load, names, verifier


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
    assert isinstance(load("math", {"deadline_s": 1.0}), MathVerifier)
    assert load("starts_with_a").verify(Task(), "abc").passed is True
    assert load("starts_with_a", {"letter": "b"}).verify(Task(), "abc").passed is False


def test_a_dotted_path() -> None:
    assert load("verifiers.text_rules:ChoiceVerifier").verify(Task(answer="B"), "B").passed is True


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("maths", "did you mean math"),
        ("zzzz", "known: "),
        ("nowhere_at_all:Thing", "could not be loaded"),
        ("verifiers.text_rules:Missing", "could not be loaded"),
        ("verifiers.model:Task", "is no verifier"),
    ],
)
def test_an_unknown_name_is_one_clear_error(name: str, message: str) -> None:
    with pytest.raises(UnknownVerifier, match=message):
        load(name)


def test_wrong_parameters_are_named() -> None:
    with pytest.raises(UnknownVerifier, match="deadline"):
        load("math", {"deadline": 1})


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
