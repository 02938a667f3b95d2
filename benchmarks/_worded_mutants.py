"""Wrong answers by what is put around a right one: words, a second value, an equation, what nobody sees, a choice."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator

from benchmarks._gold_values import is_choice, is_one_value, value_of

_SHARE = "out of 1000"
_AFTER = (
    "is wrong",
    "is not the answer",
    "is incorrect",
    "is false",
    "or more",
    "or less",
    "or so",
    "at least",
    "at most",
    "not",
    "in binary",
    "in hexadecimal",
    "in base 7",
    "minus one",
    "plus 1",
    "mod 7",
    "modulo 5",
    "over 3",
    "more than that",
    "cannot be right",
    "isn't it",
    "fails",
    "does not work",
    "but not really",
    _SHARE,
    "below zero",
    "per dozen",
    "wrong",
    "never",
    "if n is even",
    "unless x is 0",
    "and a half",
    "to the power of 3",
    "choose 2",
    "too many",
    "too few",
    "nand",
    "negated",
    "in total is too much",
    "plus or minus 1",
    "thousandths short",
    "and counting",
    "less than x",
)
_TIMES = (
    "dozen",
    "dozens",
    "hundred",
    "thousand",
    "million",
    "billion",
    "score",
    "gross",
    "squared",
    "cubed",
    "halves",
    "thirds",
    "quarters",
    "tenths",
    "hundredths",
    "pairs",
    "percent",
    "percent of x",
    "lakh",
    "crore",
    "times ten",
    "k",
    "doubled",
    "trillion",
    "quadrillions",
    "sevens",
    "twelfths",
    "trios",
)
_BEFORE = (
    "not",
    "anything but",
    "never",
    "it is not",
    "the answer is not",
    "the answer cannot be",
    "wrong:",
    "less than",
    "more than",
    "at least",
    "at most",
    "between 0 and",
    "one more than",
    "the number after",
    "all but",
    "everything except",
    "neither",
    "isn't",
    "no",
    "over",
    "under",
    "up to",
    "minus one plus",
)
_SCALED = (
    "twice",
    "half of",
    "double",
    "the reciprocal of half of",
    "the opposite of",
    "minus",
    "negative",
    "a dozen times",
)


def words(gold: str, rng: random.Random) -> Iterator[str]:
    """Words before or after a value that change, limit, or deny it."""
    value = value_of(gold)
    if not is_one_value(gold) and not re.fullmatch(r"\\text\{[A-Za-z]+\}", gold):
        return
    after = _AFTER + (_TIMES if value is not None and value not in (0, 1) else ())
    if value == 0:
        after = tuple(phrase for phrase in after if phrase != _SHARE)  # which is nothing, too
    before = _BEFORE + (_SCALED if value is not None and value not in (0, 1) else ())
    if value is not None and abs(value) < 7:
        after = tuple(phrase for phrase in after if not phrase.startswith(("in base", "mod")))
    for phrase in after:
        yield from (f"{gold} {phrase}", rf"{gold}\text{{ {phrase}}}", rf"{gold}\ \mathrm{{{phrase}}}")
    for phrase in before:
        yield from (f"{phrase} {gold}", rf"\text{{{phrase} }} {gold}", rf"\text{{{phrase}: }}{gold}")
    if value is not None:
        yield from (rf"\text{{{phrase} {gold}}}" for phrase in before)
        yield from (rf"\text{{{gold} {phrase}}}" for phrase in after)


def hedged(gold: str, rng: random.Random) -> Iterator[str]:
    """A second value beside the right one, or a false equation."""
    value = value_of(gold)
    if value is None:
        return
    other = rng.choice([n for n in range(2, 60) if n != value])
    join = (
        r"{} \text{{ or }} {}",
        "{} or {}",
        "{}, {}",
        r"\{{{}, {}\}}",
        "{} = {}",
        r"{} \approx {}",
        r"{} \ne {}",
        "({}, {})",
        r"{} \to {}",
        r"{} \Rightarrow {}",
        "{} / {}",
        "{}; {}",
        "{} < {}",
        r"{} \pm {}",
        r"{}\quad {}",
        "{} ({})",
        "{} | {}",
        r"\cancel{{{}}} {}",
        r"{} \text{{ not }} {}",
        "[{}, {}]",
        r"{} \text{{ instead of }} {}",
        "{} -> {}",
        "{}:{}",
        r"{} \text{{ and }} {}",
        "x = {} or x = {}",
        r"{} \equiv {}",
        r"{}\\{}",
        "{} vs {}",
        r"\frac{{{}}}{{{}}}",
    )
    for form in join:
        if (value == 0 and form == "{} ({})") or value**2 == other:
            continue
        yield form.format(gold, other)
        if form not in ("{} / {}", r"\frac{{{}}}{{{}}}", "{}:{}") or value:
            yield form.format(other, gold)


def labels(gold: str, rng: random.Random) -> Iterator[str]:
    """An equation for something else than the value."""
    if value_of(gold) not in (None, 0):
        forms = (
            "2x = {}",
            "x + 1 = {}",
            "-x = {}",
            r"\frac{{1}}{{2}}x = {}",
            "x/3 = {}",
            r"\text{{wrong}} = {}",
            "{} = {} + 1",
            r"\text{{not the answer}} = {}",
            r"\sqrt{{x}} = 2 - {}",
            "x - 7 = {}",
            "1 + 1 = {} + 1000",
            r"0 \cdot x = {}",
            r"\neg x = {}",
            r"x = 2 \cdot {}",
            r"\frac{{d}}{{dx}} 7919 x = {}",
            r"7919! = {}",
            r"\int_0^1 7919\,dx = {}",
            r"\sum_{{k=1}}^{{3}} 7919 = {}",
            r"79 \bmod 79 = {}",
            r"\lim_{{x\to 0}} (x - 7919) = {}",
        )
        yield from (form.format(gold, gold) for form in forms)


def unseen(gold: str, rng: random.Random) -> Iterator[str]:
    """A value that a reader doesn't see, or sees struck out; or one that is a part of something else."""
    if is_one_value(gold) and value_of(gold) not in (0, 1):
        forms = (
            r"\phantom{{{}}}",
            r"\cancel{{{}}}",
            r"\label{{{}}}",
            r"\hspace{{{}}}",
            r"1\phantom{{{}}}",
            r"\xcancel{{{}}}",
            r"7919\label{{{}}}",
            r"\vphantom{{{}}} 7919",
            r"7919 % {}",
            r"\sout{{{}}}",
            r"7919\tag{{{}}}",
            r"\not {}",
            r"\begin{{array}}{{c}} 7919 \\ {} \end{{array}}",
            r"\begin{{pmatrix}} 7919 \\ {} \end{{pmatrix}}",
            "(7919, {})",
            r"\phantom{{-}}7919\phantom{{{}}}",
            r"\color{{{}}}7919",
            r"\operatorname{{f}}({})",
            r"\Gamma({}) + 7919",
            r"\overset{{{}}}{{7919}}",
            r"\frac{{{}}}{{}}",
            r"\boxed{{7919}} {}",
            r"f^{{{}}}",
            r"a_{{{}}}",
            r"{} \choose 7918",
            r"\left({}, 7919\right]",
            r"\unknown{{{}}}",
            r"\text{{seven}} {}",
            r"7919 \underset{{n}}{{{}}}",
        )
        # Before what is not seen stands a 1.
        yield from (form.format(gold) for form in forms if gold != "1" or not form.startswith("1"))


