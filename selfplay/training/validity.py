"""Whether a rollout may teach: its thinking is well formed, and it ends in an answer on which a verdict was reached.

A loser of a pair must be a wrong answer, not a failure of form (paper section 4.1): else a policy learns from pairs to
close its think blocks, which says nothing about solving.
"""

from __future__ import annotations

from typing import Literal

from selfplay.run.records import Rollout
from verifiers.patterns import linear

Thinking = Literal["optional", "required"]

_MARK = linear.compile(r"<(/?)think(?:ing)?>")
_NOT_ANSWERS = {"no_answer": "no answer", "cut": "cut at the token limit"}


def fault(rollout: Rollout, thinking: Thinking = "optional") -> str:
    """Why a rollout may not teach; empty where it may.

    Args:
        rollout: with its verdict.
        thinking: whether a completion without any thinking counts as malformed.
    """
    if rollout.passed is None:
        return "not checked"
    return _NOT_ANSWERS.get(rollout.status) or thinking_fault(rollout.completion, thinking)


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
