"""Finds the values that a text holds: formulas, matrices, tuples, measures, numbers; and tells prose from notation."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from verifiers.patterns import linear
from verifiers.wording.cues import FOREIGN_LETTERS
from verifiers.wording.unit_names import unit_named

SPAN = linear.compile(
    r"\$\$(?P<dd>[^$]+)\$\$|\$(?P<d>(?:\\\$|[^$])+)\$"
    r"|\\\((?P<p>(?:[^\\]|\\[^()])+)\\\)|\\\[(?P<b>(?:[^\\]|\\[^\[\]])+)\\\]"
)
UNIT_AFTER = linear.compile(r"[\s$*]{0,4}(\\?%|percent(?:age)?\b|pct\b)")
NUMBER = (
    r"(?:[-+]|-\\?\$)?(?:\\[dtc]?frac\s?\{[^{}]{1,40}\}\s?\{[^{}]{1,40}\}"
    r"|\d*\ufffd[\d\ufffd.,]*|(?:\d{1,9}\s?)?√\(?\d{1,9}\)?|(?:\d{1,9}(?:\.\d{1,9})?\s?)?π(?:\s?/\s?\d{1,9})?"
    r"|\d{1,9}\s\d{1,4}/\d{1,4}(?!\d)|\d{1,9}\s(?:out\sof|in)\s\d{1,9}(?!\d)|\d{1,2}:\d\d(?!\d)(?:\s?[apAP]\.?\s?[mM]\b)?|\d+(?::\d+){1,5}|\d+(?:\s:\s\d+){1,5}|\d+(?:,\d{1,2}){1,20}(?![\d,])|\d{1,3}(?:\.\d{3}){1,4},\d{1,9}|(?:\d{1,3}(?:,\d{3})+(?!\d)|\d{1,3}(?:\s\d{3}){2,4}(?!\d)|[1-9]\d{0,2}[\x20\xa0]\d{3}(?!\d)|\d+)(?:\.\d+)?(?:\s?/\s?\d+(?:\.\d+)?)?|\.\d+)"
    r"(?:\s?(?:\\?%|percent\b|pct\b)|\s(?:hundred|thousand|million|billion|trillion|dozen|lakh|crore)s?\b)?"
)
VALUE = linear.compile(rf"(?<![A-Za-z0-9.^_]){NUMBER}")
_TIME = linear.compile(r"\s(?:seconds?|minutes?|hours?|days?|weeks?|months?|years?)\b")
_MONTH = (
    r"(?:Jan(?:uary|\.)?|Feb(?:ruary|\.)?|Mar(?:ch|\.)?|Apr(?:il|\.)?|May|June?|July?|Aug(?:ust|\.)?|Sept?(?:ember|\.)?"
    r"|Oct(?:ober|\.)?|Nov(?:ember|\.)?|Dec(?:ember|\.)?)"
)
_DATE = linear.compile(
    rf"\b{_MONTH}\s\d{{1,2}}(?:st|nd|rd|th)?(?:,?\s\d{{4}})?(?![\w/])"
    rf"|\b(?:the\s)?\d{{1,2}}(?:st|nd|rd|th)?\s(?:of\s)?{_MONTH}(?:,?\s\d{{4}})?(?!\w)"
)
_COMPOUND = linear.compile(
    r"(?<![\w.,/])\d[\d,]{0,9}(?:\.\d{1,9})?\s?[A-Za-z]{1,12}(?:,?\s(?:and\s)?\d{1,9}(?:\.\d{1,9})?\s?[A-Za-z]{1,12}){1,3}\b"
)
_SPELLED = linear.compile(r"\d\s?[A-Za-z]|[a-z.]\s\d")
_SIGNS = ("=", "<", ">", "≤", "≥", "≠", "\\le", "\\ge", "\\ne")
_ORDERS = ("<", ">", "≤", "≥", "≠", "\\le", "\\ge", "\\ne")
_SIGN = linear.compile(r"\\(?:leq?|geq?|neq?)|<=|>=|[=<>≤≥≠]")
_TERM = r"(?:[0-9A-Za-z.√π²³^_!'|°]|\\(?:pi|sqrt|[dt]?frac)|\([^()=<>\n]+\)|\{[^{}=<>\n]+\})+"
_SUM = rf"(?:[-+±]\s?)?{_TERM}(?:\s?[-+*/·×]\s?{_TERM})*"
_SIDE = rf"(?:\d{{1,3}}(?:,\d{{3}})+(?:\.\d+)?|{_SUM})"
_RELATION = linear.compile(rf"(?<![A-Za-z0-9\\$.]){_SUM}(?:\s?(?:\\(?:leq?|geq?|neq?)|<=|>=|[=<>≤≥≠])\s?{_SIDE})+")
_LETTERS = linear.compile(r"[A-Za-z]+")
_EXPRESSION = linear.compile(rf"(?<![A-Za-z0-9\\$.,^_}}]){_SUM}")
_COMBINES = linear.compile(r"[\^(√*²³]|\\sqrt|[0-9A-Za-z)]\s?[-+/]\s?[0-9A-Za-z(]")
_UNION = linear.compile(r"[(\[][^()\[\]\n]{1,60}[)\]](?:\s*\\cup\s*[(\[][^()\[\]\n]{1,60}[)\]])+")
_LEADING_WORD = linear.compile(r"[A-Za-z]{2,}\s+(?=[-+±])")
_FUNCTION = linear.compile(r"\\?(?:arc)?(?:sin|cos|tan|cot|sec|csc|log|ln|lg|exp|sqrt|pi|max|min)")
_SHORT = "an and as at be by do for go he if in is it me my no of on or so the to up us we am are has was"
_WORDS = frozenset(_SHORT.split())
_APPLIED = linear.compile(
    r"(?:[-+]\s?)?\d{0,4}\s?(?:arc)?(?:sin|cos|tan|cot|sec|csc|log|ln|exp|sqrt)(?:\^\{?-?\d\}?|_\{?\d{1,3}\}?)?\([^()]*\)"
)
_BARE_FUNCTION = linear.compile(
    r"(?<![A-Za-z0-9\\])(?:[-+]\s?)?(?:\d{1,4}\s?)?(?:arc)?(?:sin|cos|tan|cot|sec|csc|log|ln)(?:\^\{?-?\d\}?|_\{?\d{1,3}\}?)?\s\d{0,3}[b-z](?![A-Za-z0-9(^'])"
)
"""A function of one letter, without brackets: 2 cos x."""
_FACTOR_BEFORE = linear.compile(r"(?:(?:^|[\s$(])[b-zA-Z]|[\d)\]}^+*/·×±√π-])\s?$")
_FUNCTION_AFTER = linear.compile(r"\s?(?:sin|cos|tan|cot|sec|csc|log|ln|exp)(?![a-z])")
_FACTOR_AFTER = linear.compile(r"\s?(?:[-+*/^·×±√(]|[b-z](?![A-Za-z'’])|sin|cos|tan|log|ln|sqrt|e\^|\d)")
_FUNCTIONS_IN_WORDS = ("sin", "cos", "tan", "cot ", "sec ", "csc", "log", "ln ")
_TIMES = linear.compile(r"(\d\s?)x(?=\s?\d)")
_WORD_ALONE = linear.compile(r"[a-z]{3}")
_COUNTED_AFTER = linear.compile(r"\s(?:[a-hj-z]|i[a-eg-mo-rt-z])[a-z]{2,}|%")
_NAME = linear.compile(r"[A-Z]{2,3}|[A-Za-z](?:_\{?\w\}?)?'?|[A-Za-z]\([A-Za-z0-9, ]{1,9}\)")
_SAYS = linear.compile(r"(?:\b(?:is|are|was|be|equals)|[:=≈])[\s*$]*$")
_OF_CURVES = linear.compile(
    r"\b(?:equations?|lines?|circles?|planes?|curves?|parabola|ellipse|hyperbola|locus|graph|asymptotes?|tangent|directrix"
    r"|inequality|relation|condition)\b[^.\n]*$"
)
_ALIGNED = linear.compile(
    r"(?:\\\[|\$\$)?\s*\\begin\{(?:align|aligned|gather|gathered|split|eqnarray)\*?\}(.*)"
    r"\\end\{[a-z]{5,9}\*?\}[\s.]*(?:\\\]|\$\$)?[\s.]*",
    linear.DOTALL,
)
_ROW_ENDS = linear.compile(r"\\\\(?:\[\d+[a-z]{2}\])?")
_LONGEST_GROUP = 200
_WORD = linear.compile(r"[A-Za-z]{2,}")
_DIGIT_AND_BLANK = linear.compile(r"\d\s")
_COMMAND = linear.compile(r"\\(?:text|mbox|mathrm|textbf|textit)\s?\{[^{}]{0,200}\}|\\[A-Za-z]+")
_ENVIRONMENT_END = linear.compile(r"\\(?:begin|end)\{[a-z]{4,11}\}(?:\{[clr|]{0,9}\})?")
_NOTATION = (
    "and or sqrt pi sin cos tan cot sec csc log ln exp percent percentage pct degrees degree cents cent "
    "dollars dollar cm mm km inches inch feet ft units unit text mbox mathrm frac dfrac tfrac left right "
    "infty cup cap in pm times cdot theta alpha beta begin end pmatrix bmatrix matrix oo inf arcsin arccos "
    "arctan am pm array cases tr det gcd lcm mod setminus emptyset mathbb ge le geq leq neq"
)
_NOT_PROSE = frozenset(_NOTATION.split())
_OPENING_WORDS = (
    "thus so hence therefore then finally since because answer result ainsi donc alors portanto logo entonces luego "
    "daher also somit folglich quindi dunque sonuç dolayısıyla böylece zatem dus alltså deci tedy jadi maka "
    "as it that this giving gives resulting making yields yielding all for every any which total get got"
)
_OPENERS = frozenset(_OPENING_WORDS.split())
_MEASURE = linear.compile(
    r"[$*]{0,4}[ ~]?[$*]{0,2}((?:(?:square|cubic|sq\.?|cu\.?) )?[A-Za-z]{1,14}(?:(?: per |/)[A-Za-z]{1,14}){0,2})"
    r"(\^\{?[23]|[²³])?(?![A-Za-z'’])"
)
_POWERS = {"2": "^2", "3": "^3", "²": "^2", "³": "^3"}
_WORD_OF_MEASURE = linear.compile(r"[A-Za-z]+")
_MEASURE_WORDS = frozenset(("square", "cubic", "sq", "cu", "per"))
_MEASURE_LETTERS = frozenset("mgshLNJWVK")
_NO_MEASURE = frozenset(("in", "won", "bar", "pa", "min", "mi"))
"""Symbols that are words as well."""


class ValueInText(NamedTuple):
    """A value in a text."""

    start: int
    end: int
    body: str


def is_prose(text: str) -> bool:
    """Tells whether words stand around the answer, so that it has to be looked for."""
    outside = SPAN.sub(lambda span: " " if is_formula(span.group()) else span.group(), text)
    has_span = len(outside) != len(text)
    words = [word for word in _WORD.findall(_without_commands(outside)) if word.lower() not in _NOT_PROSE]
    foreign = not outside.isascii() and (
        FOREIGN_LETTERS.search(outside) is not None or " è " in outside or " é " in outside
    )
    if words and words[0].lower() in _OPENERS:
        return True
    if foreign:
        return True
    return len(words) > (0 if has_span else 1) or (bool(words) and bool(_DIGIT_AND_BLANK.search(outside)))


def _without_commands(text: str) -> str:
    text = _ENVIRONMENT_END.sub(" ", text)
    return _COMMAND.sub(" ", text)


def is_formula(span: str) -> bool:
    """Tells formulas from the text between two prices: "$5 for each, which makes $"."""
    words = _WORD.findall(_without_commands(span))
    words = [word for word in words if len(word) > 2 or word.lower() in _WORDS]  # not dx, xe
    return sum(word.lower() not in _NOT_PROSE and not (word.isupper() and len(word) < 4) for word in words) < 3


def is_value(body: str) -> bool:
    """Tells a formula, a date or a measure from words between two dollar signs."""
    return is_formula(body) or _DATE.fullmatch(body) is not None or _COMPOUND.fullmatch(body) is not None


def measure_after(text: str) -> str:
    """Returns the measure that follows a value at once, as in " square feet wide", as LaTeX; else nothing."""
    found = _MEASURE.match(text)
    if found is None:
        return ""
    known = [name for name in _WORD_OF_MEASURE.findall(found.group(1)) if name not in _MEASURE_WORDS]
    power = _POWERS.get((found.group(2) or "")[-1:], "")
    return rf"\text{{ {found.group(1)}}}{power}" if known and all(map(_is_measure, known)) else ""


def _is_measure(name: str) -> bool:
    return (len(name) > 1 or name in _MEASURE_LETTERS) and name not in _NO_MEASURE and unit_named(name) is not None


def items_of(text: str) -> list[ValueInText]:
    """Returns the formulas, matrices, tuples and sets, and numbers of a text, from left to right."""
    found = [ValueInText(span.start(), span.end(), _content(span)) for span in SPAN.finditer(text)]
    worded = (_dates(text), _measures(text)) if _SPELLED.search(text) else ()
    for listed in (
        _environments(text),
        _unions(text),
        _relations(text),
        _expressions(text),
        _functions(text),
        *worded,
        _groups(text),
        (_number(text, match) for match in VALUE.finditer(text)),
    ):
        taken = sorted(found)
        at = 0
        for item in listed:
            while at < len(taken) and taken[at].end <= item.start:
                at += 1
            if at == len(taken) or item.end <= taken[at].start:
                found.append(item)
    return sorted(found)


def _whole(match: linear.Match) -> ValueInText:
    return ValueInText(match.start(), match.end(), match.group())


def _number(text: str, match: linear.Match) -> ValueInText:
    """A number; 48 in "48 in 6 years", which is no share as 1 in 6 is."""
    end = match.end()
    if " in " in match.group() and _TIME.match(text, end):
        end = match.start() + match.group().index(" in ")
    return ValueInText(match.start(), end, text[match.start() : end])


def _environments(text: str) -> Iterator[ValueInText]:
    end = 0
    while (start := text.find("\\begin{", end)) >= 0:
        closed = text.find("}", text.find("\\end{", start))
        if closed < start:
            return
        end = closed + 1
        yield ValueInText(start, end, aligned_step(text[start:end]))


def _dates(text: str) -> Iterator[ValueInText]:
    """Gives the days of months: March 15, 2024, and 15 March."""
    return (_whole(match) for match in _DATE.finditer(text))


def _measures(text: str) -> Iterator[ValueInText]:
    """Gives measures of two units and more of one kind: 3 hours and 20 minutes, 18 dollars and 50 cents."""
    for match in _COMPOUND.finditer(text):
        units = [unit_named(word) for word in _LETTERS.findall(match.group()) if word != "and"]
        if None not in units and len({unit.dimensions for unit in units if unit is not None}) == 1:
            yield _whole(match)


def leading_measure(text: str) -> str | None:
    """Returns the measure of two units that a text begins with and holds nothing else of; else None."""
    found = next(_measures(text), None) if _COMPOUND.match(text) else None
    return found.body if found is not None and not found.start and not text[found.end :].strip(" .") else None


def _relations(text: str) -> Iterator[ValueInText]:
    """Gives equations and inequalities without dollar signs, but for those that give a number to a name, or work one
    out."""
    if not any(sign in text for sign in _SIGNS):
        return
    for match in _RELATION.finditer(text):
        word = _LEADING_WORD.match(match.group())
        start = match.start() + (word.end() if word else 0)
        body = text[start : match.end()].rstrip(". ")
        *heads, last = (_letters_of(side.strip()) for side in _SIGN.split(body))
        if last is None or None in heads or not any((*heads, last)):
            continue
        if last or any(sign in body for sign in _ORDERS) or _is_equation(text, start, body, bool(heads[-1])):
            yield ValueInText(start, start + len(body), body)


def _is_equation(text: str, start: int, body: str, unknown: bool) -> bool:
    """Tells whether an equation whose right side is a number is what a text is about, and not this number."""
    counted = _COUNTED_AFTER.match(text[start + len(body) :][:40])
    if not unknown or _NAME.fullmatch(_SIGN.split(body)[-2].strip()) or counted is not None:
        return False
    before = text[max(start - 120, 0) : start]
    return _SAYS.search(before) is None or _OF_CURVES.search(before) is not None


def _expressions(text: str) -> Iterator[ValueInText]:
    """Gives sums, products and powers with letters or powers in them, written without dollar signs: n(n+1)/2, 2^10."""
    for match in _EXPRESSION.finditer(text):
        body = match.group().rstrip(".!' ")
        word = _LEADING_WORD.match(body)
        start = match.start() + (word.end() if word else 0)
        body = body[word.end() :] if word else body
        letters = _letters_of(body)
        applied = (
            letters is not None
            and "(" in body
            and _APPLIED.match(body) is not None
            and _stands_alone(text, start, start + len(body))
        )
        plain = applied or (letters is not None and any(map(str.isdigit, body)) and _COMBINES.search(body) is not None)
        after_number = text[max(start - 2, 0) : start].strip().isdigit()
        if (
            plain
            and not after_number
            and _FUNCTION_AFTER.match(text[start + len(body) :][:6]) is None
            and (letters or applied or any(sign in body for sign in ("^", "√", "sqrt", "\\")))
            and not _has_measure(body)
        ):
            yield ValueInText(start, start + len(body), body)


def _functions(text: str) -> Iterator[ValueInText]:
    """Gives functions of one letter without brackets: -cos x."""
    found = _BARE_FUNCTION.finditer(text) if any(name in text for name in _FUNCTIONS_IN_WORDS) else ()
    return (_whole(match) for match in found if _stands_alone(text, match.start(), match.end()))


def _stands_alone(text: str, start: int, end: int) -> bool:
    """Tells whether neither a factor nor a sign stands beside a function."""
    return not (_FACTOR_BEFORE.search(text[max(start - 8, 0) : start]) or _FACTOR_AFTER.match(text[end : end + 8]))


def _has_measure(body: str) -> bool:
    """Tells whether a measure of several letters stands in what looks like a formula: 6-ft, 5km/h."""
    return any(len(run) > 1 and unit_named(run) is not None for run in _LETTERS.findall(_FUNCTION.sub(" ", body)))


def _unions(text: str) -> Iterator[ValueInText]:
    return (_whole(match) for match in _UNION.finditer(text)) if "\\cup" in text else iter(())


def _letters_of(side: str) -> set[str] | None:
    """The letters that a side of a plain formula names; None where it holds a word."""
    runs = _LETTERS.findall(_TIMES.sub(r"\1 ", side))
    left = [_FUNCTION.sub("", run) for run in runs]
    if any(run.lower() in _WORDS or len(rest) > 1 + 2 * (run == rest) for run, rest in zip(runs, left, strict=True)):
        return None
    return None if _WORD_ALONE.fullmatch(side) else set("".join(left))


def _groups(text: str) -> Iterator[ValueInText]:
    """Gives what stands in brackets and has a comma, and no words."""
    end = 0
    for start, char in enumerate(text):
        escaped = char == "{" and text[start - 1 : start] == "\\"
        bare = char == "{" and (not start or text[start - 1] in " =(:*")
        if char in "([" or escaped or bare:
            closed = -1 if start < end else _closed(text, start)
            if closed > 0 and _is_list(text[start + 1 : closed]):
                begun, end = start - escaped, closed + 1
                body = text[begun:end] if not bare else rf"\{{{text[start + 1 : closed]}\}}"
                yield ValueInText(begun, end, body)


def _is_list(inner: str) -> bool:
    return ("," in inner or ";" in inner) and all(
        word in _NOT_PROSE for word in _WORD.findall(_without_commands(inner))
    )


def _closed(text: str, start: int) -> int:
    depth = 0
    for at in range(start, min(start + _LONGEST_GROUP, len(text))):
        depth += (text[at] in "([{") - (text[at] in ")]}")
        if depth == 0:
            return at
    return -1


def _content(span: linear.Match) -> str:
    return aligned_step(next(group for group in span.groups() if group is not None).strip())


def aligned_step(body: str) -> str:
    """Returns what the rows of aligned equations come to: their last equation, with the rows that go on with it."""
    found = _ALIGNED.fullmatch(body) if "\\begin{" in body else None
    if found is None:
        return body
    rows = [row.replace("&", " ").strip(" ,;\n") for row in _ROW_ENDS.split(found.group(1))]
    rows = [row for row in rows if row]
    begun = max((at for at, row in enumerate(rows) if not row.startswith(("=", "\\approx"))), default=0)
    ends_in_equation = rows and all("=" in row or "\\approx" in row for row in rows[begun:])
    return " ".join(rows[begun:]).rstrip(". ") if ends_in_equation else body
