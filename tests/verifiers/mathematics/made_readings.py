"""Answers made by rules, by what has to be read beside the value: measures and money, what is counted, names, domains,
reasons, and what takes an answer back. Each case is (gold answer, completion, whether it is right)."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

Case = tuple[str, str, bool]


def _box(said: str) -> str:
    return rf"\boxed{{{said}}}"


def money(rng: random.Random) -> Iterator[Case]:
    """One currency is no other; without one, a number is as good."""
    value = rng.randint(2, 900)
    signs = {r"\$": "dollars", "€": "euros", "£": "pounds", "¥": "yen", "₹": "rupees", "₩": "won"}
    for sign, name in signs.items():
        yield f"{sign}{value}", _box(rf"{value}\text{{ {name}}}"), True
        yield f"{sign}{value}", _box(str(value)), True
        if sign not in {r"\$", "€"}:
            yield "€1", f"It costs {sign}1.", False
        for other in signs.keys() - {sign}:
            yield f"{sign}{value}", _box(f"{other}{value}"), False


def powers_of_units(rng: random.Random) -> Iterator[Case]:
    """A length is no area, in a box or in prose."""
    value = rng.randint(2, 900)
    for unit, name in (("cm", "centimeters"), ("ft", "feet"), ("m", "meters")):
        for power, word in ((1, ""), (2, "square "), (3, "cubic ")):
            raised = unit if power == 1 else rf"{unit}}}^{power}\text{{"
            for other, said in ((1, ""), (2, "square "), (3, "cubic ")):
                yield rf"{value}\text{{ {raised}}}", _box(rf"{value}\text{{ {said}{name}}}"), power == other
                yield rf"{value}\text{{ {word}{name}}}", f"The size is {value} {said}{name}.", power == other
        yield str(value), f"The length is {value} {name}.", True


def measures_in_prose(rng: random.Random) -> Iterator[Case]:
    """The measure that follows a value in a sentence belongs to it."""
    value = rng.randint(2, 900)
    for unit, other in (("km", "m"), ("hours", "minutes"), ("kg", "grams"), ("liters", "milliliters")):
        yield f"{value} {unit}", f"So the result that we get is {value} {unit}.", True
        yield f"{value} {unit}", f"So the result that we get is {value} {other}.", False
        yield f"{value}", f"So the result that we get is {value} {unit} per day.", True


def counted(rng: random.Random) -> Iterator[Case]:
    """Values of several things are not swapped."""
    one, two = rng.sample(range(2, 90), 2)
    for gold in (f"{one} adults, {two} children", rf"{one} \text{{ adults, }} {two} \text{{ children}}"):
        yield gold, _box(f"{two} children, {one} adults"), True
        yield gold, _box(rf"{one} \text{{ adults and }} {two} \text{{ children}}"), True
        yield gold, _box(f"{two} adults, {one} children"), False
    yield f"{one}, {two}", _box(f"{two} children, {one} adults"), True
    yield f"{one} cm, {two} kg", _box(rf"{two} \text{{ kilograms}}, {one} \text{{ cm}}"), True
    yield f"{one} cm, {two} kg", _box(f"{two} cm, {one} kg"), False


def named_boxes(rng: random.Random) -> Iterator[Case]:
    """Boxes behind names are the values of these names."""
    one, two = rng.sample(range(-90, 90), 2)
    for joint in (" and ", ", ", "\n\n"):
        said = rf"We get $x = \boxed{{{one}}}${joint}$y = \boxed{{{two}}}$."
        yield f"x = {two}, y = {one}", said, False
        yield f"{one + 200}", said, False
    said = rf"We get $x = \boxed{{{one}}}$ and $y = \boxed{{{two}}}$."
    yield f"x = {one}, y = {two}", said, True
    yield f"({one}, {two})", said, True


def domains(rng: random.Random) -> Iterator[Case]:
    """Where a formula means something may be said; a condition of anything else is no part of a value."""
    value = rng.randint(2, 90)
    gold = f"x+{value}"
    for said in (
        rf"{gold}, x \neq {value}",
        rf"{gold} \text{{ for }} x \neq {value}",
        rf"{gold} \quad (x \neq {value})",
    ):
        yield gold, _box(said), True
        yield f"x+{value + 1}", _box(said), False
    yield r"\frac{1}{1-x}", _box(r"\frac{1}{1-x}, \quad |x| < 1"), True
    yield r"\ln x", _box(r"\ln x, x > 0"), True
    yield f"{value}", _box(rf"{value} \text{{ for }} k > 0"), False
    yield f"x^{value}", _box(rf"x^{value} \text{{ for }} x > {value}"), False
    yield f"x^{value}", _box(rf"x^{value}, x > 0"), False


def polar(rng: random.Random) -> Iterator[Case]:
    """cis is cos + i sin."""
    size = rng.randint(2, 9)
    angle = rng.choice((20, 50, 70, 110))
    for cis in (r"\operatorname{cis}", r"\text{cis}\,", r"\text{ cis }"):
        gold = rf"{size}(\cos {angle}^\circ + i\sin {angle}^\circ)"
        yield gold, _box(rf"{size}{cis} {angle}^\circ"), True
        yield gold, _box(rf"{size}{cis} {angle + 10}^\circ"), False
    yield rf"{size}i", _box(rf"{size}\operatorname{{cis}}\frac{{\pi}}{{2}}"), True


def antiderivatives(rng: random.Random) -> Iterator[Case]:
    """Functions with a constant of integration are the same where they differ by a number."""
    power, value = rng.randint(2, 9), rng.randint(2, 90)
    yield f"x^{power} + C", _box(f"x^{power} + {value} + C"), True
    yield r"\sin^2 x + C", _box(r"-\frac{1}{2}\cos 2x + C"), True
    yield f"x^{power} + C", _box(f"x^{power + 1} + C"), False
    yield f"x^{power} + C", _box(f"x^{power} + x + C"), False
    yield f"x^{power} + C", _box(f"x^{power}"), False
    yield "a + b + C", _box(f"a + b + {value} + C"), False


def remarks(rng: random.Random) -> Iterator[Case]:
    """How a value was rounded and why it is so leave it as it is; a remark that takes it back does not."""
    value = rng.randint(2, 900)
    for said in ("to 2 d.p.", "rounded to the nearest hundredth", "correct to 3 significant figures"):
        yield f"{value}.25", _box(rf"{value}.25 \text{{ ({said})}}"), True
        yield f"{value}.26", _box(rf"{value}.25 \text{{ ({said})}}"), False
    yield f"{value}", _box(rf"n = {value} \text{{ (since }} n > 0)"), True
    yield f"{value}", _box(rf"{value} \text{{ (since it is not wrong)}}"), False
    yield r"\text{Yes}", _box(r"\text{Yes, because } f \text{ is continuous}"), True
    yield r"\text{Yes}", _box(r"\text{Yes, because } f \text{ is not continuous}"), False
    yield rf"{value}.5 \times 10^{{23}}", _box(rf"{value}.5\mathrm{{e}}{{23}}"), True
    yield rf"{value}.5 \times 10^{{23}}", _box(rf"{value}.5\mathrm{{e}}{{22}}"), False


def shares(rng: random.Random) -> Iterator[Case]:
    """So many out of so many is a fraction."""
    some, all_ = rng.randint(1, 9), rng.randint(11, 90)
    gold = rf"\frac{{{some}}}{{{all_}}}"
    for said in (rf"{some} \text{{ out of }} {all_}", f"{some} in {all_}"):
        yield gold, _box(said), True
        for other in (some, all_):
            yield str(other), _box(said), False
    yield gold, f"The chance is {some} in {all_}.", True
    yield str(all_), f"The chance is {some} in {all_}.", False
    yield gold, f"The probability is {some} out of {all_}.", True


def concentrations(rng: random.Random) -> Iterator[Case]:
    """M is a mole in a litre where the other side has such a unit, and a million for nobody."""
    value = rng.randint(2, 90)
    yield rf"0.{value} \text{{ mol/L}}", _box(rf"0.{value}\,\text{{M}}"), True
    yield rf"0.{value} \text{{ M}}", _box(rf"0.{value}\ \mathrm{{mol/L}}"), True
    yield rf"0.{value} \text{{ mol/L}}", _box(rf"0.{value}\,\text{{mM}}"), False
    yield f"{value}", _box(rf"{value}\,\text{{M}}"), False


def options(rng: random.Random) -> Iterator[Case]:
    """Letters of Cyrillic options, which are not those that look like them."""
    one, two = rng.sample("АБВГД", 2)
    for said in ("Ответ: {}", "Правильный ответ: {}) 15", r"Ответ: $\boxed{{{}}}$"):
        yield one, said.format(one), True
        yield one, said.format(two), False
    yield "B", "Ответ: В", False
    yield "C. x = 42", _box("C"), True
    yield "C. x = 42", _box("D"), False


def taken_back(rng: random.Random) -> Iterator[Case]:
    """Words before the announcement deny it."""
    value = rng.randint(2, 900)
    yield str(value), f"It could be {value}.", False
    for lead in ("I doubt that", "It is not true that", "Suppose"):
        yield str(value), f"{lead} the answer is {value}.", False
    for said in ("It is not even, so the answer is {}.", "No, wait. The answer is {}."):
        yield str(value), said.format(value), True
    yield str(value), f"<think>5</think><answer>{value}</answer>", True
    yield str(value), rf"\boxed{{{value}}} <answer>{value + 1}</answer>", False


def said_in_words(rng: random.Random) -> Iterator[Case]:
    """Words that a last sentence says, and a yes or no that opens it."""
    day, other = rng.sample(("Monday", "Tuesday", "Saturday", "Sunday"), 2)
    yield rf"\text{{{day}}}", f"The day is {day}.", True
    yield rf"\text{{{day}}}", f"The day is {other}.", False
    yield rf"\text{{{day}}}", f"The day is not {day}.", False
    yield r"\text{Yes}", "**Yes**, the series converges.", True
    yield r"\text{Yes}", "No, the series diverges.", False
    yield r"\text{isosceles}", _box(r"\text{The triangle is isosceles.}"), True
    yield r"\text{isosceles}", _box(r"\text{The triangle is not isosceles.}"), False


def around_boxes(rng: random.Random) -> Iterator[Case]:
    """What stands beside a box in its formula counts, and a box that is denied or within a formula is no answer."""
    value = rng.randint(11, 90)
    box = rf"\boxed{{{value}}}"
    for said in (
        *(f"{box}0", f"{box}^2", rf"{box}\dfrac{{1}}{{2}}", f"$-{box}$", f"{box} thousand", rf"\sqrt{{{box}}}"),
        *(rf"\frac{{{box}}}{{2}}", f"x = {box} + 1", f"It is not {box}.", f"The wrong answer is {box}; take 8."),
    ):
        yield str(value), said, False
    for said in (
        f"{box}.",
        f"${box}$",
        f"{box}^\\circ",
        rf"{box}\text{{ cm}}^2",
        f"- {box}",
        f"{box} - done",
        f"{box}!",
    ):
        yield str(value), said, True
    for lead in ("a_3", "x^2 + y^{38}", r"\sqrt{81}", r"\frac{18}{2}", r"x_{\max}", "3^4"):
        yield str(value), f"Then ${lead} = {box}$.", True
    for lead in ("x^", "x_{", "x^{"):
        yield str(value), f"Then ${lead}{box}", False
    yield str(-value), f"$-{box}$", True
    yield str(value * value), f"{box}^2", True
    yield str(value), f"So she ends up with {value} coins, not {value + 1}.", True
    yield str(value + 1), f"So she ends up with {value} coins, not {value + 1}.", False


def labels(rng: random.Random) -> Iterator[Case]:
    """Quantities of calculus and chemistry before their value."""
    value = rng.randint(2, 90)
    yield f"({value}x, 2y)", _box(rf"\nabla f = \langle {value}x, 2y \rangle"), True
    yield f"{value}xy", _box(rf"\frac{{\partial f}}{{\partial x}} = {value}xy"), True
    yield rf"{value}\pi i", _box(rf"\oint_C \frac{{dz}}{{z}} = {value}\pi i"), True
    yield f"{value}", _box(rf"\text{{pH}} = {value}"), True
    yield f"{value}", _box(rf"\text{{Radius of convergence: }} {value}"), True
    for words in ("At least", "The number after", "The wrong value", "Half of the answer"):
        yield f"{value}", _box(rf"\text{{{words}: }} {value}"), False
    yield rf"\mathbb{{Z}}_{{{value}}}", _box(rf"\mathbb{{Z}}/{value}\mathbb{{Z}}"), True
    yield rf"\mathbb{{Z}}_{{{value}}}", _box(rf"\mathbb{{Z}}/{value + 1}\mathbb{{Z}}"), False
    yield f"({value}, {value + 1})", _box(rf"{value} < \mu < {value + 1}"), True
    yield f"-{value}", _box(rf"\text{{negative }} {value}"), True
    yield f"{value}", _box(rf"\text{{negative }} {value}"), False
    yield "3", "There are three real roots.", True
    yield "4", "There are three real roots.", False


def residue_classes(rng: random.Random) -> Iterator[Case]:
    """A class of residues is the same with and without its unknown; another one, or one number, is not."""
    modulus = rng.randint(5, 40)
    value = rng.randint(0, modulus - 2)
    bare, of_unknown = rf"{value} \pmod{{{modulus}}}", rf"n \equiv {value} \pmod{{{modulus}}}"
    for gold, other in ((bare, of_unknown), (of_unknown, bare)):
        yield gold, _box(other), True
        yield gold, f"The answer is ${other}$.", True
        for changed in (
            other.replace(f"{value} ", f"{value + 1} "),
            other.replace(f"{{{modulus}}}", f"{{{modulus + 1}}}"),
        ):
            yield gold, _box(changed), False
    yield bare, _box(of_unknown.replace("n ", "2n ")), False
    yield bare, _box(of_unknown.replace(r"\equiv", r"\not\equiv")), False
    yield of_unknown, _box(str(value)), False


def chosen(rng: random.Random) -> Iterator[Case]:
    """How many ways there are to choose, the larger of two, several letters in a row, and who gets a number."""
    size = rng.randint(4, 12)
    value = size * (size - 1) // 2
    yield f"{value}", rf"So there are $\binom{{{size}}}{{2}} = {value}$ ways to choose the team.", True
    yield f"{value + 1}", rf"So there are $\binom{{{size}}}{{2}} = {value}$ ways to choose the team.", False
    yield f"{value}", f"I get {value}.", True
    yield f"{value}", f"I get {value + 1}.", False
    yield f"{value}", f"I got {value} wrong.", False
    yield r"\max(a, b)", _box(r"\max\{a, b\}"), True
    yield r"\max(a, b)", _box(r"\min\{a, b\}"), False
    yield r"\max(a, b)", _box(r"\{a, b\}"), False
    for said in ("ABD", "ABC"):
        yield "ABD", f"故选：{said}.", said == "ABD"


READINGS: dict[str, Callable[[random.Random], Iterator[Case]]] = {
    maker.__name__: maker
    for maker in (
        *(money, powers_of_units, measures_in_prose, counted, named_boxes, domains, polar, antiderivatives, remarks),
        *(shares, concentrations, options, taken_back, said_in_words, around_boxes, labels),
        *(residue_classes, chosen),
    )
}
