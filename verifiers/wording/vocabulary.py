"""Words around a value: those that change what it says, those that name what is counted, those that lead up to it.

The lists are in `vocabulary.toml`. A word that is in none of them is not understood.
"""

from __future__ import annotations

from itertools import pairwise

from verifiers.patterns import linear
from verifiers.wording import table

_LISTS = {name: frozenset(words.split()) for name, words in table(__file__).items()}
DENYING, SUPPOSING, SCALING, LIMITING = (_LISTS[name] for name in ("denying", "supposing", "scaling", "limiting"))
STEPS, QUANTITIES = _LISTS["steps"], _LISTS["quantities"]
_LEADING, _HEADINGS = _LISTS["leading"], _LISTS["headings"]
NEVER_VERBS, JOINING = _LISTS["never_verbs"], _LISTS["joining"]
RESULTS, GOING_ON = _LISTS["results"], _LISTS["going_on"]
_ONE, _IRREGULAR, _OTHER_PARTS = _LISTS["one"], _LISTS["irregular"], _LISTS["other_parts"]
_VERBS, _PLAIN_BEFORE_NOUNS, _IDLE_AFTER = _LISTS["verbs"], _LISTS["plain_before_nouns"], _LISTS["idle_after"]
CHANGING = DENYING | LIMITING | SCALING
"""Words that change what the value beside them says."""
BEFORE = LIMITING - {"or"} | SCALING | STEPS
"""Words that, right before a value, make it the bound or the part of something else; `STEPS` do so only there."""
_IDLE_LEADS = frozenset(
    ("in total", "in all", "a day", "a week", "a month", "a year", "an hour", "a minute", "a piece")
)
_NO_WORDS = linear.compile(r"[^A-Za-z'’\s.,-]")
_WORDS = linear.compile(r"[A-Za-z'’]+")


def words_of(text: str) -> list[str]:
    """Returns the words of a text in small letters."""
    return [word.replace("’", "'").strip("'").lower() for word in _WORDS.findall(text)]


def names_things(text: str, one: bool = False) -> bool:
    """Tells whether the words after a value only say what was counted: "apples", "blue marbles each".

    `one` lets any noun stand for one thing.
    """
    words = words_of(text)
    if not words or len(words) > 6 or _NO_WORDS.search(text):
        return False
    while len(words) > 1 and (words[-1] in _IDLE_AFTER or " ".join(words[-2:]) in _IDLE_LEADS):
        words = words[:-1] if words[-1] in _IDLE_AFTER else words[:-2]
        if words and words[-1] == "in":
            words.pop()
    if words[:1] and words[0] in {"square", "sq", "cubic", "cu"} and words[1:] in (["unit"], ["units"]):
        return True
    if not words or words in (["a"], ["times"]):
        return True
    if any(before == "per" for before in words[:-1]):
        at = words.index("per")
        return (
            (at == 0 or names_things(" ".join(words[:at]), one)) and len(words) - at == 2 and words[-1] not in CHANGING
        )
    if "of" in words[:-1]:
        at = words.index("of")
        whole = words[1] == "the" and len(words) > 2 and _OTHER_PARTS.isdisjoint(words)
        counted = names_things(" ".join(words[:at]), one) and len(words) - at < 4 if at else whole
        return counted and _are_plain(words[at + 1 if at else 2 :])
    return _are_plain(words) and (words[-1] in _IDLE_AFTER or _is_counted(words[-1], one))


def _are_plain(words: list[str]) -> bool:
    kept = [word for word in words[:-1] if word not in _PLAIN_BEFORE_NOUNS] + words[-1:]
    return not any(word in CHANGING or word in _VERBS or len(word) < 2 for word in kept)


def _is_counted(word: str, one: bool) -> bool:
    plural = len(word) > 2 and word.endswith("s") and not word.endswith(("ss", "us", "is"))
    return plural or word in _IRREGULAR or word in _ONE or (one and len(word) > 2)


def leads_up(text: str) -> bool:
    """Tells whether words before a value only announce it: "The answer is", "the area of the circle is"."""
    words = words_of(text)
    quantities = [after for before, after in pairwise(words) if before in {"at", "up"}]
    return bool(words) and not quantities and all(word in _LEADING for word in words)


def heads(text: str) -> bool:
    """Tells whether words with a colon behind them only name the quantity that follows: "Radius of convergence"."""
    words = words_of(text)
    return bool(words) and not changes(text) and all(word in _LEADING or word in _HEADINGS for word in words)


def changes(text: str) -> bool:
    """Tells whether any word of a text changes what the value beside it says."""
    return any(word in CHANGING or word.endswith("n't") for word in words_of(text))


def denies(text: str) -> bool:
    """Tells whether any word of a text takes back what it says."""
    return any(word in DENYING or word.endswith("n't") for word in words_of(text))
