"""Answers made wrong for certain: a gold answer with one thing about it changed, by kinds of change.

What a change leaves equal (0 to -0, 2! for 2, a swap of equal items) is told here by exact fractions and by text, never
by the verifier under test.
"""

from __future__ import annotations

import math
import random
import re
from collections.abc import Callable, Iterator
from fractions import Fraction

from benchmarks._labelled_mutants import in_words, of_quantities, of_vectors, with_dots

Mutator = Callable[[str, random.Random], Iterator[str]]

_NUMBER = re.compile(r"-?(?:\d+(?:,\d{3})*(?:\.\d*)?|\.\d+)")
_DECIMAL_COMMA = re.compile(r"-?0?,\d+")
_FRACTION = re.compile(r"(-?)\\[dt]?frac\{(\d+)\}\{(\d+)\}|(-?)(\d+)/(\d+)")
_PAIR = re.compile(r"([(\[])([^()\[\]]+)([)\]])")
_FORMULA = re.compile(r"(?:[-+*/^_{}()0-9.a-z ]|\\(?:[dt]?frac|sqrt|pi|cdot|left|right|sin|cos|tan|ln|log)(?![a-z]))+")
_VARIABLE = re.compile(r"(?<![A-Za-z\\])[a-zA-Z](?![A-Za-z])")
_TIME = re.compile(r"(\d{1,2}:\d\d)\D*([ap])\.?m\.?\D*$", re.IGNORECASE)
_UNIT_POWER = re.compile(r"\\(?:text|mbox|mathrm)\{[^{}]*\}\s?\^\{?$")
"""A power of a unit that is left out, or 1, is a slip that conventions forgive."""


def value_of(text: str) -> Fraction | None:
    """Returns the exact value of a plain number or fraction; None for anything else."""
    text = text.replace(r"\!", "").replace("{,}", ",").replace(" ", "")
    if _DECIMAL_COMMA.fullmatch(text):
        return Fraction(text.replace(",", "."))
    if _NUMBER.fullmatch(text):
        return Fraction(text.replace(",", ""))
    found = _FRACTION.fullmatch(text)
    if not found:
        return None
    sign, top, bottom = (found[1], found[2], found[3]) if found[2] else (found[4], found[5], found[6])
    return Fraction(int(top) * (-1 if sign else 1), int(bottom)) if int(bottom) else None


def _is_choice(gold: str) -> bool:
    return bool(re.fullmatch(r"(?:\\text\{)?\(?[A-J]\)?\}?", gold))


def _is_formula(gold: str) -> bool:
    return bool(_FORMULA.fullmatch(gold)) and bool(re.search(r"\d|\\|[-+^]", gold)) and "," not in gold


def _is_one_value(gold: str) -> bool:
    return value_of(gold) is not None or _is_formula(gold)


def sign(gold: str, rng: random.Random) -> Iterator[str]:
    """The sign of a number, of a formula, or of one number among several."""
    if _is_one_value(gold):
        if value_of(gold) != 0:
            yield gold[1:] if value_of(gold) is not None and gold[0] == "-" else f"-({gold})"
            yield f"-{gold}" if value_of(gold) is not None and gold[0] != "-" else f"-1({gold})"
            yield f"{gold}-" if gold[0] != "-" else f"--({gold})-1"
    elif _PAIR.fullmatch(gold):
        at = [found.start() for found in re.finditer(r"(?<![\d.A-Za-z^_{-])[1-9]", gold)]
        yield from (f"{gold[:place]}-{gold[place:]}" for place in at[:2])


def digit(gold: str, rng: random.Random) -> Iterator[str]:
    """One digit replaced, put in, or left out."""
    before = value_of(gold)
    for at, char in enumerate(gold):
        if _UNIT_POWER.search(gold[:at]):
            continue
        if not ("0" <= char <= "9") or re.search(r"[A-Za-z]_\{?$", gold[:at]):
            continue
        for other in rng.sample([d for d in "0123456789" if d != char], 3):
            yield gold[:at] + other + gold[at + 1 :]
        if before is not None:
            yield gold[:at] + rng.choice("123456789") + gold[at:]
            yield gold[:at] + gold[at + 1 :]


