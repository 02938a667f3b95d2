"""Reads one formula, in LaTeX or plain notation, into a small tree of plain tuples; never evaluates it.

The nodes of the tree are listed in `tree.py`.
"""

from __future__ import annotations

from verifiers.mathematics.reading.tokens import FUNCTIONS, GREEK, INVERSES, TooLarge, Unreadable, tokens_of
from verifiers.mathematics.reading.tree import Node, depth, joined

_MAX_DEPTH = 60
_MAX_TREE = 80
_STARTERS = frozenset(("num", "cmd", "sym"))
_OF_MANY = frozenset(("gcd", "lcm", "max", "min"))
_NO_FACTOR = frozenset(("cdot", "times", "div", "rfloor", "rceil", "ast", "over", "choose"))


def read(text: str) -> Node:
    """Returns the tree of a formula; raises Unreadable when it is not one, or too long or too deep."""
    reader = _Reader(tokens_of(text))
    node = reader.infix(0)
    if reader.at < len(reader.tokens):
        raise Unreadable(f"unexpected {reader.tokens[reader.at][1]!r}")
    # a!!!, a%%% and a/b/c grow a tree without recursion here, but whoever walks it recurses
    if depth(node) > _MAX_TREE:
        raise TooLarge("a formula that is nested too deeply")
    return node


