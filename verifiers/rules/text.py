"""Small verifiers of text: multiple choice, exact match, regular expression, answer format."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from verifiers.extraction import boxed_answer, boxes, choice_letter, code_block, final_text, math_answer
from verifiers.model import Task, Verdict
from verifiers.patterns import linear
from verifiers.patterns.given import whole_match
from verifiers.wording.cues import composed

_THINKING = linear.compile(r"^\s*<think>.*?</think>", linear.DOTALL)
_NO_REWARD = frozenset(("gold_unparsable", "too_short"))
_LATEX_AROUND = linear.compile(r"\\(?:text|textbf|mathrm|mathbf|mbox|boxed|fbox)\b|[${}*]")
_GOLD_LETTER = linear.compile(r"\(?([A-Ja-j])\)?(?:[.:)]\s?.*)?", linear.DOTALL)
_MAX_MATCHED = 10_000
_MAX_PATTERN = 1_000


class Rule:
    """A small verifier: one item at a time, no processes to end. Subclasses write `_judge`, which reads no more of a
    task than its answer.

    It reads in the process that it is made in; what `registry.load` returns has it read where it can be killed.
    """

    name = "rule"
    fingerprint = "rule"
    judges = "answer"
    loads = False
    """Whether making one reads files, for which its workers get time of their own."""

    def verify(self, task: Task, completion: str) -> Verdict:
        """Judges one completion."""
        begun = time.perf_counter()
        verdict = self._judge(task, completion)
        return replace(verdict, seconds=time.perf_counter() - begun)

    def judged(self, answer: str | None, completion: str) -> Verdict:
        """Judges one completion by the answer of its task."""
        return self.verify(Task(answer=answer), completion)

    def verify_many(self, items: Sequence[tuple[Task, str]]) -> list[Verdict]:
        """Judges one after the other."""
        return [self.verify(task, completion) for task, completion in items]

    def close(self) -> None:
        """Has nothing to end."""

    def _judge(self, task: Task, completion: str) -> Verdict:
        raise NotImplementedError


def verdict_of(status: str, reason: str = "") -> Verdict:
    """Returns the verdict of a status: correct passes; gold_unparsable and too_short carry no reward; anything else
    fails."""
    passed = None if status in _NO_REWARD else status == "correct"
    return Verdict(passed, None if passed is None else float(passed), status, reason)


class ChoiceVerifier(Rule):
    """Multiple choice: the option letter that the completion settles on is the answer's.

    The task's answer is a letter from A to J, alone or before its option: `C`, `(c)`, `C. 42`, `\\text{(C)}`.
    Statuses: correct, wrong, no_answer (none, or several), gold_unparsable.
    """

    name = "choice"
    fingerprint = "choice/3"

    def _judge(self, task: Task, completion: str) -> Verdict:
        gold = _gold_letter(task.answer or "")
        if gold is None:
            return verdict_of("gold_unparsable", "the task's answer is no letter from A to J")
        letter = self.extract(completion)
        if letter is None:
            return verdict_of("no_answer", "no option letter is settled on")
        return verdict_of("correct") if letter == gold else verdict_of("wrong", f"{letter} was chosen")

    def extract(self, completion: str) -> str | None:
        """Returns the letter that a completion settles on, or None."""
        text = final_text(completion)
        return None if text is None else choice_letter(text)

    def equal(self, first: str, second: str) -> bool:
        """Tells whether two answers name one letter."""
        return self.canonical(first) == self.canonical(second)

    def canonical(self, answer: str) -> str:
        """Returns the letter of an answer, or the answer where it names none."""
        return _gold_letter(answer) or answer


def _gold_letter(answer: str) -> str | None:
    if len(answer) > _MAX_MATCHED:
        return None
    found = _GOLD_LETTER.fullmatch(_LATEX_AROUND.sub("", answer).strip())
    return found.group(1).upper() if found else None


class ExactVerifier(Rule):
    """The final answer (the last box, or else all that follows the thinking) is the task's answer, up to blanks,
    to how Unicode composes a character and, if asked for, to case.

    Statuses: correct, wrong, no_answer, gold_unparsable (the task has no answer).
    """

    name = "exact"

    def __init__(self, *, ignore_case: bool = False) -> None:
        """`ignore_case` makes Yes and yes the same."""
        self._ignore_case = ignore_case
        self.fingerprint = f"exact/3/{ignore_case:d}"

    def _judge(self, task: Task, completion: str) -> Verdict:
        if task.answer is None or not task.answer.strip():
            return verdict_of("gold_unparsable", "the task has no answer")
        found = self.extract(completion)
        if found is None:
            return verdict_of("no_answer", "there is no text after the thinking")
        return verdict_of("correct") if self.equal(found, task.answer) else verdict_of("wrong", "the text is another")

    def extract(self, completion: str) -> str | None:
        """Returns the last box, or else all that follows the thinking; None where that is nothing."""
        text = final_text(completion)
        found = None if text is None else (boxed_answer(text) or text)
        return found if found and found.strip() else None

    def equal(self, first: str, second: str) -> bool:
        """Tells whether two texts are the same, up to what the verifier passes over."""
        return self.canonical(first) == self.canonical(second)

    def canonical(self, answer: str) -> str:
        """Returns the text without what is passed over."""
        text = " ".join(composed("NFC", answer).split())
        return text.casefold() if self._ignore_case else text


class RegexVerifier(Rule):
    """The final answer matches a pattern as a whole: the parameter, or else the task's answer.

    A match takes time linear in the answer, so look-arounds and back-references are no part of a pattern.
    Statuses: correct, wrong, no_answer, gold_unparsable (no pattern, or none that RE2 takes).
    """

    name = "regex"

    def __init__(self, *, pattern: str | None = None) -> None:
        """Takes the pattern, in RE2's syntax. Raises ValueError when it is none."""
        self._pattern = _compiled(pattern) if pattern is not None else None
        self.judges = "answer" if pattern is None else "form"
        self.fingerprint = f"regex/3/{pattern!r}"

    def _judge(self, task: Task, completion: str) -> Verdict:
        if self._pattern is None and not task.answer:
            return verdict_of("gold_unparsable", "there is neither a pattern nor an answer")
        try:
            matches = self._pattern or _compiled(task.answer or "")
        except ValueError as error:
            return verdict_of("gold_unparsable", str(error)[:300])
        text = final_text(completion)
        found = None if text is None else math_answer(text).text
        if found is None:
            return verdict_of("no_answer", "no answer was found")
        if len(found) > _MAX_MATCHED:
            return verdict_of("wrong", f"the answer is longer than {_MAX_MATCHED} characters")
        return verdict_of("correct") if matches(found.strip()) else verdict_of("wrong", "the answer does not match")