def point(gold: str, rng: random.Random) -> Iterator[str]:
    """The decimal point shifted, or zeros at the end."""
    value = value_of(gold)
    if value and _NUMBER.fullmatch(gold.replace(",", "")):
        plain = gold.replace(",", "")
        yield from (f"{plain}0", f"{plain}00") if "." not in plain else (plain.replace(".", ""),)
        for times in (10, 100, 1000):
            yield f"{float(value / times):.12f}".rstrip("0")
            yield f"{float(value * times):.6f}".rstrip("0").rstrip(".")
        yield from (rf"{plain} \times 10", rf"{plain}\cdot 10^{{2}}", f"{plain}e1", f"{plain}e-2", rf"{plain}\%")


_UNITS = {
    "length": ("cm", "m", "km", "inches", "feet", "miles"),
    "mass": ("g", "kg", "pounds"),
    "time": ("seconds", "minutes", "hours", "days"),
    "money": ("dollars", "cents"),
}


def unit(gold: str, rng: random.Random) -> Iterator[str]:
    """A unit of another kind, or of another size."""
    found = re.fullmatch(r"(.*?\d\}?)\s*(?:\\(?:text|mbox|mathrm)\{\s*)?([a-z]+)\s*\}?(?:\^\{?2\}?)?", gold)
    if found and any(found[2] in names for names in _UNITS.values()):
        for other in (name for names in _UNITS.values() for name in names):
            if other != found[2]:
                yield f"{found[1]} {other}"
                yield rf"{found[1]}\text{{ {other}}}"
    degrees = re.fullmatch(r"(.*?)\^\{?\\circ\}?", gold)
    if degrees and value_of(degrees[1]):
        yield from (rf"{degrees[1]}\text{{ {other}}}" for other in ("radians", "cm", "hours", "dollars", "kg"))
    percent = re.fullmatch(r"(.*?)\s*\\?%", gold)
    if percent and value_of(percent[1]):
        yield from (percent[1], rf"{percent[1]}\text{{ cm}}", rf"{percent[1]}\%\%", f"{percent[1]} percent percent")


def letter(gold: str, rng: random.Random) -> Iterator[str]:
    """Another letter in a formula, in a word, or as a choice."""
    if _is_choice(gold):
        now = re.search(r"[A-J]", gold)[0]  # type: ignore[index]
        for other in "ABCDEFGHIJ":
            if other != now:
                yield gold.replace(now, other)
        return
    word = re.fullmatch(r"\\text\{([A-Za-z]{3,})\}|([A-Za-z]{4,})", gold)
    if word:
        name = word[1] or word[2]
        for at in rng.sample(range(len(name)), min(4, len(name))):
            yield gold.replace(name, name[:at] + rng.choice("qxzv") + name[at + 1 :])
            yield gold.replace(name, name[:at] + name[at + 1 :])
        return
    names = set(_VARIABLE.findall(gold)) - {"e", "i", "d", "C", "k"}
    if len(names) == 1 and re.search(r"[-+*/^\d]|\\in(?![a-z])", gold) and "mathbb" not in gold:
        for other in rng.sample("bmqtwz", 3):
            if other not in names:
                yield _VARIABLE.sub(lambda found: other if found[0] in names else found[0], gold)  # noqa: B023


_FLIPS = {
    r"\le": (r"\ge ", "<"),
    r"\leq": (r"\geq ", r"\lt "),
    r"\ge": (r"\le ", ">"),
    r"\geq": (r"\leq ", r"\gt "),
    "<": (r"\le ", ">"),
    ">": (r"\ge ", "<"),
    r"\cup": (r"\cap ", r"\setminus "),
    "=": (r"\ne ", r"\neq ", "<", "!="),
    r"\in": (r"\notin ", r"\not\in "),
}
_RELATED = (
    r"\ne {}",
    r"\neq {}",
    r"\not= {}",
    "> {}",
    "< {}",
    r"\le {}",
    r"\geq {}",
    r"x \ne {}",
    "x > {}",
    r"x \ge {}",
    "x != {}",
    "x<{}",
    r"\neg {}",
    r"\sim {} + 1",
    r"x \notin \{{{}\}}",
    r"\lnot ({})",
    r"\text{{not }} {}",
    r"\nless {}",
    r"x \not= {}",
)


