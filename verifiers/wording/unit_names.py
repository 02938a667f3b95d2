"""The names of measures: those of the international system with their prefixes, and those of daily life, by a table.

A symbol is told from another by its case (mN is no MN), a name is not. Each is as many base units of its dimensions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

from verifiers.wording import table

Dimensions = tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Unit:
    """A measure as powers of base dimensions, and how many base units it is."""

    dimensions: Dimensions
    factor: Fraction


DEGREE = Unit((("angle", 1),), Fraction(1))
RADIAN = Unit((("turn", 1),), Fraction(1))
"""Of another dimension than the degree, since their ratio is no fraction; `comparing.measures` knows the two."""
CURRENCY = Unit((("money", 1),), Fraction(1))
CELSIUS, FAHRENHEIT = (Unit(((scale, 1),), Fraction(1)) for scale in ("celsius", "fahrenheit"))

_BY_NAME: dict[str, Unit] = {}
_BY_SYMBOL: dict[str, Unit] = {}
_PREFIXES = {
    "f": ("femto", -15), "p": ("pico", -12), "n": ("nano", -9), "u": ("micro", -6), "m": ("milli", -3),
    "k": ("kilo", 3), "M": ("mega", 6), "G": ("giga", 9), "T": ("tera", 12),
}  # fmt: skip


def _dimensions(text: str) -> Dimensions:
    """Reads "mass length2 time-2"."""
    parts = (part.rstrip("-0123456789") for part in text.split())
    return tuple(sorted((name, int(part[len(name) :] or 1)) for name, part in zip(parts, text.split(), strict=True)))


def _read_table() -> None:
    rows = table(__file__)
    for dimensions, symbols, names, factor in rows["with_prefixes"]:
        for prefix, (word, power) in [("", ("", 0)), *_PREFIXES.items()]:
            unit = Unit(_dimensions(dimensions), Fraction(factor) * Fraction(10) ** power)
            _BY_SYMBOL.update({prefix + symbol: unit for symbol in symbols.split()})
            _BY_NAME.update({word + name + end: unit for name in names.split() for end in ("", "s")})
    for dimensions, names, factor in rows["without"]:
        _BY_NAME.update(dict.fromkeys(names.split(), Unit(_dimensions(dimensions), Fraction(factor))))
    for symbols, names, base, power in rows["tens"]:
        unit = Unit(_BY_SYMBOL[base].dimensions, _BY_SYMBOL[base].factor * Fraction(10) ** power)
        _BY_SYMBOL.update(dict.fromkeys(symbols.split(), unit))
        _BY_NAME.update({name + end: unit for name in names.split() for end in ("", "s")})


_read_table()
for _clash in ("pm", "pH"):
    del _BY_SYMBOL[_clash]  # an hour after noon, and no henry
_BY_NAME.update(dict.fromkeys(("henries", "henrys"), _BY_NAME["henry"]))
_HOURS = dict.fromkeys(("h", "hr", "hrs"), _BY_NAME["h"])
_BY_SYMBOL |= {"min": _BY_NAME["min"], "cd": Unit((("light", 1),), Fraction(1)), **_HOURS}

MOLAR = Unit(_dimensions("amount length-3"), Fraction(1000))
"""A mole in a litre, whose symbol M is a million as well: it is read where the other answer has such a unit."""
SIGNS_OF_MONEY: Mapping[str, Unit] = {
    "€": _BY_NAME["euro"], "£": _BY_NAME["gbp"], "¥": _BY_NAME["yen"], "₹": _BY_NAME["rupee"], "₩": _BY_NAME["won"],
    "₽": _BY_NAME["ruble"],
}  # fmt: skip
"""Signs that stand for one money or for two that share them; a dollar sign is `CURRENCY`."""

UNIT_LETTERS: Mapping[str, Unit] = {name: unit for name, unit in _BY_SYMBOL.items() if len(name) == 1}
"""Symbols of one letter, which may be unknowns as well."""


def unit_named(word: str) -> Unit | None:
    """Returns the measure that a symbol or a name stands for; None for any other word."""
    known = _BY_SYMBOL.get(word) or _BY_NAME.get(word.lower())
    return known or (_BY_SYMBOL.get(word.lower()) if len(word) > 1 and word.lower() in _IN_ANY_CASE else None)


_IN_ANY_CASE = frozenset(("mm", "cm", "dm", "km", "kg", "ml", "hz", "khz", "kwh", "mol", "kj", "kw", "kn", "pa", "kpa"))
"""Symbols that people write in capitals as well, of which the capitals mean nothing else."""
