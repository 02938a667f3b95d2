"""Reads one formula, in LaTeX or plain notation, into a small tree of plain tuples; never evaluates it.

The tree is what crosses to the worker process and what the quick exact rules look at. Nodes: ("num", digits),
("sym", name), ("const", name), ("add", a, b), ("mul", a, b), ("div", a, b), ("pow", a, b), ("neg", a),
("call", function, a), ("log", base, a), ("root", n, a), ("binom", n, k), ("fact", a), ("abs", a), ("pct", a),
("matrix", (row, ...)).
"""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Any

Node = tuple[Any, ...]

_MAX_DEPTH = 60
_MAX_TOKENS = 1500
_GREEK_LETTERS = (
    "alpha beta gamma delta epsilon varepsilon zeta eta theta vartheta iota kappa lambda mu nu xi rho sigma "
    "tau upsilon phi varphi chi psi omega Gamma Delta Theta Lambda Xi Pi Sigma Phi Psi Omega ell"
)
_GREEK = _GREEK_LETTERS.split()
_FUNCTION_NAMES = "sin cos tan cot sec csc sinh cosh tanh coth arcsin arccos arctan ln exp log lg max min gcd lcm det"
_FUNCTIONS = _FUNCTION_NAMES.split()
_INVERSES = {
    "sin": "arcsin",
    "cos": "arccos",
    "tan": "arctan",
    "asin": "arcsin",
    "acos": "arccos",
    "atan": "arctan",
}
_WORDS = sorted(
    [*_FUNCTIONS, "asin", "acos", "atan", "sqrt", "pi", "infty", "oo", "inf", "infinity", *_GREEK[:24]],
    key=len,
    reverse=True,
)
_TOKEN = re.compile(
    r"(?P<num>\d+(?:\.\d*)?(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?)|\\begin\{(?P<begin>[A-Za-z]+)\}(?:\{[clr|]*\})?"
    r"|\\end\{(?P<end>[A-Za-z]+)\}|\\(?P<cmd>[A-Za-z]+)|(?P<word>[A-Za-z]+)"
    r"|(?P<row>\x06)|(?P<op>\*\*|[-+*/^_(){}\[\]|!,'&%<>=])|(?P<bad>\S)|\s+"
)
_STARTERS = frozenset(("num", "cmd", "sym"))


class Unreadable(ValueError):
    """The text is no formula that this grammar knows."""


def read(text: str) -> Node:
    """Returns the tree of a formula; raises Unreadable when it is not one, or too long or too deep."""
    reader = _Reader(_tokens(text))
    node = reader.sum(0)
    if reader.at < len(reader.tokens):
        raise Unreadable(f"unexpected {reader.tokens[reader.at][1]!r}")
    return node


def _tokens(text: str) -> list[tuple[str, str]]:
    tokens: list[tuple[str, str]] = []
    for match in _TOKEN.finditer(text):
        kind = match.lastgroup
        if kind is None:
            continue
        if kind == "bad" or len(tokens) > _MAX_TOKENS:
            raise Unreadable(f"{match.group()!r} is no part of a formula" if kind == "bad" else "too long")
        value = match.group(kind)
        if kind == "word":
            tokens.extend(_split_word(value))
        else:
            tokens.append((kind, value))
    return tokens


def _split_word(word: str) -> list[tuple[str, str]]:
    """Reads letters in a row as known names and products of one-letter symbols: 12pi, xy, sqrt."""
    found: list[tuple[str, str]] = []
    at = 0
    singles = 0
    while at < len(word):
        name = next((known for known in _WORDS if word.startswith(known, at)), None)
        if name is None:
            found.append(("sym", word[at]))
            singles += 1
        else:
            found.append(("cmd", name))
        at += len(name or "x")
    if singles > 3 or (singles > 1 and word.isupper()):
        raise Unreadable(f"{word!r} is a word")
    return found


