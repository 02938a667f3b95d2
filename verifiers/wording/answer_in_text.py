"""Finds the answer that a text without a box announces, or ends in; helpers of `extraction`.

What stands around a value is read, too: one that is scaled, bounded or taken back by the words beside it is no answer.
"""

from __future__ import annotations

from verifiers.patterns import linear
from verifiers.wording.alternatives import FOR_ALL, JOINTS, are_alternatives, end_of
from verifiers.wording.clauses import is_condition, without_clause
from verifiers.wording.cues import ENDING, FOREIGN_CUE, ONE_OF_SEVERAL, with_english_joints
from verifiers.wording.number_words import number_in_words, says_otherwise, without_repetition
from verifiers.wording.said_words import IN_BOLD, emphasised
from verifiers.wording.statements import stated
from verifiers.wording.surroundings import SENTENCE_END, goes_on_plainly, is_doubted, stands_plainly
from verifiers.wording.taken_back import is_taken_back, said_instead
from verifiers.wording.unit_names import SIGNS_OF_MONEY, unit_named
from verifiers.wording.values import (
    NUMBER,
    SPAN,
    UNIT_AFTER,
    VALUE,
    ValueInText,
    is_prose,
    is_value,
    items_of,
    leading_measure,
    measure_after,
)
from verifiers.wording.vocabulary import names_things

CUE = linear.compile(
    r"(?:final\s+answer|\banswer|\bans)\b(?:(?:\s+(?:should|would|must|will)\s+be|\s+is|\s*[:：=])[\s*:：]*|[*#\s:：]*\n)"
    r"|答案(?:是|为|：|:)?|####|^A:|\bans\.\s",
    linear.IGNORECASE | linear.MULTILINE,
)
_LINE_OF_MARKUP = linear.compile(r"[*_#>\s✅-]*")
_BOLD = linear.compile(r"(^|[\s(:=~≈>-])\*\*([^\s*](?:[^*\n]*[^\s*])?)\*\*(?=[\s.,;:!?)]|$)", linear.MULTILINE)
_ADVERB = linear.compile(
    r"^(?:simply|exactly|just|precisely|therefore|thus|clearly|indeed|hence|equal to|given by)\s+", linear.IGNORECASE
)
_SET_ASIDE = linear.compile(
    r"[,(]\s?(?:and |but )?(?:not|rather than|instead of)(?: an?| the)?[\s$(*]*$", linear.IGNORECASE
)
_LEADING = linear.compile(rf"\**\$?(?P<value>{NUMBER})\$?\**")
_NAMED = linear.compile(r"(?:^|[^A-Za-z\\])([A-Za-z](?:_\{?\d\}?)? ?= ?)$")
_SAID_AGAIN = linear.compile(
    r"[^()\n]{0,40}\((?:or |i\.e\.,? |which is )?"
    r"(?:about|approximately|approx\.?|roughly|around|or|i\.e\.,?|=|≈|~|\\approx)[\s$]*(?:\\\()?$"
)
_ROUGHLY = linear.compile(
    r"[\s$]*(?:,|\()?\s?(?:(?:or|which is|that is|i\.e\.,?)\s)?(?:≈|~|\\approx|approximately|about|roughly)\s?[$\s]*"
)
_LISTED_PLAINLY = linear.compile(
    r"(?:\b(?:are|include|be)|[:=])\s+-?\d+(?:\.\d+)?(?:,\s-?\d+(?:\.\d+)?)+(?:,?\s(?:and|or)\s-?\d+)?[\s.!]*$"
)
_ITS_END = linear.compile(r"[^()\n]{0,30}\)")
"""The text before and behind a value in brackets that only says the one before it once more."""
_ATTAINED = linear.compile(r",?\s(?:is\s)?(?:attained|achieved|reached|occurring|which occurs)\s[^.\n]*\.?\s*$")
_FOR_ALL = linear.compile(rf"{FOR_ALL}\.?\s*$")
_OF_A_VALUE = linear.compile(
    r"[A-Za-z ]{0,40}\b(?:for|in|over|after|at|by|from|during|within|on|per|every|each) [A-Za-z ]{0,20}"
    r"\$?\d[\d,.]{0,9}[A-Za-z ]{0,40}\.?"
)
_MADE_OF_IT = linear.compile(
    r"\b(?:twice|half|double|triple|square|cube|opposite|negative|reciprocal|inverse)(?: of)? (?:the |this |our )?$",
    linear.IGNORECASE,
)
_DOMAIN = linear.compile(
    r"\b(?:(?P<integers>(?:positive )?(?:integers|whole numbers|natural numbers))"
    r"|(?:even|odd|prime|rational|irrational|negative|composite|square|non-?\w+)(?: (?:integers?|numbers?|values? of))?"
    r"|primes?|multiples of \d+) (?:values of )?\$?$",
    linear.IGNORECASE,
)
"""Words before an inequality that say of which numbers it speaks, other than of all real ones."""
_ATTACHED = linear.compile(r"[A-Za-z√π]+")
_NTH_THING = linear.compile(
    r"(?:st|nd|rd|th) (?:prime|power|root|number|multiple|element|even|odd|square|cube|triangular|fibonacci|digit)"
)
_HYPHENATED = linear.compile(r"-[a-z]{3}")
_ENDINGS_OF_NUMBERS = frozenset(("st", "nd", "rd", "th", "am", "pm", "s", "e", "E", "K", "M", "B"))
_LISTED = linear.compile(r"(?:\s{0,3},)?\s{0,3}(?:and|or|,|;)\s{0,3}", linear.IGNORECASE)
_BULLET = linear.compile(r"[,;.]?\s{0,3}\n\s{0,4}[-•]?\s{0,3}")
_NAMED_VALUE = linear.compile(r"(?:[A-Za-z](?:_\{?\d\}?)?|\([a-z](?:, ?[a-z])+\)) ?= ?[^=]{1,80}")
_COUNTED = linear.compile(r"\s([A-Za-z]{2,20}(?: [A-Za-z]{2,20})?)(?:,|,? and|,? or) ")
_OR = linear.compile(r"\bor\b")
MAX_ANSWER = 4000


