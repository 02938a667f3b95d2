"""Finds what the last sentence of a text works out: "Harry slept 9 - 6 = 3 hours more than James." gives 3 hours.

The right side of a sum is what was asked for, whatever the sentence goes on to say of whom, since when, or for what;
unless it takes the sum back, goes on to another one, or scales what it gives.
"""

from __future__ import annotations

from fractions import Fraction

from verifiers.patterns import linear
from verifiers.wording.values import SPAN, measure_after
from verifiers.wording.vocabulary import SCALING, SUPPOSING, denies, words_of

_AMOUNT = r"[$£]?\s?(?:\d[\d,]*(?:\.\d+)?|\.\d+)(?:\s?/\s?\d+)?\)?"
_THINGS = r"(?:%|\s?[A-Za-z]{2,15}(?:\s[a-z]{2,15}){0,2}(?:/[a-z]{2,12})?)?\)?"
_SIGN = r"\s?[-+*/x×÷·–]\s?"
_SUM = linear.compile(rf"(?:\(?{_AMOUNT}{_THINGS}{_SIGN}\(?)+{_AMOUNT}{_THINGS}\s?$")
_RESULT = linear.compile(
    r"\s?(?P<money>[$£])?\s?(?P<value>-?(?:\d+(?:,\d{3})*(?:\.\d+)?|\.\d+))(?P<percent>\s?%)?(?P<rest>.*)$"
)
_THERE_ARE = linear.compile(
    r"\b(?:[Tt]here (?:are|is|were)"
    r"|(?:equation|function|polynomial|system|curve|graph|series|it|[fgp]\(x\)\$?|[fgp]\$?) has)"
    r" (?:only |exactly |a total of |just |in total )?"
    r"\*{0,2}\$?(\d{1,3}(?:,\d{3})*|\d+)\$?\*{0,2} "
    r"(?:(?:possible|different|distinct|such|positive|negative|integer|real|complex|valid|total|prime|critical|local"
    r"|inflection|even|odd) ){0,2}([a-z]{3,20})((?: [^=]*)?)$"
)
_WHERE = linear.compile(
    r"\s(?:in|on|within|inside|over|outside|lying in|that lie in)(?: the)?"
    r"(?: (?:open |closed |given |half-open )?(?:intervals?|range|circle|disk|disc|unit circle|region|set))?"
    r" (?:[(\[][^()\[\]=]{1,40},[^()\[\]=]{1,40}[)\]]|\\?\{[^{}=]{1,80}\}|\|[a-z]\|\s?(?:=|<|\\leq?)\s?\d{1,4})"
)
"""Where the things lie that are counted: an interval, a circle."""
_STEP = linear.compile(r"(?:\$\$?|\\\(|\\\[)?\s?([^$=<>,;\n]{1,80}=[^$=<>,;\n]{1,80}?)\s?(?:\\\)|\\\]|\$\$?)?\.?")
_LETTER = linear.compile(r"\\?[A-Za-z]+")
_FRACTION_LINE = linear.compile(r"\\[dt]?frac\b|\\frac|\\(?:cdot|times|div|pm|sqrt|pi)\b")
_QUOTIENT = linear.compile(r"(-?\d{1,9})(?:\s?[/÷]\s?(\d{1,9}))?|\\[dt]?frac\{(-?\d{1,9})\}\{(\d{1,9})\}")
_ADDED = linear.compile(r"(-?\d{1,9})\s?([-+])\s?(\d{1,9})")
_MOST_STEPS = 30
_GOES_ON = frozenset("0123456789/^*+-=:×÷·–(")
_REJECTED = linear.compile(
    r"\b(?:wrong|incorrect|false|impossible|invalid|mistake|error|contradict\w*|unreasonable"
    r"|too (?:many|much|few|little|big|small)|not (?:right|correct|possible|enough|the answer|it|an? integer)"
    r"|can(?:no|['’])t be)\b",
    linear.IGNORECASE,
)
_TURNS = linear.compile(
    r"\b(?:but|so|then|therefore|thus|however|leaving|which|whereas|while|or|for (?:every|each)|out of)\b",
    linear.IGNORECASE,
)
_ALONG = linear.compile(r"\b(?:for|to|from|in|of|at|with|than|between|on|after)\b")
_JOINED = linear.compile(r"\band\b.*\d")
_AFTER_TIMES = frozenset(("to", "a", "in", "for", "per", "each", "during", "before", "this"))
_MARK = linear.compile(r"[,;:]\s")
_DENIED_THAT = linear.compile(
    r"\b(?:false|untrue|wrong|incorrect|impossible|doubtful|doubt"
    r"|not (?:\w+ ){0,2}(?:true|right|correct|possible|so)) that\b",
    linear.IGNORECASE,
)
_CONDITIONS = frozenset(("if", "when", "whether", "unless", "until"))
_VERB = linear.compile(r"\b(?:is|are|was|were|equals)\b")
_CLAUSE = linear.compile(r"[,;:]\s|\b(?:then|so|thus|because|that)\b")


