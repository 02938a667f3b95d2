"""The work of the math verifiers on texts of models and data sets, all of it in a process that can be killed.

Runs as a program that the pool starts (`python -m verifiers.mathematics.worker`), and within another, `algebra`, which
has loaded the libraries. Every question has bounds of processor time, wall time and memory, so that whatever is done
with a text costs it alone.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from verifiers.extraction import (
    CYRILLIC_LETTERS,
    answer_in_box,
    boxed_answer,
    choice_letter,
    cyrillic_choice,
    final_text,
    math_answer,
)
from verifiers.mathematics.comparing import second_reading, symbolic
from verifiers.mathematics.comparing.compare import same
from verifiers.mathematics.comparing.measures import tells_more
from verifiers.mathematics.reading.form import fault_of
from verifiers.mathematics.reading.forms import form_of
from verifiers.mathematics.reading.numerals import with_decimal_points
from verifiers.mathematics.reading.spelling import squeezed
from verifiers.mathematics.said_values import value_said, without_unknown
from verifiers.patterns import linear
from verifiers.pool.serving import serve
from verifiers.wording.alternatives import parts_of
from verifiers.wording.answer_in_text import last_cue
from verifiers.wording.boxes import base_of_last_box
from verifiers.wording.said_words import (
    YES_OR_NO,
    announced_yes_or_no,
    judged,
    last_said,
    said_to_be_most,
    word_in_bold,
    yes_or_no,
)

Question = Mapping[str, Any]
Reply = dict[str, Any]

_GOLD_CHOICE = linear.compile(
    r"^\s*\$?(?:\\(?:text|textbf|mathrm|mathbf|mbox)\s?\{)?\s*\(?\s*([A-J])\s*\)?[.\s]*\}?\$?\s*$"
)
_OPTION_LETTERS = frozenset("ABCDEFGHIJ")
_GOLD_OPTION = linear.compile(r"^\s*\(?([A-J])[).:]\s+[^\n]*[\d=\\]")
"""A letter with the text of its option, which is mathematics."""
_GOLD_WORDS = linear.compile(
    r"\s*\$?(?:\\(?:text|textbf|mathrm|mbox)\s?\{)?\s*[A-Za-z][a-z]{2,20}(?: [A-Za-z]{2,20}){0,3}\s*[}.\s$]*$"
)
_INTEGER = linear.compile(r"-?[1-9][0-9]{0,200}")
_SAYS_SOMETHING = linear.compile(r"[^\W_]|[^\x00-\x7f]")
_NUMERAL = linear.compile(r"[\s$]*\w+_[\w{}\\]+[\s$.]*")
"""A number with its base."""
_BARE_GOLD = linear.compile(r"boxed|fbox|\$|\\\(|\\\[|answer|\bis\b")
_DIVIDES = linear.compile(r"[/^÷]|\\[dtc]?frac|\\over|\\div|[⁻⁄∕]")
_ALL_INTEGERS = linear.compile(
    r"\s*\\text\s?\{\s*(?:for )?(?:all|every|any|each) (?:positive )?(?:integers?|whole numbers?|natural numbers?)"
    r"\s*\}\s*(?=[k-q]\b)",
    linear.IGNORECASE,
)
_OF_INTEGERS = linear.compile(r"[\s$]*[k-q]\s?(?:\\geq?|>|≥|\\leq?|<|≤)[\s=\d]+[\s$.]*")
"""An inequality in a letter that stands for whole numbers."""
_NO_LETTER = frozenset("0123456789^_+=/<>")
_SHORT_GOLD = 60
_MAX_ANSWER = 20_000

_form = lru_cache(8192)(form_of)


def answer(question: Any) -> Reply:
    """Answers one question, by its `do`."""
    return _ANSWERS[question["do"]](question)


def _judge(question: Question) -> Reply:
    """Finds the answers of a gold text and of a completion, and compares them by rules; `equal` is None where it takes
    algebra or the library. Where one has no answer, gives the `status` instead."""
    gold = _gold_answer(question["gold"])
    if gold is None:
        return {"status": "gold_unparsable", "reason": "the task has no readable answer"}
    found, reason = _answer_in(question["completion"], gold, question["box"])
    if found is None:
        return {"status": "no_answer", "reason": reason}
    option = _GOLD_OPTION.match(gold) if _is_choice(found) else None
    gold = gold if option is None else option.group(1)
    rules = {"equal": False} if _is_no_option(found, gold) else _by_rules(found, gold, question)
    if not rules["equal"] and not question["library"]:
        found, rules = _said_otherwise(found, gold, question, rules)
    return {"answer": found, "gold": gold, **_faults_told(found, gold, rules)}


def _said_otherwise(found: str, gold: str, question: Question, rules: Reply) -> tuple[str, Reply]:
    """Looks at an answer again that is not the gold one by rules: it may say more than was asked for, or one equation
    in several forms, or the value of what was asked for, or have decimal commas."""
    if tells_more(_form(_shown(found, question)), _form(_shown(gold, question))):
        return found, {"equal": True}
    parts = parts_of(found) if "=" in found and rules["equal"] is False else []
    if parts and all(_by_rules(part, parts[-1], question)["equal"] is not False for part in parts[:-1]):
        found = r" \text{ or equivalently } ".join(parts)
        return found, _by_rules(found, gold, question)
    whole = _ALL_INTEGERS.match(found)
    if whole is not None and _OF_INTEGERS.match(gold):
        return found[whole.end() :], _by_rules(found[whole.end() :], gold, question)
    if "mod" in found and "mod" in gold:
        one, other = without_unknown(found), without_unknown(gold)
        if (one == found) != (other == gold):
            return one, _by_rules(one, other, question)
    if "=" in found or "equiv" in found or "≡" in found:
        said = value_said(found, _form(_shown(gold, question)), lambda text: _form(_shown(text, question)))
        if said != found:
            found, rules = said, _by_rules(said, gold, question)
    if not rules["equal"] and "," in found + gold:
        one, other = with_decimal_points(found), gold if gold.endswith(",0") else with_decimal_points(gold)
        if (one, other) != (found, gold) and _by_rules(one, other, question)["equal"]:
            rules = {"equal": True}
    return found, rules


def _is_choice(text: str) -> bool:
    """Tells whether a text is the letter of an option."""
    return not _OPTION_LETTERS.isdisjoint(text) and _GOLD_CHOICE.match(text) is not None


def _is_no_option(found: str, gold: str) -> bool:
    """Tells whether an answer to a question for a letter is something else, in which the letter stands: C1, 2C."""
    return _is_choice(gold) and not _NO_LETTER.isdisjoint(found) and "\\begin" not in found


def _rules(question: Question) -> Reply:
    """Compares an answer with a gold one as `_judge` does."""
    found, gold = question["completion"], question["gold"]
    return {"answer": found, "gold": gold, **_faults_told(found, gold, _by_rules(found, gold, question))}


def _compare(question: Question) -> Reply:
    """Compares two answers by all means. Unless they are the same, `faults` says of each why it can be no answer."""
    first, second = question["first"], question["second"]
    found = _by_rules(first, second, question)
    if found["equal"] is None:
        decide = second_reading.answer if question["library"] else symbolic.answer
        found = decide({"first": _shown(first, question), "second": _shown(second, question)})
    return _faults_told(first, second, found)


def _weigh(question: Question) -> Reply:
    """Looks at a gold alone, as far as it was followed with the answer: `plain` when it could be."""
    if question["text"]:
        gold = _gold_answer(question["gold"])
        if gold is not None and not question["library"]:
            _form(_shown(gold, question))
        return {"plain": gold is not None}
    if question["library"]:
        return {"plain": second_reading.is_plain(question["gold"])}
    return {"plain": symbolic.is_plain(_form(_shown(question["gold"], question)))}


def _extract(question: Question) -> Reply:
    return {"answer": _answer_in(question["completion"], "", question["box"])[0]}


def _canonical(question: Question) -> Reply:
    """A spelling that two answers share only if they are equal."""
    form = _form(_shown(question["answer"], question))
    if form.number is not None and form.unit is None:
        return {"spelling": f"{form.number.numerator:x}/{form.number.denominator:x}"}
    return {"spelling": f"{form.text or squeezed(question['answer'])} {form.unit or ''}"}


_ANSWERS: Mapping[str, Callable[[Question], Reply]] = {
    "judge": _judge,
    "rules": _rules,
    "compare": _compare,
    "weigh": _weigh,
    "extract": _extract,
    "canonical": _canonical,
}


@lru_cache(1024)
def _gold_answer(gold: str) -> str | None:
    """Returns the answer that a gold text holds: a bare answer, or a solution that ends in one."""
    if _INTEGER.fullmatch(gold):
        return gold
    if len(gold) <= _SHORT_GOLD and not _BARE_GOLD.search(gold):
        return gold
    return math_answer(gold).text


def _answer_in(completion: str, gold: str, box: bool) -> tuple[str | None, str]:
    text = final_text(completion)
    if text is None:
        return None, "the thinking never ends"
    if box and boxed_answer(text) is None:
        return None, "there is no box after the thinking"
    if _is_choice(gold):
        letter = choice_letter(text)
        if letter is not None:
            return letter, ""
    if not gold.isascii() and gold.strip(" ().") in CYRILLIC_LETTERS:
        letter = cyrillic_choice(text)
        if letter is not None:
            return letter, ""
    found = answer_in_box(text) if box else math_answer(text)
    if "_" in gold and found.text is not None and found.text.isalnum() and _NUMERAL.fullmatch(gold):
        return found.text + base_of_last_box(text, found.text), found.reason
    said = _word_said(text, gold) if _asks_for_words(gold) and boxed_answer(text) is None else None
    return (said, "") if said is not None else (found.text, found.reason)


def _word_said(text: str, gold: str) -> str | None:
    """Returns the word that a text without a box says, where the task's answer is a word."""
    if _asks_yes_or_no(gold):
        return announced_yes_or_no(text, last_cue(text)) or yes_or_no(text) or judged(text)
    return None if last_cue(text) else word_in_bold(text) or said_to_be_most(text) or last_said(text)


