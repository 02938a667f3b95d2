"""Random formulas as trees, and two printers that write one tree in many ways: LaTeX and plain notation."""

from __future__ import annotations

import math
import random
from typing import Any

from hypothesis import strategies as st

Tree = tuple[Any, ...]

LEAVES = st.one_of(
    st.integers(0, 12).map(lambda value: ("num", value)),
    st.sampled_from([("sym", "x"), ("sym", "y"), ("sym", "n"), ("const", "pi")]),
)


def _grown(inner: st.SearchStrategy[Tree]) -> st.SearchStrategy[Tree]:
    return st.one_of(
        st.tuples(st.sampled_from(["add", "sub", "mul", "div"]), inner, inner),
        st.tuples(st.just("pow"), inner, st.integers(2, 3).map(lambda value: ("num", value))),
        st.tuples(st.sampled_from(["neg", "root", "sin", "abs"]), inner),
    )


TREES: st.SearchStrategy[Tree] = st.recursive(LEAVES, _grown, max_leaves=6)
CONSTANTS = st.one_of(st.integers(-60, 60).map(lambda value: ("num", value)), st.just(("const", "pi")))


def value(tree: Tree, point: dict[str, float]) -> float:
    """The value at a point; NaN where there is none among the real numbers."""
    kind = tree[0]
    if kind == "num":
        return float(tree[1])
    if kind in {"sym", "const"}:
        return math.pi if kind == "const" else point[tree[1]]
    parts = [value(part, point) for part in tree[1:]]
    try:
        return {
            "add": lambda: parts[0] + parts[1],
            "sub": lambda: parts[0] - parts[1],
            "mul": lambda: parts[0] * parts[1],
            "div": lambda: parts[0] / parts[1] if abs(parts[1]) > 1e-6 else math.nan,
            "pow": lambda: parts[0] ** parts[1],
            "neg": lambda: -parts[0],
            "root": lambda: math.sqrt(parts[0]),
            "sin": lambda: math.sin(parts[0]),
            "abs": lambda: abs(parts[0]),
        }[kind]()
    except (ValueError, ZeroDivisionError, OverflowError):
        return math.nan


class Printer:
    """Writes a tree; every choice of notation, spacing and order is drawn from the seed."""

    def __init__(self, seed: int, latex: bool) -> None:
        self._random = random.Random(seed)
        self._latex = latex

    def __call__(self, tree: Tree) -> str:
        text = self._sum(tree)
        if self._latex:
            return self._pick(
                text, f"${text}$", rf"\displaystyle {text}", rf"\({text}\)", f"{text}.", rf"\left({text}\right)"
            )
        return self._pick(text, f" {text} ", f"({text})")

    def bare(self, tree: Tree) -> str:
        """Writes a tree without delimiters around it, as a part of a list."""
        return self._sum(tree)

    def _pick(self, *choices: str) -> str:
        return self._random.choice(choices)

    def _sum(self, tree: Tree) -> str:
        blank = self._pick("", " ")
        if tree[0] == "add":
            left, right = self._swapped(tree[1], tree[2])
            return f"{self._sum(left)}{blank}+{blank}{self._term(right)}"
        if tree[0] == "sub":
            return f"{self._sum(tree[1])}{blank}-{blank}{self._term(tree[2])}"
        if tree[0] == "neg":
            return f"-{blank}{self._term(tree[1])}"
        return f"-{-tree[1]}" if tree[0] == "num" and tree[1] < 0 else self._term(tree)

    def _swapped(self, left: Tree, right: Tree) -> tuple[Tree, Tree]:
        if self._random.random() < 0.5 and right[0] != "neg":
            return right, left
        return left, right

    def _term(self, tree: Tree) -> str:
        if tree[0] in {"add", "sub", "neg"} or (tree[0] == "num" and tree[1] < 0):
            return self._bracketed(tree)
        if tree[0] == "mul":
            left, right = self._swapped(tree[1], tree[2])
            signs = [r"\cdot ", r"\times ", r" \cdot "] if self._latex else ["*", " * ", "·"]
            return f"{self._factor(left)}{self._pick(*signs)}{self._factor(right)}"
        if tree[0] == "div":
            if not self._latex:
                return f"{self._factor(tree[1])}{self._pick('/', ' / ')}{self._factor(tree[2])}"
            command = self._pick(r"\frac", r"\dfrac", r"\tfrac", r"\cfrac")
            return self._pick(
                f"{command}{{{self._sum(tree[1])}}}{{{self._sum(tree[2])}}}",
                f"{command} {{{self._sum(tree[1])}}} {{{self._sum(tree[2])}}}",
                f"{{{self._sum(tree[1])} \\over {self._sum(tree[2])}}}",
            )
        return self._factor(tree)

    def _factor(self, tree: Tree) -> str:  # noqa: PLR0911 - one return per kind of tree
        kind = tree[0]
        if kind == "num" and tree[1] >= 0:
            return str(tree[1])
        if kind == "sym":
            return self._pick(tree[1], f"{{{tree[1]}}}") if self._latex else str(tree[1])
        if kind == "const":
            return self._pick(r"\pi ", r"{\pi}") if self._latex else self._pick("pi", "π")
        if kind == "pow":
            base = self._factor(tree[1]) if tree[1][0] in {"num", "sym"} else self._bracketed(tree[1])
            power = self._factor(tree[2])
            written = self._pick(f"^{power}", f"^{{{power}}}") if self._latex else self._pick(f"^{power}", f"**{power}")
            return base + written
        if kind == "root":
            inner = self._sum(tree[1])
            return rf"\sqrt{{{inner}}}" if self._latex else self._pick(f"sqrt({inner})", f"√({inner})")
        if kind == "sin":
            inner = self._sum(tree[1])
            return self._pick(rf"\sin({inner})", rf"\sin\left({inner}\right)") if self._latex else f"sin({inner})"
        if kind == "abs":
            inner = self._sum(tree[1])
            return self._pick(rf"\left|{inner}\right|", rf"\lvert {inner} \rvert") if self._latex else f"abs({inner})"
        return self._bracketed(tree)

    def _bracketed(self, tree: Tree) -> str:
        inner = self._sum(tree)
        return (
            self._pick(f"({inner})", rf"\left({inner}\right)", rf"\left[ {inner} \right]")
            if self._latex
            else f"({inner})"
        )
