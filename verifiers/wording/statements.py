"""Reads sentences that state an answer in words, whole or not at all: "x is at least 3", "between 2 and 5, inclusive",
"there are no real solutions", "the ratio is 2 to 3", "there are exactly twelve such numbers".

A sentence of which one word is not understood states nothing here.
"""

from __future__ import annotations

from fractions import Fraction

from verifiers.patterns import linear
from verifiers.wording.number_words import number_in_words
from verifiers.wording.values import measure_after
from verifiers.wording.vocabulary import denies, names_things

_OPENER = (
    r"(?:(?:so|thus|hence|therefore|then|finally|and|now|indeed|consequently|as a result|in conclusion|overall"
    r"|in summary|we (?:conclude|find|see|get|have|know|need|must have)|this (?:means|gives|implies|shows)|it follows"
    r"|which means|that is)(?: that)?(?:,\s?|\s))"
)
_NAMED_SET = (
    r"(?:(?:the )?(?:(?:final|correct) )?(?:answer|solution|solution set|range|domain|interval|set|set of solutions"
    r"|values?)(?: of (?:the )?(?:function|inequality|\$?f(?:\(x\))?\$?|\$?[a-z]\$?))? (?:is|are|=|consists of)"
    r"(?: the set of)?(?: that)?:? )"
)
_LEAD = rf"(?:{_OPENER}{{0,3}}{_NAMED_SET}?{_OPENER}?)"
_FIGURES = r"\d+(?:[.,]\d+)*(?:\s?/\s?\d+)?|\\[dt]?frac\{\d{1,9}\}\{\d{1,9}\}|π|\\pi"
_VALUE = rf"(?:\$|\\\()?\s?([-+]?(?:{_FIGURES}))\s?(?:\$|\\\))?"
_LETTER = r"(?:\$|\\\()?([A-Za-z])(?:\$|\\\))?"
_MUST_BE = r"(?: (?:is|must be|has to be|needs to be|should be|can be|may be|lies|must lie|ranges|varies|satisfies))?"
_ALL_REALS = (
    r"(?:(?:for )?(?:all|every|any|each) (?:(?:real )?(?:numbers?|values?)(?: of)? )?(?:(?:that|which) (?:are|is) )?"
    r"|(?:real )?numbers )?"
)
_END = r"[\s.!*]*"
_AT_LEAST = linear.compile(
    rf"{_LEAD}(?:{_ALL_REALS}{_LETTER}|(?P<reals>(?:all|any|every) real numbers?(?: that are)?))?{_MUST_BE}"
    r" (?:strictly )?"
    r"(?:(?P<ge>at least|greater than or equal to|no less than|not less than|more than or equal to)"
    r"|(?P<le>at most|less than or equal to|no more than|not more than|no greater than)"
    r"|(?P<gt>greater than|more than|larger than|above|bigger than)"
    rf"|(?P<lt>less than|smaller than|below|fewer than)) {_VALUE}{_END}",
    linear.IGNORECASE,
)
_BETWEEN = linear.compile(
    rf"{_LEAD}(?:{_ALL_REALS}(?:{_LETTER}{_MUST_BE} )?)?"
    r"(?P<open>strictly |exclusively |the open interval )?(?P<closed>the closed interval )?(?:in the interval )?"
    rf"(?:between {_VALUE} and {_VALUE}|from {_VALUE} (?:to|through) {_VALUE})"
    r"(?P<inclusive>,? \(?(?:both )?inclusive(?:ly)?\)?|,? including (?:both|the) ends?(?:points)?"
    r"|,? (?:both )?ends?(?:points)? included)?"
    r"(?P<exclusive>,? \(?exclusive(?:ly)?\)?|,? (?:not including|excluding) (?:the )?(?:both )?end(?:points|s))?"
    rf"{_END}",
    linear.IGNORECASE,
)
_NONE = linear.compile(
    rf"{_LEAD}(?:(?:that )?there (?:is|are|exists?)"
    r"|(?:the|this) (?:given )?(?:equation|system|problem|inequality|quadratic)(?: of (?:linear )?equations)?"
    r"(?: \$[^$]{1,80}\$)?(?: is inconsistent and)? has|it has|we have|has)? ?"
    r"no (?:such |valid |possible )?(?:real |integer )?(?:solutions?|roots?)(?: exists?)?"
    r"(?: (?:to|for|of|in) (?:the|this) (?:given )?(?:equation|system|problem|inequality|reals|real numbers)"
    rf"(?: of equations)?)?{_END}",
    linear.IGNORECASE,
)
_EMPTY = linear.compile(
    rf"{_LEAD}(?:the )?(?:solution set|set of solutions|set|answer) is (?:the )?empty(?: set)?{_END}",
    linear.IGNORECASE,
)
_GROWING = (
    rf"{_LEAD}(?:as \$?[a-z]\$? (?:grows|increases|gets (?:larger|bigger)), )?(?:the |this |our )?"
    r"(?:given |infinite |improper |harmonic |geometric |required |desired )*"
    r"(?:limit|series|integral|sum|sequence|function|expression|value|it|product|answer)"
    r"(?: of (?:the )?(?:function|sequence|series|integral|expression|\$[^$]{1,60}\$|[a-z]\([a-z]\)|[a-z]_[a-z]))?"
)
_INFINITE = linear.compile(
    rf"{_GROWING} (?:diverges to|tends to|goes to|approaches|is|equals|is equal to|grows to)"
    r" (?P<sign>negative |minus |positive |plus |-|\+)?"
    rf"(?:infinity|\\infty|(?:\$|\\\()\s?(?P<mark>[-+]?)\s?\\infty\s?(?:\$|\\\))){_END}",
    linear.IGNORECASE,
)
_DIVERGES = linear.compile(
    rf"{_GROWING} (?P<how>diverges|converges absolutely|converges conditionally){_END}", linear.IGNORECASE
)
_ENDLESS = linear.compile(
    rf"{_LEAD}(?:there (?:are|exist)"
    r"|(?:the|this) (?:given )?(?:equation|system|problem|inequality)(?: of (?:linear )?equations)? has|it has|we have)"
    r" (?:infinitely many|an infinite number of)"
    r" (?:(?:such|distinct|different|real|integer|prime|possible) ){0,2}[a-z]{3,15}"
    r"(?: (?:to|for|of) (?:the|this) (?:given )?(?:equation|system|problem|inequality)"
    rf"(?: of (?:linear )?equations)?)?{_END}",
    linear.IGNORECASE,
)
_MISSING = linear.compile(
    rf"{_LEAD}(?:(?:the |this |our |such an? )?(?:given |two-sided |overall |required |desired |double |improper )*"
    r"(?:limit|derivative|integral|inverse|maximum|minimum|value|sum|solution|it)"
    r"(?P<of> of [^,.=]{1,80})?(?P<at> (?:as|at) [^,.=]{1,60})?|(?:\$|\\\()[^$]{1,120}(?:\$|\\\)))"
    rf" (?:therefore |thus )?(?:does not|doesn['’]t) exist{_END}",
    linear.IGNORECASE,
)
_REASONED = linear.compile(
    rf"{_OPENER}?(?:since|because|as|given that) [^:;]{{1,200}}, (?P<main>[^,:;]+)", linear.IGNORECASE
)
_LESS, _MORE = r"(?:less|smaller) than( or equal to)?", r"(?:greater|more|larger) than( or equal to)?"
_OUTSIDE = linear.compile(
    rf"{_LEAD}(?:{_ALL_REALS}{_LETTER}{_MUST_BE} |(?P<reals>(?:all|any|every) real numbers? (?:that are )?))"
    rf"{_LESS} {_VALUE} or {_MORE} {_VALUE}{_END}",
    linear.IGNORECASE,
)
_REALS = linear.compile(
    rf"{_LEAD}(?:{_LETTER} (?:is|can be|may be) )?(?:the set of )?(?:all|any|every)(?: of the)? real"
    rf" (?:numbers?|values){_END}",
    linear.IGNORECASE,
)
_RATIO = linear.compile(
    r"[A-Za-z$:(),'’ ]{0,120}\b(?:ratio|proportion|odds)\b[A-Za-z,'’ ]{0,60}?(?: is| are| of| as|:|=)"
    r"(?: equal to| simply)? (\d{1,9})(?: [a-z]{2,15})? to (\d{1,9})(?: [a-z]{2,15})?"
    r"(?: to (\d{1,9})(?: [a-z]{2,15})?)?[\s.!]*"
    r"|(\d{1,9}) to (\d{1,9})(?: to (\d{1,9}))?[\s.!]*",
    linear.IGNORECASE,
)
_COUNTED = linear.compile(
    rf"{_OPENER}{{0,3}}(?:(?:there|it|this|that|we|she|he|they|the [a-z ]{{2,60}}?|[A-Z][a-z]{{2,15}}) )"
    r"(?:(?:is|are|was|were|will be|must be|equals?|gets?|gives?|has|have|had|needs?|takes?|leaves?|makes?|obtains?"
    r"|finds?|sells?|counts?|bought|buys?|saw|sees?|ate|eats?|will have|means?)(?: us| her| him| them| that)?"
    r"(?: there (?:is|are|were))? )"
    r"(?:a total of |in total |exactly |only |just |precisely |a sum of |altogether |simply )?"
    r"(?P<words>[a-z]+(?:[ -][a-z]+){0,12})[.!*\s]*",
    linear.IGNORECASE,
)
_PERCENT = linear.compile(r"\spercent$", linear.IGNORECASE)
_PLAIN_BEFORE = frozenset(("such", "possible", "different", "distinct", "valid", "total", "unique", "whole", "more"))
_IDLE_ENDS = frozenset(("", "of them", "in total", "in all", "altogether", "left", "of these", "of those"))
_SIGNS = {"ge": r"\ge", "le": r"\le", "gt": ">", "lt": "<"}
_FLIPPED = {r"\ge": r"\le", r"\le": r"\ge", ">": "<", "<": ">"}
_LONGEST = 300


