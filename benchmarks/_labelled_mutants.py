"""Wrong answers in the clothes of right ones: behind a quantity, in words beside figures, with dots, as vectors."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from fractions import Fraction

Value = Callable[[str], Fraction | None]

_QUANTITIES = (
    "xy",
    "x^2+y^2",
    "x-y",
    "a+b+c",
    r"\alpha\beta",
    r"x+\frac{1}{x}",
    r"\vec{a}\cdot\vec{b}",
    "|a+b|",
    r"\frac{a+b}{c}",
    "x_1x_2",
    "10a+b",
)
_FALSE_ENDS = (
    "= {other}",
    r"\ne {gold}",
    "< {gold}",
    r"\ge {gold}",
    r"\equiv {gold}",
    "= {gold} = {other}",
    "= {other} = {gold}",
    "= -({gold})",
    r"= {gold} \text{{ is wrong}}",
    r"= {gold} \text{{ or }} {other}",
    "= {gold}, {other}",
    "= {gold}x",
    "= {gold} dozen",
    "= ({gold})^3",
    r"\to {gold}",
)
_EQUATIONS = (
    "3xy",
    "-xy",
    "xy+1",
    "2a+2b",
    r"\frac{xy}{2}",
    "x^2",
    "x^2+3x",
    "xy-x-7",
    r"\frac{7}{x}",
    "2x+\\frac{2}{x}",
    r"2\vec{a}\cdot\vec{b}",
    r"\dots",
    r"\forall x",
    r"\lnot xy",
    r"x + 2",
)
_SMALL_WORDS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen"
)
_SMALL = _SMALL_WORDS.split()
_TENS = ("", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_SCALED = ("not", "minus", "negative", "half of", "at least", "twice", "one third of")


def spoken(value: int) -> str:
    """Returns a whole number below a million in words."""
    if value >= 1000:
        rest = value % 1000
        return f"{spoken(value // 1000)} thousand" + (f" {spoken(rest)}" if rest else "")
    if value >= 100:
        rest = value % 100
        return f"{_SMALL[value // 100]} hundred" + (f" and {spoken(rest)}" if rest else "")
    if value >= 20:
        return _TENS[value // 10] + (f"-{_SMALL[value % 10]}" if value % 10 else "")
    return _SMALL[value]


def of_quantities(gold: str, value: Fraction | None, rng: random.Random) -> Iterator[str]:
    """A quantity with another value, or none, or an equation that is none of a quantity."""
    if value is None or value in (0, 1, -1):
        return
    other = rng.choice([n for n in range(2, 60) if n != value])
    for left in rng.sample(_QUANTITIES, 4):
        yield from (f"{left} {end.format(gold=gold, other=other)}" for end in _FALSE_ENDS)
    yield from (f"{left} = {gold}" for left in _EQUATIONS)
    yield from (rf"x \equiv {gold} \pmod {{{abs(value.numerator)}}}", rf"x \equiv {other} \pmod{{97}}")


def in_words(gold: str, value: Fraction | None, rng: random.Random) -> Iterator[str]:
    """Words that say another number than the figures beside them, or another than the gold answer."""
    # In "12/3 (three)" the word may say the 3.
    if value is None or not gold.isdigit() or not 2 <= value < 1_000_000:
        return
    right, near = spoken(int(value)), spoken(int(value) + rng.choice([-1, 1, 10]))
    yield from (near, rf"\text{{{near}}}", f"{gold} ({near})", rf"{gold}\text{{ ({near})}}", f"{near} ({gold})")
    yield from (f"{int(value) + 1} ({right})", rf"{int(value) + 1} \text{{ ({right})}}", f"{right} ({int(value) + 1})")
    yield from (f"{right} {word}" for word in ("hundredths", "percent", "dozen", "trillion", "thirds", "or more"))
    yield from (
        f"{word} {right}" for word in ("not", "minus", "negative", "half of", "at least", "twice", "one third of")
    )
    yield from (f"{gold} ({word} {right})" for word in ("not", "minus", "less than", "rather than", "or"))


def with_dots(gold: str, value: Fraction | None, rng: random.Random) -> Iterator[str]:
    """Sums and products whose dots lead elsewhere, or nowhere."""
    if value is None or value.denominator != 1 or value < 3:
        return
    other = rng.choice([n for n in range(3, 40) if n * (n + 1) != 2 * value])
    for dots in (r"\dots", r"\cdots", "..."):
        yield from (f"1+2+{dots}+{gold}", f"1+2+{dots}+{other}={gold}", f"{dots}={gold}", f"{gold}+{dots}")
        yield from (f"1,2,{dots},{gold}", f"1+2+{dots}={gold}", f"7919+7920+{dots}+{gold}={gold}")
    yield from (rf"1\cdot 2\cdots {gold}", rf"2+4+8+\dots+{other}={gold}", rf"1^2+2^2+\dots+{gold}^2")
    yield from (rf"a_1+a_2+\dots+a_{{9}}={gold}+1", rf"1+\dots+{other}+{gold}={gold}")


def of_vectors(gold: str, rng: random.Random) -> Iterator[str]:
    """Vectors with other components, in other orders, of other lengths."""
    inner = gold[1:-1].split(",")
    if gold[:1] + gold[-1:] != "()" or not 2 <= len(inner) <= 3 or not all(map(_is_plain, inner)):
        return
    items = [item.strip() for item in inner]
    turned = items[1:] + items[:1]
    changed = [*items[:-1], "7919"]
    units = (r"\mathbf{i}", r"\mathbf{j}", r"\mathbf{k}")
    for wrong in (turned if turned != items else changed, changed, [*items, "7919"], [*items[:-1], "-7919"]):
        listed, rows = ", ".join(wrong), r" \\ ".join(wrong)
        yield from (rf"\vec{{v}} = ({listed})", rf"\langle {listed} \rangle", rf"\vec{{a}}+\vec{{b}} = ({listed})")
        yield rf"\mathbf{{u}} = \begin{{pmatrix}} {rows} \end{{pmatrix}}"
        if len(wrong) < 4:
            yield "+".join(f"({item}){unit}" for item, unit in zip(wrong, units, strict=False))
    yield from (
        rf"\vec{{v}} \ne {gold}",
        rf"2\vec{{v}} = {gold}",
        rf"\vec{{v}} + 1 = {gold}",
        rf"|\vec{{v}}| = {items[0]}",
    )


def _is_plain(item: str) -> bool:
    return item.strip().removeprefix("-").isdigit()
