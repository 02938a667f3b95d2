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
from collections.abc import Iterator
from dataclasses import dataclass

LONGEST_SOURCE = 20_000
"""Characters of a program that is mutated; longer ones have no mutants."""

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
    for mutant in _changed(source):
        tree = _tree(mutant.source)
        if tree is not None and tree != original:
            found.setdefault(tree, mutant)
    every = list(found.values())
    if len(every) <= most:
        return every
    return [every[place * len(every) // most] for place in range(most)]


def _changed(source: str) -> Iterator[Mutant]:
    # As the tokenizer splits them: other line ends belong to the text.
    lines = list(io.StringIO(source))
    for token in _tokens(source):
        (row, start), (last, end) = token.start, token.end
        if row != last:
            continue
        for other in _replacements(token):
            line = lines[row - 1]
            changed = line[:start] + other + line[end:]
            text = "".join([*lines[: row - 1], changed, *lines[row:]])
            yield Mutant(text, row, f"{token.string} -> {other or 'nothing'}")


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
