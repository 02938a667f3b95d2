"""Answers of annotators, read strictly and never evaluated: a list of concepts, or a rationale between its marks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from selfplay import formats
from selfplay.engines.base import Sample
from verifiers.extraction import final_text
from verifiers.patterns import linear
from verifiers.untrusted.json_values import parse_json

LONGEST_ANSWER = 1 << 18
"""Most characters of an answer that are looked at, its thinking left out."""
LONGEST_CONCEPT = 120
"""Most characters of a concept."""

_TEXT = linear.compile(r'\s*("(?:[^"\\\n]|\\.)*"|\'(?:[^\'\\\n]|\\.)*\')\s*')
_ESCAPED = linear.compile(r"\\(.)")


@dataclass(frozen=True, slots=True)
class Answer:
    """The content of an answer; `fault` says why it cannot be used."""

    concepts: tuple[str, ...] = ()
    rationale: str = ""
    fault: str = ""


def read_concepts(sample: Sample, fewest: int, most: int) -> Answer:
    """Takes the one list of quoted texts that an answer has, with as many distinct concepts as may be."""
    text, fault = _final(sample)
    if fault:
        return Answer(fault=fault)
    lists = list(_lists(text))
    if not lists or not lists[-1]:
        return Answer(fault="a broken list of concepts" if lists else "no list of concepts")
    if len(lists) > 1:
        return Answer(fault="several lists of concepts")
    concepts = tuple(" ".join(item.split()) for item in lists[0])
    if not fewest <= len(concepts) <= most:
        return Answer(fault="too few concepts" if len(concepts) < fewest else "too many concepts")
    fault = next((fault for concept in concepts if (fault := _concept_fault(concept))), "")
    if not fault and len({concept.casefold() for concept in concepts}) < len(concepts):
        fault = "a concept twice"
    return Answer(fault=fault) if fault else Answer(concepts=concepts)


def read_rationale(sample: Sample) -> Answer:
    """Takes the first rationale between its marks."""
    text, fault = _final(sample)
    if fault:
        return Answer(fault=fault)
    parsed = formats.parse_rationale(text)
    return Answer(rationale=parsed.rationale, fault=parsed.fault)


def _final(sample: Sample) -> tuple[str, str]:
    """The text after the thinking, or what is wrong with the answer as a whole."""
    if not sample.complete:
        return "", "cut at the token limit"
    text = final_text(sample.text)
    if text is None:
        return "", "the thinking never ends"
    if not text.strip():
        return "", "empty"
    return (text, "") if len(text) <= LONGEST_ANSWER else ("", "too long")


def _lists(text: str) -> Iterator[Sequence[str]]:
    """The lists of quoted texts in a text, as JSON or Python would write them; an empty one for a broken list."""
    place = text.find("[")
    while place >= 0:
        end = place + 1
        if _TEXT.match(text, end):
            items, end = _list_after(text, end)
            yield items
            if not items:
                return
        place = text.find("[", end)


def _list_after(text: str, place: int) -> tuple[list[str], int]:
    """The texts that follow an opening bracket, and where the closing one ends; none where the list is broken."""
    items: list[str] = []
    while match := _TEXT.match(text, place):
        item = _unquoted(match.group(1))
        if item is None:
            break
        items.append(item)
        place = match.end() + 1
        sign = text[match.end() : place]
        if sign == "]":
            return items, place
        if sign != ",":
            break
    return [], place


def _unquoted(quoted: str) -> str | None:
    """The content of a quoted text; None where an escape makes no sense or no character."""
    if quoted[0] == "'":
        return _ESCAPED.sub(r"\1", quoted[1:-1])
    try:
        item = str(parse_json(quoted))
        item.encode("utf-8")
    except (ValueError, UnicodeEncodeError):
        return None
    return item


def _concept_fault(concept: str) -> str:
    if not concept:
        return "an empty concept"
    if len(concept) > LONGEST_CONCEPT:
        return "a concept too long"
    if not concept.isprintable() or any(marker in concept for marker in formats.MARKERS):
        return "a concept that is no plain text"
    return ""
