"""Finds what a last sentence is about, among the values that it holds: 48 km of "it covers 48 km in half an hour".

A verb, a value right behind it, and what it counts are the main clause; what else the sentence says of when, of what,
or for what this holds, is set aside. So is the bound of what is asked for as the most or the least: "she needs at least
8 packs" answers 8. A bound of anything else, as in "x is at least 8", stays.
"""

from __future__ import annotations

from itertools import pairwise

from verifiers.patterns import linear
from verifiers.wording.number_words import number_in_words
from verifiers.wording.surroundings import span_of_last_sentence
from verifiers.wording.vocabulary import (
    GOING_ON,
    JOINING,
    NEVER_VERBS,
    QUANTITIES,
    RESULTS,
    SUPPOSING,
    denies,
    words_of,
)

_SMALL = "one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve"
_NUMBER = rf"(?:\$?\d[\d,]*(?:\.\d+)?\$?|{_SMALL})"
_FIGURES = r"\d+(?:,\d{3})*(?:\.\d+)?"
_WORD = r"[A-Za-z][A-Za-z'’-]*"
_SENTENCE = linear.compile(
    rf"(?:.*[^A-Za-z'’-])?(?P<verb>{_WORD})\s"
    r"(?:(?:only|exactly|just|about|another|a total of|in total|up to)\s)?"
    rf"(?:(?:[$£]\s?{_FIGURES}|-?{_FIGURES}(?:\s?/\s?\d+)?%?\$?"
    rf"(?P<things>(?:\s(?:per\s)?{_WORD}(?:/[a-z]+)?){{1,5}}?))"
    r"(?P<aside>\s(?:in|within|after|for|over|during|to|out of|with|from|at|on|by|of|before|until|than|when|if|while"
    r"|per)\s[^=<>]*(?:\d|half\s|quarter\s|dozen\s)[^=<>]*)"
    rf"|{_FIGURES}(?P<share>\sof\s(?:the|these|those)\s[^=<>]*\d[^=<>]*))"
)
_WHOLE = linear.compile(
    r"(?:(?:so|thus|therefore|hence),?\s)?(?:out of|of|among|from)\s(?:(?:the|all|these|those)\s)*\d[^,=]*,\s",
    linear.IGNORECASE,
)
_MOMENT = linear.compile(
    rf"(?P<what>[A-Za-z][^\d=]*[a-z])\safter\s(?P<time>{_FIGURES}\s(?:seconds?|minutes?|hours?|days?|weeks?|months?|years?))"
)
_DIFFERENCE = linear.compile(
    rf"(?P<difference>.*[^A-Za-z'’-]{_WORD}\s[$£]?{_FIGURES}(?:(?:\s[a-z]{{3,20}}){{1,2}})?)\s"
    r"(?:more|less|fewer|farther|further|longer|shorter|taller|heavier|higher|older|younger|faster|slower)"
    rf"(?P<things>(?:\s[a-z]+){{0,2}})\sthan(?:\s{_WORD}){{1,6}}\.?"
)
_MOST = linear.compile(
    rf"\b(?P<asked>(?:can|could|able to|may|will|would)(?:\s{_WORD}){{1,6}}?)\s"
    rf"(?:at most|at the most|up to|no more than|a maximum of)\s(?={_NUMBER}\s[A-Za-z])",
    linear.IGNORECASE,
)
_LEAST = linear.compile(
    rf"\b(?P<asked>(?:(?:needs?|needed|requires?|required)|(?:one|you|we|he|she|they) (?:must|has to|have to)\s{_WORD})"
    rf"(?:\s{_WORD}){{0,4}}?)\s"
    rf"(?:at least|at minimum|no fewer than|no less than|a minimum of)\s(?={_NUMBER}\s[A-Za-z])",
    linear.IGNORECASE,
)
_FIRST = linear.compile(
    r"(?P<opener>(?:(?:so|thus|hence|therefore|then),?\s)?)(?:at least|at most)\s"
    rf"(?P<rest>{_NUMBER}(?:\s[a-z]+){{1,4}}\s"
    r"(?:must be|need to be|needs to be|are needed|is needed|are required|can be|could be|have to be)"
    r"(?:\s[a-z]+){0,5}\.?)",
    linear.IGNORECASE,
)
_ENDS = linear.compile(r"[,;:—]\s|\b(?:and|so|then|which|that|or|is|are|was)\s")
_OF_A_SIZE = frozenset(("be", "have"))
"""Verbs whose object is bound by a condition, and not asked for."""
_KEEPING = ("left ", "up ")
_LONGEST = 300


def in_main_clause(text: str) -> str:
    """Returns the text with its last sentence cut down to its main clause, where that alone holds what it is about."""
    begun, end = span_of_last_sentence(text)
    sentence = text[begun:end]
    if len(sentence) > _LONGEST or "=" in sentence or "\\" in sentence:
        return text
    changed = _difference(_without_aside(_without_bound(_without_whole(sentence))))
    moment = _MOMENT.fullmatch(changed)
    if moment is not None and not any(number_in_words(word) is not None for word in words_of(moment.group("what"))):
        changed = f"{moment.group('what')} at {moment.group('time')}"
    return text if changed == sentence else text[:begun] + changed


def _without_whole(sentence: str) -> str:
    """The sentence without what it counts a part of: Out of the 60 students, 48 passed."""
    whole = _WHOLE.match(sentence)
    return sentence[whole.end() :] if whole is not None and any(map(str.isdigit, sentence[whole.end() :])) else sentence


def _without_bound(sentence: str) -> str:
    """The sentence without "at most" or "at least" before what is asked for."""
    if denies(sentence) or not SUPPOSING.isdisjoint(words_of(sentence)):
        return sentence
    first = _FIRST.fullmatch(sentence.strip(" *"))
    if first is not None:
        return f"{first.group('opener')}{first.group('rest')}"
    for bound in (_MOST, _LEAST):
        found = bound.search(sentence)
        if found is not None and _OF_A_SIZE.isdisjoint(words_of(found.group("asked"))):
            return f"{sentence[: found.start()]}{found.group('asked')} {sentence[found.end() :]}"
    return sentence


def _without_aside(sentence: str) -> str:
    """The sentence up to the end of what the value behind its verb counts."""
    found = _SENTENCE.fullmatch(sentence)
    if found is None or denies(sentence):
        return sentence
    kept = sentence[: found.start("verb")].endswith(_KEEPING)  # left with, ends up with
    if found.group("verb").lower() in NEVER_VERBS and not kept:
        return sentence
    name = "aside" if found.group("aside") else "share"
    aside = words_of(found.group(name))
    result = any(before == "to" and after in RESULTS for before, after in pairwise(aside))
    shared = not (GOING_ON | QUANTITIES).isdisjoint(aside)
    shared = shared or not JOINING.isdisjoint(words_of(found.group("things") or ""))
    return sentence if result or shared or _ENDS.search(found.group(name)) else sentence[: found.start(name)]


def _difference(sentence: str) -> str:
    """The sentence up to the things of which one has more than another."""
    found = _DIFFERENCE.fullmatch(sentence) if " than " in sentence else None
    if found is None or denies(sentence):
        return sentence
    named = found.group("difference")[-1:].isalpha() or found.group("things")
    return f"{found.group('difference')}{found.group('things')}" if named else sentence
