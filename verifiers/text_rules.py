"""Small verifiers of text: multiple choice, exact match, regular expression, answer format, length."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence

from verifiers.extraction import boxed_answer, boxes, choice_letter, final_text, math_answer
from verifiers.math_compare import words
from verifiers.math_text import normalise
from verifiers.model import Task, Verdict

_THINKING = re.compile(r"^\s*<think>.*?</think>", re.DOTALL)


class _Rule:
    """What the rules share: one at a time, no processes to end."""

    name = "rule"
    fingerprint = "rule"

    def verify(self, task: Task, completion: str) -> Verdict:
        """Judges one completion."""
        begun = time.perf_counter()
        status, reason = self._judge(task, completion)
        passed = {"correct": True, "gold_unparsable": None}.get(status, False)
        reward = None if passed is None else float(passed)
        return Verdict(passed, reward, status, reason, {}, time.perf_counter() - begun)

    def verify_many(self, items: Sequence[tuple[Task, str]]) -> list[Verdict]:
        """Judges one after the other."""
        return [self.verify(task, completion) for task, completion in items]

    def close(self) -> None:
        """Has nothing to end."""

    def _judge(self, task: Task, completion: str) -> tuple[str, str]:
        raise NotImplementedError


class ChoiceVerifier(_Rule):
    """Multiple choice: the option letter that the completion settles on is the answer's."""

    name = "choice"
    fingerprint = "choice/1"

    def _judge(self, task: Task, completion: str) -> tuple[str, str]:
        gold = words(normalise(task.answer or ""))
        if not re.fullmatch(r"[A-J]", gold):
            return "gold_unparsable", "the task's answer is no letter from A to J"
        text = final_text(completion)
        letter = None if text is None else choice_letter(text)
        if letter is None:
            return "no_answer", "no option letter is settled on"
        return ("correct", "") if letter == gold else ("wrong", f"{letter} was chosen")


class ExactVerifier(_Rule):
    """The final answer is the gold text, up to blanks and, if asked for, case."""

    name = "exact"

    def __init__(self, *, ignore_case: bool = False) -> None:
        """`ignore_case` makes Yes and yes the same."""
        self._ignore_case = ignore_case
        self.fingerprint = f"exact/1/{ignore_case:d}"

    def _judge(self, task: Task, completion: str) -> tuple[str, str]:
        if task.answer is None:
            return "gold_unparsable", "the task has no answer"
        text = final_text(completion)
        found = None if text is None else (boxed_answer(text) or text)
        if not found or not found.strip():
            return "no_answer", "there is no text after the thinking"
        return ("correct", "") if self._key(found) == self._key(task.answer) else ("wrong", "")

    def _key(self, text: str) -> str:
        text = " ".join(text.split())
        return text.casefold() if self._ignore_case else text


class RegexVerifier(_Rule):
    """The final answer matches a pattern as a whole: the parameter, or else the task's answer."""

    name = "regex"
    _MAX = 10_000

    def __init__(self, *, pattern: str | None = None) -> None:
        """Raises ValueError when the pattern is none. Patterns come from whoever configures the run: a slow
        one is slow on long answers, which is why no more than 10,000 characters are matched."""
        self._pattern = _compiled(pattern) if pattern is not None else None
        self.fingerprint = f"regex/1/{pattern!r}"

    def _judge(self, task: Task, completion: str) -> tuple[str, str]:
        if self._pattern is None and task.answer is None:
            return "gold_unparsable", "there is neither a pattern nor an answer"
        try:
            pattern = self._pattern or _compiled(task.answer or "")
        except ValueError as error:
            return "gold_unparsable", str(error)
        text = final_text(completion)
        found = None if text is None else math_answer(text).text
        if found is None:
            return "no_answer", "no answer was found"
        return ("correct", "") if pattern.fullmatch(found.strip()[: self._MAX]) else ("wrong", "")


def _compiled(pattern: str) -> re.Pattern[str]:
    try:
        return re.compile(pattern)
    except re.error as error:
        raise ValueError(f"the pattern {pattern!r} is not a regular expression: {error}") from error


class FormatVerifier(_Rule):
    """The completion has the asked form: thinking that is closed, and one box or one answer after it."""

    name = "format"

    def __init__(self, *, thinking: bool = True, box: bool = True) -> None:
        """`thinking` asks for `<think>…</think>` first, `box` for exactly one box after it."""
        self._thinking, self._box = thinking, box
        self.fingerprint = f"format/1/{thinking:d}{box:d}"

    def _judge(self, task: Task, completion: str) -> tuple[str, str]:
        text = final_text(completion)
        if text is None:
            return "no_answer", "the thinking never ends"
        if self._thinking and not _THINKING.match(completion) and "</think>" not in completion:
            return "wrong", "there is no thinking"
        if completion.count("</think>") > 1:
            return "wrong", "the thinking ends more than once"
        if self._box and len(boxes(text)) != 1:
            return "wrong", "there is not exactly one box after the thinking"
        return ("correct", "") if text.strip() else ("wrong", "nothing follows the thinking")


class LengthVerifier:
    """Soft overlong: full reward up to a length, falling to zero over the last stretch before the limit."""

    name = "length"

    def __init__(self, *, limit: int = 16_000, buffer: int = 4_000) -> None:
        """Both in characters; the reward falls linearly from `limit - buffer` to `limit`."""
        if not 0 < buffer <= limit:
            raise ValueError("buffer must lie between 1 and limit")
        self._limit, self._buffer = limit, buffer
        self.fingerprint = f"length/1/{limit}/{buffer}"

    def verify(self, task: Task, completion: str) -> Verdict:
        """Judges one completion by its length alone."""
        over = len(completion) - (self._limit - self._buffer)
        reward = min(1.0, max(0.0, 1.0 - over / self._buffer))
        status = "correct" if reward == 1.0 else "wrong"
        reason = "" if reward == 1.0 else f"{len(completion)} characters, where {self._limit} is the most"
        return Verdict(reward == 1.0, reward, status, reason)

    def verify_many(self, items: Sequence[tuple[Task, str]]) -> list[Verdict]:
        """Judges one after the other."""
        return [self.verify(task, completion) for task, completion in items]

    def close(self) -> None:
        """Has nothing to end."""
