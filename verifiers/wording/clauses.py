"""Tells a formula from the clause behind it that says what its letters are: y = Ce^{2x} is the answer of "y = Ce^{2x},
where C is an arbitrary constant", and C is none.

A clause that sets a letter to a number makes another answer of the formula, which nobody has said: y = 3x + b, where
b = 3, is neither 3 nor y = 3x + b.
"""

from __future__ import annotations

from verifiers.patterns import linear
from verifiers.wording.number_words import number_in_words
from verifiers.wording.surroundings import SENTENCE_END
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
_CONDITION = linear.compile(
    r"(?:^|[$)\].\n]|\b(?:so|thus|hence|therefore),?)\s{0,2}(?P<said>[A-Za-z][A-Za-z0-9 '’-]{7,120}) "
    r"(?:if,? and only if|iff|exactly when|precisely when),?[\s$*]*(?:\\\()?\s?$",
    linear.IGNORECASE,
)
_RELATION = linear.compile(
    r"(?:[^=<>≤≥A-Za-z]{1,40}(?:<=?|≤|\\leq?\b)\s?)?[^=<>≤≥]*[A-Za-z][^=<>≤≥]*(?:<=?|>=?|=|≤|≥|\\(?:leq?|geq?|lt|gt)\b)[^=]+"
)
_LONGEST = 250


def without_clause(text: str) -> str | None:
    """Returns the text up to a last clause that says what the letters before it are; None where it sets one to a value,
    and the text as it is where it ends in no such clause."""
    tail = text[-_LONGEST:].rstrip(" .*\n")
    at = _begun(tail)
    clause = tail[max(at, 0) :].strip()
    before = text[: max(len(text) - _LONGEST, 0) + at].rstrip(" *\n")
    bare = before.rstrip(" ,;*\n")
    found = _CLAUSE.fullmatch(clause) if at >= 0 else None
    value = _SET.fullmatch(clause) if at >= 0 and found is None and clause.startswith("where") else None
    described = found is not None and _only_describes(found.group("said") or "")
    if not described and value is None:
        return text
    items = items_of(bare)
    if not items or (items[-1].end != len(bare) and (value is not None or before == bare)):
        return text
    led_to = _SAID.search(bare[: items[-1].start]) is not None
    if value is None:
        return bare if led_to or clause[:1] not in "$\\" else text
    if _holds(items[-1], value.group("name")):
        alone = value.group("name") == items[-1].body.strip()
        return None if not alone and (before != bare or led_to) else text
    return bare if led_to and before != bare and _LETTER.search(items[-1].body) is None else text


def is_condition(before: str, body: str) -> bool:
    """Tells whether a relation is what a sentence asks of a letter: "it has two real roots if and only if k < 3"."""
    found = _CONDITION.search(before) if "only if" in before or "iff" in before or "when" in before else None
    if found is None or _RELATION.fullmatch(body) is None:
        return False
    said = SENTENCE_END.split(before[: found.end("said")])[-1].replace(" no ", " ")
    return not denies(said) and SUPPOSING.isdisjoint(words_of(said))


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