def stated(sentence: str) -> str | None:
    """Returns the answer that a whole sentence states in words, as a formula; None where it states none like these."""
    sentence = " ".join(sentence.replace("**", "").split())
    if not sentence or len(sentence) > _LONGEST:
        return None
    reasoned = _REASONED.fullmatch(sentence)
    if reasoned is not None:
        return _in_words(reasoned.group("main"))
    said = _in_words(sentence)
    if said is not None:
        return said
    value = number_in_words(_PERCENT.sub("", sentence)) if sentence[:1].isalpha() else None
    if value is not None:
        return _as_fraction(value) + ("%" if _PERCENT.search(sentence) else "")
    return (
        _bounded(sentence)
        or _between(sentence)
        or _outside(sentence)
        or _interval(sentence)
        or _ratio(sentence)
        or _number(sentence)
    )


def _in_words(sentence: str) -> str | None:
    """Returns an answer that is no number: no solution, all real numbers, no limit, no end."""
    if _NONE.fullmatch(sentence) or _EMPTY.fullmatch(sentence):
        return r"\emptyset"
    if _REALS.fullmatch(sentence):
        return r"\mathbb{R}"
    missing = _MISSING.fullmatch(sentence) if "exist" in sentence else None
    if missing is not None and not denies(f"{missing.group('of') or ''} {missing.group('at') or ''}"):
        return r"\text{does not exist}"
    return _endless(sentence) if "infini" in sentence or "\\infty" in sentence or "verge" in sentence else None