def relation(gold: str, rng: random.Random) -> Iterator[str]:
    """A relation turned round, negated, or put before a value."""
    if _is_one_value(gold):
        yield from (form.format(gold) for form in _RELATED)
    elif "{" not in gold or "cases" not in gold:
        for found in re.finditer(r"\\(?:leq?|geq?|cup|in)(?![a-z])|[<>]|(?<![<>!])=(?!.*=)", gold):
            for other in _FLIPS[found[0]]:
                yield gold[: found.start()] + other + gold[found.end() :]


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
    "out of 1000",
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
    if not _is_one_value(gold) and not re.fullmatch(r"\\text\{[A-Za-z]+\}", gold):
        return
    after = _AFTER + (_TIMES if value is not None and value not in (0, 1) else ())
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


def order(gold: str, rng: random.Random) -> Iterator[str]:
    """Two items of a tuple swapped; an item left out, put in, or listed instead of all."""
    pair = _PAIR.fullmatch(gold.replace(r"\left", "").replace(r"\right", ""))
    listed = re.fullmatch(r"\\\{(.*)\\\}", gold)
    inner = pair[2] if pair else listed[1] if listed else gold
    items = [item.strip() for item in inner.split(",")]
    braces = any(item.count(a) != item.count(b) for item in items for a, b in ("{}", "()", "[]"))
    if len(items) < 2 or braces or _NUMBER.fullmatch(gold) or "!" in gold or "=" in gold or r"\text" in gold:
        return
    opening, closing = (pair[1], pair[3]) if pair else (r"\{", r"\}") if listed else ("", "")
    join = ", ".join
    if pair and items[0] != items[1]:
        yield opening + join([items[1], items[0], *items[2:]]) + closing
        yield opening + join([*items[1:], items[0]]) + closing if len(set(items)) == len(items) else f"{gold}, 7919"
    if "dots" not in gold and "pm" not in gold:
        yield opening + join([*items, "7919"]) + closing
        yield opening + join(["7919", *items[1:]]) + closing
        if len(set(items)) == len(items):
            yield opening + join(items[1:]) + closing
            yield items[0]
            yield items[-1]


def brackets(gold: str, rng: random.Random) -> Iterator[str]:
    """An end of an interval that is no longer in it, or now is; brackets of another kind."""
    pair = _PAIR.fullmatch(gold.replace(r"\left", "").replace(r"\right", ""))
    if pair and pair[2].count(",") == 1:
        for opening in "([":
            for closing in ")]":
                changed = (opening != pair[1] and "-\\infty" not in pair[2]) or (
                    closing != pair[3] and not re.search(r"(?<!-)\\infty\s*$", pair[2])
                )
                if changed:
                    yield opening + pair[2] + closing
        yield rf"\{{{pair[2]}\}}"
        yield pair[2] if pair[1] == "[" or pair[3] == "]" else rf"\lfloor{gold}\rfloor"


def day(gold: str, rng: random.Random) -> Iterator[str]:
    """Before noon for after noon, in every spelling."""
    found = _TIME.search(gold)
    if found:
        one = {"p": "a", "a": "p"}[found[2].lower()]
        for mark in (f"{one}m", f"{one}.m.", f"{one}. m.", f"{one} m", f"{one.upper()}M", f"{one.upper()} . M ."):
            for form in (
                "{} {}",
                r"{}\text{{{}}}",
                r"{}\ \text{{ {}}}",
                r"{}~\mathrm{{{}}}",
                r"{}\quad {}",
                r"{}\;\;{}",
                r"{}\,\textbf{{{}}}",
                r"{} \hspace{{1mm}} \text{{{}}}",
                r"\text{{{} {}}}",
                "{}{}",
                r"{}\  \  {}",
            ):
                yield form.format(found[1], mark)


def power(gold: str, rng: random.Random) -> Iterator[str]:
    """An exponent put on, changed, or left out; a root or a factorial of the value."""
    value = value_of(gold)
    if _is_one_value(gold) and value not in (-1, 0, 1):
        yield from (f"({gold})^3", rf"\frac{{1}}{{{gold}}}" if value != -1 else "1", rf"\sqrt[3]{{{gold}}}")
        yield from () if value == 2 else (f"({gold})!",)
        yield from (rf"\overline{{{gold}}}", rf"({gold})^{{*}}", rf"{gold}'", rf"({gold})''") if value else ()
    for found in re.finditer(r"\^\{?(\d)\}?", gold):
        yield f"{gold[: found.start()]}^{{{int(found[1]) + 1}}}{gold[found.end() :]}"
        if not _UNIT_POWER.search(gold[: found.start(1)]):
            yield gold[: found.start()] + gold[found.end() :] if found[1] not in "01" else f"({gold})+1"