def last_cue(text: str) -> linear.Match | None:
    """Returns the last place where a text says that an answer follows."""
    last = None
    for match in CUE.finditer(text):
        last = match
    if last is None or not text.isascii():
        for match in FOREIGN_CUE.finditer(text):
            last = match if last is None or match.end() > last.end() else last
    return last


def without_bold(text: str) -> str:
    """Returns the text without the marks of what is in bold."""
    return _BOLD.sub(r"\1\2", text) if "**" in text else text


def announced(text: str) -> str | None:
    """Returns what follows the last "the answer is" or its like; None when nothing does, and nothing where it is said
    of half the answer or its like, or taken back by the next sentence."""
    text = without_bold(text)
    last = last_cue(text)
    before = text[max(last.start() - 200, 0) : last.start()] if last is not None else ""
    other = _MADE_OF_IT.search(before)
    if last is None or other or is_doubted(before):
        return "" if other else None
    rest = text[last.end() : last.end() + MAX_ANSWER]
    skipped = _LINE_OF_MARKUP.match(rest)
    rest = rest[skipped.end() if skipped and "-" not in skipped.group() else 0 :].lstrip(" \t\n:：")
    span = SPAN.match(rest)
    end = SENTENCE_END.search(rest, span.end() if span else 0)
    taken_back = end is not None and is_taken_back(rest[end.end() :])
    if end is not None and taken_back:
        instead = said_instead(rest[end.end() :])
        return announced(instead) or last_value(instead) or ""
    sentence = (rest[: end.start()] if end else rest).strip().strip("*").strip()
    if not sentence:
        return None
    sentence = with_english_joints(without_repetition(without_ending(sentence)))
    sentence = _ADVERB.sub("", sentence) if sentence[:1].isalpha() and " " in sentence else sentence
    return None if says_otherwise(sentence) else stated(sentence) or _value_said(sentence)


def _value_said(sentence: str) -> str | None:
    """Returns the value that an announced sentence is, begins with, or ends in."""
    if not is_prose(sentence) or number_in_words(sentence) is not None:
        return sentence
    leading = _LEADING.match(sentence)
    if leading and (measure := leading_measure(sentence)) is not None:
        return measure
    if leading and UNIT_AFTER.match(sentence, leading.end()) is None:
        rest = sentence[leading.end() :]
        if not rest.strip() or (
            rest.lstrip()[0] not in "+-*/^=<>\\_{" and not rest[0].isdigit() and goes_on_plainly(rest)
        ):
            return leading.group("value")
    return last_value(sentence, announced=True)


