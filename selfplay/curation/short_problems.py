"""Short problems found again in texts that say more: as sentences of their own, word for word and sign for sign.

A part of a short problem is no evidence, and its words alone are little: `simplify sqrt 50` begins other problems, too.
So all of its words and signs must be there, from the beginning of a sentence to the end of one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from unicodedata import category, normalize

FEWEST_WORDS = 3
"""Words, one of them with a digit, below which a problem is no more than a phrase."""
MOST_TOKENS = 64
"""Words and signs above which a problem of so few letters is a row of signs: what is looked for at each sentence grows
with the longest."""
ENDS = frozenset(".?!:;\n")
CLOSING = frozenset("\"'`)]}$*_,\\")
SIGNS = dict.fromkeys("+-*/^=<>|%", "") | {
    **dict.fromkeys("\u2212\u2013\u2010\u2011\u2012", "-"),
    **dict.fromkeys("\u00d7\u22c5\u00b7", "*"),
    **dict.fromkeys("\u00f7\u2044", "/"),
    "\u2264": "<",
    "\u2265": ">",
}
"""Signs that tell problems apart, and what other spellings of one stand for."""

Tokens = tuple[str, ...]


class ShortIndex:
    """Short problems by their words and signs."""

    def __init__(self, problems: Iterable[tuple[int, str]], ignored: Iterable[str] = ()) -> None:
        """Takes problems, which have few letters, and texts whose sentences are no evidence; without HTML and case.

        Args:
            problems: each with its number.
            ignored: texts whose wording is common.
        """
        self._owners: dict[Tokens, int] = {}
        for number, text in problems:
            tokens = tuple(token for sentence in sentences(text) for token in sentence)
            if _says_enough(tokens):
                self._owners.setdefault(tokens, number)
        self._longest = max(map(len, self._owners), default=0)
        for text in ignored if self._owners else ():
            for tokens in self._windows(text):
                self._owners.pop(tokens, None)
        self._numbers = {max(filter(_has_digit, tokens), key=len) for tokens in self._owners}

    def may_hold(self, words: Iterable[str]) -> bool:
        """Whether a text of these words may hold one of the problems: has a number of it. Costs little."""
        return not self._numbers.isdisjoint(words)

    def find(self, text: str) -> list[int]:
        """The problems, by number, that a text holds as sentences of its own."""
        found = (self._owners.get(tokens) for tokens in self._windows(text))
        return [number for number in found if number is not None]

    def _windows(self, text: str) -> Iterator[Tokens]:
        """The tokens of each row of sentences that is not too long."""
        known = sentences(text)
        for start in range(len(known)):
            window: Tokens = ()
            for place in range(start, len(known)):
                window += known[place]
                if len(window) > self._longest:
                    break
                yield window


def _says_enough(tokens: Tokens) -> bool:
    words = [token for token in tokens if token not in SIGNS]
    return len(tokens) <= MOST_TOKENS and len(words) >= FEWEST_WORDS and any(map(_has_digit, words))


def _has_digit(word: str) -> bool:
    return any(map(str.isdigit, word))


def sentences(text: str) -> list[Tokens]:
    """The sentences of a text, each as its words and signs; those without any are left out.

    Args:
        text: without HTML, width and case, its marks apart from their letters.
    """
    seen = [char for char in text if category(char) not in ("Cf", "Mn")]
    found: list[Tokens] = []
    written: list[str] = []
    for place, char in enumerate(seen):
        if char in ENDS and (char == "\n" or _ends(seen, place)):
            found.append(_tokens(written))
            written = []
        elif char.isalnum():
            written.append(char)
        else:
            written.append(_sign(seen, place) or " ")
    found.append(_tokens(written))
    return [sentence for sentence in found if sentence]


def _tokens(written: Sequence[str]) -> Tokens:
    return tuple(normalize("NFC", "".join(written)).split())


def _ends(text: Sequence[str], place: int) -> bool:
    """Whether a full stop ends a sentence: a blank follows, or marks that close something and then a blank."""
    after = place + 1
    while after < len(text) and text[after] in CLOSING:
        after += 1
    return after == len(text) or text[after].isspace()


def _sign(text: Sequence[str], place: int) -> str:
    """The sign at a place, between blanks; empty where it is none, or one of Markdown's."""
    char = text[place]
    if char not in SIGNS or (char in "*>" and _is_markup(text, place)):
        return ""
    return f" {SIGNS[char] or char} "


def _is_markup(text: Sequence[str], place: int) -> bool:
    """Whether a star or an angle emphasises or quotes: what stands between two values has both beside it."""
    before, after = text[max(place - 1, 0)], text[min(place + 1, len(text) - 1)]
    if place == 0 or place == len(text) - 1 or _is_blank(before) != _is_blank(after):
        return True
    left, right = _next_to(text, place, -1), _next_to(text, place, 1)
    return not (left.isalnum() or left in ")]}|$") or not (right.isalnum() or right in "([{|$\\-+")


def _next_to(text: Sequence[str], place: int, step: int) -> str:
    """The next character in a direction that is neither blank nor a comma, in the same line; else a line's end."""
    at = place + step
    while 0 <= at < len(text) and _is_blank(text[at]) and text[at] != "\n":
        at += step
    return text[at] if 0 <= at < len(text) else "\n"


def _is_blank(char: str) -> bool:
    return char.isspace() or char == ","