def _bounded(sentence: str) -> str | None:
    found = _AT_LEAST.fullmatch(sentence)
    if found is None or (found.group(1) is None and not found.group("reals")):
        return None
    sign = next(sign for name, sign in _SIGNS.items() if found.group(name))
    return f"{found.group(1) or 'x'} {sign} {found.groups()[-1]}"


def _between(sentence: str) -> str | None:
    """Two bounds of one letter: x is greater than -2 and at most 3."""
    first, joint, second = sentence.partition(" and ")
    low = _AT_LEAST.fullmatch(first) if joint else None
    if low is None or low.group(1) is None:
        return None
    letter = low.group(1)
    high = _AT_LEAST.fullmatch(f"{letter} is {second.removeprefix(f'{letter} ').removeprefix('is ')}")
    signs = [next(sign for name, sign in _SIGNS.items() if one.group(name)) for one in (low, high) if one is not None]
    if high is None or (signs[0] in {">", r"\ge"}) == (signs[1] in {">", r"\ge"}):
        return None
    bounds = [f"{low.groups()[-1]} {_FLIPPED[signs[0]]} {letter}", f"{signs[1]} {high.groups()[-1]}"]
    if signs[0] in {"<", r"\le"}:
        bounds = [f"{high.groups()[-1]} {_FLIPPED[signs[1]]} {letter}", f"{signs[0]} {low.groups()[-1]}"]
    return " ".join(bounds)


