"""Answers made by rules, in the ways in which models end their texts: the value said again, derived, in bold, in a list
of lines, behind what it was worked out from. Each case is (gold answer, completion, whether it is right)."""

import random
from collections.abc import Callable, Iterator

Case = tuple[str, str, bool]


def _box(said: str) -> str:
    return rf"\boxed{{{said}}}"


def said_again(rng: random.Random) -> Iterator[Case]:
    """Both must agree, and no word between them may take either back."""
    top = rng.choice((1, 3, 5, 7))
    gold, exact, percent = rf"\frac{{{top}}}{{8}}", f"{top / 8}", rf"{top * 12.5}\%"
    for again in (exact, percent):
        for form in (r"{} \text{{ (or }} {})", r"{} \text{{ (i.e., }} {})", r"{} \text{{, i.e. }} {}", r"{} (= {})"):
            yield gold, _box(form.format(gold, again)), True
            yield gold, _box(form.format(gold, f"9{again}")), False
            yield gold, _box(form.format(rf"\frac{{{top}}}{{9}}", again)), False
    yield gold, rf"**Answer:** $\displaystyle {gold}$ (or {top * 12.5}%).", True
    yield gold, rf"**Answer:** $\displaystyle {gold}$ (or {top}%).", False
    for words in ("not", "or so", "or not", "unknown, or", "wrong, i.e."):
        yield gold, _box(rf"{gold} \text{{ ({words} }} {exact})"), False
    yield r"36\pi \text{ cm}^3", r"The volume is $36\pi$ cubic centimeters (about $113.1\text{ cm}^3$).", True
    yield r"36\pi \text{ cm}^3", r"The volume is $36\pi$ cubic meters (about $113.1\text{ m}^3$).", False
    yield r"36\pi \text{ cm}^3", r"The volume is at least $36\pi$ cubic centimeters (about $113.1\text{ cm}^3$).", False
    yield "[-2,7]", _box(r"-2 \le x \le 7 \text{, i.e. } [-2,7]"), True
    yield "[-2,7]", _box(r"-2 < x < 7 \text{, i.e. } [-2,7]"), False


def rounded_ends(rng: random.Random) -> Iterator[Case]:
    """A decimal is no rounding of the decimal that was asked for."""
    top = rng.choice((57, 59, 61))
    yield f"{top / 160}", _box(rf"\frac{{{top}}}{{160}} = {top / 160}"), True
    yield f"{top / 160}", _box(rf"\frac{{{top}}}{{160}} = {top / 160:.2f}"), False
    yield rf"\frac{{{top}}}{{160}}", _box(rf"\frac{{{top}}}{{160}} \approx {top / 160:.2f}"), True


def in_bold(rng: random.Random) -> Iterator[Case]:
    """A value in bold within its sentence, and the word in bold of a last line."""
    value = rng.randint(11, 90)
    for rest in (" in total.", " apples.", ".", ", as expected."):
        yield f"{value}", f"Thus, the answer is **{value}**{rest}", True
    for rest in (
        " dozen.",
        " or more.",
        f" or {value + 1}.",
        "% in total.",
        " to 100.",
        ", which is wrong.",
        " squared.",
    ):
        yield f"{value}", f"Thus, the answer is **{value}**{rest}", False
    for line in ("After turning 90° she faces **{}**.", "**{}** would earn the most.", "It represents the **{}**."):
        yield r"\text{Navin}", f"We have 3 cases.\n\n{line.format('Navin')}", True
        yield r"\text{Navin}", f"We have 3 cases.\n\n{line.format('Luka')}", False
    for line in (
        "It is not **{}**.",
        "Suppose it is **{}**.",
        "Nobody but **{}**.",
        "**{}** or **Luka**.",
        "**{}** fails.",
    ):
        yield r"\text{Navin}", line.format("Navin"), False
    yield f"{value}", f"$$x = {value - 1} + 1 \\approx {value}$$\n\n**$x = {value}$**", True
    yield f"{value}", f"$$x = {value}$$\n\n**$x = {value + 1}$**", False