def _compiled(pattern: str) -> Callable[[str], bool]:
    if len(pattern) > _MAX_PATTERN:
        raise ValueError(f"the pattern is longer than {_MAX_PATTERN} characters")
    try:
        return whole_match(pattern)
    except ValueError as error:
        raise ValueError(f"the pattern {pattern[:100]!r} is none that RE2 can match: {error}") from error


class FormatVerifier(Rule):
    """The completion has the asked form: thinking that is closed, and after it one box, or one program.

    Statuses: correct, wrong, no_answer (the thinking never ends).
    """

    name = "format"
    judges = "form"

    def __init__(self, *, thinking: bool = True, box: bool = True, code: str | None = None) -> None:
        """`thinking` asks for `<think>…</think>` first (`…</think>` will do, where the prompt opens it), `box`
        for exactly one box after it that is not empty, `code` for a closed last block of that language."""
        self._thinking, self._box, self._code = thinking, box, code
        self.fingerprint = f"format/2/{thinking:d}{box:d}/{code}"

    def _judge(self, task: Task, completion: str) -> Verdict:
        text = final_text(completion)
        if text is None:
            return verdict_of("no_answer", "the thinking never ends")
        fault = self._fault(text, completion)
        return verdict_of("wrong", fault) if fault else verdict_of("correct")

    def _fault(self, text: str, completion: str) -> str:
        if self._thinking and not _THINKING.match(completion) and "</think>" not in completion:
            return "there is no thinking"
        if completion.count("</think>") > 1:
            return "the thinking ends more than once"
        if not text.strip():
            return "nothing follows the thinking"
        found = boxes(text) if self._box else []
        if self._box and len(found) != 1:
            return f"there are {len(found)} boxes after the thinking, not one"
        if self._box and not found[0][2].strip():
            return "the box is empty"
        return code_block(completion, self._code).reason if self._code is not None else ""
