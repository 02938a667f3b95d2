"""Answers without a box, made by rules, as models state them in sentences, headings and lists; each statement is made
once more of a neighbour of its value, which is wrong. Each case is (gold answer, completion, whether it is right)."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

from benchmarks._labelled_mutants import spoken

Case = tuple[str, str, bool]


def _said(forms: tuple[str, ...], gold: str, right: str, *wrong: str) -> Iterator[Case]:
    """Each form of a right value, and of wrong ones."""
    for form in forms:
        yield gold, form.format(right), True
        yield from ((gold, form.format(other), False) for other in wrong)


_COUNTS = (
    "Therefore, the number of ways is **{}**.",
    "Thus there are {} ways to do so.",
    "**Answer: {}**",
    "### Final Answer\n{}",
    "### Final Answer\n\n**{}**",
    "Final Answer: The final answer is ${}$. I hope it is correct.",
    "The final answer is $\\boxed{{{}}}$. I hope it is correct.",
    "So there are a total of {} ways.",
    "In total, there are {} different ways.",
    "Thus, the answer is ${}$ apples.",
    "She has **{} apples** left.",
    "He will have {} apples left over.",
    "Therefore, Janet makes ${} every day at the farmers' market.",
    "So the total is {}.",
    "#### {}",
    "**Final Answer:** \\({}\\)",
    "the result is {}.",
    "It costs her ${}.00.",
    "So x equals {}.",
    "This gives us x = {}.",
    "We conclude that x must be {}.",
    "Therefore x is equal to {}.",
    "Hence n = {} is the only solution.",
    "The smallest possible value of n is n = {}.",
    "There are exactly {} such numbers.",
    "Our answer is {}.",
    "So our final answer is: {}",
    "Therefore, it takes {} days to finish the job.",
    "Thus, {} students passed.",
    "Thus, {} is the answer.",
    "So {} of them are left.",
    "Therefore, **{}** students like both.",
    "<think>Perhaps 7.</think>\n\nThe train needs {} minutes.",
    "\\[ \\boxed{{{}}} \\]\nwhere we used the symmetry of the problem.",
    "$\\boxed{{\\text{{{} apples}}}}$",
    "$$x = {}$$",
    "$\\boxed{{\\text{{x = {}}}}}$",
    "1. First we add.\n2. Then we double.\n\nSo the answer is {}.",
    "| Step | Value |\n|---|---|\n| sum | 7 |\n\n**Answer:** {}",
    "- Adults: 7\n- Children: 9\n\nTotal: {}",
)
_TAKEN = (
    "It is not {}.",
    "Is it {}?",
    "Maybe it is {}.",
    "At first I thought the answer is {}, but it is 7.",
    "So x = {} is extraneous.",
    "Let x = {}. Then we are stuck.",
    "The answer is the {}th prime.",
    "It is twice as many as {}.",
    "Step {}: done.",
    "Wrong: $\\boxed{{{}}}$",
    "$\\boxed{{{}}}$ is incorrect.",
    "I am not sure whether the answer is {} or 7.",
    "There are more than {} ways.",
    "There are at most {} ways.",
    "So 3x = {}.",
    "The function is f(x) = 2x + {}.",
    "Therefore, x > {}.",
    "It takes {} hours and 7 minutes.",
    "The ratio is {} to 7.",
    "The ratio is 7 to {}.",
    "There are {} dozen ways.",
    "It is between {} and 7 inclusive.",
    "It is between 7 and {} inclusive.",
    "There are {} or 7 ways.",
    "The answer is roughly half of {}.",
    "x is {} more than y.",
    "y = x^2 - {}",
    "All x from 7 to {}.",
)


def counts(rng: random.Random) -> Iterator[Case]:
    """A number, in figures and in words, at the end of a text of any kind."""
    value = rng.randint(11, 90)
    yield from _said(_COUNTS, f"{value}", f"{value}", f"{value + 1}", f"-{value}", f"1{value}")
    yield from ((f"{value}", form.format(value), False) for form in _TAKEN)
    words = (
        "Hence we get a total of {} apples.",
        "This means there are {} of them.",
        "There are exactly {} such numbers.",
        "Therefore, there are {} possible ways.",
        "She has {} apples left.",
        "The answer is {}.",
        "It takes him {} hours.",
    )
    yield from _said(
        words, f"{value}", spoken(value), spoken(value + 1), f"not {spoken(value)}", f"{spoken(value)} dozen"
    )


def pairs(rng: random.Random) -> Iterator[Case]:
    """Two values with their names."""
    x, y = rng.sample(range(2, 90), 2)
    for form in (
        "so x equals {} and y equals -{}",
        "Therefore, x is {} and y is -{}.",
        "So x = {} and y = -{}.",
        "The solution is $x={}$, $y=-{}$.",
        "The solution is x = {}, y = -{}.",
        "The lines meet at the point ({}, -{}).",
        "- x = {}\n- y = -{}",
        "The solution is:\n\n- x = {}\n- y = -{}",
        "x = {}\ny = -{}",
        "Hence $x$ is {} and $y$ is -{}.",
        "Thus $(x, y) = ({}, -{})$.",
        "**x = {}, y = -{}**",
        "We get x = {}; y = -{}.",
    ):
        yield f"({x}, -{y})", form.format(x, y), True
        for wrong in ((y, x), (x, y + 1), (x + 1, y)):
            yield f"({x}, -{y})", form.format(*wrong), False
        yield f"-{y}", form.format(x, y), False
        yield f"{x}", form.format(x, y), False


def listed(rng: random.Random) -> Iterator[Case]:
    """Three values of one unknown."""
    a, b, c = sorted(rng.sample(range(2, 90), 3))
    for form in (
        "The solutions are x = {}, {}, and {}",
        "The solutions are {}, {}, and {}.",
        "x = {}, x = {}, x = {}",
        "The roots are {}, {} and {}.",
        "The solutions are $x = {}$, $x = {}$, and $x = {}$.",
        "x ∈ {{{}, {}, {}}}",
        "The answer is {}, {}, and {}.",
        "The possible values are **{}**, **{}**, and **{}**.",
        "- $x = {}$\n- $x = {}$\n- $x = {}$",
        "The solutions are:\n1. x = {}\n2. x = {}\n3. x = {}",
        "The values of x are {}, {}, and {}.",
        "x can be {}, {}, or {}.",
        "\\boxed{{{}}}, \\boxed{{{}}}, and \\boxed{{{}}}",
    ):
        yield f"{a}, {b}, {c}", form.format(c, a, b), True
        yield f"{a}, {b}, {c}", form.format(a, b, c + 1), False
        yield f"{a}, {b}", form.format(a, b, c), False
        yield f"{c}", form.format(a, b, c), False


def options_with_values(rng: random.Random) -> Iterator[Case]:
    """A letter with the value of its option answers both questions: for the letter and for the value."""
    value, (letter, other) = rng.randint(11, 90), rng.sample("ABCDE", 2)
    for form in ("The answer: ({}) {}", "**({}) {}**", "The correct answer is ({}) {}.", "**Answer:** ({}) ${}$"):
        yield f"{value}", form.format(letter, value), True
        yield f"{value}", form.format(letter, value + 1), False
        yield letter, form.format(letter, value), True
        yield letter, form.format(other, value), False
    yield f"{value}", f"({letter}) {value} ({other}) 7", False
    yield letter, f"I choose {letter} because it fits.", True
    yield letter, f"I choose {other} because it fits.", False


def equations(rng: random.Random) -> Iterator[Case]:
    """Functions and lines without dollar signs, whose last number is no answer."""
    a, b = rng.sample(range(2, 90), 2)
    for form in (
        "Hence, f(x) = {}x + {}.",
        "So the function is f(x) = {}x + {} for every real number x.",
        "The only solution is $f(x)={}x+{}$ for all $x \\in \\mathbb{{R}}$.",
        "$f(x)={}x+{}$ for all real $x$",
        "The answer is f(x) = {}x + {}.",
        "Therefore f(x) = {}x + {}",
    ):
        yield f"f(x) = {a}x + {b}", form.format(a, b), True
        yield f"f(x) = {a}x + {b}", form.format(b, a), False
        yield f"f(x) = {a}x + {b}", form.format(a, b + 1), False
        yield f"{b}", form.format(a, b), False
    for form in (
        "The equation of the line is y = {0}x + {1}.",
        "y = {0}x + {1}",
        "So the line has the equation {0}x - y + {1} = 0.",
        "y = {0}x + {1} or equivalently {0}x - y + {1} = 0",
    ):
        yield f"y = {a}x + {b}", form.format(a, b), True
        yield f"y = {a}x + {b}", form.format(a, b + 1), False
        yield "0", form.format(a, b), False
        yield f"{b}", form.format(a, b), False


def measures_of_two_units(rng: random.Random) -> Iterator[Case]:
    """Hours and minutes, dollars and cents: one value, of which no part is the answer."""
    large, small = rng.randint(2, 9), rng.randint(11, 59)
    for names, times in (
        (("hours", "minutes"), 60),
        (("h", "min"), 60),
        (("minutes", "seconds"), 60),
        (("dollars", "cents"), 100),
        (("meters", "centimeters"), 100),
    ):
        gold = f"{large * times + small} {names[1]}"
        for form in (
            "It is {} {} and {} {}",
            "The answer is {} {} and {} {}.",
            "**{} {} and {} {}**",
            "It is {} {} {} {} in all.",
        ):
            said = form.format(large, names[0], small, names[1])
            yield gold, said, True
            yield gold, form.format(large, names[0], small - 1, names[1]), False
            yield gold, form.format(large + 1, names[0], small, names[1]), False
            yield f"{small} {names[1]}", said, False
            yield f"{large} {names[0]}", said, False
    yield f"{large * 60 + small}", f"It takes {large * 60 + small} minutes ({large} hours and {small} minutes).", True
    yield (
        f"{large * 60 + small}",
        f"It takes {large * 60 + small} minutes ({large} hours and {small + 1} minutes).",
        False,
    )


def intervals_in_words(rng: random.Random) -> Iterator[Case]:
    low = rng.randint(-20, 20)
    high = low + rng.randint(2, 30)
    for form in (
        "between {} and {} inclusive",
        "The answer is between {} and {}, inclusive.",
        "x is between {} and {} inclusive",
        "All x from {} to {} inclusive.",
        "the closed interval from {} to {}",
        "So x must lie between {} and {}, both endpoints included.",
        "The solution is {} ≤ x ≤ {}.",
        "Therefore the range is [{}, {}].",
    ):
        yield f"[{low}, {high}]", form.format(low, high), True
        yield f"({low}, {high})", form.format(low, high), False
        yield f"[{low}, {high + 1}]", form.format(low, high), False
        yield f"{high}", form.format(low, high), False
    for form in ("x is strictly between {} and {}", "between {} and {}, exclusive", "The solution is {} < x < {}."):
        yield f"({low}, {high})", form.format(low, high), True
        yield f"[{low}, {high}]", form.format(low, high), False
    yield f"[{low}, {high}]", f"x is between {low} and {high}", False
    yield f"[{low}, {high}]", f"All integers x from {low} to {high} inclusive.", False


def bounds(rng: random.Random) -> Iterator[Case]:
    """A bound on an unknown in words; on nothing named, it is none."""
    value = rng.randint(3, 90)
    for sign, words in (
        (r"\geq", ("at least", "greater than or equal to", "no less than")),
        (r"\leq", ("at most", "less than or equal to", "no more than")),
        (">", ("greater than", "more than", "strictly greater than")),
        ("<", ("less than", "smaller than")),
    ):
        for said in words:
            for form in ("n is {} {}", "So n must be {} {}.", "Therefore $n$ is {} {}.", "all real numbers n {} {}"):
                yield f"n {sign} {value}", form.format(said, value), True
                yield f"n {sign} {value + 1}", form.format(said, value), False
                yield f"m {sign} {value}", form.format(said, value), False
                yield f"{value}", form.format(said, value), False
            yield f"{value}", f"It is {said} {value}.", False
        for form in (
            "all integers n {} {}",
            "The answer is all integers $n {} {}$.",
            r"\boxed{{\text{{all integers }} n {} {}}}",
        ):
            yield f"n {sign} {value}", form.format(sign, value), True
            yield f"n {sign} {value - 1}", form.format(sign, value), False
        yield f"n {sign} {value}", f"all even integers n {sign} {value}", False
    yield rf"[{value}, \infty)", f"all integers n ≥ {value}", False


def nothing(rng: random.Random) -> Iterator[Case]:
    value = rng.randint(3, 90)
    for gold in (r"\text{no real solutions}", r"\text{no solution}", r"\emptyset"):
        for said in (
            "There are no real solutions.",
            "no solution",
            "The equation has no real solutions.",
            "Therefore, the given equation has no solution.",
            "There is no solution to this equation.",
            "No solutions exist.",
            "The solution set is empty.",
            "Thus the system has no solutions.",
        ):
            yield gold, said, True
        for said in (
            f"There are no real solutions except {value}.",
            f"There are no more than {value} solutions.",
            "There is no doubt that a solution exists.",
            f"There are no real solutions for x > {value}.",
            "It is wrong that there are no solutions.",
            "There is one solution.",
        ):
            yield gold, said, False
    yield "0", "There are no solutions.", False
    yield f"{value}", "There are no solutions.", False


def ratios(rng: random.Random) -> Iterator[Case]:
    one, two = rng.choice(((2, 3), (5, 7), (4, 9), (3, 11)))
    for form in (
        "{} to {}",
        "The ratio is {} to {}.",
        "The ratio of boys to girls is {} to {}.",
        "They are in the ratio of {} to {}.",
        "The ratio is {}:{}.",
        "**{} : {}**",
    ):
        yield f"{one}:{two}", form.format(one, two), True
        yield f"{one}:{two}", form.format(two, one), False
        yield f"{one}:{two}", form.format(one, two + 1), False
        yield f"{two}", form.format(one, two), False
    yield f"{one}:{two}", f"It takes {one} to {two} hours.", False
    yield f"{one}:{two}", f"{one} to {two} hours", False
    yield f"({one}, {two})", f"x = {one} or y = {two}", False


def days(rng: random.Random) -> Iterator[Case]:
    """Dates in sentences, and times in words."""
    month, other = rng.sample(("March", "June", "August", "November"), 2)
    day = rng.randint(10, 27)
    for form in ("The date is {}.", "It falls on {}", "{}", "**{}**", "So they meet on {}."):
        for said in (f"{month} {day}", f"{day} {month}", f"{month} {day}th", f"the {day}th of {month}"):
            yield rf"\text{{{month} {day}}}", form.format(said), True
            yield rf"\text{{{other} {day}}}", form.format(said), False
            yield rf"\text{{{month} {day + 1}}}", form.format(said), False
        yield f"{day}", form.format(f"{month} {day}"), True
        yield f"{day + 1}", form.format(f"{month} {day}"), False
    hour, minute = rng.randint(1, 11), rng.randint(10, 59)
    for half, said in (("a.m.", "in the morning"), ("p.m.", "in the afternoon"), ("p.m.", "in the evening")):
        yield f"{hour}:{minute} {half}", f"It will be {hour}:{minute} {said}.", True
        wrong = "a.m." if half == "p.m." else "p.m."
        yield f"{hour}:{minute} {wrong}", f"It will be {hour}:{minute} {said}.", False


def shares(rng: random.Random) -> Iterator[Case]:
    value = rng.randint(11, 90)
    forms = (
        "increases by {}%",
        "The price increases by {}%.",
        "It is {} per cent.",
        "The answer is {} percent.",
        "So the percent increase is **{}%**.",
        "There is a {}% increase.",
        "{} per cent",
    )
    yield from _said(forms, rf"{value}\%", f"{value}", f"{value + 1}", f"0.{value}")
    yield rf"{value}\%", f"{spoken(value)} percent", True
    yield f"{value}", f"{spoken(value)} percent", False
    rounded = (
        "approximately {} (to 2 decimal places)",
        "The answer is approximately {} (to 2 decimal places).",
        "It is {} to two decimal places.",
        "The length is {} cm, rounded to the nearest hundredth.",
        "Rounded to two decimal places, this is {}.",
    )
    yield from _said(rounded, f"{value}.14", f"{value}.14", f"{value}.15", f"{value}", "2")
    top = rng.choice((1, 3, 5, 7))
    for said in (f"{top} out of 8", f"{top}/8 of the pie", f"$\\frac{{{top}}}{{8}}$", f"{top / 8}"):
        yield f"{top}/8", f"The probability is {said}.", True
        yield f"{(top + 2)}/8", f"The probability is {said}.", False
        yield "8", f"The probability is {said}.", False


def names(rng: random.Random) -> Iterator[Case]:
    """Who it is, of whom a last sentence says that she is, or has, the most."""
    one, two = rng.sample(("Evelyn", "Angela", "Briana", "Carla"), 2)
    for form in (
        "{} is the fastest.",
        "So {} has the greatest average speed.",
        "Therefore, **{}** has the greatest average speed.",
        "The student is {}.",
        "{} earns the most money.",
        "The answer is {}.",
    ):
        yield rf"\text{{{one}}}", form.format(one), True
        yield rf"\text{{{one}}}", form.format(two), False
    for form in (
        "{} is not the fastest.",
        "{} is faster than the rest.",
        "Suppose {} is the fastest.",
        "{} is the fastest, or Dora.",
    ):
        yield rf"\text{{{one}}}", form.format(one), False


def expressions(rng: random.Random) -> Iterator[Case]:
    """Formulas without dollar signs, of which no number is an answer."""
    a, b = rng.sample(range(3, 90), 2)
    for gold, said, wrong in (
        (f"x^2+{a}x+{b}", f"x^2 + {a}x + {b}", f"x^2 + {b}x + {a}"),
        (f"x^2+{a}x+{b}", f"x² + {a}x + {b}", f"x² - {a}x + {b}"),
        (f"(x-{a})(x+{b})", f"(x - {a})(x + {b})", f"(x + {a})(x - {b})"),
        (f"{a}+{b}i", f"{a} + {b}i", f"{a} - {b}i"),
        (rf"\frac{{{a}}}{{x+{b}}}", f"{a}/(x + {b})", f"{b}/(x + {a})"),
        (f"2^{{{a}}}", f"2^{a}", f"2^{a + 1}"),
        (rf"{a}\sqrt{{2}}", f"{a}*sqrt(2)", f"{b}*sqrt(2)"),
        (rf"{a}\sqrt{{2}}", f"{a}√2", f"{a}√3"),
        (rf"\frac{{n(n+{a})}}{{2}}", f"n(n + {a})/2", f"n(n - {a})/2"),
        (rf"{a}\pi", f"{a} pi", f"{b} pi"),
    ):
        for form in (
            "The result is {}.",
            "So we get {}",
            "Therefore, the simplified form is {}.",
            "The value is **{}**.",
        ):
            yield gold, form.format(said), True
            yield gold, form.format(wrong), False
            yield from ((other, form.format(said), False) for other in (f"{b}", "2", f"{a}"))
    yield rf"{a}\sqrt{{2}}", f"The length is ${a}\\sqrt{{2}}$, approximately {a * 2**0.5:.2f}.", True
    yield rf"{a}\sqrt{{2}}", f"The length is ${a}\\sqrt{{2}}$, approximately {a * 1.5:.2f}.", False
    yield rf"{a}\pi", f"The area is {a}π ≈ {a * 3.14159:.1f} square units.", True
    yield rf"{a}\pi", f"The area is {a}π ≈ {a * 3.2 + 1:.1f} square units.", False
    for gold, said in (
        (rf"(-\infty, {a}) \cup ({a + b}, \infty)", f"The domain is (-∞, {a}) ∪ ({a + b}, ∞)."),
        (rf"(-\infty, {a}) \cup ({a + b}, \infty)", f"x is less than {a} or greater than {a + b}"),
        (rf"({a}, \infty)", f"all real numbers greater than {a}"),
        (rf"\{{{a}, {b}\}}", f"The solution set is {{{a}, {b}}}."),
        (r"\mathbb{R}", "The domain is all real numbers."),
        ("1000000", "It is 1 000 000."),
        (f"-{a}", f"The value is negative {a}."),
        (f"{a}, {b}, 2", f"The divisors are 2, {a}, {b}."),
    ):
        yield gold, said, True
        yield f"{a}", said, False
        yield f"{b}", said, False


def derivations(rng: random.Random) -> Iterator[Case]:
    """What a last formula is worked out to be, in one line or in aligned rows; an equation to solve is no value."""
    a, b = rng.sample(range(3, 40), 2)
    total = 2 * a + 2 * b
    for form in (
        r"So the perimeter is $2l + 2w = 2({0}) + 2({1}) = {2}$.",
        r"\[2l + 2w = 2({0}) + 2({1}) = {2}.\]",
        r"Then we get\n\begin{{align*}}\n2l + 2w &= 2({0}) + 2({1}) \\\n&= {2}.\n\end{{align*}}",
        r"\[\begin{{aligned}} P &= 2(l + w) \\ &= 2({0} + {1}) \\ &= {2} \end{{aligned}}\]",
        r"\begin{{align*}}\n3x &= 3 \cdot {2} \\\nx &= {2}\n\end{{align*}}",
        r"Thus, $x - 1 = {2} - 1$, and $x = {2}$.",
        r"Hence $2x + 1 = 2 \cdot {2} + 1$, or $x = {2}$.",
    ):
        text = form.format(a, b, total).replace("\\n", "\n")
        yield f"{total}", text, True
        yield f"{total}", form.format(a, b, total + 1).replace("\\n", "\n"), False
        yield from ((f"{other}", text, False) for other in {a, b, 1, 2} - {total})
    for form in (
        r"$3x = 2({0}) + 2({1}) = {2}$",
        r"\begin{{align*}} y &= 7 \\ 3x &= {2} \end{{align*}}",
        r"$2x = {2}$",
    ):
        yield f"{total}", form.format(a, b, total), False
    for form in (
        "so there are ${}$ divisors of 196.",
        "There are {} ways to choose 3 of them.",
        "There are **{}** values of $k$ with this.",
    ):
        yield f"{a}", form.format(a), True
        yield f"{a}", form.format(a + 1), False
        yield from ((other, form.format(a), False) for other in ("196", "3") if int(other) != a)
    for said in (
        f"It is false that there are {a} divisors of 96.",
        f"There are {a} dozens of eggs in 2 boxes.",
        f"If there are {a} eggs, 7 break.",
    ):
        yield f"{a}", said, False


def sums(rng: random.Random) -> Iterator[Case]:
    """What the last sentence works out, whatever it is said of, and for what."""
    one, two = rng.randint(20, 60), rng.randint(5, 19)
    gold = f"{one - two}"
    for form in (
        "Harry slept {} - {} = {} hours more than James.",
        "Therefore, she bought {} - {} = {} more boxes this week than last week.",
        "Clara must mow the lawn {}-{}={} times to afford the 3 jackets.",
        "Thus, the pirates dug {} - {} = {} holes on the fourth day.",
        "So, Patrick earned a total of ${} - ${} = ${} from selling lemonade for 6 hours.",
        "The crocodile grows {} inches - {} inches = {} inches in 13 years.",
        "It takes {} - {} = {} days for its height to be 600 inches.",
        "The number of people who had not voted is {}-{} = {} voters.",
        "So there are {} - {} = {} girls that are not in the girl scout.",
        "They will save ${} - ${} = ${} if they choose the first park over the second.",
    ):
        yield gold, f"We add.\n{form.format(one, two, one - two)}", True
        yield gold, form.format(one, two, one - two + 1), False
        for other in sorted({"6", "13", "600", "3", str(two), str(one)} - {gold}):
            yield other, form.format(one, two, one - two), False
    for form in (
        "So {} - {} = {} is wrong.",
        "We get {} - {} = {}, which is impossible.",
        "It is not {} - {} = {}.",
        "Suppose that {} - {} = {} are left.",
        "There are {} - {} = {} dozen eggs.",
        "So {} - {} = {} or 7 are left.",
        "She has {} - {} = {}, so she gives away 7.",
        "Then {} - {} = {} and 3 are left.",
        "That is {} - {} = {} squared.",
        "There are {} - {} = {}, too many for the bus.",
    ):
        yield gold, form.format(one, two, one - two), False


PROSE: dict[str, Callable[[random.Random], Iterator[Case]]] = {
    maker.__name__: maker
    for maker in (
        *(counts, pairs, listed, options_with_values, equations, measures_of_two_units, intervals_in_words, bounds),
        *(nothing, ratios, days, shares, names, expressions, derivations, sums),
    )
}
