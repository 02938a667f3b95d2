"""Answers made by rules, whose truth follows from how they are made: (gold answer, completion, whether it is right)."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from fractions import Fraction
from math import comb, factorial, gcd, sqrt

from benchmarks._labelled_mutants import spoken

Case = tuple[str, str, bool]
Maker = Callable[[random.Random], Iterator[Case]]


def _boxed(gold: object, right: str, wrong: str) -> Iterator[Case]:
    yield str(gold), rf"So \boxed{{{right}}}.", True
    yield str(gold), rf"So \boxed{{{wrong}}}.", False


def quantities(rng: random.Random) -> Iterator[Case]:
    """A quantity that can be worked out, and its value: the two must agree."""
    n, m = rng.randint(3, 9), rng.randint(2, 12)
    for left, value in (
        (rf"\sum_{{k=1}}^{{{n}}} k", n * (n + 1) // 2),
        (rf"{n * m + 1} \bmod {n}", 1),
        (rf"{n}!", factorial(n)),
        (rf"\binom{{{n + 2}}}{{2}}", comb(n + 2, 2)),
        (rf"\gcd({n * m}, {m})", gcd(n * m, m)),
        (rf"\log_{{{m}}} {m**n}", n),
        (rf"\lim_{{x \to {n}}} (x + {m})", n + m),
        (rf"\int_0^{{{n}}} 2x\,dx", n * n),
    ):
        yield from _boxed(value, f"{left} = {value}", f"{left} = {value + 7}")
        yield str(value + 7), rf"\boxed{{{left} = {value + 7}}}", False


def labels(rng: random.Random) -> Iterator[Case]:
    """A name for what was asked, and equations that are none."""
    value = rng.randint(5, 90)
    one, two, three = rng.sample("ABCDEFGHKMRSTUVWXYZ", 3)
    for label in (
        f"P({one} | {two})",
        rf"P({one} \cap {two})",
        rf"\frac{{{one}{two}}}{{{two}{three}}}",
        f"f({value})",
        rf"|{one} \cup {two}|",
        rf"\angle {one}{two}{three}",
        f"[{one}{two}{three}]",
        rf"\mathbb{{E}}[{one}]",
        f"{one}{two}",
        f"a_{{{value}}}",
        r"\text{the area}",
        f"g'({value})",
        rf"\frac{{{one}{two}}}{{{three}}}",
        rf"\det({one})",
        rf"\cos {one}",
    ):
        yield str(value), rf"\boxed{{{label} = {value}}}", True
        yield str(value + 1), rf"\boxed{{{label} = {value} = {value + 1}}}", False
    for equation in (
        "2x",
        "x + 3",
        "-x",
        r"\frac{x}{2}",
        r"\sqrt{x}",
        "x(x + 1)",
        "1 - x",
        r"\text{not this}",
        r"\text{wrong}",
        "x^3",
        r"\neg x",
        "3",
    ):
        yield str(value), rf"\boxed{{{equation} = {value}}}", False


def named_lists(rng: random.Random) -> Iterator[Case]:
    """Several values with their names: which is whose counts, but for the roots of one unknown."""
    one, two = rng.sample(range(2, 90), 2)
    first, second, other = rng.sample("abcdmnpqxyz", 3)
    unknown = rng.choice("txyz")
    for form in ("{} = {}, {} = {}", r"{}={}\text{{ and }}{}={}", r"{} = {},\quad {} = {}"):
        gold = form.format(first, one, second, two)
        yield gold, rf"\boxed{{{second} = {two}, {first} = {one}}}", True
        yield gold, rf"\boxed{{{first} = {two}, {second} = {one}}}", False
        yield gold, rf"\boxed{{{other} = {one}, {second} = {two}}}", False
        yield gold, rf"\boxed{{{first} = {one}, {second} = {two + 1}}}", False
        roots = form.format(f"{unknown}_1", one, f"{unknown}_{{2}}", two)
        yield roots, rf"\boxed{{{unknown}_1 = {two}, {unknown}_2 = {one}}}", True
        yield roots, rf"\boxed{{{unknown} = {two}\text{{ or }}{unknown} = {one}}}", True
        yield roots, rf"\boxed{{{one}, {two}}}", True
        yield roots, rf"\boxed{{{unknown} = {two}, {one}}}", True
        yield rf"{unknown} = {one}, {two}", rf"\boxed{{m = {one}, {two}}}", False
        yield roots, rf"\boxed{{m_1 = {one}, {unknown}_2 = {two}}}", False
        terms = form.format("a_1", one, "a_{2}", two)
        yield terms, rf"\boxed{{a_1 = {one}, a_2 = {two}}}", True
        yield terms, rf"\boxed{{a_1 = {two}, a_2 = {one}}}", False


def approximations(rng: random.Random) -> Iterator[Case]:
    """An exact value and its rounding, side by side: both must be right."""
    n = rng.choice([n for n in range(2, 90) if sqrt(n) % 1])
    exact, decimal, off = rf"\sqrt{{{n}}}", f"{sqrt(n):.3f}", f"{sqrt(n) + 0.02:.3f}"
    third = Fraction(rng.randint(1, 40) * 3 + 1, 3)
    for form in (
        "{} \\approx {}",
        "x = {} \\approx {}",
        "{} \\text{{ or about }} {}",
        "{} (\\approx {})",
        "{} \\text{{ (approximately }} {})",
        "{} \\simeq {}",
    ):
        for gold in (exact, decimal):
            yield gold, rf"\boxed{{{form.format(exact, decimal)}}}", True
            yield gold, rf"\boxed{{{form.format(exact, off)}}}", False
        yield off, rf"\boxed{{{form.format(exact, off)}}}", False
    text = rf"\frac{{{third.numerator}}}{{3}}"
    yield from _boxed(text, f"{text} = {float(third):.2f}", f"{text} = {float(third) + 0.05:.2f}")


def units(rng: random.Random) -> Iterator[Case]:
    """What was counted may follow a number; what changes it may not."""
    value = rng.randint(3, 900)
    for words in (
        "apples",
        "red marbles",
        "cm",
        "dollars",
        "ways",
        "slices of pizza",
        "people",
        "books each",
        "years old",
        "miles per hour",
        "points in total",
    ):
        yield str(value), rf"\boxed{{{value} \text{{ {words}}}}}", True
        yield str(value), f"The answer is {value} {words}.", True
    for words in (
        "is wrong",
        "dozen",
        "sevens",
        "twelfths",
        "quadrillions",
        "in binary",
        "thirds",
        "or more",
        "squared",
        "hundred",
        "if n is odd",
        "is not it",
        "too many",
        "percent",
        "minus 1",
        "mod 7",
        "gross",
        "in base 7",
        "and a half",
        "but not quite",
    ):
        if words == "in base 7" and value < 7:
            continue
        yield str(value), rf"\boxed{{{value} \text{{ {words}}}}}", False
        yield str(value), rf"\boxed{{{value} {words}}}", False
        yield str(value), f"The answer is {value} {words}.", False
    yield str(12 * value), rf"\boxed{{{value} \text{{ dozen}}}}", True


def hours(rng: random.Random) -> Iterator[Case]:
    """Times of day in any spelling, and the other half of the day."""
    hour, minute = rng.randint(1, 12), rng.randint(10, 59)
    half, other = rng.sample("ap", 2)
    for form in (
        r"{}\text{{ {}m}}",
        "{} {}.m.",
        r"{}\quad\text{{{}.M.}}",
        r"{}\ \mathrm{{{}m}}",
        "{}~{} m",
        r"{} \hspace{{2mm}} \textbf{{{}.m.}}",
    ):
        yield f"{hour}:{minute} {half}.m.", rf"\boxed{{{form.format(f'{hour}:{minute}', half)}}}", True
        yield f"{hour}:{minute} {half}.m.", rf"\boxed{{{form.format(f'{hour}:{minute}', other)}}}", False


def unseen(rng: random.Random) -> Iterator[Case]:
    """Commands that change how a value looks, and such as hide it."""
    value = rng.randint(10, 99)
    for form in (
        r"\color{{red}}{{{}}}",
        r"\textcolor{{blue}}{{{}}}",
        r"\phantom{{7}}{}",
        r"{{\Large {}}}",
        r"\underline{{{}}}",
        r"{} \tag{{3}}",
        r"\mathbf{{{}}}",
        r"\huge {}",
        r"\displaystyle {}",
        r"\colorbox{{yellow}}{{{}}}",
        r"\boldsymbol{{{}}}",
        r"\big({}\big)",
    ):
        yield str(value), rf"\boxed{{{form.format(value)}}}", True
    for form in (
        r"\phantom{{{}}}",
        r"7\phantom{{{}}}",
        r"\label{{{}}}",
        r"\cancel{{{}}}",
        r"\color{{{}}}7",
        r"\not {}",
        r"\sout{{{}}}",
    ):
        yield str(value), rf"\boxed{{{form.format(value)}}}", False
    digits = str(value)
    for mark in (*"\x00\x01\x06\x0e\x1b\x7f➡\u2062", "\\quad ", "\\, ", "^\\circ "):
        yield digits, rf"\boxed{{{digits[0]}{mark}{digits[1]}}}", False


def several(rng: random.Random) -> Iterator[Case]:
    """Boxes and lists that make up one answer; a part of it is none."""
    one, two, three = rng.sample(range(2, 99), 3)
    gold = f"{one}, {two}"
    for text in (
        rf"$x = \boxed{{{one}}}$ and $y = \boxed{{{two}}}$",
        rf"\boxed{{{one}}}, \boxed{{{two}}}",
        f"The answer is {one} and {two}.",
        rf"(a) \boxed{{{one}}} (b) \boxed{{{two}}}",
        rf"So $x = {one}$ or $x = {two}$.",
        f"The solutions are {one} and {two}.",
    ):
        yield gold, text, True
        yield str(two), text, False
        yield f"{one}, {three}", text, False
    for opening, closing in (("(", ")"), ("[", ")"), (r"\{", r"\}")):
        yield f"{opening}{one}, {two}{closing}", f"The answer is {opening}{one}, {two}{closing}.", True
        yield str(two), f"The answer is {opening}{one}, {two}{closing}.", False
    yield str(two), rf"$\begin{{array}}{{c}} {one} \\ {two} \end{{array}}$", False


def orders(rng: random.Random) -> Iterator[Case]:
    """Chains of inequalities, written from either end."""
    names = rng.sample(["f(1)", "f(2)", "g(0)", "f(-3)", r"\sin 1", "h(7)"], 3)
    up, down = " < ".join(names), " > ".join(reversed(names))
    yield from _boxed(up, down, " < ".join([names[1], names[0], names[2]]))
    yield f"{names[0]} < {names[1]}", rf"\boxed{{{names[1]} > {names[0]}}}", True
    yield f"{names[0]} < {names[1]}", rf"\boxed{{{names[0]} > {names[1]}}}", False
    value = rng.randint(3, 9)
    yield f"x \\ne {value}", rf"\boxed{{x! = {value}}}", False
    yield f"x! = {value}", rf"\boxed{{x != {value}}}", False
    yield f"x \\ne {value}", rf"\boxed{{x != {value}}}", True


_SAID = {
    "French": ("La réponse finale est {}.", "La réponse n'est pas {}."),
    "Russian": ("Ответ: {}.", "Ответ не {}."),
    "Korean": ("따라서 정답은 {}입니다.", "정답은 {}이 아닙니다."),
    "Arabic": ("الإجابة النهائية هي {}.", "الإجابة ليست {}."),
    "Hindi": ("अतः अंतिम उत्तर {} है।", "उत्तर {} नहीं है।"),
    "Thai": ("ดังนั้นคำตอบคือ {}", "คำตอบไม่ใช่ {}"),
    "Greek": ("Η τελική απάντηση είναι {}.", "Η απάντηση δεν είναι {}."),
    "Hebrew": ("התשובה הסופית היא {}.", "התשובה אינה {}."),
    "Vietnamese": ("Vậy đáp án là {}.", "Đáp án không phải là {}."),
    "Turkish": ("Doğru cevap: {}", "Cevap {} değildir."),
    "Chinese": ("所以最终答案是{}。", "答案不是{}。"),
}
_DIGITS = {"Arabic": 0x660, "Hindi": 0x966, "Thai": 0xE50}


def languages(rng: random.Random) -> Iterator[Case]:
    """Answers and choices without a box in other languages, in digits of their scripts, and such as are denied."""
    value, letter = str(rng.randint(10, 999)), rng.choice("ABCD")
    for name, (said, denied) in _SAID.items():
        yield value, said.format(value), True
        yield value, denied.format(value), False
        yield letter, said.format(letter), True
        yield letter, denied.format(letter), False
        if name in _DIGITS:
            yield value, said.format("".join(chr(_DIGITS[name] + int(digit)) for digit in value)), True
            yield value, said.format(chr(_DIGITS[name] + int(value[0])) + value[1:]), False


def asked(rng: random.Random) -> Iterator[Case]:
    """What a task asks for in several unknowns, and its value; an equation of a curve is answered by no number."""
    value = rng.randint(11, 400)
    x, y, z = rng.sample("abcmnpqrstuvwxyz", 3)
    for left in (
        f"{x}{y}",
        f"{x}^2 + {y}^2",
        f"{x} + {y} + {z}",
        rf"\frac{{{x} + {y}}}{{{z}}}",
        rf"\frac{{1}}{{{x}}} + \frac{{1}}{{{y}}}",
        f"{x}_1 {x}_2",
        rf"{x}_1 + {x}_2 + \cdots + {x}_9",
        rf"{x}^2 + \frac{{1}}{{{x}^2}}",
        rf"{x}^2 + {x}^{{-2}}",
        f"P = 2({x} + {y})",
        f"A = {x}{y}",
        rf"\vec{{{x}}} \cdot \vec{{{y}}}",
        rf"|\vec{{{x}}} + \vec{{{y}}}|",
        rf"\sqrt{{{x}^2 + {y}^2}}",
        rf"10{x} + {y}",
    ):
        yield from _boxed(value, f"{left} = {value}", f"{left} = {value + 1}")
        yield from (
            (str(value), rf"\boxed{{{left} {sign} {value}}}", False) for sign in ("<", r"\ne", r"\equiv", "= -")
        )
        if "^2 +" in left:
            yield f"{left} = {value}", rf"\boxed{{{value}}}", False
    for left in (
        f"{x} = 3{x}",
        f"P = 2P + {x}",
        f"{value}{x}{y}",
        f"{x}{y} + {value}",
        f"-{x}{y}",
        f"2{x} + 2{y}",
        f"{x}^2",
        f"2{x}",
        f"{x} + 1",
    ):
        yield str(value), rf"\boxed{{{left} = {value}}}", False
    yield str(value % 97), rf"\boxed{{{x} \equiv {value % 97} \pmod{{97}}}}", True
    yield str(value), rf"\boxed{{{x} \equiv {value} \pmod{{{value}}}}}", False


def number_words(rng: random.Random) -> Iterator[Case]:
    """Numbers in words, alone and beside their figures."""
    value = rng.choice([*range(2, 100), *(rng.randint(100, 999_999) for _ in range(50))])
    said, other = spoken(value), spoken(value + rng.randint(1, 9))
    for form in (
        "{}",
        r"\text{{{}}}",
        r"{figures} ({})",
        r"{figures} \text{{ ({})}}",
        r"{figures}\ (\text{{{}}})",
        "{} ({figures})",
    ):
        yield from _boxed(value, form.format(said, figures=value), form.format(other, figures=value))
    yield str(value), f"The answer is {value} ({said}).", True
    yield str(value), f"The answer is {value} ({other}).", False
    yield str(value), f"The answer is {said}.", True
    yield str(value), rf"\boxed{{{said} percent}}", False
    yield str(value), rf"\boxed{{not {said}}}", False


def dots(rng: random.Random) -> Iterator[Case]:
    """Sums with dots, which can be worked out, and some that can't."""
    first, step, count = rng.randint(1, 9), rng.randint(1, 9), rng.randint(5, 40)
    terms = [first + step * at for at in range(count)]
    dots = rng.choice([r"\cdots", r"\dots", "...", "…"])
    left = f"{terms[0]} + {terms[1]} + {terms[2]} + {dots} + {terms[-1]}"
    yield from _boxed(sum(terms), f"{left} = {sum(terms)}", f"{left} = {sum(terms) + step}")
    if step > 1:
        yield str(sum(terms)), rf"\boxed{{{left.replace(str(terms[-1]), str(terms[-1] + 1))} = {sum(terms)}}}", False
    powers = [first * 2**at for at in range(count)]
    left = f"{powers[0]} + {powers[1]} + {powers[2]} + {dots} + {powers[-1]}"
    yield from _boxed(sum(powers), f"{left} = {sum(powers)}", f"{left} = {powers[-1]}")
    squares = sum(at * at for at in range(1, count + 1))
    yield from _boxed(squares, f"1^2 + 2^2 + {dots} + {count}^2 = {squares}", f"1^2 + 2^2 + {dots} + {count}^2 = 7")
    yield from _boxed(r"\frac{n(n+1)}{2}", rf"1 + 2 + {dots} + n = \frac{{n^2+n}}{{2}}", rf"1 + 2 + {dots} + n = n^2")
    yield from _boxed("n^2", f"1 + 3 + {dots} + (2n-1) = n^2", f"1 + 3 + {dots} + (2n+1) = n^2")
    yield from _boxed(r"2^{n+1} - 1", rf"1 + 2 + 4 + {dots} + 2^n = 2 \cdot 2^n - 1", rf"1 + 2 + {dots} + 2^n = 2^n")
    yield str(sum(terms)), rf"\boxed{{{dots} = {sum(terms)}}}", False