class _Reader:
    """A recursive descent over the tokens; `depth` bounds the recursion on hostile nesting."""

    def __init__(self, tokens: list[tuple[str, str]]) -> None:
        self.tokens = tokens
        self.at = 0

    def peek(self) -> tuple[str, str]:
        return self.tokens[self.at] if self.at < len(self.tokens) else ("end", "")

    def take(self, value: str) -> bool:
        kind, found = self.peek()
        if kind in {"op", "row"} and found == value:
            self.at += 1
            return True
        return False

    def need(self, value: str) -> None:
        if not self.take(value):
            raise Unreadable(f"{value!r} is missing")

    def sum(self, depth: int) -> Node:
        if depth > _MAX_DEPTH:
            raise Unreadable("too deep")
        negative = self._sign()
        node = self.product(depth + 1)
        if negative:
            node = ("neg", node)
        while self.peek() in {("op", "+"), ("op", "-")}:
            minus = self._sign()
            term = self.product(depth + 1)
            node = ("add", node, ("neg", term) if minus else term)
        return node

    def _sign(self) -> bool:
        negative = False
        while self.peek() in {("op", "+"), ("op", "-")}:
            negative ^= self.take("-") or not self.take("+")
        return negative

    def product(self, depth: int) -> Node:
        node = self.factor(depth + 1)
        while True:
            if self.take("*") or self._command("cdot", "times", "ast"):
                node = ("mul", node, self.signed_factor(depth + 1))
            elif self.take("/") or self._command("div"):
                node = ("div", node, self.signed_factor(depth + 1))
            elif self._begins_factor():
                following = self.factor(depth + 1)
                node = _joined(node, following)
            else:
                return node

    def signed_factor(self, depth: int) -> Node:
        negative = self._sign()
        node = self.factor(depth)
        return ("neg", node) if negative else node

    def _command(self, *names: str) -> bool:
        if self.peek()[0] == "cmd" and self.peek()[1] in names:
            self.at += 1
            return True
        return False

    def _begins_factor(self) -> bool:
        kind, value = self.peek()
        if kind == "num":
            return self.tokens[self.at - 1][0] != "num"
        if kind == "cmd":
            return value not in {"cdot", "times", "div", "rfloor", "rceil", "rvert", "ast"}
        return kind in {"sym", "begin"} or (kind == "op" and value in {"(", "{", "["})

    def factor(self, depth: int) -> Node:
        if depth > 4 * _MAX_DEPTH:
            raise Unreadable("too deep")
        node = self.atom(depth + 1)
        while True:
            if self.take("^") or self.take("**"):
                power = self.exponent(depth + 1)
                node = ("pow", node, power)
            elif self.take("!"):
                node = ("fact", node)
            elif self.take("%"):
                node = ("pct", node)
            elif self.peek() == ("op", "'"):
                raise Unreadable("a derivative")
            else:
                return node

    def exponent(self, depth: int) -> Node:
        if self.take("{"):
            node = self.sum(depth)
            self.need("}")
            return node
        negative = self._sign()
        kind, value = self.peek()
        if kind == "num" and len(value) > 1 and self.at >= 1 and "." not in value:
            node = ("num", value)
            self.at += 1
        else:
            node = self.atom(depth)
            if self.take("^") or self.take("**"):
                node = ("pow", node, self.exponent(depth + 1))
        return ("neg", node) if negative else node

    def atom(self, depth: int) -> Node:
        if depth > 4 * _MAX_DEPTH:
            raise Unreadable("too deep")
        kind, value = self.peek()
        self.at += 1
        if kind == "num":
            if self.peek() == ("op", "_"):
                raise Unreadable("a number in another base")
            return ("num", value)
        if kind == "sym":
            return self.symbol(value, depth)
        if kind == "cmd":
            return self.command(value, depth)
        if kind == "begin":
            return self.matrix(value, depth)
        if kind == "op" and value in {"(", "{", "["}:
            node = self.sum(depth)
            self.need({"(": ")", "{": "}", "[": "]"}[value])
            return node
        if kind == "op" and value == "|":
            node = self.sum(depth)
            self.need("|")
            return ("abs", node)
        raise Unreadable(f"unexpected {value or 'end'!r}")

    def symbol(self, name: str, depth: int) -> Node:
        if self.take("_"):
            name += "_" + self.subscript()
        elif name in {"e", "i"}:
            return ("const", name)
        elif name in {"f", "g", "h", "P", "F", "Q"} and self.peek() == ("op", "("):
            self.at += 1
            node = self.sum(depth + 1)
            self.need(")")
            return ("call", name, node)
        return ("sym", name)

    def subscript(self) -> str:
        braced = self.take("{")
        parts: list[str] = []
        while True:
            kind, value = self.peek()
            if kind not in _STARTERS and not (braced and kind == "op" and value in "+-,"):
                break
            parts.append(value)
            self.at += 1
            if not braced:
                break
        if braced:
            self.need("}")
        if not parts:
            raise Unreadable("an empty subscript")
        return "".join(parts)

    def group(self, depth: int) -> Node:
        """Reads what a command takes: a braced group, or the next single token."""
        if self.take("{"):
            node = self.sum(depth)
            self.need("}")
            return node
        return self.atom(depth + 1)

    def command(self, name: str, depth: int) -> Node:  # noqa: PLR0911 - one return per kind of command
        if name == "frac":
            top = self.group(depth)
            return ("div", top, self.group(depth))
        if name == "binom":
            top = self.group(depth)
            return ("binom", top, self.group(depth))
        if name == "sqrt":
            degree: Node = ("num", "2")
            if self.take("["):
                degree = self.sum(depth)
                self.need("]")
            return ("root", degree, self.group(depth))
        if name == "pi":
            return ("const", "pi")
        if name in {"infty", "oo", "inf", "infinity"}:
            return ("const", "oo")
        if name in _GREEK:
            return ("sym", name + ("_" + self.subscript() if self.take("_") else ""))
        if name in {"lfloor", "lceil", "lvert"}:
            node = self.sum(depth)
            if not self._command({"lfloor": "rfloor", "lceil": "rceil", "lvert": "rvert"}[name]):
                raise Unreadable(f"{name} is never closed")
            return ("abs", node) if name == "lvert" else ("call", name[1:], node)
        if name in _FUNCTIONS or name in _INVERSES:
            return self.function(_INVERSES.get(name, name) if name.startswith("a") else name, depth)
        raise Unreadable(f"unknown command {name}")

    def function(self, name: str, depth: int) -> Node:
        base: Node | None = None
        power: Node | None = None
        for _ in range(2):
            if name in {"log", "lg"} and base is None and self.take("_"):
                base = self.group(depth)
            elif power is None and self.take("^"):
                power = self.exponent(depth)
        if power == ("neg", ("num", "1")) and name in _INVERSES:
            name, power = _INVERSES[name], None
        argument = self.argument(depth)
        node: Node = ("log", base, argument) if base is not None else ("call", name, argument)
        return ("pow", node, power) if power is not None else node

    def argument(self, depth: int) -> Node:
        if self.peek() in {("op", "("), ("op", "{"), ("op", "|")}:
            return self.factor(depth + 1) if self.peek()[1] != "(" else self.atom(depth + 1)
        node = self.factor(depth + 1)
        while (self._begins_factor() and self.peek()[0] in {"num", "sym"}) or self.peek() == ("cmd", "pi"):
            node = ("mul", node, self.factor(depth + 1))
        return node

    def matrix(self, name: str, depth: int) -> Node:
        if not name.endswith("matrix") and name != "array":
            raise Unreadable(f"unknown environment {name}")
        rows: list[tuple[Node, ...]] = []
        while self.peek() != ("end", name):
            row = [self.sum(depth + 1)]
            while self.take("&"):
                row.append(self.sum(depth + 1))
            rows.append(tuple(row))
            if not self.take("\x06") and self.peek() != ("end", name):
                raise Unreadable("a matrix is never closed")
        self.at += 1
        if not rows or len({len(row) for row in rows}) != 1:
            raise Unreadable("the rows of the matrix differ in length")
        return ("call", "det", ("matrix", tuple(rows))) if name == "vmatrix" else ("matrix", tuple(rows))