def solved(text: str) -> str | None:
    """Returns the last of equations for one unknown, a line each, which gives its value; None where other lines give it
    another one."""
    lines = [line.strip() for line in text.split("\n") if line.strip()] if "\n" in text else []
    steps = [step.group(1).strip() for step in map(_STEP.fullmatch, lines) if step is not None]
    if len(steps) < max(len(lines), 2) or len(steps) > _MOST_STEPS:
        return None
    unknowns = {letter for step in steps for letter in _LETTER.findall(_FRACTION_LINE.sub(" ", step))}
    sides = [[side.strip() for side in step.split("=")] for step in steps]
    if len(unknowns) != 1 or not all(unknowns.issubset(_FRACTION_LINE.sub(" ", step)) for step in steps):
        return None
    values = [_worked(value) for head, value in sides if head in unknowns]
    given = sides[-1][0] in unknowns and len(values) < len(steps)
    return steps[-1] if given and (len(values) == 1 or (None not in values and len(set(values)) == 1)) else None


def _worked(text: str) -> Fraction | None:
    """The value of a number, a fraction, or a sum or a quotient of two."""
    added = _ADDED.fullmatch(text)
    if added is not None:
        return Fraction(int(added.group(1)) + int(added.group(2) + added.group(3)))
    found = _QUOTIENT.fullmatch(text)
    if found is None:
        return None
    top, bottom = found.group(1) or found.group(3), found.group(2) or found.group(4) or "1"
    return Fraction(int(top), int(bottom)) if int(bottom) else None


def worked_out(sentence: str) -> str | None:
    """Returns the right side of the last sum of a sentence, with its measure; None where there is no plain one."""
    before, equals, after = sentence.rpartition("=")
    found = _RESULT.match(after) if equals else None
    if found is None or "\\" in sentence or "$" in found.group("rest") or _SUM.search(before[-200:]) is None:
        return None
    rest = found.group("rest")
    if rest[:1] in _GOES_ON or rest[:1].isalnum() or not _is_left_alone(rest) or _is_denied(before):
        return None
    sign = "£" if found.group("money") == "£" else ""
    measure = "%" if found.group("percent") else measure_after(rest[:60])
    return f"{sign}{found.group('value')}{measure}"


def counted(sentence: str) -> str | None:
    """Returns how many things there are, as a last sentence says it: "So there are $9$ divisors of 196." gives 9."""
    sentence = without_places(sentence)
    found = _THERE_ARE.search(sentence)
    if found is None or "=" in sentence[found.end() :]:
        return None
    value, noun, rest = found.groups()
    before = words_of(sentence[: found.start()])
    if before and before[-1] in _CONDITIONS:
        return None
    if noun in SCALING or not noun.endswith("s") or not _is_left_alone(rest) or _is_denied(sentence[: found.start()]):
        return None
    return value


def without_places(sentence: str) -> str:
    """Returns a sentence without the intervals, sets and circles that things are said to lie in."""
    if "in" not in sentence and "on" not in sentence:
        return sentence
    return _WHERE.sub(" ", SPAN.sub(_without_place, sentence))


def _without_place(span: linear.Match) -> str:
    """A formula without dollar signs where it may be a place, as in $[0, 2\\pi]$; else as it is."""
    inner = next(group for group in span.groups() if group is not None).strip()
    return inner if inner[:1] in {"[", "(", "|"} else span.group()


def _is_left_alone(rest: str) -> bool:
    """Tells whether what follows a result only says of what it is."""
    words = words_of(rest)
    words = words[1:] if words[:1] == ["times"] and (len(words) < 2 or words[1] in _AFTER_TIMES) else words
    mark = _MARK.search(rest)
    clause, later = (rest[: mark.start()], rest[mark.end() :]) if mark else (rest, "")
    joined = _JOINED.search(clause)
    return not (
        (words and (words[0] in SCALING or words[0] in {"or", "is"}))
        or _REJECTED.search(rest)
        or _TURNS.search(rest)
        or any(map(str.isdigit, later))
        or (joined is not None and not _ALONG.search(clause[: joined.start()]))
    )


def _is_denied(before: str) -> bool:
    """Tells whether the clause of a sum denies it; who "had not voted" may stand before its verb."""
    clause = _VERB.split(_CLAUSE.split(before)[-1])[-1]
    return denies(clause) or _DENIED_THAT.search(before) is not None or not SUPPOSING.isdisjoint(words_of(before))
