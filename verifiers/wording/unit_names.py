"""The names of measures: those of the international system with their prefixes, and those of daily life.

A symbol is told from another by its case (mN is no MN), a name is not. Each is as many base units of its dimensions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

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


def _define(dimensions: str, names: str, factor: Fraction | int) -> None:
    for name in names.split():
        _BY_NAME[name] = Unit(_dimensions(dimensions), Fraction(factor))


def _define_with_prefixes(dimensions: str, symbols: str, names: str, factor: Fraction | int = 1) -> None:
    base = Unit(_dimensions(dimensions), Fraction(factor))
    for prefix, (word, power) in [("", ("", 0)), *_PREFIXES.items()]:
        unit = Unit(base.dimensions, base.factor * Fraction(10) ** power)
        _BY_SYMBOL.update({prefix + symbol: unit for symbol in symbols.split()})
        _BY_NAME.update({word + name + end: unit for name in names.split() for end in ("", "s")})


_define_with_prefixes("length", "m", "meter metre")
_define_with_prefixes("mass", "g", "gram gramme")
_define_with_prefixes("time", "s", "second")
_define_with_prefixes("current", "A", "ampere amp")
_define_with_prefixes("temperature", "K", "kelvin")
_define_with_prefixes("amount", "mol", "mole")
_define_with_prefixes("mass length time-2", "N", "newton", 1000)
_define_with_prefixes("mass length2 time-2", "J", "joule", 1000)
_define_with_prefixes("mass length2 time-3", "W", "watt", 1000)
_define_with_prefixes("mass length-1 time-2", "Pa", "pascal", 1000)
_define_with_prefixes("mass length2 time-3 current-1", "V", "volt", 1000)
_define_with_prefixes("mass length2 time-3 current-2", "ohm", "ohm", 1000)
_define_with_prefixes("current time", "C", "coulomb")
_define_with_prefixes("mass-1 length-2 time4 current2", "F", "farad", Fraction(1, 1000))
_define_with_prefixes("mass length2 time-2 current-2", "H", "henry", 1000)
_define_with_prefixes("mass time-2 current-1", "T", "tesla", 1000)
_define_with_prefixes("mass length2 time-2 current-1", "Wb", "weber", 1000)
_define_with_prefixes("time-1", "Hz", "hertz")
_define_with_prefixes("mass length2 time-2", "eV", "electronvolt", 1000 * Fraction(1602176634, 10**28))
_define_with_prefixes("mass length2 time-2", "cal", "calorie", Fraction(4184))
_define_with_prefixes("mass length2 time-2", "Wh", "", 3600 * 1000)
_define_with_prefixes("mass length-1 time-2", "bar", "bar", 100_000 * 1000)
_define_with_prefixes("length3", "L l", "liter litre", Fraction(1, 1000))
_define("length", "in inch inches", Fraction(254, 10000))
_define("length", "ft foot feet", Fraction(3048, 10000))
_define("length", "yd yds yard yards", Fraction(9144, 10000))
_define("length", "mi mile miles", Fraction(1609344, 1000))
_define("length", "kms", 1000)
_define("length", "angstrom angstroms", Fraction(1, 10**10))
_define("mass", "lb lbs pound pounds", Fraction(45359237, 100000))
_define("mass", "oz ounce ounces", Fraction(45359237, 1600000))
_define("mass", "kgs", 1000)
_define("mass", "tonne tonnes", 1000_000)
_define("time", "sec secs", 1)
_define("time", "min mins minute minutes", 60)
_define("time", "h hr hrs hour hours", 3600)
_define("time", "day days", 86400)
_define("time", "week weeks", 604800)
_define("months", "month months", 1)
_define("months", "year years yr yrs", 12)
_define("money", "dollar dollars usd bucks peso pesos", 1)
_define("euros", "euro euros eur", 1)
_define("sterling", "gbp quid", 1)
_define("rupees", "rupee rupees inr", 1)
_define("yen", "yen yuan jpy cny rmb", 1)
_define("won", "won krw", 1)
_define("rubles", "ruble rubles rouble roubles rub", 1)
_define("francs", "franc francs chf", 1)
_define("money", "cent cents", Fraction(1, 100))
_define("angle", "degree degrees deg degs", 1)
_define("turn", "radian radians rad rads", 1)
_define("mass length-1 time-2", "atm atms atmosphere atmospheres", 101_325 * 1000)
_define("mass length-1 time-2", "torr mmhg", Fraction(101_325 * 1000, 760))
for _symbol, _name, _base, _tens in (
    ("cm", "centimeter", "m", -2), ("cm", "centimetre", "m", -2), ("dm", "decimeter", "m", -1),
    ("dm", "decimetre", "m", -1), ("cg", "centigram", "g", -2), ("cl", "centiliter", "L", -2),
    ("cL", "centilitre", "L", -2), ("dl", "deciliter", "L", -1), ("dL", "decilitre", "L", -1),
    ("hPa", "hectopascal", "Pa", 2),
):  # fmt: skip
    _BY_SYMBOL[_symbol] = Unit(_BY_SYMBOL[_base].dimensions, _BY_SYMBOL[_base].factor * Fraction(10) ** _tens)
    _BY_NAME.update(dict.fromkeys((_name, f"{_name}s"), _BY_SYMBOL[_symbol]))
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
