"""math-verify's own reading and comparison of two answers: the verifier `math_verify`, and the last resort of `math`.

Its regular expressions backtrack and sympy knows no bound, so this runs inside a worker only. Its own time limits
are off: they are alarms, which end nothing off the main thread, and the pool has a deadline.
"""

from __future__ import annotations

import logging
import warnings
from typing import Any

from verifiers.mathematics.comparing.points import agree
from verifiers.mathematics.reading.tokens import GREEK
from verifiers.patterns import linear

MOST_CHARS = 500
"""Characters of an answer that is handed to the library; no answer of more is one."""

_UNREAD = "math-verify does not read it"
_COMMAND = linear.compile(r"\\[A-Za-z]+")
_BRACE = linear.compile(r"\\.|[{}]", linear.DOTALL)
_SYMBOL = linear.compile(rf"(?:[a-z]|{'|'.join(GREEK).lower()})(?:_.+)?")
_LOST = linear.compile(r"['’′\"]|\\(?:prime|[lc]?dots|vdots|ddots|equiv|[pb]?mod)(?![A-Za-z])|\.\.\.|…")
"""Notation that the library drops or takes for letters: y'' + y would be 2y."""


def warm_up() -> None:
    """Loads what every question needs, so that the first one doesn't pay for it."""
    warnings.filterwarnings("ignore")
    logging.getLogger("math_verify").setLevel(logging.ERROR)
    answer({"first": r"\frac{1}{2}", "second": "0.5"})
    answer({"first": "(x+1)^2", "second": "x^2+2x+1"})


def answer(question: Any) -> Any:
    """Answers {"first": answer, "second": gold} with {"equal": bool, "faults": why each of the two is no answer}."""
    given, gold = (_parsed(str(question[key])) for key in ("first", "second"))
    equal = _verified(gold, given)
    return {"equal": equal, "faults": ["" if equal or _values(found) else _UNREAD for found in (given, gold)]}


def is_plain(gold: str) -> bool:
    """Tells whether the library reads a gold, and can follow it by itself."""
    readings = _parsed(gold)
    return bool(_values(readings)) and _verified(readings, readings)


def readings_agree(first: str, second: str) -> bool | None:
    """Tells whether the library reads two answers and finds them the same, whichever comes first.

    None where it reads one of them not at all or not faithfully: without its primes or dots, with capital letters as
    small ones, or with a command that it takes for a letter. Two numbers or formulas must agree in our digits, too: the
    library's own are six.
    """
    if max(len(first), len(second)) > MOST_CHARS or _LOST.search(first) or _LOST.search(second):
        return None
    letters = set("".join(filter(str.isalpha, _COMMAND.sub(" ", first + second))))
    if len({letter.lower() for letter in letters}) < len(letters):
        return None
    left, right = _parsed(first), _parsed(second)
    values = [*_values(left), *_values(right)]
    if not _values(left) or not _values(right) or not all(map(_is_faithful, values)):
        return None
    return _verified(left, right) and _verified(right, left) and _same_digits(values[0], values[-1])


def _parsed(text: str) -> list[Any]:
    """The library's readings of a text: sympy values, and the text itself in its spelling.

    The box as LaTeX and nothing else: its other ways take a number or a fraction out of a text that it does not read.
    """
    from math_verify import LatexExtractionConfig, parse

    # What closes the box could open another, and the library takes the last.
    if len(text) > MOST_CHARS or not _is_balanced(text):
        return []
    boxed = LatexExtractionConfig(boxed_match_priority=0, try_extract_without_anchor=False)
    found: list[Any] = parse(rf"\boxed{{{text}}}", [boxed], extraction_mode="first_match", parsing_timeout=None)
    return found


def _is_balanced(text: str) -> bool:
    depth = 0
    for brace in _BRACE.findall(text):
        depth += {"{": 1, "}": -1}.get(brace, 0)
        if depth < 0:
            return False
    return depth == 0


def _values(readings: list[Any]) -> list[Any]:
    return [value for value in readings if not isinstance(value, str)]


def _verified(gold: list[Any], target: list[Any]) -> bool:
    from math_verify import verify

    try:
        return bool(verify(gold, target, timeout_seconds=None, raise_on_error=True))
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001 - as the library does: what sympy fails on is not equal
        return False


def _is_faithful(value: Any) -> bool:
    from sympy.core.function import AppliedUndef

    return not value.atoms(AppliedUndef) and all(_SYMBOL.fullmatch(str(symbol.name)) for symbol in value.free_symbols)


def _same_digits(left: Any, right: Any) -> bool:
    """Sets, relations and matrices are left to the library."""
    import sympy

    formulas = isinstance(left, sympy.Expr) and isinstance(right, sympy.Expr)
    return not formulas or agree(left.doit(), right.doit())
