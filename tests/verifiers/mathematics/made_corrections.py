"""Answers made by rules that are taken back, or hold less, or more, than the value that they show: boxes that a later
sentence denies, numbers that nobody sees whole, options with a number, hours without their half of the day."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from fractions import Fraction

Case = tuple[str, str, bool]
_CALLS = ("", "Wait, ", "No, ", "Hmm, ", "Oops, ", "Actually, ", "But ", "Sorry, ", "Hold on, ", "Oh no, wait. ")
_DENIALS = (
    "that is wrong",
    "that's incorrect",
    "this is not right",
    "it is not correct",
    "that was a mistake",
    "that can't be right",
    "this isn't correct",
    "my answer is wrong",
    "the boxed answer is incorrect",
    "I made a mistake",
    "I made a sign error",
    "there is an error above",
    "I miscounted",
)
_INSTEAD = (
    "The answer is {}.",
    "The correct answer is ${}$.",
    "So the answer should be {}.",
    "We get {}.",
    "It is {}.",
)
_REPLACED = (
    "Correction: {}",
    "Sorry, it should be {}.",
    "That should be ${}$.",
    "No, {}.",
    "Actually, {}.",
    "Wait, it's {}.",
)
_ENDS = (
    "I hope it is correct.",
    "That should be the final answer.",
    "It is not possible to get more.",
    "We check that 3 + 2 = 5.",
    "Let me double-check: yes, it is right.",
    "This is not possible for other values.",
    "A common mistake is to forget a case.",
    "No other value works.",
    "This is a mistake that many make elsewhere.",
    "If it were larger, that would be wrong.",
    "However, this is not the only way to see it.",
    "So that is it!",
)


def taken_back(rng: random.Random) -> Iterator[Case]:
    """A box, or an announced answer, that a later sentence takes back is none; what is said in its place is."""
    value = rng.randint(11, 90)
    other = value + rng.randint(1, 9)
    for box in (rf"So \boxed{{{value}}}.", f"So $\\boxed{{{value}}}$.\n\n", rf"\[\boxed{{{value}}}\]"):
        for denial in _DENIALS:
            call = rng.choice(_CALLS)
            said = f"{call}{denial}"
            said = said[0].upper() + said[1:]
            instead = rng.choice(_INSTEAD).format(other)
            yield f"{value}", f"{box} {said}.", False
            yield f"{value}", f"{box} {said}. {instead}", False
            yield f"{other}", f"{box} {said}. {instead}", True
            yield f"{value}", f"{box} Let me check. Wait, {denial}.", False
        for form in _REPLACED:
            yield f"{value}", f"{box} {form.format(other)}", False
            yield f"{other}", f"{box} {form.format(other)}", True
        for end in _ENDS:
            yield f"{value}", f"{box} {end}", True
    for denial in _DENIALS:
        yield f"{value}", f"The answer is {value}. Wait, {denial}.", False


def broken_numbers(rng: random.Random) -> Iterator[Case]:
    """What nobody sees between two digits breaks their number, in a box or in prose; beside it, it says nothing."""
    value = f"{rng.randint(11, 99)}{rng.randint(1, 9)}"
    for mark in "\u200b\u200c\u200d\u200e\u2060\ufeff\u00ad":
        broken = f"{value[0]}{mark}{value[1:]}"
        for text in (rf"\boxed{{{broken}}}", f"The answer is {broken}.", f"So we get {broken}.", f"**{broken}**"):
            yield value, text, False
            yield value[1:], text, False
            yield value[0], text, False
    for mark in "\u200b\u200e\ufeff":
        yield value, rf"\boxed{{{mark}{value}{mark}}}", True
        yield f"{value[0]}.{value[1]}", rf"\boxed{{{value[0]}{mark}.{value[1]}}}", False


def no_options(rng: random.Random) -> Iterator[Case]:
    """A letter with a number is no letter of an option."""
    letter, number = rng.choice("ABCDE"), rng.randint(1, 9)
    for gold in (letter, f"({letter})", rf"\text{{{letter}}}"):
        for said in ("{}{}", "{} {}", "{}_{}", r"{}\text{{ {}}}", "({}){}", "{}.{}", "{}^{}", r"{} \cdot {}", "{}/{}"):
            yield gold, rf"\boxed{{{said.format(letter, number)}}}", False
        for said in ("The answer is {}{}.", "**{}{}**", "Answer: {}{}", "{}{}"):
            yield gold, said.format(letter, number), False
        for said in ("({}) {}", "{}. {}", r"\textbf{{({})}}\ {}", r"\text{{{}) }}{}"):
            yield gold, rf"\boxed{{{said.format(letter, number)}}}", True
        for said in ("The answer is ({}) {}.", "**{}. {}**", "Answer: {}) {}"):
            yield gold, said.format(letter, number), True


def halves_of_days(rng: random.Random) -> Iterator[Case]:
    """A gold that says which half of the day it means is met by no time that doesn't; the other way round it is."""
    # From ten on, an hour of the morning is written as one of 24, too.
    hour, minute = rng.randint(1, 9), rng.randint(10, 59)
    for half, later in (("a.m.", 0), ("PM", 12)):
        gold = f"{hour}:{minute} {half}"
        for form in (r"\boxed{{{}}}", "The answer is {}.", "The train arrives at {}."):
            yield gold, form.format(f"{hour}:{minute}"), False
            yield gold, form.format(gold), True
            yield gold, form.format(f"{hour + later:02d}:{minute}"), True
            yield gold, form.format(f"{hour + 12 - later:02d}:{minute}"), False
            yield f"{hour}:{minute}", form.format(gold), True
            yield f"{hour}:{minute + 1 if minute < 59 else 10}", form.format(gold), False
        yield f"{hour} {half}", rf"\boxed{{{hour}}}", False
        yield f"{hour} {half}", rf"\boxed{{{hour}:00 \text{{ {half}}}}}", True
        yield f"{hour}", rf"\boxed{{{hour} \text{{ {half}}}}}", True
        yield f"{hour + 1}", rf"\boxed{{{hour} \text{{ {half}}}}}", False


def coarse_roundings(rng: random.Random) -> Iterator[Case]:
    """A whole number of one digit may end a chain of approximations, if it is the value rounded."""
    top = rng.choice([top for top in range(8, 55) if top % 7 and top / 7 % 1 != 0.5])
    value = Fraction(top, 7)
    exact, near, far = rf"\frac{{{top}}}{{7}}", round(value), round(value) + (1 if value > round(value) else -1)
    for middle in ("", rf" \approx {float(value):.2f}", rf" \approx {float(value):.1f}"):
        yield exact, rf"\boxed{{{exact}{middle} \approx {near}}}", True
        yield exact, rf"\boxed{{x = {exact}{middle} \approx {near}}}", True
        if far:
            yield exact, rf"\boxed{{{exact}{middle} \approx {far}}}", False
        yield exact, rf"\boxed{{{exact}{middle} = {near}}}", False
    yield r"\pi", r"\boxed{\pi \approx 3}", True
    yield r"\pi", r"\boxed{\pi \approx 4}", False
    yield f"{near}", rf"\boxed{{{near} \approx {near}.3}}", False
    yield "0.2", r"\boxed{0.2 \approx 0}", False


CORRECTIONS: dict[str, Callable[[random.Random], Iterator[Case]]] = {
    maker.__name__: maker for maker in (taken_back, broken_numbers, no_options, halves_of_days, coarse_roundings)
}
