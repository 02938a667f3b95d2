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
    r"(?: \$[^$]{1,80}\$)? has|it has|we have|has)? ?"
    r"no (?:such |valid |possible )?(?:real |integer )?(?:solutions?|roots?)(?: exists?)?"
    r"(?: (?:to|for|of|in) (?:the|this) (?:given )?(?:equation|system|problem|inequality|reals|real numbers)"
    rf"(?: of equations)?)?{_END}",
    linear.IGNORECASE,
)
_EMPTY = linear.compile(
    rf"{_LEAD}(?:the )?(?:solution set|set of solutions|set|answer) is (?:the )?empty(?: set)?{_END}",
    linear.IGNORECASE,
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
_LONGEST = 300


def stated(sentence: str) -> str | None:
    """Returns the answer that a whole sentence states in words, as a formula; None where it states none like these."""
    sentence = " ".join(sentence.replace("**", "").split())
    if not sentence or len(sentence) > _LONGEST:
        return None
    if _NONE.fullmatch(sentence) or _EMPTY.fullmatch(sentence):
        return r"\emptyset"
    if _REALS.fullmatch(sentence):
        return r"\mathbb{R}"
    value = number_in_words(_PERCENT.sub("", sentence)) if sentence[:1].isalpha() else None
    if value is not None:
        return _as_fraction(value) + ("%" if _PERCENT.search(sentence) else "")
    return _bounded(sentence) or _outside(sentence) or _interval(sentence) or _ratio(sentence) or _number(sentence)


def _bounded(sentence: str) -> str | None:
    found = _AT_LEAST.fullmatch(sentence)
    if found is None or (found.group(1) is None and not found.group("reals")):
        return None
    sign = next(sign for name, sign in _SIGNS.items() if found.group(name))
    return f"{found.group(1) or 'x'} {sign} {found.groups()[-1]}"


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
