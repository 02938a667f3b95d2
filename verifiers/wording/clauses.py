"""Tells a formula from the clause behind it that says what its letters are: y = Ce^{2x} is the answer of "y = Ce^{2x},
where C is an arbitrary constant", and C is none.

A clause that sets a letter to a number makes another answer of the formula, which nobody has said: y = 3x + b, where
b = 3, is neither 3 nor y = 3x + b.
"""

from __future__ import annotations

from verifiers.patterns import linear
from verifiers.wording.number_words import number_in_words
from verifiers.wording.values import ValueInText, items_of
from verifiers.wording.vocabulary import SUPPOSING, denies, words_of

_ONE = r"(?:[A-Za-z]|\\[a-z]{2,7})(?:_\{?\w\}?)?(?:\([A-Za-z]\))?"
_LETTERS_OF = rf"(?:\$|\\\()?\s?{_ONE}(?:,\s?{_ONE}){{0,4}}\s?(?:\$|\\\))?"
_LETTERS = rf"{_LETTERS_OF}(?:(?:,|,? and) {_LETTERS_OF}){{0,3}}"
_OF_A_SET = (
    r"(?:\$|\\\()?\s?[A-Za-z](?:_\{?\w\}?)?(?:,\s?[A-Za-z](?:_\{?\w\}?)?){0,4}\s?\\in\b\s?"
    r"(?:\\mathbb\s?\{?[A-Z]\}?|\\[A-Z]\b|[^\x00-\x7f])(?:\^\{?[+*]\}?|_\{?[+>]\}?)?\s?(?:\$|\\\))?"
)
_SPOKEN = rf"(?:[A-Za-z’' -]|(?:\$|\\\()\s?{_ONE}\s?(?:\$|\\\)))*"
_KINDS = (
    r"(?:(?:fixed|arbitrary|real|complex|positive|non-?negative|natural|whole|integer|scalar|values? of|choice of|free"
    r"|constants?|parameters?|numbers?|integers?|scalars?|reals?) )"
)
_CLAUSE = linear.compile(
    rf"where (?:{_LETTERS}|\$[^$=<>]{{1,40}}\$),?"
    rf" (?:is|are|can be|may be|denotes?|represents?|stands? for) (?P<said>{_SPOKEN})"
    rf"|(?:where|with|for (?:any|all|every|each|some)(?: {_KINDS}{{1,3}})?|) ?{_OF_A_SET}"
    rf"|for (?:any|all|every|each|some|an? arbitrary)(?: {_KINDS}{{1,4}}){_LETTERS}"
    rf"|with {_LETTERS} (?:being )?(?:an? |any )?(?:arbitrary |real |complex |free )*(?:constants?|parameters?)"
)
_SET = linear.compile(
    r"where (?:\$|\\\()?\s?(?P<name>[A-Za-z](?:_\{?\w\}?)?)\s?(?:\$|\\\))?\s?(?:=|is)"
    r"\s?(?:\$|\\\()?\s?[^=<>,\s][^=<>,]{0,30}"
)
_OPENS = linear.compile(r"\b(?:where|with|for (?:any|all|every|each|some|an? arbitrary))\s")
_SAID = linear.compile(r"(?:\b(?:is|are|be|equals|so|thus|hence|by|to)|[=:])[\s*]*$", linear.IGNORECASE)
_LETTER = linear.compile(r"\\[A-Za-z]+|[A-Za-z]")
_MORE = (
    "even odd prime primes composite square squares cube rational irrational negative nonzero non-zero divisible"
    " multiple multiples twice half double triple times less greater than between root solution satisfies satisfying"
    " such only or distinct coprime so thus hence therefore which then but giving gives equal equals"
)
_NARROWING = frozenset(_MORE.split())
"""Words by which a clause says more of a letter than what it is, or goes on to another answer."""
_LONGEST = 250


def without_clause(text: str) -> str | None:
    """Returns the text up to a last clause that says what the letters before it are; None where it sets one to a value,
    and the text as it is where it ends in no such clause."""
    tail = text[-_LONGEST:].rstrip(" .*\n")
    at = _begun(tail)
    if at < 0:
        return text
    clause = tail[at:].strip()
    before = text[: max(len(text) - _LONGEST, 0) + at].rstrip(" *\n")
    bare = before.rstrip(" ,;*\n")
    found = _CLAUSE.fullmatch(clause)
    value = _SET.fullmatch(clause) if found is None and clause.startswith("where") else None
    described = found is not None and _only_describes(found.group("said") or "")
    if not described and value is None:
        return text
    items = items_of(bare)
    if not items or (items[-1].end != len(bare) and (value is not None or before == bare)):
        return text
    if value is None:
        return bare
    if _holds(items[-1], value.group("name")):
        return None if before != bare or _SAID.search(bare[: items[-1].start]) else text
    plain = _LETTER.search(items[-1].body) is None and before != bare and _SAID.search(bare[: items[-1].start])
    return bare if plain else text


def _begun(tail: str) -> int:
    """Where the last clause begins; less than nothing where none does."""
    if "where" in tail or "for " in tail or "with " in tail:
        opened = [match.start() for match in _OPENS.finditer(tail)]
        if opened:
            return opened[-1]
    comma = max(tail.rfind(", $"), tail.rfind(", \\(")) if "\\in" in tail[-40:] else -1
    return comma + 1 if comma >= 0 else -1


def _only_describes(said: str) -> bool:
    """Tells whether a clause leaves open what number a letter is."""
    words = words_of(said)
    number = bool(words) and number_in_words(words[0]) is not None
    return not (denies(said) or number or not _NARROWING.isdisjoint(words) or not SUPPOSING.isdisjoint(words))


def _holds(item: ValueInText, name: str) -> bool:
    """Tells whether a formula speaks of a letter."""
    return name[:1] in _LETTER.findall(item.body)
