"""Brings what a text says of its answer to one wording: "x equals 3" to x = 3, "per cent" to percent; without remarks
on how a value was rounded, numbers of a list's lines, and the letter of an option before its value."""

from __future__ import annotations

from unicodedata import normalize

import re2

from verifiers.patterns import linear

_PER_CENT = linear.compile(r"\bper\scent\b", linear.IGNORECASE)
_IS = r"(?:is equal to|are equal to|equals|is|must be equal to|must equal|must be|has to be|should be|will be|would be)"
_LETTER_IS = linear.compile(
    rf"(^|[\s(,;:])([B-HJ-Zb-z](?:_\d)?)\s{_IS}\s(?=[-+]?\s?(?:\$|\\|\d|√|π))", linear.MULTILINE
)
_SPAN_IS = linear.compile(
    rf"\$([A-Za-z](?:_\{{?\d\}}?)?)\$\s{_IS}\s(?:\$([^$\n]+)\$|(-?\d+(?:\.\d+)?(?:/\d+)?)(?=[\s,.;]|$))"
)
_ARROW = linear.compile(r"\b(answer|result|total|solution|ans)\s*(?:->|=>|==>)\s*", linear.IGNORECASE)
_ROOT = linear.compile(r"(?:(\d{1,4})(?: times)? )?(?:the )?(?:square root of|root) (\d{1,6})\b")
_PI = linear.compile(r"(\d)\s?\*?\s?pi\b")
_NEGATIVE = linear.compile(r"(\b(?:is|are|be|equals|to)\s)(?:negative|minus)\s(?=\d)")
_COUNT = r"(?:\d{1,2}|one|two|three|four|five|six)"
_PLACES = (
    "whole number|integer|tenth|hundredth|thousandth|unit|cent|dollar|percent|degree|minute|second|meter|metre|inch"
    "|foot|mile|cm|mm|km|ten|hundred|thousand"
)
_ROUNDED = linear.compile(
    r"(\d|\$|\\\)|%)((?: ?[A-Za-z]{1,12}(?:\^2|\^3|²|³)?)??),?\s\(?"
    r"(?:(?:when |if )?(?:rounded|correct|accurate)(?: off)? )?"
    rf"to (?:the nearest (?:{_PLACES})(?: of an? [a-z]{{3,12}})?"
    rf"|{_COUNT} (?:decimal places?|decimals|d\.?p\.?|significant (?:figures|digits)|sig\.? figs?|s\.?f\.?))\)?"
    r"(?=[\s.,;!]|$)",
    linear.IGNORECASE,
)
_NUMBERED_LINE = linear.compile(r"^[ \t]*\(?\d{1,2}[.)][ \t]+(?=[A-Za-z$\\(])", linear.MULTILINE)
_NAMED_LINE = linear.compile(
    r"\s*(?:[-*•]\s+)?(?P<said>\$?[A-Za-z](?:_\{?\d\}?)?\s?=\s?[^=\s,;][^=,;\n]{0,60}?|\$?-?\d[\d./]{0,12}\$?)"
    r"[\s,;.]*(?: and)?\s*"
)
_BULLET = linear.compile(r"\s*[-*•]\s")
_HOUR = linear.compile(r"(\d{1,2}(?::[0-5]\d)?)\s(in the (?:early |late )?(?:morning|afternoon|evening)|at night)")
_RAISED = re2.compile(r"(\d)(⁻?[⁰¹²³⁴⁵⁶⁷⁸⁹]+)")
_SWISS = linear.compile(r"(?<![\d'’.])\d{1,3}(?:['’]\d{3})+(?![\d'’])")
_OPTION = linear.compile(r"\(([A-J])\)\s+(?=[-\d$\\√π.(])")


def in_plain_wording(text: str) -> str:
    """Returns a text whose answer is said in the plain way, where it is one of these."""
    text = _ARROW.sub(r"\1: ", text.replace("→", "=>").replace("⇒", "=>").replace("∪", "\\cup ").replace("∈", "\\in "))
    if not text.isascii():
        text = _RAISED.sub(_as_power, text.replace("∞", "\\infty "))
    if "'" in text or "’" in text:
        text = _SWISS.sub(_with_commas, text)
    text = text.lstrip("=> ") if text[:2] in {"=>", "= "} else text
    if "oot" in text:
        text = _ROOT.sub(_as_root, text)
    if "pi" in text:
        text = _PI.sub(r"\1π", text)
    if "negative " in text or "minus " in text:
        text = _NEGATIVE.sub(r"\1-", text)
    if "per" in text or "Per" in text:
        text = _PER_CENT.sub("percent", text)
    if "to " in text:
        text = _ROUNDED.sub(r"\1\2", text)
    if "\n" in text:
        text = _NUMBERED_LINE.sub("- ", text)
        text = _with_joined_lines(text)
    text = _HOUR.sub(_with_half, text) if " in the " in text or " at night" in text else text
    if "$ " in text and len(_SPAN_IS.findall(text)) > 1:
        text = _SPAN_IS.sub(_equated, text)
    return _LETTER_IS.sub(r"\1\2 = ", text)


def _as_power(match: re2._Match) -> str:
    number, exponent = match.groups()
    return f"{number}^{{{normalize('NFKC', exponent).replace(chr(0x2212), '-')}}}"


def _with_commas(match: linear.Match) -> str:
    return str(match.group()).replace("'", ",").replace("’", ",")


def _as_root(match: linear.Match) -> str:
    factor, under = match.groups()
    return f"{factor or ''}√{under}"


def _with_half(match: linear.Match) -> str:
    time, when = match.groups()
    if when == "at night" and not 6 <= int(time.partition(":")[0]) <= 11:
        return match.group()
    return f"{time} {'a.m.' if when.endswith('morning') else 'p.m.'}"


def _with_joined_lines(text: str) -> str:
    """Joins the lines of a list that ends a text, or of a text of nothing else, where each gives a value to a name."""
    lines = text.rstrip().split("\n")
    found: list[str] = []
    begun = len(lines)
    for at in range(len(lines) - 1, max(len(lines) - 40, -1), -1):
        named = _NAMED_LINE.fullmatch(lines[at])
        if lines[at].strip() and named is None:
            break
        if named is not None:
            found.insert(0, named.group("said"))
            begun = at
    whole = not any(line.strip() for line in lines[:begun])
    listed = all(_BULLET.match(line) for line in lines[begun:] if line.strip())
    if any("=" not in said for said in found) and not (
        listed and (whole or lines[begun - 1 - _blank(lines, begun)].rstrip().endswith(":"))
    ):
        return text
    if len(found) < 2 or not (listed or (whole and len(set(map(_name_of, found))) == len(found))):
        return text
    return "\n".join([*lines[:begun], ", ".join(found)])


def _blank(lines: list[str], begun: int) -> int:
    """How many blank lines stand before a line."""
    count = 0
    while begun - count > 1 and not lines[begun - 1 - count].strip():
        count += 1
    return count


def _name_of(said: str) -> str:
    return said.partition("=")[0].strip(" $*")


def without_option(text: str) -> str:
    """Returns the value of an option without its letter, as in "(A) 5"; a text of several options stays."""
    found = _OPTION.match(text)
    return text[found.end() :] if found is not None and len(_OPTION.findall(text)) == 1 else text


def _equated(match: linear.Match) -> str:
    name, span, number = match.groups()
    return f"${name} = {span or number}$"
