"""Answers made by rules: units, languages, dates, marked parts: (gold answer, completion, whether it is right)."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

from verifiers.wording.cues import LANGUAGES

Case = tuple[str, str, bool]
Maker = Callable[[random.Random], Iterator[Case]]

_UNITS = [
    ("N", "newtons"), ("J", "joules"), ("W", "watts"), ("V", "volts"), ("Pa", "pascals"), ("Hz", "hertz"),
    ("A", "amperes"), ("K", "kelvin"), ("C", "coulombs"), ("T", "teslas"), ("F", "farads"), ("mol", "moles"),
]  # fmt: skip


def units(rng: random.Random) -> Iterator[Case]:
    """Symbols and names of units, with prefixes or without, of another size or another kind."""
    value = rng.randint(2, 900)
    (symbol, name), (other, other_name) = rng.sample(_UNITS, 2)
    gold = f"{value} {symbol}"
    for said in (rf"{value}\ \text{{{symbol}}}", rf"{value}\,\mathrm{{{symbol}}}", rf"{value}\text{{ {name}}}"):
        yield gold, rf"\boxed{{{said}}}", True
        yield rf"{value} \mathrm{{~{symbol}}}", rf"\boxed{{{said}}}", True
        yield str(value), rf"\boxed{{{said}}}", True
        yield f"{value} {other}", rf"\boxed{{{said}}}", False
        yield f"{value + 1} {symbol}", rf"\boxed{{{said}}}", False
    yield gold, rf"\boxed{{{value}\text{{ {other_name}}}}}", False
    yield gold, rf"\boxed{{{1000 * value}\ \text{{m{symbol}}}}}", True
    yield gold, rf"\boxed{{{value}\ \text{{k{symbol}}}}}", False
    yield rf"{value} \Omega", rf"\boxed{{{value}\text{{ ohms}}}}", True
    yield rf"{value} \Omega", rf"\boxed{{{value}\text{{ k}}\Omega}}", False
    yield f"{value} J s", rf"\boxed{{{value}\ \text{{J}}\cdot\text{{s}}}}", True
    yield f"{value}", rf"\boxed{{{value}\ \frac{{\text{{m}}}}{{\text{{s}}^2}}}}", True
    yield rf"{value}^\circ C", rf"\boxed{{{value}^\circ F}}", False
    yield f"{value} nm", rf"\boxed{{{value}\times 10^{{-9}}\text{{ m}}}}", True
    yield f"{value}", rf"\boxed{{{value}k}}", False
    yield rf"{value} \mathrm{{~ms}}^{{-1}}", rf"\boxed{{{value}\ \text{{m/s}}}}", True
    yield rf"{value} \mathrm{{~ms}}", rf"\boxed{{{value}\ \text{{m s}}}}", False
    yield f"{value} N m^2/kg^2", rf"\boxed{{{value}\ \text{{N·m}}^2/\text{{kg}}^2}}", True


def languages(rng: random.Random) -> Iterator[Case]:
    """Values that a word of the language joins to another, or bounds."""
    one, two = rng.sample(range(11, 99), 2)
    for language in LANGUAGES.values():
        noun, copula = language.nouns.split("|")[-1], language.copulas.split("|")[-1]
        if "(" in noun + copula or not language.ors:
            continue
        lead = f"{noun} {copula} " if copula[0].isalpha() else f"{noun}: "
        joint, other = (words.split("|")[0].replace("\\", "") for words in (language.ands, language.ors))
        yield f"{one}, {two}", f"{lead}{one} {joint} {two}", True
        yield f"{two}", f"{lead}{one} {joint} {two}", False
        yield f"{one}", f"{lead}{one} {joint} {two}", False
        for gold in (one, two):
            yield f"{gold}", f"{lead}{one} {other} {two}", False
        yield f"{one}", f"{lead}{one}", True
    for bound in (
        "au moins",
        "mindestens",
        "al menos",
        "не менее",
        "en az",
        "ít nhất",
        "至少",
        "少なくとも",
        "อย่างน้อย",
    ):
        yield f"{one}", f"{bound} {one}", False


def decimal_commas(rng: random.Random) -> Iterator[Case]:
    """Numbers with a comma for a point, which are no lists, nor thousands."""
    whole, part = rng.randint(2, 900), rng.choice((25, 5, 75, 4))
    gold = f"{whole}.{part}"
    for said in (f"{whole},{part}", f"{whole}{{,}}{part}", f"{whole},{part}\\text{{ cm}}"):
        yield gold, rf"\boxed{{{said}}}", True
        yield f"{whole}.{part + 1}", rf"\boxed{{{said}}}", False
    yield gold, f"Die Antwort ist {whole},{part}.", True
    yield gold, f"Ответ: {whole},{part} м", True
    yield f"{whole + 1000}.{part}", f"La respuesta es {1}.{whole:03d},{part}.", True
    yield f"{gold}, 1.5", rf"\boxed{{{whole},{part}; 1,5}}", True
    yield f"{whole}.125", rf"\boxed{{{whole},125}}", False
    yield gold, rf"\boxed{{({whole}, {part})}}", False
    yield f"{whole}, {part}", rf"\boxed{{{whole}.{part}}}", False


def dates(rng: random.Random) -> Iterator[Case]:
    """Days of a year, and times of a day."""
    month, day, year = (
        rng.choice(("March", "June", "October", "December")),
        rng.randint(11, 27),
        rng.randint(1900, 2030),
    )
    for said in (
        f"{month} {day}, {year}",
        f"{day} {month} {year}",
        f"{month[:3]} {day}, {year}",
        f"{day}th of {month}, {year}",
    ):
        yield f"{month} {day}, {year}", rf"\boxed{{\text{{{said}}}}}", True
        yield f"{month} {day + 1}, {year}", rf"\boxed{{\text{{{said}}}}}", False
        yield f"{month} {day}, {year + 1}", rf"\boxed{{\text{{{said}}}}}", False
    hour = rng.randint(1, 11)
    for said in (f"{hour} p.m.", f"{hour}:00 PM", rf"{hour}{{:}}00\text{{ PM}}"):
        yield f"{hour}:00 PM", rf"\boxed{{{said}}}", True
        yield f"{hour}:00 AM", rf"\boxed{{{said}}}", False
        yield f"{hour + 1}:00 PM", rf"\boxed{{{said}}}", False
    yield "noon", r"\boxed{12:00 PM}", True
    yield "midnight", r"\boxed{12:00 PM}", False


def parts(rng: random.Random) -> Iterator[Case]:
    """Answers with several parts, whose order or whose names count."""
    one, two, three = rng.sample(range(2, 99), 3)
    yield f"{one}, {two}", rf"(a) \boxed{{{one}}} (b) \boxed{{{two}}}", True
    yield f"{one}, {two}", rf"(a) \boxed{{{two}}} and (b) \boxed{{{one}}}", False
    yield f"(a) {one}, (b) {two}", rf"\boxed{{{one}, {two}}}", True
    yield f"(a) {one}, (b) {two}", rf"\boxed{{{two}, {one}}}", False
    yield f"({one},{two}),({three},{one})", rf"\boxed{{x={one},y={two} \text{{ or }} y={one},x={three}}}", True
    yield f"({one},{two}),({three},{one})", rf"\boxed{{x={one},y={one} \text{{ or }} x={three},y={two}}}", False
    yield f"p={one},q={two};p={three},q={two}", rf"\boxed{{({one},{two}),({three},{two})}}", True
    yield f"({one},{two})or({two},{one})", rf"\boxed{{({two},{one}),\ ({one},{two})}}", True
    yield f"({one},{one},{one})", rf"\boxed{{a=b=c={one}}}", True
    yield f"({one},{one},{one})", rf"\boxed{{a=b={one}}}", False
    yield f"{one}", rf"\boxed{{a=b=c={one}}}", False
    yield f"{one}, {two}", rf"There are \boxed{{{one}}} boys and \boxed{{{two}}} girls.", True
    yield f"{one}", f"The answer is {one} boys and {two} girls.", False
    yield f"{one}, {two}", f"The answer is {one} boys and {two} girls.", True
    yield f"{one}", rf"We get \boxed{{{two}}} first. Final Answer: The final answer is {one}.", True
    yield f"{two}", rf"We get \boxed{{{two}}} first. Final Answer: The final answer is {one}.", False
    yield rf"\{{1, 2, \ldots, {one + 3}\}}", rf"\boxed{{\{{{', '.join(map(str, range(1, one + 4)))}\}}}}", True
    yield rf"\{{1, 2, \ldots, {one + 4}\}}", rf"\boxed{{\{{{', '.join(map(str, range(1, one + 4)))}\}}}}", False
    yield f"f(x) = x + {one}", rf"\boxed{{f(x) = x + {one} \text{{ for all }} x \in \mathbb{{R}}}}", True
    yield f"f(x) = x + {one}", rf"\boxed{{f(x) = x + {two} \text{{ for all }} x \in \mathbb{{R}}}}", False
    yield f"y = C_1 e^{{{one}x}} + C_2", rf"\boxed{{y = A + B e^{{{one}x}}}}", True
    yield f"y = C_1 e^{{{one}x}} + C_2", rf"\boxed{{y = A + B e^{{{two}x}}}}", False

    for mark, rest in (("(a)", "(b)"), ("**(a)**", "**(b)**"), ("(a) First,", "(b) Then,"), ("Part (a):", "Part (b):")):
        yield f"{one}, {two}", f"{mark} it is $\\boxed{{{one}}}$.\n\n{rest} it is $\\boxed{{{two}}}$.", True
        yield f"{one}, {two}", f"{mark} it is $\\boxed{{{two}}}$.\n\n{rest} it is $\\boxed{{{one}}}$.", False
        yield f"(a) {one} (b) {two}", f"{mark} $\\boxed{{{one}}}$\n{rest} $\\boxed{{{two}}}$", True
    yield rf"r={one}, \theta=\frac{{\pi}}{{{two}}}", rf"\boxed{{({one}, \frac{{\pi}}{{{two}}})}}", True
    yield rf"\left(\frac{{{one}}}{{7}}, \frac{{{two}}}{{7}}\right)", rf"\boxed{{\frac17({one},{two})}}", True
    yield rf"\left(\frac{{{one}}}{{7}}, \frac{{{two}}}{{7}}\right)", rf"\boxed{{\frac17({two},{one})}}", False
    yield rf"\{{1\}}\cup[{one},\infty)", rf"\boxed{{x=1 \text{{ or }} x\ge {one}}}", True
    yield rf"\{{1\}}\cup[{one},\infty)", rf"\boxed{{x=1 \text{{ or }} x> {one}}}", False


def sentences(rng: random.Random) -> Iterator[Case]:
    """Statements that end in their answer, in bold or after words that lead to it."""
    value = rng.randint(11, 900)
    for said in (
        "The expression simplifies to {}.",
        "He made a profit of ${}.",
        "She needs to pay ${} for it.",
        "It is −{}.",
    ):
        yield f"{value}" if "−" not in said else f"-{value}", said.format(value), True
        yield f"{value + 1}", said.format(value), False
    for said in ("up to {}.", "half of {}.", "less than {}.", "a multiple of {}.", "from 3 to {}."):
        yield f"{value}", f"It is {said.format(value)}", False
    for said in (
        "x = {} ✓",
        r"$\therefore x = {}$",
        "```\n{}\n```",
        "✅ **Final Answer: {}**",
        "O resultado é {}.",
        "Das Ergebnis ist {}.",
    ):
        yield f"{value}", said.replace("{}", str(value)), True
        yield f"{value + 1}", said.replace("{}", str(value)), False
    for said in ("Ainsi, x = {}.", "Portanto, x = {}.", "Por lo tanto, el valor de x es {}.", "그러므로 x는 {}이다."):
        yield f"{value}", said.replace("{}", str(value)), True
        yield f"{value + 1}", said.replace("{}", str(value)), False
    for sign in ("≠", "<", ">", "≤", "≥", "±"):
        for lead in ("Hence", "Ainsi,", "所以", "Отсюда"):
            yield f"{value}", f"{lead} x {sign} {value}.", False
    yield f"{value}:7", f"The ratio is {value}:7.", True
    yield "7", f"The ratio is {value}:7.", False
    yield "Tuesday", "So the day is **Tuesday**.", True
    yield "Tuesday", "So the day is not **Tuesday**.", False
    yield "B", "I choose B because A is too small.", True
    yield "A", "I choose B because A is too small.", False
    yield "A", "A number that is even.", False
    yield "A, C", r"\boxed{AC}", True
    yield "A, C", r"\boxed{AB}", False


def names(rng: random.Random) -> Iterator[Case]:
    """Functions and curves under other names, and words in a sentence of their own."""
    one, two = rng.sample(range(2, 30), 2)
    formula, wrong = f"{one}x^2 + {two}", f"{two}x^2 + {one}"
    yield f"y = {formula}", rf"\boxed{{f(x) = {formula}}}", True
    yield f"y = {formula}", rf"\boxed{{f(x) = {wrong}}}", False
    yield f"f(x) = {formula}", rf"\boxed{{f(t) = {one}t^2 + {two}}}", True
    yield f"f(x) = {formula}", rf"\boxed{{f(y) = {formula}}}", False
    yield f"f(x) = {formula}", rf"\boxed{{g(x) = {formula}}}", False
    yield rf"(f\circ g)(x) = {formula}", rf"\boxed{{f(g(x)) = {formula}}}", True
    yield rf"(f\circ g)(x) = {formula}", rf"\boxed{{g(f(x)) = {formula}}}", False
    yield f"y = -{one}x + {two}", rf"\boxed{{\ell: y = -{one}x + {two}}}", True
    yield f"y = -{one}x + {two}", rf"\boxed{{\ell: y = {one}x + {two}}}", False
    yield rf"y = \frac{{{one}}}{{x}}", rf"\boxed{{xy = {one}}}", True
    yield rf"y = \frac{{{one}}}{{x}}", rf"\boxed{{xy = {two}}}", False
    yield rf"y = \frac{{{one}}}{{x}}", rf"\boxed{{y = {one}x}}", False
    value = rng.randint(171, 255)
    yield f"{value:X}_{{16}}", rf"\boxed{{{value}}}", True
    yield f"{value:X}_{{16}}", rf"\boxed{{{value - 1}}}", False
    for said, gold in (
        ("The graph is a parabola", "parabola"),
        ("The function is even", "even"),
        ("The series diverges", "diverges"),
    ):
        yield rf"\text{{{gold}}}", rf"\boxed{{\text{{{said}}}}}", True
        yield rf"\text{{{gold}}}", rf"\boxed{{\text{{{said.replace(gold, 'not ' + gold)}}}}}", False
    yield "yes", "The answer is **Yes**.", True
    yield "yes", "The answer is **No**.", False
    yield r"\text{infinitely many}", r"\boxed{\text{infinitely many solutions}}", True


NOTATIONS: dict[str, Maker] = {
    maker.__name__: maker for maker in (units, languages, decimal_commas, dates, parts, sentences, names)
}


def made_notations(name: str, rounds: int, seed: int) -> list[Case]:
    """Cases of a class, none of them twice."""
    rng = random.Random(seed)
    return list(dict.fromkeys(case for _ in range(rounds) for case in NOTATIONS[name](rng)))
