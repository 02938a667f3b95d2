"""Words around a value: those that change what it says, those that name what is counted, those that lead up to it.

Tables for finding answers in texts and for reading them. A word that is in none of them is not understood.
"""

from __future__ import annotations

from itertools import pairwise

from verifiers.patterns import linear

_DENYING_WORDS = (
    "not never no nobody nor neither none nothing without except unless isn't isnt aren't wasn't won't can't cant "
    "cannot couldn't doesn't don't didn't shouldn't wouldn't wrong incorrect false untrue invalid impossible mistaken "
    "mistake rejected refuted fails fail failed contradicts contradiction excluded ruled instead rather unlike "
    "negated nand fake bogus bad error if provided assuming doubt doubts doubted doubtful "
    "unlikely too rule exclude excludes excluding"
)
DENYING = frozenset(_DENYING_WORDS.split())
"""Words that take a value back."""

SUPPOSING = frozenset(("suppose", "assume", "imagine", "pretend"))
"""Words that open what is only supposed."""

_LIMITING_WORDS = "or less fewer than least most under over below above beneath between up within beyond out but"
LIMITING = frozenset(_LIMITING_WORDS.split())
"""Words that make a value a bound, or one of several."""

_SCALING_WORDS = (
    "dozen dozens score scores gross pair pairs couple couples hundred hundreds thousand thousands million millions "
    "billion billions trillion trillions lakh lakhs crore crores half halves third thirds quarter quarters fourth "
    "fourths fifth fifths sixth sixths seventh sevenths eighth eighths ninth ninths tenth tenths hundredth hundredths "
    "thousandth thousandths millionth millionths ones tens twice thrice double doubles doubled triple tripled squared "
    "cubed square cube root reciprocal inverse opposite negative minus plus times divided multiplied percent percents "
    "percentage pct mod modulo base binary octal hexadecimal hex decimal factorial choose power powers exponent log "
    "logarithm pi k x thousandfold fold"
)
SCALING = frozenset(_SCALING_WORDS.split())
"""Words that make another number of a value."""

CHANGING = DENYING | LIMITING | SCALING

_PLAIN_BEFORE_NOUNS = frozenset(["negative", "square", "cube", "inverse", "opposite", "decimal", "binary", "prime"])
_VERBS_WORDS = (
    "is was has does works equals exceeds lacks misses violates overcounts undercounts loses cancels ignores seems "
    "appears means gives makes yields says shows holds stays becomes repeats contains needs its this thus as vs "
    "versus always sometimes perhaps besides us plus minus if when where while but though although too so only even "
    "just almost nearly about almost and isn the an be it he she they we you very maybe possibly probably counting"
)
_VERBS = frozenset(_VERBS_WORDS.split())
_IRREGULAR_WORDS = (
    "people children men women mice feet teeth geese sheep fish deer dice oxen cattle money water milk sugar rice "
    "bread time distance area volume work homework"
)
_IRREGULAR = frozenset(_IRREGULAR_WORDS.split())
_ONE_WORDS = (
    "unit person student man woman boy girl child apple orange book way point gallon row page piece marble coin tile "
    "cube box game number integer value solution bushel acre newton joule watt volt ohm amp mole ton tonne cup slice "
    "bottle bag car day dog cat egg item ball card dollar cookie ticket tree pen pencil toy text mph kph hz hertz kwh "
    "mol pts pence"
)
_ONE = frozenset(_ONE_WORDS.split())
_IDLE_AFTER_WORDS = "each apiece altogether total old tall long wide high deep left remaining away ago"
_IDLE_AFTER = frozenset(_IDLE_AFTER_WORDS.split())
_IDLE_LEADS = frozenset(
    ("in total", "in all", "a day", "a week", "a month", "a year", "an hour", "a minute", "a piece")
)

_OTHER_PARTS = frozenset(("rest", "other", "others", "remaining", "remainder", "original", "previous", "left", "total"))
"""Words for what a share is a part of, other than the whole that a task asks about."""

_LEADING_WORDS = (
    "the a an there my our its final correct right exact simplified numerical overall total answer answers result "
    "results "
    "solution solutions value values so thus hence therefore then finally and we get have obtain find is are be was "
    "must should will would equals equal to given by of for required desired requested area volume length width "
    "height perimeter circumference radius diameter distance speed rate time probability chance expected number "
    "amount count sum product difference ratio quotient remainder cost price profit age mean average median mode "
    "slope angle measure maximum minimum largest smallest greatest least possible position term terms root roots real "
    "integer positive all triangle circle rectangle sector polynomial function expression equation domain range "
    "interval set coordinates point points vector matrix x y n"
)
_LEADING = frozenset(_LEADING_WORDS.split())
_HEADING_WORDS = (
    "convergence ways variance deviation standard eigenvalue eigenvalues determinant rank trace limit derivative "
    "integral vertex center centre focus intercept axis order degree period amplitude frequency magnitude direction "
    "current voltage force energy momentum mass weight density pressure temperature acceleration velocity wavelength "
    "concentration tension charge ph"
)
_HEADINGS = frozenset(_HEADING_WORDS.split())
"""Names of quantities, beside those of `_LEADING`."""
_NO_WORDS = linear.compile(r"[^A-Za-z'’\s.,-]")
BEFORE = LIMITING - {"or", "under"} | SCALING | {"after", "before", "to", "of", "except", "under"}
"""Words that, right before a value, make it the bound or the part of something else."""
STEPS = frozenset(("after", "before", "to", "of", "except", "under"))
"""Those of them that only count right before the value."""
_QUANTITY_WORDS = (
    "profit loss gain total cost price value distance area volume speed rate height length width depth amount revenue "
    "salary income maximum minimum average mean median score probability temperature mass weight radius diameter age "
    "perimeter answer result sum savings balance change"
)
QUANTITIES = frozenset(_QUANTITY_WORDS.split())
"""Words that their value follows: a profit of 5."""
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