def without_ending(sentence: str) -> str:
    """Returns a sentence without the copula that some languages put after the answer, and without marks at its end."""
    sentence = sentence.rstrip(" .!。।").lstrip(" !。।" if sentence.lstrip()[1:2].isdigit() else " .!。।")
    found = None if sentence.isascii() and "'" not in sentence else ENDING.search(sentence)
    return sentence[: found.start()].strip() if found and found.start() else sentence


def last_value(text: str, announced: bool = False) -> str | None:
    """Returns the last value of a text: a formula between dollar signs (or their like), a matrix, a tuple, a number.

    Values that "and", "or" or, in an announced answer, a comma joins to it belong to it. None where the words beside it
    change what it says.
    """
    formula = without_clause(text)
    asks = formula is None or text.rstrip(" \n*$").endswith("?")
    text = formula or ""
    attained = _ATTAINED.search(text)
    quantified = _FOR_ALL.search(text)
    text = text[: quantified.start()] if quantified else text
    text = text[: attained.start()] if attained and VALUE.search(text[: attained.start()]) else text
    text = with_english_joints(without_repetition(text))
    items = [item for item in items_of(text) if is_value(item.body)]
    while len(items) > 1 and (aside := _SET_ASIDE.search(text[items[-2].end : items[-1].start])):
        text, items = text[: items[-2].end + aside.start()], items[:-1]
    if asks or not items or says_otherwise(text[items[-1].start :]):
        return None
    again = _ITS_END.match(text[items[-1].end :])
    if len(items) > 1 and again and _says_again(text[items[-2].end : items[-1].start], _with_unit(items[-1], again)):
        start, end = items[-2].start, items[-1].end + again.end()
        items = [*items[:-2], ValueInText(start, end, text[start:end])]
    while len(items) > 1 and _ROUGHLY.fullmatch(text[items[-2].end : items[-1].start]) and "≈" not in items[-2].body:
        both = rf"{items[-2].body} \approx {items[-1].body}"
        items = [*items[:-2], ValueInText(items[-2].start, items[-1].end, both)]
    items = _with_arguments(text, items)
    announced = announced or _LISTED_PLAINLY.search(text) is not None
    group = [items[-1]]
    while len(group) < min(len(items), 50) and _belongs(text, items[-len(group) - 1], group, announced):
        group.insert(0, items[-len(group) - 1])
    before = text[max(group[0].start - 200, 0) : group[0].start]
    if _is_factor(text, group[-1]) or not (stands_plainly(before) or is_condition(before, group[0].body)):
        return None
    domain = _DOMAIN.search(text[max(group[0].start - 80, 0) : group[0].start])
    if not goes_on_plainly(text[group[-1].end :][:200]) or (domain is not None and not domain.group("integers")):
        return None
    follows_step = len(items) > len(group) and _is_step(items[-len(group) - 1])
    if not follows_step and ONE_OF_SEVERAL.search(text[max(group[0].start - 40, 0) : group[0].start]):
        return None
    named = len(group) > 1
    sign = text[max(group[0].start - 1, 0) : group[0].start]
    either = named and _OR.search(text[group[-2].end : group[-1].start])
    unit = UNIT_AFTER.match(text, group[-1].end)
    found = [(_name_before(text, item) if named else "") + item.body for item in group]
    found = [body.removesuffix(",") if named and not body.endswith("\\,") else body for body in found]
    found[0] = f"{sign}{found[0]}" if sign in SIGNS_OF_MONEY else found[0]
    found[0] = rf"\text{{all {domain.group('integers')} }} {found[0]}" if domain is not None else found[0]
    if either and all(VALUE.fullmatch(item.body) for item in group):
        return text[group[0].start : group[-1].end]
    found[-1] += "" if unit or UNIT_AFTER.search(found[-1]) else measure_after(text[group[-1].end :][:60])
    return JOINTS[not either].join(found) + ("%" if unit and "%" not in found[-1] else "")


