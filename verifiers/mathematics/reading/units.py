"""Takes the unit off an answer such as `5\\text{ cm}^2`, `45^\\circ` or `\\$18.90`, and tells which unit it was.

A unit counts only where both answers have one: 5 cm is 5, but not 5 km; 1 m is 100 cm. Words that are no measure
(5 apples) count nowhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from verifiers.patterns import linear
from verifiers.wording.unit_names import CELSIUS, DEGREE, FAHRENHEIT, UNIT_LETTERS, Unit, unit_named
from verifiers.wording.vocabulary import names_things

_COMPOUND = linear.compile(
    r"(\d{1,9}(?:\.\d{1,9})?) ?([A-Za-z]{1,12})\.?,?(?: and)? (\d{1,9}(?:\.\d{1,9})?) ?([A-Za-z]{1,12})\.?"
)
_TEXT_MARKS = linear.compile(r"\\(?:text|mbox|textrm|mathrm)\s?\{|\\[,;:! ]|\\q?quad(?![a-z])|[{}$~\s]")
_TAIL = linear.compile(r'"[^"]*"|\\[A-Za-z]+|[A-Za-z]+\.?|(?:\^|\*\*)\s?\{?\s?-?[123]\s?\}?|\s+|\S')
_POWER = linear.compile(r"(?:\^|\*\*)\s?\{?\s?-?[123]\s?\}?")
_QUOTED_FRACTION = linear.compile(
    r'\\frac\s?\{\s*("[^"]*"(?:\^\{?[23]\}?)?)\s*\}\s?\{\s*("[^"]*"(?:\^\{?[23]\}?)?)\s*\}\s*$'
)
_WORD = linear.compile(r"(?<![A-Za-z\\])[A-Za-z]{2}| [A-Za-z]/|\\Omega")
_BARE = linear.compile(
    r"(-?\d[\d.,]{0,40}(?:[eE][-+]?\d{1,3})?(?: ?(?:\\times|\\cdot) ?10 ?\^ ?(?:\{ ?-?\d{1,3} ?\}|\d))?) "
    r"((?:(?:k|M)?\\Omega|[A-Za-z]{1,4}(?: ?\^ ?(?:\{ ?-?\d ?\}|\d))?)"
    r"(?:(?: ?/ ?\(?| ?\\cdot ?| )[A-Za-z]{1,4}(?: ?\^ ?(?:\{ ?-?\d ?\}|\d))?){0,5}\)?)"
)
"""A number, a blank, and letters that are measures or unknowns."""
_MANY_LETTERS = linear.compile(r"[A-Za-z][A-Za-z]")
_COMMANDS = linear.compile(r"\\[A-Za-z]+|sqrt|pi")
_NOTATION_NAMES = (
    "sin cos tan cot sec csc log ln lg exp sqrt pi inf infinity infty oo theta alpha beta gamma delta mod gcd lcm "
    "max det and cis"
)
_NOTATION = frozenset(_NOTATION_NAMES.split())
_BETWEEN_UNITS = frozenset(("/", ".", ",", "\\cdot", "\\times"))
_ONE_VALUE = linear.compile(r"[-+]?1(?:\.0*)?")
_DEGREE = (
    r"(?:\^\s?(?:\{\s?\\circ\s?\}|\\circ)|\\degree(?![a-zA-Z])|\\textdegree(?![a-zA-Z])|\^\s?\{?\s?\\text\{o\}\s?\}?)"
)
_DEGREES = linear.compile(
    rf"{_DEGREE}\s*(?:\\(?:text|mathrm)\s?\{{\s*[CF]\s*\}}|[CF](?![A-Za-z]))?|\bdegrees?\b(?:\s(?:celsius|fahrenheit))?"
    r"|\\circ(?=\s*[.,]?\s*$)",
    linear.IGNORECASE,
)
_DEGREES_BETWEEN_DIGITS = linear.compile(rf"(?<=\d)\s?{_DEGREE}\s*(?=\d)")
_MARK = r"\s?(?:'|\^\s?\{?\s?\\prime\s?\}?|\\prime)"
_SEXAGESIMAL = linear.compile(
    rf"(\d{{1,6}})\s?{_DEGREE}\s?(\d{{1,2}}(?:\.\d{{1,9}})?)(?:{_MARK})"
    rf"(?:\s?(\d{{1,2}}(?:\.\d{{1,9}})?)(?:(?:{_MARK}){{2}}|\^\s?\{{?\\prime\s?\\prime\s?\}}?)|(?!\s?(?:'|\\prime)))"
)
_TRIGONOMETRY = linear.compile(
    r"(?<![A-Za-z])(?:sin|cos|tan|cot|sec|csc|cis)(?![a-z])|\\(?:sin|cos|tan|cot|sec|csc|cis)(?![a-z])"
)
_ANGLE = linear.compile(rf"(\d+(?:\.\d+)?)\s?{_DEGREE}")
_ORDINAL = linear.compile(r'(?<=\d)\s?(?:\^\s?\{?\s?"(?:st|nd|rd|th)"\s?\}?|(?:st|nd|rd|th)(?![A-Za-z]))')
_TEMPERATURE = linear.compile(r"(?<![a-z])[CF]\s*\}?\s*$|[Cc]elsius|[Ff]ahrenheit")
_DIGIT = linear.compile(r"\d")
_OF_MEASURE = linear.compile(r"[A-Za-z]+|/|(?:\^|\*\*)\s?\{?\s?(-?\d)|(\d)")
_DOT = linear.compile(r"\\(?:cdot|times)(?![a-z])|[·*.()]")
_MILLI = linear.compile(r"(?<![A-Za-z])m(s[\s\"]*\^\s?\{?\s?-)")
"""As in ms^{-1}, which is a metre a second."""
_WRITTEN_AS_ONE = {"mph": "mi per h", "kph": "km per h", "kmh": "km per h", "mps": "m per s", "Nm": "N m", "Js": "J s",
                   "Ns": "N s", "Vm": "V m", "Wm": "W m"}  # fmt: skip


def without_degrees(text: str) -> tuple[str, Unit | None]:
    """Drops degree signs, and turns the angles of sin, cos and their like into radians."""
    if "circ" not in text and "deg" not in text and "{o}" not in text:
        return text, None
    text = _DEGREES_BETWEEN_DIGITS.sub("\ufffd", _SEXAGESIMAL.sub(_as_degrees, text))
    if _TRIGONOMETRY.search(text):
        return _DEGREES.sub("", _ANGLE.sub(r"(\1\\pi/180)", text)), None
    plain = _DEGREES.sub("", text)
    if plain == text:
        return text, None
    temperature = _TEMPERATURE.search(text)
    if not temperature:
        return plain, DEGREE
    return plain, CELSIUS if "c" in temperature.group().lower() else FAHRENHEIT


def _as_degrees(match: linear.Match) -> str:
    degrees, minutes, seconds = (Fraction(group or 0) for group in match.groups())
    value = degrees + minutes / 60 + seconds / 3600
    return rf"\frac{{{value.numerator}}}{{{value.denominator}}}^\circ"


def compound_measure(text: str) -> tuple[Fraction | None, Unit | None]:
    """Returns 5 feet 3 inches as five and a quarter feet; nothing for what is no measure of two units."""
    if len(text) > 100:
        return None, None
    found = _COMPOUND.fullmatch(" ".join(_TEXT_MARKS.sub(" ", text).split()))
    if found is None:
        return None, None
    large, small = (unit_named(found.group(at)) for at in (2, 4))
    if large is None or small is None or large.dimensions != small.dimensions or large.dimensions[0][1] != 1:
        return None, None
    added = Fraction(found.group(3)) * small.factor / large.factor
    if not 0 <= added < 1 or small.factor >= large.factor:
        return None, None
    return Fraction(found.group(1)) + added, large


def without_unit(text: str) -> tuple[str, Unit | None]:
    """Drops the unit at the end of an answer, or words that say what was counted; words of any other kind stay."""
    if '"' not in text and not _WORD.search(text):
        return text.strip(), None
    text = _ORDINAL.sub("", text)
    text = _QUOTED_FRACTION.sub(r"\1/\2", text)
    begun = _end_of_value(text)
    core, tail = text[:begun].strip(), text[begun:]
    if (
        not core
        or not tail
        or core[-1] in "\x0e\x0f,;"
        or _MANY_LETTERS.search(_COMMANDS.sub(" ", core[core.rfind("=") + 1 :]))
    ):
        return text.strip(), None
    unit = _measure(tail)
    if unit is None and not names_things(_POWER.sub("", tail).replace('"', " "), bool(_ONE_VALUE.fullmatch(core))):
        return text.strip(), None
    if not any(char.isdigit() for char in core) and (unit is None or '"' not in tail) and not core.endswith("\\pi"):
        return text.strip(), None
    return core, unit


def counted(parts: Sequence[str], cores: Sequence[str]) -> list[str] | None:
    """Returns what each of several values counts or measures, as in "4 adults, 6 children"; None where they don't tell
    them apart."""
    if len(parts) < 2 or not all(part.strip().startswith(core) for part, core in zip(parts, cores, strict=True)):
        return None
    tails = [part.strip()[len(core) :] for part, core in zip(parts, cores, strict=True)]
    names = [_name_of(tail) for tail in tails]
    return names if all(names) and len(set(names)) == len(names) else None


def _name_of(tail: str) -> str:
    measure = _measure(tail)
    if measure is not None:
        return " ".join(f"{name}{power}" for name, power in measure.dimensions) + f" {measure.factor}"
    words = " ".join(tail.replace('"', " ").split()).lower()
    return words.removesuffix("s")


def bare_measure(text: str) -> tuple[str, Unit] | None:
    """Returns the number and the measure of "30 N" or "6.6 J s", which may be a formula as well; None for any other."""
    text = text.strip()
    begins, ends = text[:1].isdigit() or text[:1] == "-", text[-1:].isalpha() or text[-1:] in {"}", ")"} or "^" in text
    found = _BARE.fullmatch(text) if begins and ends else None
    unit = _measure(found.group(2)) if found else None
    return None if found is None or unit is None else (found.group(1), unit)


def _end_of_value(text: str) -> int:
    """Returns where the words and powers at the end of a text begin; its length when there are none."""
    known = len(text)
    for token in reversed(list(_TAIL.finditer(text))):
        piece = token.group()
        word = piece.rstrip(".").lower()
        quoted = piece[0] == '"' and len(piece) > 1
        named = piece[0].isalpha() and word not in _NOTATION and (len(word) > 1 or _is_unit_letter(text, token))
        if quoted or named or piece == "\\Omega":
            known = token.start()
        elif piece not in _BETWEEN_UNITS and not piece.isspace() and not _POWER.fullmatch(piece):
            break
    return known


def _is_unit_letter(text: str, token: linear.Match) -> bool:
    """Tells the letters of "9.8 m/s" from symbols, which follow their factor without a blank or stand alone."""
    slash_before = text[: token.start()].rstrip().endswith("/")
    slash_after = text[token.start() - 1 : token.start()] == " " and text[token.end() :].lstrip().startswith("/")
    return token.group() in UNIT_LETTERS and (slash_before or slash_after)


def _measure(words: str) -> Unit | None:
    """Reads "m/s^2" or "square feet"; None when a word is no measure."""
    read = _Measure()
    words = _MILLI.sub(r"m \1", words)
    for token in _OF_MEASURE.finditer(_DOT.sub(" ", words.replace('"', " ").replace("\\Omega", "ohm"))):
        power = token.group(1) or token.group(2)
        if not (read.raised(int(power)) if power else read.word(token.group())):
            return None
    dimensions = tuple(sorted((name, power) for name, power in read.powers.items() if power))
    return Unit(dimensions, read.factor) if dimensions else None


class _Measure:
    """A measure while its words are read; both methods tell whether the word belongs to one."""

    def __init__(self) -> None:
        self.powers: dict[str, int] = {}
        self.factor = Fraction(1)
        self._sign, self._times = 1, 1
        self._last: Unit | None = None

    def word(self, word: str) -> bool:
        if word in {"/", "per"}:
            self._sign = -1
        elif word in {"square", "sq", "cubic", "cu"}:
            self._times = 2 if word.startswith("s") else 3
        elif word in _WRITTEN_AS_ONE:
            return all(map(self.word, _WRITTEN_AS_ONE[word].split()))
        elif (unit := unit_named(word)) is not None:
            signed = tuple((name, power * self._sign) for name, power in unit.dimensions)
            self._last = Unit(signed, unit.factor**self._sign)
            self._multiply(self._times)
            self._times = 1
        else:
            return False
        return True

    def raised(self, power: int) -> bool:
        self._multiply(power - 1)
        return self._last is not None

    def _multiply(self, times: int) -> None:
        if self._last is not None:
            for name, power in self._last.dimensions:
                self.powers[name] = self.powers.get(name, 0) + power * times
            self.factor *= self._last.factor**times