_CONTROLS = "\x00\x01\x02\x03\x04\x05\x06\x07\x08\x0e\x0f\x10\x11\x1b\x1f\x7f\ufffd\u202e\u2066"
_PARTS = (
    '"',
    "'",
    "`",
    "*",
    " ",
    "\\ ",
    "$",
    ";",
    ":",
    "|",
    "&",
    "#",
    "@",
    "\\\\",
    "?",
    "!",
    "\\,\\,",
    "=",
    "\\to ",
)


def broken(gold: str, rng: random.Random) -> Iterator[str]:
    """A number cut in two by a character that doesn't belong there."""
    digits = [found.start() + 1 for found in re.finditer(r"\d(?=\d)", gold)]
    if digits and value_of(gold) is not None and "," not in gold:
        for mark in (*_CONTROLS, *_PARTS):
            at = rng.choice(digits)
            head, tail = re.search(r"\d*$", gold[:at])[0], re.search(r"^\d*", gold[at:])[0]  # type: ignore[index]
            same = (mark == "=" and int(head) == int(tail)) or (mark == "!" and is_factorial_times(head, tail))
            if same or (len(tail) == 3 and mark in (" ", "\\ ", "\\,\\,")):
                continue
            yield gold[:at] + mark + gold[at:]


def is_factorial_times(head: str, tail: str) -> bool:
    """Tells whether `head! tail` is the number that both write: 3!6 is 36."""
    return int(head) < 30 and math.factorial(int(head)) * int(tail) == int(head + tail)


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
    if _is_one_value(gold) and value_of(gold) != 0:
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
    if _is_choice(gold):
        now = re.search(r"[A-J]", gold)[0]  # type: ignore[index]
        other = rng.choice([char for char in "ABCDE" if char != now])
        yield from (form.format(now, other) for form in _CHOICES if form != "A{0}C")


def said_choice(gold: str, rng: random.Random) -> Iterator[str]:
    """A text that names the letter without choosing it."""
    if _is_choice(gold):
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


def quantities(gold: str, rng: random.Random) -> Iterator[str]:
    """A quantity with another value, or with none."""
    return of_quantities(gold, value_of(gold), rng)


def number_words(gold: str, rng: random.Random) -> Iterator[str]:
    """Another number in words."""
    return in_words(gold, value_of(gold), rng)


def dots(gold: str, rng: random.Random) -> Iterator[str]:
    """Dots that lead elsewhere."""
    return with_dots(gold, value_of(gold), rng)


BOXED: dict[str, Mutator] = {
    "sign": sign,
    "digit": digit,
    "decimal point": point,
    "unit": unit,
    "letter": letter,
    "relation": relation,
    "words": words,
    "order and items": order,
    "brackets": brackets,
    "am and pm": day,
    "exponent": power,
    "broken numbers": broken,
    "second value": hedged,
    "equations": labels,
    "unseen parts": unseen,
    "choice": choice,
    "quantities": quantities,
    "numbers in words": number_words,
    "dots": dots,
    "vectors": of_vectors,
}
SAID: dict[str, Mutator] = {"choices in a text": said_choice, "words in a text": said}


def _spelled(text: str) -> str:
    return re.sub(r"\\[,!;: ]|\\left|\\right|\\text|\\mathrm|[\s{}$]", "", text).strip(".").casefold()


def _value_and_unit(text: str) -> Fraction | None:
    return value_of(re.sub(r"^\((.*)\)$", r"\1", re.sub(r"\\(?=%)|\\\$", "", text)))


def mutants(gold: str, rng: random.Random) -> Iterator[tuple[str, str]]:
    """Yields (kind of change, completion), each completion once, none of them right."""
    seen = {_spelled(gold)}
    value = _value_and_unit(gold)
    for table, form in ((BOXED, r"So \boxed{{{}}}."), (SAID, "{}")):
        for name, mutate in table.items():
            for text in mutate(gold, rng):
                spelled = _spelled(text)
                if spelled in seen or not spelled or (value is not None and _value_and_unit(text) == value):
                    continue
                seen.add(spelled)
                yield name, form.format(text)
