"""Cues that announce an answer, and the words beside it, as patterns made of the table of languages (`cues.toml`).

A cue is followed by the answer, with a colon, an equals sign, or a copula of the language between them or after it.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Any, Literal, NamedTuple
from unicodedata import combining, normalize

import re2

from verifiers.wording import table


class Announcement(NamedTuple):
    """The ways in which a language announces an answer; the table says what each of them is."""

    nouns: str
    copulas: str
    endings: str = ""
    denials: str = ""
    verbs: str = ""
    ors: str = ""
    ands: str = ""
    bounds: str = ""
    calls: str = ""
    faults: str = ""


_SPACE = re2.Options()
_SPACE.max_mem = 64 << 20


class Wording:
    """A pattern in RE2's own syntax, over UTF-8, that is compiled when it is first used: those of many languages take
    milliseconds each."""

    def __init__(self, pattern: str) -> None:
        self._pattern = pattern

    @cached_property
    def _compiled(self) -> Any:
        return re2.compile(self._pattern, options=_SPACE)

    def search(self, text: str) -> Any:
        """Returns the first match, or None."""
        return self._compiled.search(text)

    def finditer(self, text: str) -> Iterator[Any]:
        """Returns the matches from left to right."""
        found: Iterator[Any] = self._compiled.finditer(text)
        return found

    def sub(self, replacement: str, text: str) -> str:
        """Returns the text with its matches replaced."""
        return str(self._compiled.sub(replacement, text))


LANGUAGES = {name: Announcement(**ways) for name, ways in table(__file__).items()}
_UNSPACED = Wording(r"[\p{Thai}\p{Hiragana}\p{Katakana}\p{Han}\p{Hangul}]")
_MARK = r"[:：=]"


def _cue(language: Announcement) -> str:
    after = rf"\s{{0,3}}(?:{language.copulas})?(?:\s{{0,3}}{_MARK}|\s{{1,3}}|$)|\s{{0,3}}{_MARK}"
    glued = rf"|\s?(?:{language.copulas})" if _UNSPACED.search(language.nouns) else ""
    verbs = f"|(?:{language.verbs})" if language.verbs else ""
    return rf"(?:{language.nouns})(?:{after}{glued}){verbs}"


_FOREIGN = [language for name, language in LANGUAGES.items() if name != "English"]
FOREIGN_CUE = Wording("(?i)" + "|".join(map(_cue, _FOREIGN)))
ENDING = Wording(r"(?i)\s?(?:" + "|".join(language.endings for language in _FOREIGN if language.endings) + ")$")
_SPACED, _GLUED = (
    "|".join(one.denials for one in _FOREIGN if bool(_UNSPACED.search(one.nouns)) is glued) for glued in (False, True)
)
DENIAL = Wording(rf"(?i)(?:^|[^\pL\pM])(?:{_SPACED})(?:[^\pL\pM]|$)|{_GLUED}")
_VALUE_ENDS, _VALUE_BEGINS = r"([\d})\]$%])", r"((?:[A-Za-z](?:_\{?\d\}?)? ?= ?)?[-\d\\($\[])"

_PREFIXED = r"|\s+(?:ו-?|و)\s*"
"""Hebrew and Arabic write "and" as one word with what follows."""


def _joints(kind: str, glued: bool) -> str:
    languages = [one for one in _FOREIGN if bool(_UNSPACED.search(one.nouns)) is glued]
    return "|".join(str(getattr(one, kind)) for one in languages)


_JOINTS = {
    word: Wording(
        rf"(?i){_VALUE_ENDS}(?:[,，、]?\s+(?:{_joints(kind, False)})\s+"
        rf"|\s*[,，、]?\s*(?:{_joints(kind, True)})\s*{_PREFIXED if kind == 'ands' else ''}){_VALUE_BEGINS}",
    )
    for kind, word in (("ors", " or "), ("ands", " and "))
}
_ORS, _GLUED_ORS, _ANDS, _GLUED_ANDS = (_joints(kind, glued) for kind in ("ors", "ands") for glued in (False, True))
_ENDS = r"[\d})\]$%A-Za-z²³]"
ALTERNATIVE = Wording(
    rf"(?i)(?:^|[^\pL\pM])(?:{_ORS})(?:[^\pL\pM]|$)|{_ENDS}\s*(?:{_GLUED_ORS})"
    rf"|(?:^|\s)(?:{_ANDS}|and)\s+{_VALUE_BEGINS}|{_ENDS}\s*(?:{_GLUED_ANDS})\s*{_VALUE_BEGINS}",
)
"""Words that set another answer beside one."""
_BOUNDS, _GLUED_BOUNDS = (_joints("bounds", glued) for glued in (False, True))
BOUND_BEFORE = Wording(
    rf"(?i)(?:(?:^|[^\pL\pM])(?:{_BOUNDS})|(?:{_GLUED_BOUNDS})[有为為是]?)[\s$(*:]*(?:[A-Za-z] ?= ?)?$"
)
BOUND_AFTER = Wording(rf"(?i)^.{{0,20}}?(?:(?:^|[^\pL\pM])(?:{_BOUNDS})(?:[^\pL\pM]|$)|(?:{_GLUED_BOUNDS}))")
"""Words of other languages than English that make a value a bound."""
_CALLS, _GLUED_CALLS, _FAULTS, _GLUED_FAULTS = (
    _joints(kind, glued) for kind in ("calls", "faults") for glued in (False, True)
)
_CALL = rf"(?:(?:{_CALLS})[\s,.!:;…，。！،—–-]+|(?:{_GLUED_CALLS})[\s,.!:;…，。！、—–-]*)"
_FAULT = rf"(?:{_FAULTS}|{_GLUED_FAULTS})\s*(?:[.!,;:…—–(\n。，！：；،]|$)"
TAKEN_BACK = Wording(
    rf"(?i)^[\s.!?…$)\]\\}}*,;:—–。，！？、-]*{_CALL}{{0,3}}{_FAULT}|[.!?\n…。！？]\s{{0,9}}{_CALL}{{1,3}}{_FAULT}"
)
"""Words of other languages than English that take back the answer before them."""
ONE_OF_SEVERAL = Wording(
    rf"(?i)[\pL\d}})\]$%²³][\s,]+(?:or|and|{_ORS}|{_ANDS})\s+[$(*]*$|{_ENDS}\s*(?:{_GLUED_ORS}|{_GLUED_ANDS})\s*[$(*]*$",
)
"""Words before a value that make it one of several."""


def with_english_joints(text: str) -> str:
    """Writes the words of other languages that join two values as "and" and "or"."""
    for word, pattern in _JOINTS.items():
        if pattern.search(text):
            for _ in range(2):  # a short value has a joint on either side
                text = pattern.sub(rf"\1{word}\2", text)
    return text


FOREIGN_LETTERS = Wording(
    r"[\p{Cyrillic}\p{Hebrew}\p{Arabic}\p{Devanagari}\p{Thai}\p{Hangul}\p{Hiragana}\p{Katakana}\p{Han}]|\p{Greek}{3}"
    r"|[A-Za-z\x{c0}-\x{24f}\x{1e00}-\x{1eff}]*[\x{c0}-\x{d6}\x{d8}-\x{f6}\x{f8}-\x{24f}\x{1e00}-\x{1eff}][A-Za-z\x{c0}-\x{24f}\x{1e00}-\x{1eff}]+"
)
"""Characters that only words have, not formulas."""

CHOOSING = Wording(
    r"(?i)\b(?:choos\w*|chose|pick\w*|select\w*|option|choice|answer|correct|right|go with|opt for|letter)\b"
    r"|\b(?:choisis|réponse|elijo|wähle|seçiyorum|seçenek|chọn|phương án)\b|выбираю|вариант|ответ|选|選|答"
    r"|정답|선택|고르|ข้อ|ตอบ|विकल्प|चुन|الخيار|أختار|אפשרות|בוחר|επιλέγω|επιλογή"
)
"""Words with which a sentence settles on an option."""

MANY_MARKS = 1000
_TWO_MARKS = "\u0f73\u0f75\u0f81"
"""Signs of Tibetan that are no marks, and are made of two each."""

_ZEROS = (0x30, 0x660, 0x6F0, 0x966, 0x9E6, 0xE50, 0xFF10, 0x1D7CE, 0x1D7D8, 0x1D7E2, 0x1D7EC, 0x1D7F6)
"""Where the ten digits of a script begin: ASCII, Arabic, Persian, Devanagari, Bengali, Thai, full width, formulas."""
_SCRIPT = {chr(zero + value): (zero, str(value)) for zero in _ZEROS for value in range(10)}
_MARKS = str.maketrans({"٫": ".", "٬": ",", "،": ",", "٪": "%", "؛": ";", "।": ".", "؟": "?"})


def searchable(text: str) -> str:
    """Returns the text without lone surrogates, which no search in UTF-8 takes, in the same length."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def composed(form: Literal["NFC", "NFKC"], text: str) -> str:
    """Returns a normal form of Unicode, or the text as it is where it has more than `MANY_MARKS` combining marks.

    To sort the marks of one letter takes time by the square of their number, for which no other thread runs.
    """
    if len(text) <= MANY_MARKS or text.isascii():
        return normalize(form, text)
    marks = sum(map(bool, map(combining, text))) + 2 * sum(map(text.count, _TWO_MARKS))
    return text if marks > MANY_MARKS else normalize(form, text)


def with_usual_digits(text: str) -> str:
    """Writes the digits of other scripts as 0 to 9; a digit beside one of another script belongs to no number."""
    if text.isascii() or not any(char.isdecimal() and char > "9" for char in text):
        return text
    parts: list[str] = []
    last = 0
    for char in text.translate(_MARKS):
        script, digit = _SCRIPT.get(char, (-1 if char.isdecimal() else 0, "\ufffd" if char.isdecimal() else char))
        parts.append("\ufffd" if script and last and script != last else digit)
        last = script
    return "".join(parts)