_CHOICES = (
    "{0} and {1}",
    "{0} or {1}",
    "not {0}",
    "{0} is wrong",
    "x = {0} + 1",
    "neither {0} nor {1}",
    r"\text{{not }} {0}",
    "{0}, {1}",
    r"\text{{({0}) is wrong, so ({1})}}",
    "{0}{1}",
    "{1}, not {0}",
    "{0}+{1}",
    "{0}^2",
    r"\overline{{{0}}}",
    "all but {0}",
    r"\text{{None of {0}, {1}}}",
    "{1} (not {0})",
    "I do not know, {0}",
    "{0}?  or {1}",
    r"{0} \cup {1}",
    r"\neg {0}",
    "-{0}",
    "2{0}",
    r"\frac{{{0}}}{{2}}",
    "{0}'",
    "{0}_1",
    "P({0})",
    "{0} = {1}",
    r"{0} \to {1}",
    "A{0}C",
    "{1} because {0} is wrong",
)
_SAID = (
    "The answer is not {0}.",
    "{0} is wrong; the answer is {1}.",
    "The answer is {0} or {1}.",
    "It can't be {0}.",
    "The answer is {1}, since {0} is wrong.",
    "Answer: {1}. I thought of {0} first",
    "Both {0} and {1} are right.",
    "The answer is neither {0} nor {1}.",
    "The answer isn't {0}",
    "I would not choose {0}.",
    "The answer is {1} rather than {0}",
    "Not {0}.",
    "{0} or {1}",
    "The answer can be {0}, {1} or both.",
    "We know {0} is false.",
    "Triangle {0} is given.",
)


def choice(gold: str, rng: random.Random) -> Iterator[str]:
    """A box that holds the letter among other things."""
    if is_choice(gold):
        now = re.search(r"[A-J]", gold)[0]  # type: ignore[index]
        other = rng.choice([char for char in "ABCDE" if char != now])
        yield from (form.format(now, other) for form in _CHOICES if form != "A{0}C")


def said_choice(gold: str, rng: random.Random) -> Iterator[str]:
    """A text that names the letter without choosing it."""
    if is_choice(gold):
        now = re.search(r"[A-J]", gold)[0]  # type: ignore[index]
        other = rng.choice([char for char in "ABCDE" if char != now])
        yield from (form.format(now, other) for form in _SAID)


def said(gold: str, rng: random.Random) -> Iterator[str]:
    """A text that goes on after the value, or leads up to another."""
    value = value_of(gold)
    if value is None or value in (0, 1):
        return
    small = abs(value) < 7
    for phrase in (phrase for phrase in (*_AFTER, *_TIMES) if not (small and phrase.startswith(("in base", "mod")))):
        yield from (f"The answer is {gold} {phrase}.", f"Final answer: {gold} {phrase}", f"So we get ${gold}$ {phrase}")
    for phrase in (*_BEFORE, *_SCALED):
        yield from (f"The answer is {phrase} {gold}.", f"**Answer:** {phrase} ${gold}$")
    forms = (
        "The answer is (7919, {}).",
        "The answer is 7919, {}",
        r"$\begin{{array}}{{cc}} 7919 & 1 \\ 2 & {} \end{{array}}$",
        r"\begin{{bmatrix}} 7919 \\ {} \end{{bmatrix}}",
        "We get (7919, {}).",
        r"Thus $\{{7919, {}\}}$.",
        "x > {}",
        "The answer is 7919 and not {}.",
        "The answer is not {}.",
        "It isn't {}.",
        "{} is wrong.",
        "The point (1, {})",
        r"The interval is $[7919, {}]$.",
        "The answer is {} or 7919",
        "The answer is 7919 ({})",
        "Answer: 7919 = {}",
        "We can rule out {}.",
        r"\[\begin{{array}}{{c}} 1 \\ {} \end{{array}}\]",
        "The answer is less than {}.",
    )
    yield from (form.format(gold) for form in forms)