def _endless(sentence: str) -> str | None:
    """A limit that is infinite, a series that diverges, infinitely many of something."""
    if _ENDLESS.fullmatch(sentence):
        return r"\text{infinitely many}"
    diverges = _DIVERGES.fullmatch(sentence)
    if diverges is not None:
        return rf"\text{{{diverges.group('how').lower()}}}"
    found = _INFINITE.fullmatch(sentence)
    if found is None:
        return None
    sign = f"{found.group('sign') or ''}{found.group('mark') or ''}".strip().lower()
    return r"-\infty" if sign in {"-", "negative", "minus"} else r"\infty"


def _outside(sentence: str) -> str | None:
    found = _OUTSIDE.fullmatch(sentence)
    if found is None:
        return None
    letter, _, less, low, more, high = found.groups()
    signs = (r"\le" if less else "<", r"\ge" if more else ">")
    return rf"{letter or 'x'} {signs[0]} {low} \text{{ or }} {letter or 'x'} {signs[1]} {high}"


def _interval(sentence: str) -> str | None:
    """An interval whose ends are said to belong to it, or not to."""
    found = _BETWEEN.fullmatch(sentence)
    if found is None:
        return None
    values = [group for group in found.groups()[3:7] if group]
    closed, open_ = (
        any(found.group(name) for name in names) for names in (("closed", "inclusive"), ("open", "exclusive"))
    )
    if len(values) != 2 or closed == open_:
        return None
    low, high = values
    return f"[{low}, {high}]" if closed else f"({low}, {high})"


def _ratio(sentence: str) -> str | None:
    found = _RATIO.fullmatch(sentence)
    if found is None:
        return None
    return ":".join(part for part in found.groups() if part)


def _number(sentence: str) -> str | None:
    """A number in words of what is counted, where the sentence holds no figures."""
    found = _COUNTED.fullmatch(sentence) if not any(map(str.isdigit, sentence)) and not denies(sentence) else None
    words = found.group("words").split() if found is not None else []
    for size in range(min(len(words), 8), 0, -1):
        value = number_in_words(" ".join(words[:size]))
        if value is not None and _is_idle(words[size:], one=value == 1):
            return _as_fraction(value) + measure_after(" " + " ".join(words[size:]))
    return None


def _is_idle(words: list[str], one: bool) -> bool:
    """Tells whether the words behind a number only say what was counted."""
    while len(words) > 1 and words[0] in _PLAIN_BEFORE:
        words = words[1:]
    rest = " ".join(words)
    return names_things(rest, one) or (rest in _IDLE_ENDS and not one)


def _as_fraction(value: Fraction) -> str:
    return str(value) if value.denominator == 1 else rf"\frac{{{value.numerator}}}{{{value.denominator}}}"
