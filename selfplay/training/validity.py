"""Whether a rollout may teach: its thinking is well formed, and it ends in an answer on which a verdict was reached.

A loser of a pair must be a wrong answer, not a failure of form (paper section 4.1): else a policy learns from pairs to
close its think blocks, which says nothing about solving.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal
from unicodedata import category

from selfplay.config.recipe import Recipe
from selfplay.config.training import ValidRule
from selfplay.run.records import Rollout
from verifiers.extraction import boxed_answer, final_text
from verifiers.patterns import linear

Thinking = Literal["optional", "required"]

_MARK = linear.compile(r"<(/?)think(?:ing)?>")
_CJK = (
    range(0x1100, 0x1200),
    range(0x3040, 0x3190),
    range(0x31A0, 0x3200),
    range(0x3400, 0x4DC0),
    range(0x4E00, 0xA000),
    range(0xA960, 0xA980),
    range(0xAC00, 0xD800),
    range(0xF900, 0xFB00),
    range(0xFF66, 0xFFDD),
    range(0x20000, 0x40000),
)
"""Blocks of Hangul, Kana, Bopomofo and Han, their narrow forms among them."""
_NOT_ANSWERS = {"no_answer": "no answer", "cut": "cut at the token limit"}


@dataclass(frozen=True, slots=True)
class ValidForm:
    """The form of a valid completion."""

    thinking: Thinking = "optional"
    """Whether one without any thinking is malformed."""
    rules: frozenset[ValidRule] = frozenset()
    """Further demands."""
    programs: frozenset[str] = frozenset()
    """Domains whose answers are programs, which stand in no box."""

    @classmethod
    def of(cls, recipe: Recipe) -> ValidForm:
        """As a recipe says."""
        programs = frozenset(name for name, domain in recipe.domains.items() if domain.runs_programs)
        return cls(recipe.training.thinking, frozenset(recipe.training.valid), programs)

    def fault_of(self, text: str, domain: str) -> str:
        """The fault of a completion; empty where it is well formed."""
        found = thinking_fault(text, self.thinking)
        if found:
            return found
        if "thinking_not_empty" in self.rules and _thinks_nothing(text):
            return "empty thinking"
        if "no_cjk" in self.rules and _has_cjk(text):
            return "Chinese, Japanese or Korean letters"
        if "boxed_answer" in self.rules and domain not in self.programs:
            answer = boxed_answer(final_text(text) or "")
            return "" if answer is not None and answer.strip() else "no boxed answer"
        return ""


ANY_FORM = ValidForm()


def fault(rollout: Rollout, form: ValidForm = ANY_FORM) -> str:
    """Why a rollout may not teach; empty where it may.

    Args:
        form: what its completion must look like.
    """
    if rollout.passed is None:
        return "not checked"
    return _NOT_ANSWERS.get(rollout.status) or form.fault_of(rollout.completion, rollout.domain)


def _has_cjk(text: str) -> bool:
    return any(ord(char) in block for char in set(text) if char >= "\u1100" for block in _CJK)


def _thinks_nothing(text: str) -> bool:
    """Whether a think block, or what stands before its end, is blank; no block is none that is empty."""
    marks = list(_MARK.finditer(text))
    if not marks:
        return False
    first, last = marks[0], marks[-1]
    inside = text[first.end() if not first.group(1) else 0 : last.start()]
    return all(char.isspace() or category(char) == "Cf" for char in inside)


def thinking_fault(completion: str, thinking: Thinking = "optional") -> str:
    """The fault of a completion's think block; empty where it is well formed.

    One block, closed, with nothing before it and an answer after it. The opening mark may be missing, since the chat
    templates of thinking models write it themselves.
    """
    marks = list(_MARK.finditer(completion))
    if not marks:
        return "no thinking" if thinking == "required" else ""
    closing = [mark for mark in marks if mark.group(1)]
    opening = [mark for mark in marks if not mark.group(1)]
    if not closing:
        return "the thinking never ends"
    if len(closing) > 1 or len(opening) > 1:
        return "more than one think block"
    if opening and (opening[0].start() > closing[0].start() or completion[: opening[0].start()].strip()):
        return "text before the thinking"
    return "" if completion[closing[0].end() :].strip() else "nothing after the thinking"