def one_value_in_bold(rng: random.Random) -> Iterator[Case]:
    """The value in bold of a last sentence, not one that it is said of."""
    value = rng.randint(11, 90)
    yield f"{value}", f"Weng earned **${value}** for {value + 1} minutes of babysitting.", True
    yield f"{value + 1}", f"Weng earned **${value}** for {value + 1} minutes of babysitting.", False
    yield f"{value}", f"**{value} square inches**", True
    yield f"{value}", f"≈ **${value}**", True
    yield f"{value}", f"Area = {value - 1} + 1 = **{value} cm²**", True
    for line in (
        "She did not earn **{}** for 5 minutes.",
        "She earned at least **{}** for 5 minutes.",
        "**{}** or 5 for 6 hours.",
        "She earned almost **{}** for 5 minutes.",
        "She has **{}** groups of 5, a total of 9.",
        "Suppose **{}** for 5 days.",
        "She earned **{}%** for 5 minutes.",
        "**{}** of **99**",
        "1/**{}**",
        "**-{}**",
        "She earned **{}** less for 5 days.",
    ):
        yield f"{value}", line.format(value), False


def headed(rng: random.Random) -> Iterator[Case]:
    """Names before a colon are no part of the value; bounds and multiples are."""
    value = rng.randint(11, 90)
    for head in ("Roots", "Sum of the digits", "Total cost", "Vertex of the curve"):
        yield f"{value}", f"**{head}:** {value}", True
    yield f"{value}, {value + 1}", f"**Roots:** {value}, {value + 1}", True
    yield f"{value}", f"**Roots:** {value}, {value + 1}", False
    for head in ("Not", "At most", "At least", "More than", "Number above", "Up to", "Twice the answer", "Wrong"):
        yield f"{value}", f"{head}: {value}", False


def in_two_units(rng: random.Random) -> Iterator[Case]:
    hours = rng.randint(2, 9)
    yield f"{hours}", f"It takes {hours} hours ({hours * 60} minutes).", True
    yield f"{hours * 60} minutes", f"It takes {hours} hours ({hours * 60} minutes).", True
    yield f"{hours}", f"It takes {hours} hours ({hours * 60 + 1} minutes).", False
    yield f"{hours}", f"It takes at least {hours} hours ({hours * 60} minutes).", False
    yield f"{hours}", f"It takes {hours} hours ({hours * 60} km).", False
    exact = rf"{hours}\pi"
    for unit, number, right in (("m}^2", 3.14159, True), ("m}^2", 3.3, False), ("m}", 3.14159, False)):
        said = rf"$$A={exact}\ \text{{{unit}\approx {hours * number:.1f}\ \text{{{unit}$$"
        yield rf"{exact} \text{{ m}}^2", said, right
    yield rf"\frac{{{hours}}}{{11}}^\circ", _box(rf"\frac{{{hours}^\circ}}{{11}}"), True
    yield rf"\frac{{{hours}}}{{11}}^\circ", _box(rf"\frac{{{hours}^\circ}}{{13}}"), False


def in_sentences(rng: random.Random) -> Iterator[Case]:
    """Named values, mixed numbers, and what holds for all n."""
    x, y = rng.sample(range(2, 90), 2)
    yield f"({x}, -{y})", f"So the solution is x = {x}, y = \u2212{y}.", True
    yield f"({x}, -{y})", f"So the solution is x = {x}, y = {y}.", False
    yield f"-{y}", f"So the solution is x = {x}, y = -{y}.", False
    for half in ("½", " 1/2"):
        yield rf"{x}\frac{{1}}{{2}}", f"The car travels {x}{half} miles.", True
        yield "1/2", f"The car travels {x}{half} miles.", False
        yield f"{x}", f"The car travels {x}{half} miles.", False
    yield f"f(n) = n + {x}", f"We conclude that $f(n) = n + {x}$ for all $n$.", True
    yield f"f(n) = n + {x}", f"We conclude that $f(n) = n + {y}$ for all $n$.", False
    yield f"{x}", f"There are {x} boys for every {y} girls.", False
    yield f"{x}", f"That makes {y} + {x - y} = {x} over the three months.", True
    yield f"{x}:{y}", _box(f"{30 * x}:{30 * y} = {x}:{y}"), True
    yield f"{x}:{y}", _box(f"{30 * x}:{20 * y} = {x}:{y}"), False
    yield f"{x}", f"Half of the answer is {x}.", False


