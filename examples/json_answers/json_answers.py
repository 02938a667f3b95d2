"""A verifier as a package of its own: the last JSON block of a completion is the value that the answer says.

The order of keys and the way that a number is written make no difference; `true` is not `1`. With `extract` and `equal`
votes can label new problems of such a domain, too.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

from verifiers.extraction import final_text
from verifiers.model import Task, Verdict

LONGEST = 20_000
"""Characters of a block: what is longer is wrong, so that no text takes long."""
FENCE = "```json\n"


class NoJSON(ValueError):
    """A text that is no JSON value."""


def value_of(text: str) -> Any:
    """The value of a JSON text, its numbers as decimals. Raises NoJSON."""
    if len(text) > LONGEST:
        raise NoJSON(f"it has more than {LONGEST} characters")
    try:
        return json.loads(text, parse_int=Decimal, parse_float=Decimal, parse_constant=_refuse)
    except (ValueError, InvalidOperation, RecursionError) as error:
        raise NoJSON(str(error)[:200]) from error


def _refuse(word: str) -> Any:
    raise ValueError(f"{word} is no JSON value")


def same(first: Any, second: Any) -> bool:
    """Whether two values are equal, and of the same types all the way down."""
    if type(first) is not type(second):
        return False
    if isinstance(first, dict):
        return first.keys() == second.keys() and all(same(first[key], second[key]) for key in first)
    if isinstance(first, list):
        return len(first) == len(second) and all(map(same, first, second))
    return bool(first == second)


class JSONAnswers:
    """Statuses: correct, wrong, no_answer; and, without a reward, gold_unparsable."""

    name = "json_answers"
    fingerprint = "json_answers/1"
    """Another one whenever verdicts may change: kept verdicts are found by it."""

    def extract(self, completion: str) -> str | None:
        """The last closed block of JSON after the thinking, or None."""
        text = final_text(completion) or ""
        begun = text.rfind(FENCE)
        block, closed, _ = text[begun + len(FENCE) :].partition("```")
        return block.strip() or None if begun >= 0 and closed else None

    def equal(self, first: str, second: str) -> bool:
        """Whether two texts are the same value; False where one of them is none."""
        try:
            return same(value_of(first), value_of(second))
        except (NoJSON, RecursionError):
            return False

    def verify(self, task: Task, completion: str) -> Verdict:
        """Judges one completion."""
        try:
            value_of(task.answer or "")
        except NoJSON as fault:
            return Verdict(None, None, "gold_unparsable", f"the answer of the task is no JSON: {fault}")
        given = self.extract(completion)
        if given is None:
            return Verdict(False, 0.0, "no_answer", "there is no closed block of JSON after the thinking")
        if self.equal(task.answer or "", given):
            return Verdict(True, 1.0, "correct")
        return Verdict(False, 0.0, "wrong", "it is another value, or none")

    def verify_many(self, items: Sequence[tuple[Task, str]]) -> list[Verdict]:
        """Judges one after the other."""
        return [self.verify(task, completion) for task, completion in items]

    def close(self) -> None:
        """Nothing is open."""