class _Reader:
    """A recursive descent over the tokens; `depth` bounds the recursion on hostile nesting."""

    def __init__(self, tokens: list[tuple[str, str]]) -> None:
        self.tokens = tokens
        self.at = 0
        self.bars = 0

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
            raise TooLarge("a formula that is nested too deeply")
        terms: list[Node] = []
        while not terms or self.peek() in {("op", "+"), ("op", "-")}:
            minus = self._sign()
            term = self.product(depth + 1)
            terms.append(("neg", term) if minus else term)
        return joined("add", terms)

    def _sign(self) -> bool:
        negative = False
        while self.peek() in {("op", "+"), ("op", "-")}:
            negative ^= self.take("-") or not self.take("+")
        return negative

    def product(self, depth: int) -> Node:
        factors = [self.factor(depth + 1)]
        while True:
            if self.take("*") or self._command("cdot", "times", "ast"):
                factors.append(self.signed_factor(depth + 1))
            elif self.take("/") or self._command("div"):
                factors = [("div", joined("mul", factors), self.signed_factor(depth + 1))]
            elif self._begins_factor():
                following = self.factor(depth + 1)
                mixed = len(factors) == 1 and _is_mixed(factors[0], following)
                factors = [("add", factors[0], following)] if mixed else [*factors, following]
            elif self.take("%"):
                factors = [("pct", joined("mul", factors))]
            else:
                return joined("mul", factors)

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
            # Nobody multiplies by a zero that stands behind: "no 0" is a word and a number; but 2^6 3^5 is a product.
            raised = self.tokens[self.at - 2 : self.at - 1] == [("op", "^")]
            return (raised or self.tokens[self.at - 1][0] != "num") and bool(value.strip("0."))
        if kind == "cmd":
            return value not in _NO_FACTOR
        if kind == "op" and value == "|":
            return self.bars == 0
        return kind in {"sym", "begin"} or (kind == "op" and value in {"(", "{", "["})

    def factor(self, depth: int) -> Node:
        if depth > 4 * _MAX_DEPTH:
            raise TooLarge("a formula that is nested too deeply")
        node = self.atom(depth + 1)
        while True:
            if self.take("^") or self.take("**"):
                power = self.exponent(depth + 1)
                node = ("pow", node, power)
            elif self.take("!"):
                node = ("fact", node)
            elif self.peek() == ("op", "'"):
                raise Unreadable("a derivative")
            else:
                return node

    def exponent(self, depth: int) -> Node:
        if self.take("{"):
            return self.braced(depth)
        negative = self._sign()
        kind, value = self.peek()
        if kind == "num" and len(value) > 1 and self.at >= 1 and "." not in value:
            node: Node = ("num", value)
            self.at += 1
        else:
            node = self.atom(depth)
            if self.take("^") or self.take("**"):
                node = ("pow", node, self.exponent(depth + 1))
        return ("neg", node) if negative else node

    def atom(self, depth: int) -> Node:  # noqa: PLR0911 - one return per kind of token
        if depth > 4 * _MAX_DEPTH:
            raise TooLarge("a formula that is nested too deeply")
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
        if kind == "op" and value in {"(", "["}:
            bars, self.bars = self.bars, 0
            node = self.sum(depth)
            self.need({"(": ")", "[": "]"}[value])
            self.bars = bars
            return node
        if kind == "op" and value == "{":
            return self.braced(depth)
        if kind == "op" and value == "|":
            self.bars += 1
            node = self.sum(depth)
            self.need("|")
            self.bars -= 1
            return ("abs", node)
        raise Unreadable(f"unexpected {value or 'end'!r}")

    def braced(self, depth: int) -> Node:
        """Reads the rest of a group."""
        bars, self.bars = self.bars, 0
        node = self.infix(depth)
        self.need("}")
        self.bars = bars
        return node

    def infix(self, depth: int) -> Node:
        """Reads a sum, or two that TeX's infix fractions join."""
        node: Node = self.sum(depth)
        for name, kind in (("over", "div"), ("choose", "binom")):
            if self._command(name):
                node = (kind, node, self.sum(depth + 1))
        return node

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
        return self.braced(depth) if self.take("{") else self.atom(depth + 1)

    def command(self, name: str, depth: int) -> Node:  # noqa: PLR0911 - one return per kind of command
        if name in {"frac", "binom"}:
            return ("div" if name == "frac" else "binom", self.group(depth), self.group(depth))
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
        if name in GREEK:
            return ("sym", name + ("_" + self.subscript() if self.take("_") else ""))
        if name in {"lfloor", "lceil"}:
            node = self.sum(depth)
            if not self._command("r" + name[1:]):
                raise Unreadable(f"{name} is never closed")
            return ("call", name[1:], node)
        if name in {"overline", "bar"}:
            return ("call", "overline", self.group(depth))
        if name in FUNCTIONS or name in INVERSES:
            return self.function(INVERSES.get(name, name) if name.startswith("a") else name, depth)
        raise Unreadable(f"unknown command {name}")

    def function(self, name: str, depth: int) -> Node:
        if name in _OF_MANY and self.peek() in {("op", "("), ("op", "{")}:
            closing = "}" if self.take("{") else ")"
            self.take("(")
            values = [self.sum(depth)]
            while self.take(","):
                values.append(self.sum(depth))
            self.need(closing)
            return ("call", name, *values)
        base: Node | None = None
        power: Node | None = None
        for _ in range(2):
            if name in {"log", "lg"} and base is None and self.take("_"):
                base = self.group(depth)
            elif power is None and self.take("^"):
                power = self.exponent(depth)
        if power == ("neg", ("num", "1")) and name in INVERSES:
            name, power = INVERSES[name], None
        argument = self.argument(depth)
        node: Node = ("log", base, argument) if base is not None else _applied(name, argument)
        return ("pow", node, power) if power is not None else node

    def argument(self, depth: int) -> Node:
        if self.peek() in {("op", "("), ("op", "{"), ("op", "|")}:
            return self.factor(depth + 1) if self.peek()[1] != "(" else self.atom(depth + 1)
        factors = [self.factor(depth + 1)]
        while (self._begins_factor() and self.peek()[0] in {"num", "sym"}) or self.peek() == ("cmd", "pi"):
            factors.append(self.factor(depth + 1))
        return joined("mul", factors)

    def matrix(self, name: str, depth: int) -> Node:
        if not name.endswith("matrix") and name != "array":
            raise Unreadable(f"unknown environment {name}")
        rows: list[Node] = []
        while self.peek() != ("end", name):
            cells = [self.sum(depth + 1)]
            while self.take("&"):
                cells.append(self.sum(depth + 1))
            rows.append(("row", *cells))
            if not self.take("\x06") and self.peek() != ("end", name):
                raise Unreadable("a matrix is never closed")
        self.at += 1
        if not rows or len({len(row) for row in rows}) != 1:
            raise Unreadable("the rows of the matrix differ in length")
        return ("call", "det", ("matrix", *rows)) if name == "vmatrix" else ("matrix", *rows)


def _applied(name: str, argument: Node) -> Node:
    if name == "cis":
        return ("add", ("call", "cos", argument), ("mul", ("const", "i"), ("call", "sin", argument)))
    if name == "abs":
        return ("abs", argument)
    return ("root", ("num", "3"), argument) if name == "cbrt" else ("call", name, argument)


def _is_mixed(left: Node, right: Node) -> bool:
    """Tells whether a whole number before a proper fraction of whole numbers makes a mixed number, and no product."""
    if left[0] == "num" and left[1].isdigit() and right[0] == "div" and {right[1][0], right[2][0]} == {"num"}:
        top, bottom = right[1][1], right[2][1]
        return bool(top.isdigit() and bottom.isdigit() and (len(top), top) < (len(bottom), bottom))
    return False
