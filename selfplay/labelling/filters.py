"""Prompts whose label is worth nothing by the look of it: the filters of the authors' code, each a switch."""

from __future__ import annotations

from collections.abc import Callable

from selfplay.config.labelling import LabelFilter, Labelling
from selfplay.curation.statements import proof, script_gate, truncated
from verifiers.patterns import linear

LONGEST = 20_000
"""Characters of an answer that are looked at."""

_TEXT_COMMAND = linear.compile(r"\\(?:text|mathrm|textbf|mathbf|mbox)\s*\{([^{}]*)\}")
_WRAPPING = linear.compile(r"\\(?:text|mathrm|textbf|mathbf|mbox)\s*\{([^{}]*)\}|[\s${}]|\\[,;! ]|\.$")
_ZERO_OR_ONE = linear.compile(r"[-+]?0*[01](?:\.0*)?")
_NOTHING = linear.compile(r"(?:no|none|nothing|never|\\(?:emptyset|varnothing))(?![^\W_])", linear.IGNORECASE)

STATEMENT_FILTERS: dict[LabelFilter, Callable[[str], str]] = {"truncated": truncated, "proof": proof}


def statement_fault(problem: str, settings: Labelling) -> str:
    """Why a problem gets no label whatever its votes; empty where it may."""
    wanted = [look for name, look in STATEMENT_FILTERS.items() if name in settings.filters]
    return next((fault for look in wanted if (fault := look(problem))), "")


def answer_fault(answer: str, settings: Labelling) -> str:
    """Why the answer that won is no label; empty where it is one."""
    head = answer[:LONGEST]
    looks: dict[LabelFilter, Callable[[], str]] = {
        "empty_answer": lambda: "" if any(map(str.isalnum, head)) else "empty answer",
        "trivial_answer": lambda: "trivial answer" if is_trivial(head) else "",
        "foreign_script": lambda: script_gate(settings.scripts, "labelling.scripts")(head),
    }
    return next((fault for name, look in looks.items() if name in settings.filters and (fault := look())), "")


def is_trivial(answer: str) -> bool:
    """Whether an answer is 0, 1, or says that there is none: such answers win votes by chance."""
    words = _TEXT_COMMAND.sub(r" \1 ", answer).strip(" \t\n$.(){}")
    return bool(_ZERO_OR_ONE.fullmatch(_WRAPPING.sub("", answer)) or _NOTHING.match(words))