def _is_factor(text: str, item: ValueInText) -> bool:
    """Tells whether a bare value is only the factor of what is written at it: 5y, 8π, 5ab, or a part of a word:
    3-digit. So 5cm and 5th are none."""
    attached = _ATTACHED.match(text, item.end)
    if _NTH_THING.match(text, item.end) or (text[item.end - 1].isdigit() and _HYPHENATED.match(text, item.end)):
        return True
    if text[item.end - 1] in ")]}$" or attached is None:
        return False
    return unit_named(attached.group()) is None and attached.group() not in _ENDINGS_OF_NUMBERS


def _with_unit(item: ValueInText, after: linear.Match) -> str:
    """Returns what follows the last number of a value: the rest of a measure of two units belongs to the value."""
    return f" {item.body.rsplit(' ', 1)[-1]}{after.group()}" if item.body[-1:].isalpha() else after.group()


def _says_again(before: str, after: str) -> bool:
    """Tells whether a value in brackets says the one before it again: about, or in another unit, as in (90 minutes)."""
    measures = before.endswith("(") and measure_after(before[:-1]) and measure_after(after)
    return bool(measures or _SAID_AGAIN.fullmatch(before))


def value_in_bold(text: str) -> str | None:
    """Returns the only value in bold of a last line that then says no more than what it is for, as in
    "She earned **$10** for 50 minutes."."""
    line = text.rstrip().rsplit("\n", 1)[-1]
    found = list(IN_BOLD.finditer(line))
    if len(found) != 1 or not _OF_A_VALUE.fullmatch(line[found[0].end() :]):
        return None
    plain = stands_plainly(line[max(found[0].start() - 200, 0) : found[0].start()])
    value = last_value(found[0].group(1)) if plain and len(VALUE.findall(found[0].group(1))) == 1 else None
    return value if goes_on_plainly(line[found[0].end() :]) else None


def emphasised_formula(text: str) -> str | None:
    """Returns a formula with letters in bold that ends a text, as in "The line is **y = 2x - 5**."."""
    said = emphasised(text) if text.rstrip().endswith(("**", "**.")) else None
    formula = (
        said is not None
        and any(map(str.isdigit, said))
        and any(map(str.isalpha, said))
        and any(sign in said for sign in "=+*^√π")
    )
    return said if formula and said is not None and not is_prose(said) else None


def _name_before(text: str, item: ValueInText) -> str:
    name = _NAMED.search(text[max(item.start - 12, 0) : item.start])
    return name.group(1) if name else ""


def _with_arguments(text: str, items: list[ValueInText]) -> list[ValueInText]:
    """Adds to an equation that others follow for which arguments it holds: f(x) = 0 for all x, and f(x) = x."""
    found: list[ValueInText] = []
    for item in items:
        if not found or item.start >= found[-1].end:
            found.append(item)
            more = end_of(item.body, text[item.end :][:120])
            if more and any(other.start >= item.end + more for other in items):
                found[-1] = item._replace(end=item.end + more)
    return found


def _is_step(item: ValueInText) -> bool:
    """Tells whether a formula is an equation that leads to a value, and gives none to a name."""
    return "=" in item.body and _NAMED_VALUE.fullmatch(item.body) is None


def _belongs(text: str, item: ValueInText, group: list[ValueInText], announced: bool) -> bool:
    """Tells whether a value is listed together with those that follow it."""
    between = text[item.end : group[0].start - len(_name_before(text, group[0]))]
    steps = _is_step(item) or _is_step(group[0])
    if steps and are_alternatives(item.body, group[0].body, between, text[: item.start], len(group) > 1):
        return True
    between = between.replace("*", "")
    if (
        _BULLET.fullmatch(between)
        and "\n" in between
        and all(_NAMED_VALUE.fullmatch(one.body) for one in (item, group[0]))
    ):
        return True
    if not _LISTED.fullmatch(between):
        counted = _COUNTED.fullmatch(between)
        return counted is not None and names_things(counted.group(1))
    if steps:
        return False
    named = _name_before(text, item) and _name_before(text, group[0])
    spans = text[item.start] in "$\\" and text[group[0].start] in "$\\"
    return announced or spans or bool(named) or len(group) > 1 or not between.strip().endswith(",")