def vectors(rng: random.Random) -> Iterator[Case]:
    """Vectors as tuples, columns, sums of unit vectors, with and without a name."""
    items = rng.sample([n for n in range(-30, 31) if n not in (0, 1)], 3)
    for size in (2, 3):
        right, wrong = items[:size], [items[1], items[0], *items[2:size]]
        forms = [[_vector(kind, numbers) for kind in _VECTORS] for numbers in (right, wrong)]
        for gold in forms[0]:
            for good, bad in zip(*forms, strict=True):
                yield from _boxed(gold, good, bad)
            yield from _boxed(gold, rf"\vec{{v}} = {forms[0][0]}", rf"\vec{{v}} = {forms[1][0]}")
            yield from _boxed(gold, rf"\vec{{a}} + \vec{{b}} = {forms[0][1]}", rf"2\vec{{a}} = {forms[0][1]}")


_VECTORS = ("tuple", "angles", "column", "units")


def _vector(kind: str, numbers: list[int]) -> str:
    listed = ", ".join(map(str, numbers))
    if kind == "tuple":
        return f"({listed})"
    if kind == "angles":
        return rf"\langle {listed} \rangle"
    if kind == "column":
        return r"\begin{pmatrix} " + r" \\ ".join(map(str, numbers)) + r" \end{pmatrix}"
    units = (r"\mathbf{i}", r"\mathbf{j}", r"\mathbf{k}")
    return "".join(f"{number:+d}{unit}" for number, unit in zip(numbers, units, strict=False)).removeprefix("+")


CLASSES: dict[str, Maker] = {
    "quantities": quantities,
    "labels": labels,
    "named lists": named_lists,
    "approximations": approximations,
    "units": units,
    "hours": hours,
    "unseen": unseen,
    "several": several,
    "orders": orders,
    "languages": languages,
    "asked": asked,
    "number words": number_words,
    "dots": dots,
    "vectors": vectors,
}


def made_cases(name: str, rounds: int, seed: int) -> list[Case]:
    """Returns the cases of a class, from so many draws."""
    rng = random.Random(f"{seed}/{name}")
    return list(dict.fromkeys(case for _ in range(rounds) for case in CLASSES[name](rng)))