def factors_in_sentences(rng: random.Random) -> Iterator[Case]:
    """What is written at a number belongs to it."""
    value = rng.randint(2, 90)
    for said, gold in ((f"{value}π", rf"{value}\pi"), (f"{value}√3", rf"{value}\sqrt{{3}}"), ("π/6", r"\frac{\pi}{6}")):
        yield gold, f"The sum of all angles is {said}.", True
        yield gold, f"The sum of all angles is **{said}**.", True
    for said in (f"{value}π", f"{value}√3", f"{value}y", f"{value}ab", f"√{value}", f"π/{value}"):
        yield f"{value}", f"The sum of all angles is {said}.", False
    yield f"{value}", f"The cable is {value}cm long.", True
    yield f"{value}k + 2", f"So the simplified expression is **{value}k + 2**.", True
    yield "2", f"So the simplified expression is **{value}k + 2**.", False
    yield f"{value}", f"So he has {value} left over after paying.", True
    yield f"{value}", f"So he has {value} over after paying.", False
    yield f"{value}", _box(rf"{value} \text{{ (in total)}}"), True
    yield f"{value}", _box(rf"{value} \text{{ (wrong)}}"), False
    yield f"{value}R^2", f"$AF^2+BF^2+CF^2={value}R^2$", True
    yield f"(6, {value}, -1)", f"So p = 6, q = {value}, r = -1.", True
    yield f"(-1, 6, {value})", f"So p = 6, q = {value}, r = -1.", False
    yield f"{value}x + 2", _box(rf"\frac{{d^2y}}{{dx^2}} = {value}x + 2"), True
    yield r"\text{odd}", _box(r"f \text{ is odd}"), True
    yield r"\text{odd}", _box(r"f \text{ is not odd}"), False
    yield "(3, 4), (4, 3)", "- $(x, y) = (3, 4)$\n- $(x, y) = (4, 3)$", True
    yield "(3, 4), (4, 3)", "- $(x, y) = (3, 4)$\n- $(x, y) = (4, 2)$", False


def in_lines(rng: random.Random) -> Iterator[Case]:
    """Named values in the lines that end a text are one answer."""
    x, y = rng.sample(range(2, 90), 2)
    text = "The solution is:\n\n- \\( {} \\)\n- \\( {} \\)"
    for gold in (f"x = {x}, y = {y}", f"({x}, {y})"):
        yield gold, text.format(f"x = {x}", f"y = {y}"), True
        yield gold, text.format(f"x = {y}", f"y = {x}"), False
        yield gold, text.format(f"x = {x}", f"y = {y + 1}"), False
    yield f"{x}, {y}", text.format(f"x = {y}", f"x = {x}"), True
    yield f"{y}", text.format(f"x = {x}", f"x = {y}"), False


def solution_sets(rng: random.Random) -> Iterator[Case]:
    value = rng.randint(2, 90)
    for gold in (f"{value}", f"x = {value}"):
        yield gold, _box(rf"\{{{value}\}}"), True
        for inner in (
            f"-{value}",
            f"{value}, 1",
            f"x > {value}",
            "",
            rf"\text{{not }} {value}",
            rf"{value}\%",
            rf"\pm {value}",
        ):
            yield gold, _box(rf"\{{{inner}\}}"), False


def conclusions(rng: random.Random) -> Iterator[Case]:
    """What follows from one formula is the answer; what is denied, or one of several, is none."""
    value = rng.randint(3, 90)
    for sign in (r"\implies", r"\Rightarrow"):
        yield f"{value}", _box(rf"2x = {2 * value} {sign} x = {value}"), True
        yield f"{value}", _box(rf"2x = {2 * value} {sign} {value}"), True
        yield f"{value}", rf"Hence $x + 1 = {value + 1} {sign} x = {value}$.", True
        for said in (
            rf"x = {value} {sign} x + 1 = {value + 1}",
            rf"x \ne {value} {sign} {value}",
            rf"x = 1 {sign} x > {value}",
            rf"x = 1, y = 1 {sign} {value}",
            rf"x = {value} {sign} \text{{no solution}}",
            rf"x^2 = {value**2} {sign} x = \pm {value}",
            rf"\text{{if }} x = 1 {sign} x = {value}",
        ):
            yield f"{value}", _box(said), False


