"""Reads an answer's outer structure: a number, a word, a formula, a list, tuple, set, interval, union,
relation.

Nothing here evaluates anything symbolic, so it is safe in the caller's process. `same` compares two forms
with a judge for pairs of formulas; it gives True, False, or None where that judge could not say.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction

from verifiers.math_expression import Node, read
from verifiers.math_rational import rational
from verifiers.math_text import normalise
from verifiers.math_tokens import Unreadable

_OPEN = {"(": ")", "[": "]", "\x01": "\x02", "{": "}"}
_RELATION = re.compile(r"\\(?:leqslant|geqslant|leq|le|lt|geq|ge|gt|neq|ne|approx|simeq)(?![A-Za-z])|<=|>=|!=|<|>|=")
_RELATION_NAMES = {
    "\\leq": "<=", "\\le": "<=", "\\leqslant": "<=", "\\geq": ">=", "\\ge": ">=", "\\geqslant": ">=",
    "\\lt": "<", "\\gt": ">", "\\neq": "!=", "\\ne": "!=", "\\approx": "~", "\\simeq": "~",
}  # fmt: skip
_FLIPPED = {"<": ">", ">": "<", "<=": ">=", ">=": "<=", "=": "=", "!=": "!="}
_LETTER = r"(?:[A-Za-z]|\\[a-zA-Z]+)"
_SUBSCRIPT = r"(?:_(?:\{[^{}]*\}|[A-Za-z0-9]))?"
_NAME = re.compile(
    rf"^(?:{_LETTER}{_SUBSCRIPT}'*(?:\([A-Za-z0-9,]{{0,12}}\))?|\|[A-Z]{{1,3}}\||\\angle ?[A-Z]{{1,3}}"
    rf"|[A-Z]{{2,4}}|\"[^\"]*\""
    rf"|{_LETTER}{_SUBSCRIPT}:{_LETTER}{_SUBSCRIPT}|\(?{_LETTER}{_SUBSCRIPT}(?:,{_LETTER}{_SUBSCRIPT})+\)?)$"
)
_LONE_LETTER = re.compile(r"^(?:[A-Za-z]|\\(?:theta|alpha|beta|lambda|phi))$")
_CALCULUS = re.compile(r"\\(?:int|iint|sum|prod|lim)(?![A-Za-z])")
_INTEGER = re.compile(r"[1-9][0-9]{0,200}")
_MAX_ITEMS = 200
_MAX_TEXT = 4000


@dataclass(frozen=True, slots=True)
class Form:
    """One answer or part of it.

    `kind`: number, formula, unread (calculus, for the worker), matrix, text, list, set, union, ratio,
    relation, chain, or the brackets of a tuple or interval, such as "()" and "[)".
    """

    kind: str
    text: str
    items: tuple[Form, ...] = ()
    number: Fraction | None = None
    node: Node | None = None
    name: str = ""
    operator: str = ""
    origin: Form | None = None
    """For an interval that was written as an inequality: that inequality."""


Judge = Callable[[Form, Form], "bool | None"]
"""Says whether two formulas, or two relations, are the same; None when it cannot."""


def form_of(answer: str) -> Form:
    """Returns the form of a raw answer. Never raises; what cannot be read is a text."""
    if _INTEGER.fullmatch(answer):
        return Form("number", answer, number=Fraction(int(answer)), node=("num", answer))
    if len(answer) > _MAX_TEXT:
        return Form("text", "".join(answer.split()))
    return _form(normalise(answer), 0)


def _form(text: str, depth: int) -> Form:  # noqa: PLR0911 - one return per kind of form
    text = text.strip()
    if depth > 12 or not text:
        return Form("text", text)
    while text.startswith("{") and _closing(text, 0) == len(text) - 1:
        text = text[1:-1]
    parts = _split(text, ",;")
    if len(parts) > 1:
        return _list(text, parts, depth)
    if "\\pm" in text or "\\mp" in text:
        signs = [text.replace("\\pm", a).replace("\\mp", b) for a, b in (("+", "-"), ("-", "+"))]
        return _sequence("list", text, [sign.removeprefix("+") for sign in signs], depth)
    pieces = _split_command(text, "\\cup")
    if len(pieces) > 1:
        return _sequence("union", text, pieces, depth)
    member = _split_command(text, "\\in")
    if len(member) == 2 and _NAME.match(member[0]):
        return _form(member[1], depth + 1)
    relation = _relation(text, depth)
    if relation is not None:
        return relation
    if text[0] in "([\x01" and _closing(text, 0, mixed=True) == len(text) - 1:
        return _bracketed(text, depth)
    ratio = _split(text, ":")
    if len(ratio) > 1 and all(ratio):
        return _sequence("ratio", text, ratio, depth)
    return _leaf(text)


def _list(text: str, parts: list[str], depth: int) -> Form:
    kept = [part for part in parts if part.strip()]
    return _sequence("list", text, kept, depth) if len(kept) > 1 else _form(kept[0] if kept else "", depth + 1)


def _sequence(kind: str, text: str, parts: list[str], depth: int, name: str = "") -> Form:
    if len(parts) > _MAX_ITEMS:
        return Form("text", text)
    return Form(kind, text, tuple(_form(part, depth + 1) for part in parts), name=name)


def _bracketed(text: str, depth: int) -> Form:
    inner = text[1:-1]
    parts = _split(inner, ",;")
    if text[0] == "\x01":
        if "|" in inner or "\\mid" in inner or "\\colon" in inner:
            return Form("text", text)
        return _sequence("set", text, [part for part in parts if part], depth)
    if len(parts) == 1:
        return _form(inner, depth + 1)
    return _sequence(text[0] + text[-1], text, parts, depth)


def _leaf(text: str) -> Form:
    try:
        node = read(text.replace("\x03", " "))
    except Unreadable:
        return Form("unread" if _CALCULUS.search(text) else "text", text)
    if node[0] == "matrix":
        rows = tuple(Form("()", "", tuple(_of_node(cell) for cell in row)) for row in node[1])
        return Form("matrix", text, rows, node=node)
    return _of_node(node, text)


def _of_node(node: Node, text: str = "") -> Form:
    number = rational(node)
    return Form("formula" if number is None else "number", text, number=number, node=node)


def _relation(text: str, depth: int) -> Form | None:  # noqa: PLR0911 - one return per kind
    sides, operators = _split_relations(text)
    if not operators:
        return None
    if any(not side for side in sides):
        return Form("text", text)
    while len(operators) > 1 and operators[-1] == "~":
        sides, operators = sides[:-1], operators[:-1]
    if set(operators) <= {"=", "~"}:
        name = sides[0] if _NAME.match(sides[0]) else ""
        values = sides[1:] if name else sides
        forms = tuple(_form(side, depth + 1) for side in values)
        if len(forms) == 1:
            return Form("relation", text, (_form(sides[0], depth + 1), forms[0]), name=name, operator=operators[0])
        if name or all(is_constant(form) for form in forms):
            return Form("chain", text, forms, name=name)
    interval = _interval(text, sides, operators, depth)
    if interval is not None:
        return interval
    if len(operators) == 1:
        left, right = _form(sides[0], depth + 1), _form(sides[1], depth + 1)
        return Form("relation", text, (left, right), operator=operators[0])
    return Form("text", text)


def _interval(text: str, sides: list[str], operators: list[str], depth: int) -> Form | None:
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
    opening, closing = ("[" if operators[0] == "<=" else "("), (")" if operators[1] == "<" else "]")
    if not sides[1].startswith("|"):
        interval = _sequence(opening + closing, text, [low, high], depth, name=sides[1])
        return replace(interval, origin=_inequality(text, sides, operators, depth))
    if low == "-\\infty":
        opening = "[" if closing == "]" else "("
        return _sequence(opening + closing, text, [f"-({high})", high], depth, name=sides[1])
    mirrored = {"[": "]", "(": ")", "]": "[", ")": "("}
    negative = f"{mirrored[closing]}-({high}),-({low}){mirrored[opening]}"
    return _sequence("union", text, [negative, f"{opening}{low},{high}{closing}"], depth, name=sides[1])


def _inequality(text: str, sides: list[str], operators: list[str], depth: int) -> Form | None:
    """The plain relation behind x < a or x > a, to be compared with one such as -x > -a."""
    left, right = (0, 1) if sides[2] == "\\infty" else (1, 2)
    if sides[0] != "-\\infty" and sides[2] != "\\infty":
        return None
    ends = (_form(sides[left], depth + 1), _form(sides[right], depth + 1))
    return Form("relation", text, ends, operator=operators[left])


def is_constant(form: Form) -> bool:
    """Tells whether a form is a number or a formula without symbols."""
    return form.kind == "number" or (form.kind == "formula" and form.node is not None and not symbols(form.node))


def symbols(node: Node) -> frozenset[str]:
    """Returns the names of the symbols of a tree."""
    if node[0] == "sym":
        return frozenset((node[1],))
    if node[0] == "matrix":
        return frozenset().union(*(symbols(cell) for row in node[1] for cell in row))
    found = frozenset().union(*(symbols(child) for child in node[1:] if isinstance(child, tuple)), frozenset())
    return found | {node[1]} if node[0] == "call" and len(node[1]) == 1 else found


def _closing(text: str, start: int, mixed: bool = False) -> int:
    """Returns where the bracket at `start` closes, or -1; `mixed` lets (a,b] close."""
    depth = 0
    for at in range(start, len(text)):
        char = text[at]
        if char in _OPEN:
            depth += 1
        elif char in ")]\x02}":
            depth -= 1
            if depth == 0:
                fits = char == _OPEN[text[start]] or (mixed and {char, text[start]} <= set("()[]"))
                return at if fits else -1
    return -1


def _split(text: str, separators: str) -> list[str]:
    parts, depth, begun = [], 0, 0
    for at, char in enumerate(text):
        if char in _OPEN:
            depth += 1
        elif char in ")]\x02}":
            depth -= 1
        elif char in separators and depth == 0:
            parts.append(text[begun:at])
            begun = at + 1
    return [*parts, text[begun:]]


def _split_command(text: str, command: str) -> list[str]:
    if command not in text:
        return [text]
    marked = re.sub(re.escape(command) + r"(?![A-Za-z]) ?", "\x05", text)
    return _split(marked, "\x05")


def _split_relations(text: str) -> tuple[list[str], list[str]]:
    found = list(_RELATION.finditer(text))
    if not found:
        return [text], []
    masked = _split(_RELATION.sub("\x05", text), "\x05")
    if len(masked) != len(found) + 1:
        return [text], []
    operators = [_RELATION_NAMES.get(match.group(), match.group()) for match in found]
    return [side.strip() for side in masked], operators
