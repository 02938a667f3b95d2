"""Last sentences made by rules that hold more numbers than their answer: checks, reasons, remarks, where and when
something holds, the bound that was asked for. Each case is (gold answer, completion, whether it is right)."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

Case = tuple[str, str, bool]


def _both(form: str, value: int, beside: int) -> Iterator[Case]:
    """The value is the answer, what stands beside it is none, and neither is another value."""
    text = form.format(v=value, o=beside)
    yield f"{value}", text, True
    yield f"{beside}", text, False
    yield f"{value}", form.format(v=value + 1, o=beside), False


def checks(rng: random.Random) -> Iterator[Case]:
    """A check behind the answer is none; one that fails, or goes on to another answer, is no mere check."""
    x, a, b = rng.randint(11, 40), rng.randint(2, 5), rng.randint(41, 90)
    right = f"{a} \\cdot {x} + {b} = {a * x + b}"
    for form in (
        "$x = {v}$, which we verify: $" + right + "$. ✓",
        "Dividing both sides:\n\\[ x = {v} \\]\n\nCheck: \\(" + right + "\\). Correct!",
        "\\[ x = {v} \\]\n\nTo verify, substitute back: \\( " + right + " \\), which is true.",
        "So $x = {v}$. Checking: $" + right + "$.",
        "We find that x = {v}. (Check: " + right.replace("\\cdot", "·") + ".)",
        "x = {v}\n\nVerification: " + right.replace("\\cdot", "*") + " ✓",
        "So x = {v}.\n\nVerify: " + right.replace("\\cdot", "*") + " ✓",
        "Therefore x = {v} (since " + right.replace("\\cdot", "·") + ").",
    ):
        text = form.format(v=x)
        yield f"{x}", text, True
        yield f"x = {x}", text, True
        yield f"{a * x + b}", text, False
        yield f"{x + 1}", text, False
    for end in (f"So x = {x + 1}.", f"But that is not true, so x = {x + 1}.", "Wait, that is wrong."):
        yield f"{x}", f"We get x = {x}. Checking: {right.replace(chr(92) + 'cdot', '*')}. {end}", False


def reasons(rng: random.Random) -> Iterator[Case]:
    """Why something holds, and a remark in brackets, come after the answer."""
    value, other = rng.randint(11, 50), rng.randint(51, 90)
    for form in (
        "So $k={v}$, because ${o}$ is too large for it.",
        "$x={v}$, since $3\\cdot 4+5={o}$.",
        "So the only solution is $x = {v}$ (the other root, $x = {o}$, is extraneous).",
        "In conclusion, the farmer has {v} sheep in total ({o} white ones and the rest black).",
        "Therefore, the limit is {v} as x tends to $-{o}$.",
        "Hence $n = {v}$. $\\blacksquare$",
    ):
        text = form.format(v=value, o=other)
        yield f"{value}", text, True
        yield f"{other}", text, False
        yield f"{value + 1}", text, False
    for form in (
        "So there are {v} of them, since it is {o} or more, so the answer is {o}.",
        "We get {v} (actually it should be {o} by the rule).",
        "We get {v} (wait, the correct number is {o} here).",
        "It is not {v}, because {o} is odd.",
    ):
        yield f"{value}", form.format(v=value, o=other), False


def main_clauses(rng: random.Random) -> Iterator[Case]:
    """Of a verb, its number, and when or for what it holds, the number at the verb is the answer."""
    value, other = rng.randint(11, 50), rng.randint(51, 90)
    for form in (
        "Thus, the train covers {v} km in {o} minutes.",
        "She reads {v} pages in {o} days.",
        "It would take {v} hours to clean {o} rooms at the motel.",
        "She needed {v} spoons of flour to make {o} muffins.",
        "Therefore, the speed is {v} km/h after the first {o} km.",
        "She scored {v} points out of {o}.",
        "He can make at most {v} cakes with the {o} eggs he has.",
        "Therefore, Lisa paid ${v} for {o} pens.",
        "She is left with {v} stamps out of the original {o}.",
        "She answered {v} of the {o} questions correctly.",
    ):
        yield from _both(form, value, other)
    yield f"{value}", f"Shandy drove {value} miles farther than Matteo.", True
    yield f"{value + 1}", f"Shandy drove {value} miles farther than Matteo.", False
    yield f"{value}", f"He sells {value} more tickets than Paul.", True
    yield f"{value + 1}", f"He sells {value} more tickets than Paul.", False
    yield f"{value}", f"x is {value} more than y.", False
    for form in (
        "She has {v} apples for every {o} pears.",
        "There are {v} boys for each of the {o} girls, which gives {o}.",
        "The ratio is {v} to {o}.",
        "He multiplies {v} apples by 3 to get {o} apples.",
        "It is {v} or {o} pages.",
    ):
        yield f"{value}", form.format(v=value, o=other), False


def bounds_asked_for(rng: random.Random) -> Iterator[Case]:
    """What can be done at most, or is needed at least, is the number; a bound of a quantity is none."""
    value = rng.randint(3, 9)
    words = ("three", "four", "five", "six", "seven", "eight", "nine")[value - 3]
    for form in (
        "Therefore, you can place at most {} bishops on the board.",
        "Hence she needs at least {} packs.",
        "Therefore, she can buy up to {} notebooks.",
        "At least {} socks must be drawn.",
        "Therefore, at most {} of them can be acute.",
        "One must take at least {} balls to be sure.",
    ):
        yield f"{value}", form.format(value), True
        yield f"{value + 1}", form.format(value), False
        yield f"{value}", form.format(f"1{value}"), False
    yield f"{value}", f"We need at least {words} trips.", True
    for form in (
        "x is at least {}.",
        "There are at most {} ways.",
        "The side must be at least {} cm.",
        "It takes at least {} hours.",
        "We can't place at most {} bishops.",
        "Each must have at least {} apples.",
        "One must have at least {} apples.",
        "Perhaps she needs at least {} packs.",
        "She needs at least {} dozen packs.",
        "She needs at least {}.",
        "The answer is at least {}.",
    ):
        yield f"{value}", form.format(value), False
    yield f"{value}", f"At most 15 of the {value}-digit numbers work.", False


def counted_in_places(rng: random.Random) -> Iterator[Case]:
    """How many there are, not where they lie."""
    value, end = rng.randint(2, 6), rng.randint(7, 20)
    for form in (
        "Therefore, there are {} zeros in the interval [0, 2π].",
        "So there are **{}** real roots in $[0, 2\\pi]$.",
        "The equation has {} solutions in (0, 3π).",
        "Therefore the function has {} critical points on [0, " + f"{end}].",
        "So the polynomial has {} roots inside the circle |z| = " + f"{end}.",
        "There are {} integers in the range [1, " + f"{end}] that satisfy the condition.",
        "So there are {} numbers in the set {{1, 5, 9, " + f"{end}" + "}} that are odd.",
    ):
        yield f"{value}", form.format(value), True
        yield f"{value}", form.format(value + 1), False
        yield f"{end}", form.format(value), False
        yield "[0, 2\\pi]", form.format(value), False
    yield "3", "The function has three zeros on [-5, 5].", True
    yield "5", "The function has three zeros on [-5, 5].", False


def functions_in_prose(rng: random.Random) -> Iterator[Case]:
    """Functions without dollar signs, whole: a factor or a term beside one belongs to it."""
    name, other = rng.sample(("sin", "cos", "tan"), 2)
    for form in ("{}(x)", "{} x"):
        said = form.format(name)
        for sentence in (
            "The derivative simplifies to {}.",
            "So the expression becomes {}.",
            "The simplified form is {}.",
        ):
            yield rf"\{name}(x)", sentence.format(said), True
            for wrong in (form.format(other), f"-{said}", f"2 {said}", f"x {said}", f"{said} + 2", f"e^x {said}",
                          f"{form.format(other)} + {said}", f"{said} {form.format(other)}", f"3 - {said}"):  # fmt: skip
                yield rf"\{name}(x)", sentence.format(wrong), False
    yield "x^2", f"The derivative is x^2 {name}(x).", False
    yield r"\log_3 7", "Hence x = log_3(7).", True
    yield r"\log_3 7", "Hence x = log_7(3).", False


def without_end(rng: random.Random) -> Iterator[Case]:
    """What is infinite, with its sign, and how many are infinitely many."""
    subject = rng.choice(("series", "integral", "sequence"))
    for sign, words in (("", "infinity"), ("", "$\\infty$"), ("-", "negative infinity"), ("-", "$-\\infty$")):
        for form in (
            f"Therefore, the {subject} diverges to {{}}.",
            "So the limit is {}.",
            "Hence the limit equals {}.",
        ):
            yield rf"{sign}\infty", form.format(words), True
            yield rf"{'' if sign else '-'}\infty", form.format(words), False
            yield "0", form.format(words), False
    yield "diverges", f"Therefore, the {subject} diverges.", True
    yield "diverges", f"Therefore, the {subject} does not diverge.", False
    yield r"\infty", "We need the limit as x goes to infinity.", False
    yield r"-\infty", r"Therefore, the limit is 0 as x tends to $-\infty$.", False
    yield "infinitely many", "The system has infinitely many solutions.", True
    yield "infinitely many", "The system does not have infinitely many solutions.", False
    yield "no solution", "So the system is inconsistent and has no solutions.", True
    yield "(-2, 3]", "x is greater than -2 and at most 3.", True
    yield "(-2, 3]", "x is at most 3 and greater than -2.", True
    yield "[-2, 3]", "x is greater than -2 and at most 3.", False
    yield "(-2, 3]", "x is greater than -2 and at least 3.", False


def angles_said_twice(rng: random.Random) -> Iterator[Case]:
    """An angle in degrees and in radians, which must be one."""
    degrees, bottom = rng.choice(((30, 6), (45, 4), (60, 3)))
    radians = rf"\frac{{\pi}}{{{bottom}}}"
    for said in (
        rf"{degrees}^\circ = {radians}",
        rf"{radians} = {degrees}^\circ",
        rf"\theta = {radians} = {degrees}^\circ",
    ):
        for form in ("\\boxed{{{}}}", "So the angle is ${}$."):
            yield radians, form.format(said), True
            yield rf"{degrees}^\circ", form.format(said), True
            for wrong in (
                said.replace(f"{degrees}^", f"{degrees + 1}^"),
                said.replace(f"{{{bottom}}}", f"{{{bottom + 1}}}"),
            ):
                yield radians, form.format(wrong), False
                yield rf"{degrees}^\circ", form.format(wrong), False
    yield radians, rf"So the angle is ${degrees}^\circ = {radians}$ radians.", True


def written_numbers(rng: random.Random) -> Iterator[Case]:
    """Thousands by apostrophes, raised digits, a point without a digit before it, and a half in words."""
    top, rest = rng.randint(2, 9), rng.randint(101, 899)
    yield f"{top}{rest}", f"The price is {top}'{rest} francs.", True
    yield f"{rest}", f"The price is {top}'{rest} francs.", False
    yield f"{top}{rest}", f"The company earned {top} {rest} dollars.", True
    yield f"{rest}", f"The company earned {top} {rest} dollars.", False
    yield f"0,{rest}", rf"\boxed{{0.{rest}}}", True
    yield f"0,{rest}", rf"\boxed{{{rest}}}", False
    yield f"0,{rest}", rf"\boxed{{-0,{rest}}}", False
    yield f"-{top},0", rf"\boxed{{-{top}}}", False
    yield f"-{top}", rf"\boxed{{-{top},0}}", True
    yield f"2^{{{rest}}}", "The count is 2" + f"{rest}".translate(str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")) + ".", True
    yield "2", "The count is 2" + f"{rest}".translate(str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")) + ".", False
    yield f"0.{top}", f"The answer is .{top}", True
    yield f"{top}", f"The answer is .{top}", False
    yield "1.5", "So it takes one and a half hours.", True
    yield "0.5", "So it takes one and a half hours.", False
    yield f"{top}{rest}", f"So, f(10) = {top},{rest}.", True
    yield f"{top}", f"So, f(10) = {top},{rest}.", False
    yield f"{top} hours 20 minutes", f"Answer: {top} h 20 min", True
    yield f"{top}", f"Answer: {top} h 20 min", False


def moments_wholes_and_kinds(rng: random.Random) -> Iterator[Case]:
    """When something happens, of how many, of which kind; what is said of a number by its digits is no answer."""
    value, other = rng.randint(11, 50), rng.randint(51, 90)
    for form in (
        "Out of the {o} students, {v} passed.",
        "Of the {o} people surveyed, {v} like tea.",
        "He will have {v} in {o} years.",
        "The number is {v}, whose digits were added {o} times.",
    ):
        yield from _both(form, value, other)
    yield f"{value}.5", f"Thus, the ball reaches its maximum height after {value}.5 seconds.", True
    yield f"{value}", f"Thus, the ball reaches its maximum height after {value}.5 seconds.", False
    yield f"{value}", f"The speed is zero after {value} seconds.", False
    yield f"{value}", f"The number is {other}, which is {value} reversed.", False
    yield r"\frac{1}{6}", "The chance is 1 in 6.", True
    kind, another = rng.sample(("even", "odd"), 2)
    yield kind, f"So $f$ is an {kind} function.", True
    yield kind, f"So $f$ is an {another} function.", False
    yield kind, "So $f$ is neither an even function nor an odd function.", False
    yield "infinitely many", "So there are infinitely many such primes.", True
    yield "infinitely many", "So there are finitely many such primes.", False
    yield "Quadrant III", "The point lies in Quadrant III.", True
    yield "Quadrant II", "The point lies in Quadrant III.", False
    yield r"x = 1 + \sqrt{3}, x = 1 - \sqrt{3}", r"Therefore, $x_{1,2} = 1 \pm \sqrt{3}$.", True
    yield r"x = 1 + \sqrt{3}, x = 1 - \sqrt{3}", r"Therefore, $x_{1,2} = 1 \pm \sqrt{2}$.", False


def letters_said(rng: random.Random) -> Iterator[Case]:
    """A clause that says what the letters of a formula are is no answer; one that sets a letter makes another of it."""
    factor = rng.randint(2, 9)
    letter = rng.choice("ckm")
    formula, another = rf"y = {letter}e^{{{factor}x}}", rf"y = {letter}e^{{{factor + 1}x}}"
    for form in (
        "The general solution is ${f}$, where ${c}$ is an arbitrary constant.",
        "**Answer:** ${f}$, where ${c}$ is any real number.",
        "Thus ${f}$, where ${c}$ is a constant of integration.",
        "**Answer:** ${f}$ for any constant ${c}$.",
        "Hence ${f}$ for some real constant ${c}$.",
        "Hence ${f}$ with ${c} \\in \\mathbb{{R}}$.",
        "Hence ${f}$, ${c} \\in \\mathbb{{R}}$.",
        "Therefore\n\n$${f},$$\n\nwhere ${c}$ is an arbitrary constant.",
        "So\n\\[ {f} \\]\nwhere \\( {c} \\) denotes a free parameter.",
        "The solution is ${f}$, where ${c}$ is the value of the function at zero.",
    ):
        yield formula, form.format(f=formula, c=letter), True
        yield formula, form.format(f=another, c=letter), False
        yield letter, form.format(f=formula, c=letter), False
    for clause in (
        "is twice the other one", "is even", "is not a constant", "satisfies the equation", "is three",
        f"= {factor}", f"is {factor}", f"is the larger root of $x^2 = {factor}$",
    ):  # fmt: skip
        inner = f"${letter} {clause}$" if clause.startswith("=") else f"${letter}$ {clause}"
        for lead in ("So ", "The answer is ", "The solution is "):
            yield f"{factor}", f"{lead}${formula}$, where {inner}.", False
            yield formula, f"{lead}${formula}$, where {inner}.", False
    for value in (factor, factor + 1):
        right = value == factor
        yield f"{2 * value}", f"Thus $x = 2y$, where $y = {value}$, so $x = {2 * value}$.", True
        yield f"{value}", f"Thus $x = 2y$, where $y = {value}$, so $x = {2 * value}$.", False
        yield f"{factor}", f"The area is $\\pi r^2$ where $r = {value}$.", False
        yield f"{factor}", f"The maximum is ${value}$, where $x = 12$.", right
        yield f"{factor}", f"The answer is $n$, where $n = {value}$.", right
        yield "12", f"The maximum is ${value}$, where $x = 12$.", False
        yield f"{factor}", f"The line meets $y = 2x + 1$ where $x = {value}$.", right
        yield f"n^{factor} + 1", f"The answer is $n^{value} + 1$, where $n$ is the number of sides.", right
        yield f"{factor}^k", f"All such $n$ are of the form ${value}^k$, where $k$ is a positive integer.", right
        yield f"{factor}", f"There are ${value}$ of them, where $n$ is the number of sides.", right
    yield r"x^2 \ge 0", r"Since $x^2 \ge 0$, $x \in \mathbb{R}$.", False
    constants = r"y = C_1e^x + C_2e^{-x}"
    for named in ("$C_1$ and $C_2$ are arbitrary constants", "$C_1, C_2$ are real constants"):
        yield constants, f"So the solution is ${constants}$, where {named}.", True
        yield constants, f"So the solution is ${constants.replace('-', '-2')}$, where {named}.", False


def equations_in_lists(rng: random.Random) -> Iterator[Case]:
    """Functions, sequences and curves that are listed are all meant; a step that leads to the last one is none."""
    name, letter = rng.choice("fghPQ"), rng.choice("xyt")
    head, power = rng.choice((f"{name}({letter})", "a_n", "b_{k}", f"{name}_1({letter})")), rng.randint(2, 9)
    of = head[-2] if head[-1] in ")}" else head[-1]
    found = (f"{head} = {of}^{power}", f"{head} = {rng.randint(2, 9)}{of}", f"{head} = 0")
    sides = rng.sample(range(2, 20), 2)
    circle, other = (f"x^2 + y^2 = {side}" for side in sides)
    slope, lists = rng.randint(2, 9), ("**Answer.** ${o}$ and ${v}$.", "- ${o}$\n- ${v}$", "Hence ${o}$ or ${v}$.")
    for first, last, forms in (
        (found[1], found[0], (*lists, "The solutions are ${o}$ and ${v}$.")),
        (found[2], found[1], lists),
        (other, circle, (*lists, "The circles are ${o}$ and ${v}$.")),
        (f"x = {slope}", f"{slope}x - y = 1", ("The tangent lines are ${o}$ and ${v}$.",)),
    ):
        for form in forms:
            text = form.format(v=last, o=first)
            yield last, text, False
            yield f"{first}, {last}", text, True
            yield f"{first}, {last} + 1", text, False
    for form in (
        "So ${o}$, ${z}$ and ${v}$.",
        "They are (a) ${o}$, (b) ${z}$ or (c) ${v}$.",
        "So $${o}$$\nor\n$${z}$$\nor\n$${v}$$",
    ):
        text = form.format(o=found[0], z=found[1], v=found[2])
        yield found[2], text, False
        yield ", ".join(found), text, True
        yield ", ".join(found[1:]), text, False
    for form in ("**Answer:** ${o}$ for all ${x}$, and ${v}$ for all ${x}$.", "Either ${o}$ for all ${x}$ or ${v}$."):
        text = form.format(o=found[1], v=found[0], x=of)
        yield found[0], text, False
        yield f"{found[1]}, {found[0]}", text, True
    start = head.replace(f"({of})", "(1)").replace(f"_{of}", "_1").replace(f"_{{{of}}}", "_1")
    for form in (
        "Hence ${v}$ for all ${x}$.",
        "Since ${s} = 1$ and ${h} = {x} {s}$, we get ${v}$.",
        "So ${h} = {s} {x}^{p}$ and ${v}$.",
        "The only answer is ${v}$.",
    ):
        text = form.format(v=found[0], x=of, s=start, h=head, p=power)
        yield found[0], text, True
        yield found[1], text, False
    for right, gold in ((f"{sides[0]}", circle), (f"{sides[0] + 1}", other)):
        text = f"The circle is $x^2 + y^2 - {right} = 0$, or ${circle}$."
        yield gold, text, gold == circle
    yield "even", f"The sum is odd for $n = {power}$, and for other $n$ it is even.", False
    yield "even", "The sum is symmetric, and for this reason it is even.", True


def verdicts_in_words(rng: random.Random) -> Iterator[Case]:
    """Yes and no with what they are said of, true and false of a statement, and what does not exist."""
    for word, other, tail in (("Yes", "No", "such a polynomial exists"), ("No", "Yes", "it is not possible")):
        for form in ("**Answer:** {}, {}.", "So the answer is {}, {}.", "Final answer: **{}**, {}."):
            yield word, form.format(word, tail), True
            yield other, form.format(word, tail), False
            yield word, form.format(word, tail) + f" Wait, that is wrong: {other.lower()}.", False
        yield word, f"The answer is {word}, it is not the answer.", False
        yield word, f"I doubt that the answer is {word}, {tail}.", False
        yield word, f"The wrong answer is {word}, {tail}.", False
        yield word, f"{other}. Hmm. **Answer:** {word}, {tail}.", True
        yield other, f"{other}. Hmm. **Answer:** {word}, {tail}.", False
    for word, other in (("True", "False"), ("False", "True")):
        for form in ("Hence the statement is {}.", "The claim is **{}**.", "Since 2 is even, the statement is {}."):
            yield word, form.format(word.lower()), True
            yield other, form.format(word.lower()), False
        yield word, f"It is wrong that the statement is {word.lower()}.", False
        yield word, f"Perhaps the statement is {word.lower()}.", False
        yield word, f"The statement is not {word.lower()}.", False
    value = rng.randint(3, 9)
    for form in (
        "Since the one-sided limits differ, the limit does not exist.",
        "Therefore the limit **does not exist**.",
        "So the limit of f(x) as x approaches {} does not exist.",
        "Therefore $\\lim_{{x \\to {}}} f(x)$ does not exist.",
    ):
        yield "does not exist", form.format(value), True
        yield "does not exist", form.format(value).replace("does not exist", "exists"), False
        yield "does not exist", f"It is false that {form.format(value)}", False
        yield f"{value}", form.format(value), False
    for subject in ("the system", "the equation"):
        yield "no solution", f"Since {value} = 10 is a contradiction, {subject} has **no solution**.", True
        yield "no solution", f"Since {value} = 10 is no contradiction, {subject} has **a solution**.", False
        yield f"{value}", f"Since {value} = 10 is a contradiction, {subject} has **no solution**.", False


def conditions_bases_and_steps(rng: random.Random) -> Iterator[Case]:
    """A condition that is necessary and sufficient, the base behind a box, an integral, equations in lines."""
    value, slope = rng.randint(3, 9), rng.randint(2, 5)
    bound = f"k < \\frac{{{value}}}{{4}}"
    for form in (
        "The equation has two distinct real roots if and only if ${}$.",
        "The equation $x^2 + 3x + k = 0$ has no real roots exactly when ${}$.",
        "Thus the series converges if and only if ${}$.",
    ):
        yield bound, form.format(bound), True
        yield bound, form.format(bound.replace("<", ">")), False
        yield bound, form.format(bound.replace("<", r"\le")), False
        yield bound, form.format(bound).replace("if and only if", "if").replace("exactly when", "only if"), False
        yield bound, "It is false that " + form.format(bound), False
    yield f"{value}", f"So $x = 2$ if and only if $y = {value}$.", False
    numeral = "".join(rng.choices("1234", k=4))
    for base, other in (("5", "6"), ("{5}", "{6}"), (r"{\text{five}}", r"{\text{six}}")):
        yield f"{numeral}_5", rf"Thus the answer is $\boxed{{{numeral}}}_{base}$.", True
        yield f"{numeral}_5", rf"Thus the answer is $\boxed{{{numeral}}}_{other}$.", False
        yield f"{numeral}_5", rf"Thus the answer is $\boxed{{{numeral}1}}_{base}$.", False
    for sign in "-+":
        yield "e^x(x-1)+C", rf"So$$\int xe^x\,dx = xe^x {sign} e^x + C$$", sign == "-"
    lines = [f"{slope}x + 3 = {slope * value + 3}", f"{slope}x = {slope * value}", f"x = {value}"]
    quotient = rf"x = \frac{{{slope * value}}}{{{slope}}}"
    for steps in (lines, [*lines[:2], quotient, lines[2]], [lines[0], f"x = {value + 7} - 7", lines[2]]):
        for text in ("\n".join(steps), "\n\n".join(f"${step}$" for step in steps)):
            yield f"{value}", text, True
            yield f"x = {value}", text, True
            yield f"{value + 1}", text, False
            yield f"{slope * value}", text, False
    for steps in (
        [f"x^2 = {value}", f"x = {value + 1}", f"x = {value}"],
        [f"x = {value + 1}", f"x = {value}"],
        [f"{slope}y = {value}", f"x = {value}"],
        [lines[2], lines[0], lines[1]],
        [lines[0], f"x = {value + 7} - 6", lines[2]],
        [*lines[:2], f"x = {value}, x = 1"],
        [*lines[:2], f"x = \\frac{{{slope * value + 1}}}{{{slope}}}", lines[2]],
    ):
        yield f"{value}", "\n".join(steps), False


SENTENCES: dict[str, Callable[[random.Random], Iterator[Case]]] = {
    maker.__name__: maker
    for maker in (
        checks,
        reasons,
        main_clauses,
        bounds_asked_for,
        counted_in_places,
        functions_in_prose,
        without_end,
        angles_said_twice,
        written_numbers,
        moments_wholes_and_kinds,
        letters_said,
        equations_in_lists,
        verdicts_in_words,
        conditions_bases_and_steps,
    )
}