@lru_cache(1024)
def _asks_for_words(gold: str) -> bool:
    return _asks_yes_or_no(gold) or _GOLD_WORDS.match(gold) is not None


def _asks_yes_or_no(gold: str) -> bool:
    return len(gold) < 16 and gold.strip("${} .").removeprefix("\\text{").strip().lower() in YES_OR_NO


def _by_rules(first: str, second: str, question: Question) -> Reply:
    long = ["it is too long to be an answer" if len(text) > _MAX_ANSWER else "" for text in (first, second)]
    if any(long):
        return {"equal": first == second, "faults": long}
    if question["library"]:
        return {"equal": None}
    if _INTEGER.fullmatch(first) and _INTEGER.fullmatch(second):
        return {"equal": first == second}
    alike = squeezed(first) == squeezed(second)
    if alike and not _DIVIDES.search(first):
        return {"equal": True}
    one, other = (_form(_shown(text, question)) for text in (first, second))
    equal = not one.undefined if alike else same(one, other)
    return {"equal": equal, "faults": [fault_of(one), fault_of(other)]}


def _faults_told(first: str, second: str, found: Reply) -> Reply:
    """Adds that an answer says nothing, which is no one's right answer either."""
    if found["equal"] is not False:
        return {"equal": found["equal"]}
    faults = found.get("faults") or ["", ""]
    texts = (first, second)
    empty = ["" if _SAYS_SOMETHING.search(text) else "it says nothing" for text in texts]
    return {"equal": False, "faults": [fault or none for fault, none in zip(faults, empty, strict=True)]}


def _shown(text: str, question: Question) -> str:
    return text.replace("\\%", "").replace("%", "") if question["percent"] else text


DEEPEST = 2000
"""Calls within one another."""


if __name__ == "__main__":
    sys.setrecursionlimit(DEEPEST)
    # An item has too little time to compile what it needs.
    serve(answer, linear.prepare_all)
