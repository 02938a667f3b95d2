"""Reads relations: equations, chains, orders a < b < c, and the sets that inequalities describe."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from verifiers.mathematics.reading.form import Form, is_constant
from verifiers.mathematics.reading.labels import is_label, is_name, is_open_calculus
from verifiers.mathematics.reading.regions import Region, whole_line
from verifiers.mathematics.reading.split import depths_of
from verifiers.patterns import linear

Reader = Callable[[str, int], Form]
"""Reads a part of an answer at a depth of nesting."""

_RELATION = linear.compile(
    r"\\(?:leqslant|geqslant|leqq|geqq|leq|le|lt|geq|ge|gt|neq|ne|approx|simeq)(?![A-Za-z])|<=|>=|=<|=>|<|>|="
)
_RELATION_NAMES = {
    "\\leq": "<=", "\\le": "<=", "\\leqslant": "<=", "\\leqq": "<=", "=<": "<=", "\\geq": ">=", "\\ge": ">=",
    "\\geqslant": ">=", "\\geqq": ">=", "=>": ">=", "\\lt": "<", "\\gt": ">", "\\neq": "!=", "\\ne": "!=",
    "\\approx": "~", "\\simeq": "~",
}  # fmt: skip
_FLIPPED = {"<": ">", ">": "<", "<=": ">=", ">=": "<=", "=": "="}
_LONE_LETTER = linear.compile(
    r"^(?:[A-Za-z]|\\(?:theta|alpha|beta|lambda|phi|mu|sigma|rho|gamma|delta|omega)|[A-Za-z]_\{?\d\}?|[A-Za-z]\([a-z]\))$"
)
_LETTER = linear.compile(r"(?<![\\A-Za-z])[A-Za-z]")
_LINE_LABEL = linear.compile(r"^(?:\\ell|L|l)(?:_\{?\d\}?)? ?:([^:]*)$")
_INFINITE = linear.compile(r"^\+?(?:\\infty|\\?oo|inf(?:inity)?)$")


def relation(text: str, depth: int, read: Reader) -> Form | None:
    """Returns the form of a text with = or < at its top level; None for any other."""
    if "=" in text and ":" in text:
        text = _LINE_LABEL.sub(r"\1", text)
    sides, operators = _split_relations(text)
    if not operators:
        return None
    if any(not side for side in sides):
        return Form("text", text)
    if set(operators) <= {"=", "~"}:
        if len(sides) == 2 and is_name(sides[1]) and not is_name(sides[0]):
            sides.reverse()
        return _equation(text, sides, operators, depth, read)
    found = _interval(text, sides, operators, depth, read) or _unequal(text, sides, operators, depth, read)
    if found is not None:
        return found
    forms = tuple(read(side, depth + 1) for side in sides)
    if len(operators) == 1:
        return Form("relation", text, forms, operator=operators[0])
    if set(operators) <= {">", ">=", "="}:
        forms, operators = forms[::-1], [_FLIPPED[operator] for operator in reversed(operators)]
    return Form("order", text, forms, operator=" ".join(operators))


def _equation(text: str, sides: list[str], operators: list[str], depth: int, read: Reader) -> Form:
    name = sides[0] if is_label(sides[0]) or is_open_calculus(sides[0]) else ""
    if "+" in name and not set(_LETTER.findall(name)).isdisjoint(_LETTER.findall(sides[-1])):
        name = ""
    forms = tuple(read(side, depth + 1) for side in (sides[1:] if name else sides))
    if len(name) > 1 and is_constant(known := read(name, depth + 1)):
        name, forms = "", (known, *forms)
    if len(forms) == 1:
        return Form("relation", text, (read(sides[0], depth + 1), forms[0]), name=name, operator=operators[0])
    if name or len(forms) > 2 or all(map(is_constant, forms)) or "unread" in {form.kind for form in forms}:
        return Form("chain", text, forms, name=name, operator=" ".join(operators[1:] if name else operators))
    return Form("relation", text, forms, operator=operators[0])


def _interval(  # noqa: PLR0911 - one return per shape
    text: str, sides: list[str], operators: list[str], depth: int, read: Reader
) -> Form | None:
    """Reads x > a, a < x <= b and a <= |x| <= b as the sets that they describe."""
    if not set(operators) <= {"<", "<=", ">", ">="} or len(operators) > 2:
        return None
    if operators[0].startswith(">"):
        sides, operators = sides[::-1], [_FLIPPED[operator] for operator in operators[::-1]]
    if not all(operator.startswith("<") for operator in operators):
        return None
    if len(operators) == 1:
        if _LONE_LETTER.match(sides[0].strip("|")):
            sides, operators = ["-\\infty", *sides], ["<", *operators]
        elif _LONE_LETTER.match(sides[1].strip("|")):
            sides, operators = [*sides, "\\infty"], [*operators, "<"]
    if len(sides) != 3 or not _LONE_LETTER.match(sides[1].strip("|")) or _LONE_LETTER.match(sides[0]):
        return None
    low, high = sides[0], sides[2]
    brackets = ("[" if operators[0] == "<=" else "(") + ("]" if operators[1] == "<=" else ")")
    if not sides[1].startswith("|"):
        interval = bracketed_interval(text, brackets, low, high, depth, read)
        origin = _inequality(text, sides, operators, depth, read)
        return replace(interval, name=sides[1], origin=origin)
    outer = bracketed_interval(
        text, ("[" if brackets[1] == "]" else "(") + brackets[1], f"-({high})", high, depth, read
    )
    if low == "-\\infty":
        return replace(outer, name=sides[1].strip("|"))
    inner_brackets = ("(" if brackets[0] == "[" else "[") + (")" if brackets[0] == "[" else "]")
    inner = bracketed_interval(text, inner_brackets, f"-({low})", low, depth, read)
    if _INFINITE.match(high):
        outer = replace(outer, region=whole_line())
    if inner.region is None or outer.region is None:
        return None
    region = Region("difference", (outer.region, inner.region))
    return Form("region", text, name=sides[1].strip("|"), region=region)


def bracketed_interval(text: str, brackets: str, low: str, high: str, depth: int, read: Reader) -> Form:
    """Returns the form of an interval, or of a point such as (1, 2): what it is depends on what it is compared with."""
    ends = (read(low, depth + 1), read(high, depth + 1))
    below = low.startswith("-") and bool(_INFINITE.match(low[1:].strip("()")))
    above = bool(_INFINITE.match(high))
    finite = tuple(None if infinite else end for infinite, end in zip((below, above), ends, strict=True))
    closed = (brackets[0] == "[" and not below, brackets[1] == "]" and not above)
    usable = all(end is None or is_constant(end) for end in finite)
    region = Region("interval", ends=finite, closed=closed) if usable else None
    return Form(brackets, text, ends, region=region)


def _unequal(text: str, sides: list[str], operators: list[str], depth: int, read: Reader) -> Form | None:
    if operators != ["!="]:
        return None
    if _LONE_LETTER.match(sides[1]) and not _LONE_LETTER.match(sides[0]):
        sides.reverse()
    if not _LONE_LETTER.match(sides[0]):
        return None
    ends = (read(sides[0], depth + 1), read(sides[1], depth + 1))
    region = without([ends[1]]) if is_constant(ends[1]) else None
    return Form("relation", text, ends, name=sides[0], operator="!=", region=region)


def without(points: list[Form]) -> Region[Form]:
    """Returns the real line without some points."""
    return Region("difference", (whole_line(), Region("points", ends=tuple(points))))


def _inequality(text: str, sides: list[str], operators: list[str], depth: int, read: Reader) -> Form | None:
    """The plain relation behind x < a or x > a, to be compared with one such as -x > -a."""
    left, right = (0, 1) if sides[2] == "\\infty" else (1, 2)
    if sides[0] != "-\\infty" and sides[2] != "\\infty":
        return None
    ends = (read(sides[left], depth + 1), read(sides[right], depth + 1))
    return Form("relation", text, ends, operator=operators[left])


def _split_relations(text: str) -> tuple[list[str], list[str]]:
    found = list(_RELATION.finditer(text))
    if not found or len(found) > 200:
        return [text], []
    sides, operators, begun = [], [], 0
    depths = depths_of(text)
    for match in found:
        if depths[match.start()] == 0:
            sides.append(text[begun : match.start()].strip())
            operators.append(_RELATION_NAMES.get(match.group(), match.group()))
            begun = match.end()
    return [*sides, text[begun:].strip()], operators
