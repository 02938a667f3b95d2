"""Decontamination: texts that hold a problem that must stay unseen, or a run of its words.

A text is looked at in three ways, and is a leak by any. By words: a run of n of them is shared with a problem; where
the recipe asks for it, only if the two texts are alike as a whole, by the longest common subsequence of their words.
By characters: most of a problem's shingles are in it, whatever was put around them. By sentences: a problem that is too
short for shingles is there whole. All see through width and case of letters, letters that look alike, soft hyphens,
marks, and so through Markdown and HTML.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from unicodedata import category, combining, normalize

from rapidfuzz.distance import LCSseq

from selfplay.config.curation import Curation
from selfplay.curation.shingles import LENGTH, SHORTEST, ShingleIndex
from selfplay.curation.short_problems import ShortIndex
from selfplay.curation.words import digest_of, words
from verifiers.patterns import linear
from verifiers.wording.cues import composed

MOST_COMPARED = 1 << 30
"""Words of one text times those of another that are put in one order: a tenth of a second."""

Tokens = Sequence[str]
Problems = Mapping[str, Mapping[str, str]]
"""By benchmark, and by item within it."""


@dataclass(frozen=True, slots=True)
class Leak:
    """A problem that a text holds."""

    benchmark: str
    item: str
    """The problem within its benchmark, such as `row 17`."""

    @property
    def reason(self) -> str:
        """Why the text is dropped."""
        return f"contaminated (by {self.benchmark}, {self.item})"


class _Plain(dict[int, str]):
    """For `str.translate`: letters and digits stay, what is invisible goes, anything else is a blank."""

    def __missing__(self, code: int) -> str:
        char = chr(code)
        self[code] = char if char.isalnum() else "" if category(char) in ("Cf", "Mn") else " "
        return self[code]


class _Marks(dict[int, str | None]):
    """For `str.translate`: marks that combine with a letter go, all else stays."""

    def __missing__(self, code: int) -> str | None:
        # Some signs of Tibetan are no marks, but are made of two.
        self[code] = None if combining(normalize("NFD", chr(code))[0]) else chr(code)
        return self[code]


_MARKS = _Marks()
_LIKE = dict(zip(map(ord, "асеһіјӏорѕухкмтвнοαρυικτχ"), "acehijlopsyxkmtbhoapuiktx", strict=True))
_PLAIN = _Plain(_LIKE)
"""Cyrillic and Greek letters that look like Latin ones count as these, in problems and in texts alike."""
_TAG = linear.compile(
    r"</?(?:a|b|br|code|div|em|h[1-6]|i|img|li|ol|p|pre|small|span|strong|su[bp]|table|t[dhr]|u|ul)(?:\s[^<>]{0,300})?/?>",
    linear.IGNORECASE,
)
_ENTITY = linear.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9A-Fa-f]{1,6}|[A-Za-z][A-Za-z0-9]{1,30});")


def plain_words(text: str) -> list[str]:
    """The words of a text without HTML, width, case, marks, accents among them, and what cannot be seen."""
    # What is one letter without any mark, as in Hangul, is put together again.
    return normalize("NFC", _bare(text).translate(_PLAIN)).split()


def _spelt(text: str) -> str:
    """A text without HTML, width and case, each letter as the Latin one that it looks like."""
    return _bare(text).translate(_LIKE)


def _bare(text: str) -> str:
    """A text without HTML, width and case, its marks apart from their letters."""
    bare = _ENTITY.sub(lambda found: html.unescape(found.group()), text) if "&" in text else text
    bare = _TAG.sub("", bare) if "<" in bare else bare
    # Marks that count for nothing are not sorted, either.
    return normalize("NFKD", bare.translate(_MARKS)).casefold()


class LeakIndex:
    """Problems that must stay unseen, which count as a whole too. 0.4 kB a word, and 12 bytes a character."""

    def __init__(self, problems: Problems, settings: Curation, ignored: Iterable[str] = ()) -> None:
        """Takes the problems.

        Args:
            settings: how long a run counts, and how alike texts must be.
            ignored: texts whose wording is common and no evidence of a leak.
        """
        self._n = settings.decontamination_ngram
        self._least_common, self._share = settings.decontamination_lcs, settings.decontamination_characters
        self._problems: list[tuple[Leak, list[str]]] = []
        self._whole: dict[bytes, Leak] = {}
        self._owners: dict[tuple[str, ...], list[int]] = {}
        """The problems with each run, by number."""
        spared = list(ignored)
        short: list[tuple[int, str]] = []
        known = [plain_words(text) for text in spared]
        common = {run for tokens in known for run in self._runs(tokens)}
        for benchmark, items in problems.items():
            for item, text in items.items():
                self._add(Leak(benchmark, item), text, common)
                if self._share and sum(map(len, self._problems[-1][1])) < SHORTEST:
                    short.append((len(self._problems) - 1, _spelt(text)))
        letters = ["".join(tokens) for _, tokens in self._problems] if self._share else []
        self._shingles = ShingleIndex(letters, ("".join(tokens) for tokens in known))
        self._short = ShortIndex(short, (_spelt(text) for text in spared))

    def find(self, text: str) -> Leak | None:
        """The first problem that a text holds; None where there is none."""
        tokens = plain_words(text)
        whole = next((leak for key in _keys(text, tokens) if (leak := self._whole.get(key))), None)
        if whole is not None:
            return whole
        shared = {owner for run in set(self._runs(tokens)) for owner in self._owners.get(run, ())}
        alike = [owner for owner in shared if self._alike(tokens, self._problems[owner][1])]
        if self._share:
            alike += self._shingles.find("".join(tokens), self._share)
            alike += self._short.find(_spelt(text)) if self._short.may_hold(tokens) else []
        return self._problems[min(alike)][0] if alike else None

    def _add(self, leak: Leak, text: str, common: set[tuple[str, ...]]) -> None:
        tokens = plain_words(text)
        for run in set(self._runs(tokens)) - common:
            self._owners.setdefault(run, []).append(len(self._problems))
        self._problems.append((leak, tokens))
        for key in _keys(text, tokens):
            self._whole.setdefault(key, leak)

    def _runs(self, tokens: Tokens) -> Iterator[tuple[str, ...]]:
        return zip(*(tokens[start:] for start in range(self._n)), strict=False)

    def _alike(self, text: Tokens, problem: Tokens) -> bool:
        if not self._least_common:
            return True
        return _common_order(text, problem) >= self._least_common


def common_order(text: str, problem: str) -> float:
    """Share of the shorter text's words that stand in the other in the same order: their longest common subsequence.

    Two texts too long to be compared so, `MOST_COMPARED`, count as the same.
    """
    return _common_order(plain_words(text), plain_words(problem))


def _common_order(text: Tokens, problem: Tokens) -> float:
    if len(text) * len(problem) > MOST_COMPARED:
        return 1.0
    shorter = min(len(text), len(problem))
    return LCSseq.similarity(list(text), list(problem)) / shorter if shorter else 0.0


def _keys(text: str, tokens: Tokens) -> list[bytes]:
    """By which a text is the same as a problem: its words and marks, and, unless it is short, its letters alone."""
    letters = "".join(tokens)
    seen = "".join(char for char in composed("NFKC", text) if category(char) != "Cf")
    return [digest_of(words(seen)), *([digest_of([letters])] if len(letters) >= LENGTH else [])]


def leak_index(settings: Curation, problems: Problems, seeds: Iterable[str]) -> LeakIndex | None:
    """The index of problems that nothing trained on may hold; None where the recipe turns decontamination off.

    Args:
        seeds: training problems, whose wording is no evidence where the recipe says so.
    """
    if not settings.decontamination_ngram:
        return None
    return LeakIndex(problems, settings, seeds if settings.decontamination_spares_seed_wording else ())