def _joined(left: Node, right: Node) -> Node:
    """A whole number written before a fraction of whole numbers is a mixed number; all else is a product."""
    if left[0] == "num" and left[1].isdigit() and right[0] == "div" and {right[1][0], right[2][0]} == {"num"}:
        top, bottom = right[1][1], right[2][1]
        if top.isdigit() and bottom.isdigit() and len(top) <= len(bottom):
            return ("add", left, right)
    return ("mul", left, right)


def rational(node: Node) -> Fraction | None:
    """Returns the exact value of a tree of numbers and + - * / ^ % !, or None; bounded in size and time."""
    try:
        return _rational(node)
    except (ZeroDivisionError, OverflowError, ValueError):
        return None


def _rational(node: Node) -> Fraction | None:  # noqa: PLR0911
    kind = node[0]
    if kind == "num":
        digits, _, exponent = node[1].lower().partition("e")
        return Fraction(node[1]) if len(digits) < 1000 and len(exponent) < 4 else None
    if kind not in {"add", "mul", "div", "pow", "neg", "pct", "fact"}:
        return None
    values = [_rational(child) for child in node[1:]]
    if any(
        value is None or max(value.numerator.bit_length(), value.denominator.bit_length()) > 20000 for value in values
    ):
        return None
    left, right = values[0], values[-1]
    assert left is not None
    assert right is not None
    if kind == "pow":
        small = right.denominator == 1 and abs(right) <= 10000
        size = max(left.numerator.bit_length(), left.denominator.bit_length()) * abs(right)
        return Fraction(left**right.numerator) if small and size <= 40000 and not left == right == 0 else None
    if kind == "fact":
        if left.denominator != 1 or not 0 <= left <= 1000:
            return None
        product = 1
        for factor in range(2, left.numerator + 1):
            product *= factor
        return Fraction(product)
    if kind == "add":
        return left + right
    if kind == "mul":
        return left * right
    if kind == "div":
        return left / right
    return -left if kind == "neg" else left / 100
