"""The language verifier: is the answer written in the language that was asked for?

Detection is py3langid's, whose model (139 languages, 4.4 MB, plain arrays) comes with its wheel: no network, no
randomness, time linear in the text. What is no language is taken out first: the thinking, code, formulas, links.
The rest is judged in pieces, so that one foreign paragraph in a long answer is seen.
"""

from __future__ import annotations

import copy
import functools
import importlib.metadata
import threading
from collections.abc import Iterator
from typing import Any, Literal

from verifiers.extraction import final_text
from verifiers.model import Task, Verdict
from verifiers.patterns import linear
from verifiers.rules.text import Rule

_INLINE_CODE = linear.compile(r"`[^`\n]{1,500}`")
_ENVIRONMENTS = (
    "equation align aligned alignat gather gathered multline split eqnarray math displaymath array matrix pmatrix "
    "bmatrix vmatrix Vmatrix cases dcases tabular tikzpicture verbatim lstlisting"
)
_FORMULAS = [("$$", "$$"), (r"\[", r"\]"), (r"\(", r"\)")] + [
    (rf"\begin{{{name}{star}}}", rf"\end{{{name}{star}}}") for name in _ENVIRONMENTS.split() for star in ("", "*")
]
_INLINE_MATH = linear.compile(r"\$(?=\S)[^$\n]{1,500}?(?<=\S)\$(?!\d)")
_COMMAND = linear.compile(r"\\[A-Za-z]{1,40}\*?(?:\[[^\]\n]{0,100}\])?")
_LINK = linear.compile(r"\b(?:https?://|www\.)\S+")
_DENSE = (("\u3040", "\u30ff"), ("\u3400", "\u9fff"), ("\uac00", "\ud7af"), ("\uf900", "\ufaff"))
_END_OF_PIECE = linear.compile(r"(?<=[.!?;:])\s+|\n+")
_DENSE_ENDS = str.maketrans({mark: f"{mark}\n" for mark in "。！？；："})
_MAX_PIECES = 2_000
_SURE = 0.5
_COMMON = (
    "en zh ja ko de fr es it pt nl sv no da fi is pl cs sk hu ro bg hr sl sr uk ru lt lv et el tr az kk ar he fa ur "
    "hi bn ta te ml mr gu kn pa ne si th vi id ms tl km my lo ka hy mn sw af sq ca eu gl cy ga"
)

Short = Literal["not_checked", "pass", "fail"]


class LanguageVerifier(Rule):
    """Passes when enough of the answer's text is in the language.

    Statuses: correct, wrong, no_answer (nothing follows the thinking), too_short (too little text to tell;
    without a reward, unless said otherwise).
    """

    name = "language"
    judges = "form"
    loads = True

    def __init__(
        self,
        *,
        language: str = "en",
        min_share: float = 0.8,
        min_letters: int = 30,
        when_short: Short = "not_checked",
        among: list[str] | None = None,
        partial_credit: bool = False,
    ) -> None:
        """Takes the language as an ISO 639-1 code, such as en or zh.

        `min_share` is the least share of letters in that language; `min_letters` is how many letters are needed
        to tell (a Chinese, Japanese or Korean character counts as three); `among` are the languages to choose
        from, by default 67 that are widely written, since rare ones take short texts for theirs;
        `partial_credit` gives the share as the reward. Pieces of no clear language count for none.

        Raises ValueError when a language is not known, or a number is out of range.
        """
        if not 0.0 < min_share <= 1.0:
            raise ValueError(f"min_share must lie in (0, 1], not {min_share}")
        if min_letters < 1:
            raise ValueError(f"min_letters must be at least 1, not {min_letters}")
        if when_short not in ("not_checked", "pass", "fail"):
            raise ValueError(f"when_short must be not_checked, pass or fail, not {when_short!r}")
        self._language = language
        self._among = tuple(sorted({language, *(_COMMON.split() if among is None else among)}))
        unknown = sorted(set(self._among) - set(_identifier(None).labels))
        if unknown:
            raise ValueError(f"no language is called {', '.join(unknown)}; give ISO 639-1 codes, such as en or zh")
        self._min_share, self._min_letters = min_share, min_letters
        self._when_short, self._partial_credit = when_short, partial_credit
        self.fingerprint = (
            f"language/1/{language}/{min_share:g}/{min_letters}/{when_short}/{self._among}/{partial_credit:d}/"
            f"{importlib.metadata.version('py3langid')}"
        )

    def _judge(self, task: Task, completion: str) -> Verdict:
        text = final_text(completion)
        if text is None:
            return Verdict(False, 0.0, "no_answer", "the thinking never ends")
        if not text.strip():
            return Verdict(False, 0.0, "no_answer", "nothing follows the thinking")
        letters = self._letters_by_language(prose(text))
        total = sum(letters.values())
        if total < self._min_letters:
            return self._short(total)
        share = letters.get(self._language, 0) / total
        passed = share >= self._min_share
        found = dict(sorted(letters.items(), key=lambda item: (-item[1], item[0]))[:5])
        reason = "" if passed else f"{share:.0%} of the letters are in {self._language}, mostly {next(iter(found))}"
        reward = share if self._partial_credit else float(passed)
        details = {"share": round(share, 6), "letters": found}
        return Verdict(passed, reward, "correct" if passed else "wrong", reason, details)

    def _short(self, letters: int) -> Verdict:
        reason = f"{letters} letters of a clear language, where {self._min_letters} are needed"
        passed = {"not_checked": None, "pass": True, "fail": False}[self._when_short]
        return Verdict(passed, None if passed is None else float(passed), "too_short", reason, {"letters": letters})

    def _letters_by_language(self, text: str) -> dict[str, int]:
        found: dict[str, int] = {}
        identifier = _identifier(self._among)
        for piece, letters in _pieces(text, self._min_letters):
            language, sureness = identifier.classify(piece)
            if sureness >= _SURE:
                found[str(language)] = found.get(str(language), 0) + letters
        return found


