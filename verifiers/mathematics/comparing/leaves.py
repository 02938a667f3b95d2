"""The rules for what has no parts: numbers, decimals that stand for longer ones, words; and logic with "unknown"."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction

from verifiers.mathematics.comparing.enclosure import enclosure
from verifiers.mathematics.reading.form import Form, is_constant
from verifiers.patterns import linear
from verifiers.wording.vocabulary import changes, denies

_CHOICE = linear.compile(r"^\"?(?:(?i:option|choice|answer)\s*\"?)?\(?\"?\(?([A-J])\)?\"?\)?(?:[.:)].*)?$")
_ARTICLE = linear.compile(r"^\"?(?:an?|the) ?(?=[a-z]{4})", linear.IGNORECASE)
_LEAD = linear.compile(
    r"^(?:the|this)?(?:given|improper|infinite)?(?:series|integral|sequence|limit|function|graph|statement|equation|system|claim"
    r"|triangle|quadrilateral|polygon|figure|shape|conic|curve|angle|matrix|number|integer|argument|inequality|relation"
    r"|operation|group|set|slope|matrices|vectors|lines|events|variables|roots|planes|sets)(?:is|are)?(?:an?|the)?$"
)
"""As in "the function is even", without blanks."""
_IDLE = linear.compile(r"[\s\"{}\\\x04]|\.(?!\d)")
_REASONED = linear.compile(r"^(yes|no|true|false)[,.;:]? ?(?:because|since|as)\b(.*)$", linear.IGNORECASE)
_SPELLED = linear.compile(r"[\s\"\\\x04]")
_CHEMICAL = linear.compile(r"(?:[A-Z][a-z]?(?:_?\{?\d{1,2}\}?)?){1,6}")
_OPENING_QUOTES = linear.compile(r'"')
_DECIMAL = linear.compile(r"-?(\d*)\.(\d+)(?:\\(?:times|cdot) ?10\^(?:\{(-?\d{1,3})\}|(\d)))?")
_SHOWN = linear.compile(r"-?(\d*)(?:\.(\d+))?(%?)(?:\\(?:times|cdot) ?10\^\{?(-?\d{1,3})\}?)?")
_MOST_SHOWN = 12
_SAME_WORDS = {
    **dict.fromkeys(("infinitelymanysolutions", "infinitesolutions", "infinitelymany"), "infinitelymany"),
    "doesnotexist": "dne",
    "nonexistent": "dne",
}


def numbers_agree(first: Form, second: Form) -> bool:
    """Exact equality, or a decimal of six digits or more that is the other value correctly rounded."""
    assert first.number is not None
    assert second.number is not None
    if first.number == second.number:
        return True
    return _rounds_to(first, second.number) or _rounds_to(second, first.number)


def _rounds_to(decimal: Form, value: Fraction) -> bool:
    """Tells whether a long decimal is a value that has no finite decimal, correctly rounded or cut."""
    digits = decimal_digits(decimal)
    if digits is None or _finite_decimal(value):
        return False
    assert decimal.number is not None
    return abs(decimal.number - value) < Fraction(10) ** -digits


def decimal_digits(form: Form) -> int | None:
    """Returns the digits after the point of a decimal with at least six that count; None for anything else."""
    match = _DECIMAL.fullmatch(form.text)
    if match is None or len((match.group(1) + match.group(2)).strip("0")) < 6:
        return None
    return len(match.group(2)) - int(match.group(3) or match.group(4) or 0)


def _finite_decimal(value: Fraction) -> bool:
    bottom = value.denominator
    for prime in (2, 5):
        while bottom % prime == 0:
            bottom //= prime
    return bottom == 1


def words(text: str) -> str:
    """Returns a text answer without case, blanks, quotes, articles, or the brackets and dots of an option letter."""
    choice = _CHOICE.match(text)
    if choice and not denies(text):
        return choice.group(1).upper()
    if len(text) < 2:
        return text
    reasoned = _REASONED.match(_OPENING_QUOTES.sub("", text).replace("\x04", " "))
    if reasoned and not changes(reasoned.group(2)):
        return reasoned.group(1).casefold()
    bare = _IDLE.sub("", text).casefold()
    if bare.startswith(("thereareinfinite", "thereexistinfinite")):
        bare = bare[bare.index("infinite") :]
    else:
        bare = _IDLE.sub("", _ARTICLE.sub("", text)).casefold()
    return _SAME_WORDS.get(bare, bare)


def other_symbols(first: str, second: str) -> bool:
    """Tells two chemical formulas that differ in the case of letters alone: CO is no Co."""
    plain = [_SPELLED.sub("", text) for text in (first, second)]
    if plain[0] == plain[1] or plain[0].casefold() != plain[1].casefold() or plain[0].casefold() == "no":
        return False
    return all(len(text) < 13 and _CHEMICAL.fullmatch(text) for text in plain)


def said_alike(first: str, second: str) -> bool:
    """Tells whether two texts, as `words` gives them, say the same, perhaps one of them as a sentence."""
    short, long = sorted((first, second), key=len)
    if short == long:
        return short != ""
    return len(short) > 2 and long.endswith(short) and bool(_LEAD.match(long[: -len(short)]))


def letters_chosen(form: Form) -> str:
    """The options that "A, C" or AC names, in order; nothing for what is no choice of several."""
    letters = [words(item.text) for item in form.items] if form.kind == "list" else list(form.text.strip('"'))
    several = 1 < len(letters) == len(set(letters)) and all(
        len(letter) == 1 and "A" <= letter <= "J" for letter in letters
    )
    return "".join(sorted(letters)) if several else ""


def bare(text: str) -> str:
    """Returns a formula that nobody read without what spelling may change: blanks, quotes, backslashes."""
    return _SPELLED.sub("", text)


def all_of(verdicts: Iterable[bool | None]) -> bool | None:
    unsure = False
    for verdict in verdicts:
        if verdict is False:
            return False
        unsure |= verdict is None
    return None if unsure else True


def any_of(verdicts: Iterable[bool | None]) -> bool | None:
    unsure = False
    for verdict in verdicts:
        if verdict:
            return True
        unsure |= verdict is None
    return None if unsure else False


def decimal_places(form: Form) -> int | None:
    """Returns how many digits a number shows after the point, below zero for zeros at its end; None for no decimal."""
    found = _SHOWN.fullmatch(form.text) if form.number is not None and form.unit is None else None
    if found is None or len(form.text) > 40 or not (found.group(1) or found.group(2)):
        return None
    zeros = 0 if found.group(2) else len(found.group(1).rstrip("0")) - len(found.group(1))
    return (
        len(found.group(2) or "")
        + (2 if found.group(3) else 0)
        - int(found.group(4) or 0)
        + (zeros if found.group(1).strip("0") else 0)
    )


def is_rounding(value: Form, decimal: Form) -> bool | None:
    """Tells whether a decimal of two digits or more is another value, rounded or cut; None where that isn't known."""
    places = decimal_places(decimal)
    if places is None or decimal.number is None or len(decimal.text.strip("-0.%")) < 2 or not is_constant(value):
        return None
    if abs(places) > _MOST_SHOWN:
        return None
    if value.number is not None:
        exact, off = float(value.number), 0.0
    else:
        try:
            assert value.node is not None
            exact, off = enclosure(value.node, {})
        except (ArithmeticError, ValueError, AssertionError):
            return None
    step = 10.0**-places
    gap = abs(exact) - abs(float(decimal.number))
    off += 1e-9 * step + 1e-14 * abs(exact)
    return exact * float(decimal.number) >= 0 and -step / 2 - off <= gap < step * (1 - 1e-9)
