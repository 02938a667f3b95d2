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

from benchmarks._gold_values import NUMBER, is_choice, is_one_value, value_of
from benchmarks._labelled_mutants import in_words, of_quantities, of_vectors, with_dots
from benchmarks._worded_mutants import choice, hedged, labels, said, said_choice, unseen, words

Mutator = Callable[[str, random.Random], Iterator[str]]
_PAIR = re.compile(r"([(\[])([^()\[\]]+)([)\]])")
_VARIABLE = re.compile(r"(?<![A-Za-z\\])[a-zA-Z](?![A-Za-z])")
_TIME = re.compile(r"(\d{1,2}:\d\d)\D*([ap])\.?m\.?\D*$", re.IGNORECASE)
_UNIT_POWER = re.compile(r"\\(?:text|mbox|mathrm)\{[^{}]*\}\s?\^\{?$")
"""A power of a unit that is left out, or 1, is a slip that conventions forgive."""


def sign(gold: str, rng: random.Random) -> Iterator[str]:
    """The sign of a number, of a formula, or of one number among several."""
    if is_one_value(gold):
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
    if value and NUMBER.fullmatch(gold.replace(",", "")):
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
    if is_choice(gold):
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
    if is_one_value(gold):
        yield from (form.format(gold) for form in _RELATED)
    elif "{" not in gold or "cases" not in gold:
        for found in re.finditer(r"\\(?:leq?|geq?|cup|in)(?![a-z])|[<>]|(?<![<>!])=(?!.*=)", gold):
            for other in _FLIPS[found[0]]:
                yield gold[: found.start()] + other + gold[found.end() :]


def order(gold: str, rng: random.Random) -> Iterator[str]:
    """Two items of a tuple swapped; an item left out, put in, or listed instead of all."""
    pair = _PAIR.fullmatch(gold.replace(r"\left", "").replace(r"\right", ""))
    listed = re.fullmatch(r"\\\{(.*)\\\}", gold)
    inner = pair[2] if pair else listed[1] if listed else gold
    items = [item.strip() for item in inner.split(",")]
    braces = any(item.count(a) != item.count(b) for item in items for a, b in ("{}", "()", "[]"))
    if len(items) < 2 or braces or NUMBER.fullmatch(gold) or "!" in gold or "=" in gold or r"\text" in gold:
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
    if is_one_value(gold) and value not in (-1, 0, 1):
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
    "\\quad ",
    "^\\circ ",
    "➡",
    "\u2062",
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