def prose(text: str) -> str:
    """Returns a text without code, formulas, LaTeX commands and links. A formula that is never closed stays, so
    that nothing can be hidden behind its opening."""
    text = _INLINE_CODE.sub(" ", _without_fences(text))
    for opening, closing in _FORMULAS:
        text = _without(text, opening, closing)
    for pattern in (_INLINE_MATH, _LINK, _COMMAND):
        text = pattern.sub(" ", text)
    return text


def _without_fences(text: str) -> str:
    """Drops fenced blocks; one that is never closed goes on to the end."""
    kept, fence = [], ""
    for line in text.split("\n"):
        bare = line.strip(" \t")
        run = bare[: len(bare) - len(bare.lstrip(bare[:1]))] if bare[:1] in {"`", "~"} else ""
        if fence:
            if bare.startswith(fence) and not bare[len(fence) :].strip("`~"):
                fence = ""
        elif len(run) >= 3:
            fence = run
            kept.append(" ")
        else:
            kept.append(line)
    return "\n".join(kept)


def _without(text: str, opening: str, closing: str) -> str:
    kept, at = [], 0
    while (start := text.find(opening, at)) >= 0:
        end = text.find(closing, start + len(opening))
        if end < 0:
            break
        kept.append(text[at:start])
        at = end + len(closing)
    return " ".join([*kept, text[at:]])


def weight(text: str) -> int:
    """Returns how many letters a text has; one character of Chinese, Japanese or Korean counts as three."""
    letters = sum(map(str.isalnum, text)) - sum(map(str.isdecimal, text))
    if text.isascii():
        return letters
    return letters + 2 * sum(any(low <= char <= high for low, high in _DENSE) for char in text)


def _pieces(text: str, least: int) -> Iterator[tuple[str, int]]:
    """Cuts a text into sentences and lines, joined until each has enough letters to tell its language."""
    parts = [(part, weight(part)) for part in _END_OF_PIECE.split(text.translate(_DENSE_ENDS))]
    # so many pieces that each is as long as needed to stay under the most that are looked at
    least = max(least, sum(letters for _, letters in parts) // _MAX_PIECES)
    held: list[str] = []
    letters = 0
    pieces: list[tuple[str, int]] = []
    for part, own in parts:
        if own:
            held.append(part)
            letters += own
        if letters >= least:
            pieces.append((" ".join(held), letters))
            held, letters = [], 0
    if letters:
        last, before = pieces.pop() if pieces else ("", 0)
        pieces.append((" ".join([last, *held]), letters + before))
    yield from pieces


_lock = threading.Lock()


def _identifier(among: tuple[str, ...] | None) -> Any:
    with _lock:
        return _made(among)


@functools.lru_cache(maxsize=8)
def _made(among: tuple[str, ...] | None) -> Any:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    if among is None:
        return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    identifier = copy.copy(_made(None))
    identifier.set_languages(among)
    return identifier
