"""Mutants of a Python program: each differs from it in one token, and can still be parsed.

Tests that accept a mutant do not notice that difference. A mutant may also do exactly what the program does (`x < n`
and `x != n` in a loop that counts up): nobody can tell that in general, so a kill rate below 1 is no proof that a test
is missing, and one of 1 no proof that none is.
"""

from __future__ import annotations

import ast
import io
import tokenize
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

LONGEST_SOURCE = 20_000
"""Characters of a program that is mutated; longer ones have no mutants."""

LOOKED_AT = 4
"""Changes that are parsed for each mutant that is wanted, since some give no program, or the same one."""

_Item = TypeVar("_Item")

OTHERS: dict[str, tuple[str, ...]] = {
    "<": ("<=", ">"),
    "<=": ("<", ">="),
    ">": (">=", "<"),
    ">=": (">", "<="),
    "==": ("!=",),
    "!=": ("==",),
    "+": ("-",),
    "-": ("+",),
    "*": ("+",),
    "/": ("//", "*"),
    "//": ("*", "%"),
    "%": ("//",),
    "**": ("*",),
    "&": ("|",),
    "|": ("&",),
    "^": ("&",),
    "<<": (">>",),
    ">>": ("<<",),
    "+=": ("-=",),
    "-=": ("+=",),
    "*=": ("+=",),
    "//=": ("*=",),
    "%=": ("//=",),
    "and": ("or",),
    "or": ("and",),
    "True": ("False",),
    "False": ("True",),
    "break": ("continue",),
    "continue": ("break",),
    "min": ("max",),
    "max": ("min",),
    "sum": ("max", "len"),
    "len": ("sum",),
    "any": ("all",),
    "all": ("any",),
    "sorted": ("list",),
    "set": ("list",),
    "abs": ("int",),
    "not": ("",),
}
"""What may stand in a token's place; nothing, where the token is left out."""


@dataclass(frozen=True, slots=True)
class Mutant:
    """A changed program, and what was changed."""

    source: str
    line: int
    change: str
    """Such as `< -> <=`."""


def mutants(source: str, most: int) -> list[Mutant]:
    """At most `most` mutants, spread evenly over the program; the same for the same program, always.

    A program that cannot be parsed, or is longer than LONGEST_SOURCE, has none.
    """
    original = _tree(source)
    if original is None:
        return []
    found: dict[str, Mutant] = {}
    lines = list(io.StringIO(source))  # as the tokenizer splits them: other line ends belong to the text
    # Parsing costs in proportion to the program, so that all changes of a long one would cost its square.
    for token, other in _spread(_changes(source), LOOKED_AT * most):
        mutant = _changed(lines, token, other)
        tree = _tree(mutant.source)
        if tree is not None and tree != original:
            found.setdefault(tree, mutant)
    return _spread(list(found.values()), most)


def _spread(items: Sequence[_Item], most: int) -> list[_Item]:
    """At most so many, evenly."""
    if len(items) <= most:
        return list(items)
    return [items[place * len(items) // most] for place in range(most)]


def _changes(source: str) -> list[tuple[tokenize.TokenInfo, str]]:
    """Tokens that lie in one line, with what may stand in their place."""
    whole = [token for token in _tokens(source) if token.start[0] == token.end[0]]
    return [(token, other) for token in whole for other in _replacements(token)]


def _changed(lines: Sequence[str], token: tokenize.TokenInfo, other: str) -> Mutant:
    row, line = token.start[0], lines[token.start[0] - 1]
    changed = line[: token.start[1]] + other + line[token.end[1] :]
    text = "".join([*lines[: row - 1], changed, *lines[row:]])
    return Mutant(text, row, f"{token.string} -> {other or 'nothing'}")


def _replacements(token: tokenize.TokenInfo) -> tuple[str, ...]:
    if token.type == tokenize.NUMBER and token.string.isdecimal() and len(token.string) <= 18:
        value = int(token.string)
        return (str(value + 1), str(value - 1)) if value else ("1",)
    if token.type in (tokenize.OP, tokenize.NAME):
        return OTHERS.get(token.string, ())
    return ()


def _tokens(source: str) -> list[tokenize.TokenInfo]:
    try:
        return list(tokenize.generate_tokens(io.StringIO(source).readline))
    except (tokenize.TokenError, SyntaxError, ValueError, RecursionError):
        return []


def _tree(source: str) -> str | None:
    """The program as a text in which layout does not count; None where it is none."""
    if len(source) > LONGEST_SOURCE:
        return None
    try:
        # Parsed, never compiled: folding constants would compute what the program writes down.
        with warnings.catch_warnings(action="ignore"):
            return ast.dump(ast.parse(source))
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return None