def labels_of_all_kinds(rng: random.Random) -> Iterator[Case]:
    """Operations that a task defines, projections, tuples and matrices that were worked out, sums in letters."""
    a, b, value = rng.sample(range(2, 90), 3)
    for sign in (r"\&", r"\star", r"\oplus", r"\diamond", r"\heartsuit"):
        yield f"{value}", _box(rf"{a} {sign} {b} = {value}"), True
        yield f"{value}", _box(rf"{a} {sign} {b} = {value + 1}"), False
        yield f"{value}", _box(rf"{a} {sign} {b} \ne {value}"), False
    column = rf"\begin{{pmatrix}} {a} \\ {b} \end{{pmatrix}}"
    yield column, _box(rf"\operatorname{{proj}}_{{\mathbf{{b}}}}\mathbf{{a}} = {column}"), True
    yield column, _box(rf"2\operatorname{{proj}}_{{\mathbf{{b}}}}\mathbf{{a}} = {column}"), False
    yield f"({a}, {b})", _box(rf"\left(\frac{{{2 * a}}}{{2}}, \frac{{{2 * b}}}{{2}}\right) = ({a}, {b})"), True
    yield f"({a}, {b})", _box(rf"\left(\frac{{{2 * a}}}{{2}}, \frac{{{b}}}{{2}}\right) = ({a}, {b})"), False
    yield f"({a}, {b})", _box(rf"({a}, {b}) = ({a}, {b + 1})"), False
    yield f"{value}k", _box(f"a+b+c+d+e+f = {value}k"), True
    yield f"{value}k", _box(f"a+k = {value}k"), False
    yield f"{value}k", _box(f"2a + 2b = {value}k"), False
    yield "p - q", _box(r"\sum_{i=1}^\infty \sum_{j=1}^\infty \frac{1}{(i+j)^3} = p - q"), True
    yield "p - q", _box(r"\sum_{i=1}^\infty \sum_{j=1}^\infty \frac{1}{(i+j)^3} = q - p"), False


def unit_matrices(rng: random.Random) -> Iterator[Case]:
    value = rng.randint(2, 9)
    gold = rf"\begin{{pmatrix}} -{value} & 0 \\ 0 & -{value} \end{{pmatrix}}"
    yield gold, _box(rf"-{value}I"), True
    yield gold, _box(rf"-{value}\mathbf{{I}} = {gold}"), True
    for said in ("I", f"{value}I", f"-{value}", f"-{value}I^2", f"-{value}A", "-I", rf"\pm {value}I", f"-{value}I + 1"):
        yield gold, _box(said), False
    yield r"\begin{pmatrix} 1 & 0 & 0 \\ 0 & 1 & 0 \end{pmatrix}", _box("I"), False


def parameters(rng: random.Random) -> Iterator[Case]:
    """A parameter that takes all whole numbers, or any constant, may have any name; what it is said of is the same."""
    n = rng.randint(2, 9)
    gold = rf"\frac{{\pi}}{{{n}}} + k\pi, k \in \mathbb{{Z}}"
    other = rf"\frac{{\pi}}{{{n}}} + n\pi"
    for said in (
        other,
        rf"x = {other} \text{{ for any integer }} n",
        rf"{other} \text{{ where }} n \text{{ is an integer}}",
    ):
        yield gold, _box(said), True
    for words in ("no integer", "even integers", "one integer", "positive integers"):
        yield gold, _box(rf"{other} \text{{ for {words} }} n"), False
    yield gold, _box(rf"{other} \text{{ for any integer }} m"), False
    yield gold, _box(rf"\frac{{\pi}}{{{n}}} + 2n\pi \text{{ for any integer }} n"), False
    yield "f(x) = cx", _box(r"f(x) = kx \text{ for some constant } k"), True
    yield "f(x) = cx", _box(r"f(x) = kx^2 \text{ for some constant } k"), False
    yield "f(x) = cx", _box(r"f(x) = kx \text{ for no constant } k"), False
    yield f"y = Ce^{{{n}x}}", _box(f"y = C_1 e^{{{n}x}}"), True
    yield f"y = Ce^{{{n}x}}", _box(f"y = C_1 e^{{{n + 1}x}}"), False
    letter = rng.choice("ABCD")
    yield letter, _box(f"{letter}_{n}"), False
    yield letter, _box(f"{letter.lower()}_{{{n}}}"), False


def shares_of_things(rng: random.Random) -> Iterator[Case]:
    gold = rf"\frac{{{rng.randint(2, 9)}}}{{11}}"
    for words in ("the pie", "the students", "the whole cake"):
        yield gold, _box(rf"{gold} \text{{ of {words}}}"), True
    for words in ("the rest", "the remaining pie", "the others", "the half", "the dozen", "30", "the 30 apples"):
        yield gold, _box(rf"{gold} \text{{ of {words}}}"), False


ENDINGS: dict[str, Callable[[random.Random], Iterator[Case]]] = {
    maker.__name__: maker
    for maker in (
        *(said_again, rounded_ends, in_bold, in_lines, solution_sets, conclusions, labels_of_all_kinds),
        *(one_value_in_bold, headed, in_two_units, in_sentences, factors_in_sentences),
        *(unit_matrices, parameters, shares_of_things),
    )
}
