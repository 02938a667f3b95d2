"""Finds the answer that a text without a box announces, or ends in; helpers of `extraction`.

What stands around a value is read, too: one that is scaled, bounded or taken back by the words beside it is no answer.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from verifiers.patterns import linear
from verifiers.wording.cues import (
    DENIAL,
    ENDING,
    FOREIGN_CUE,
    FOREIGN_LETTERS,
    ONE_OF_SEVERAL,
    with_english_joints,
)
from verifiers.wording.number_words import number_in_words, says_otherwise, without_repetition
from verifiers.wording.surroundings import goes_on_plainly, stands_plainly
from verifiers.wording.unit_names import SIGNS_OF_MONEY, unit_named
from verifiers.wording.vocabulary import DENYING, SUPPOSING, changes, denies, names_things, words_of

CUE = linear.compile(
    r"(?:final\s+answer|\banswer|\bans)\b(?:(?:\s+(?:should|would|must|will)\s+be|\s+is|\s*[:：=])[\s*:：]*|[*#\s:：]*\n)"
    r"|答案(?:是|为|：|:)?|####|^A:|\bans\.\s",
    linear.IGNORECASE | linear.MULTILINE,
)
_SENTENCE_END = linear.compile(r"\n|。|[.!?](?=\s|$)")
_LINE_OF_MARKUP = linear.compile(r"[*_#>\s✅-]*")
_SPAN = linear.compile(
    r"\$\$(?P<dd>[^$]+)\$\$|\$(?P<d>(?:\\\$|[^$])+)\$"
    r"|\\\((?P<p>(?:[^\\]|\\[^()])+)\\\)|\\\[(?P<b>(?:[^\\]|\\[^\[\]])+)\\\]"
)
UNIT_AFTER = linear.compile(r"[\s$]{0,4}(\\?%|percent(?:age)?\b|pct\b)")
_NUMBER = (
    r"(?:[-+]|-\\?\$)?(?:\\[dtc]?frac\s?\{[^{}]{1,40}\}\s?\{[^{}]{1,40}\}"
    r"|(?:\d{1,9}\s?)?√\(?\d{1,9}\)?|(?:\d{1,9}(?:\.\d{1,9})?\s?)?π(?:\s?/\s?\d{1,9})?"
    r"|\d{1,9}\s\d{1,4}/\d{1,4}(?!\d)|\d{1,9}\s(?:out\sof|in)\s\d{1,9}(?!\d)|\d{1,2}:\d\d(?!\d)(?:\s?[ap]\.?m\b)?|\d+(?::\d+){1,5}|\d+(?:,\d{1,2}){1,20}(?![\d,])|\d{1,3}(?:\.\d{3}){1,4},\d{1,9}|(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d+)?(?:\s?/\s?\d+(?:\.\d+)?)?|\.\d+)"
    r"(?:\s?(?:\\?%|percent\b|pct\b)|\s(?:hundred|thousand|million|billion|trillion|dozen|lakh|crore)s?\b)?"
)
_VALUE = linear.compile(rf"(?<![A-Za-z0-9.]){_NUMBER}")
_BOLD = linear.compile(r"(^|[\s(:=~≈>-])\*\*([^\s*](?:[^*\n]*[^\s*])?)\*\*(?=[\s.,;:!?)]|$)", linear.MULTILINE)
_ADVERB = linear.compile(
    r"^(?:simply|exactly|just|precisely|therefore|thus|clearly|indeed|hence|equal to|given by)\s+", linear.IGNORECASE
)
_SET_ASIDE = linear.compile(
    r"[,(]\s?(?:and |but )?(?:not|rather than|instead of)(?: an?| the)?[\s$(*]*$", linear.IGNORECASE
)
_LEADING = linear.compile(rf"\**\$?(?P<value>{_NUMBER})\$?\**")
_NAMED = linear.compile(r"(?:^|[^A-Za-z\\])([A-Za-z](?:_\{?\d\}?)? ?= ?)$")
_SAID_AGAIN = linear.compile(
    r"[^()\n]{0,40}\((?:or |i\.e\.,? |which is )?"
    r"(?:about|approximately|approx\.?|roughly|around|or|i\.e\.,?|=|≈|~|\\approx)[\s$]*(?:\\\()?$"
)
_ITS_END = linear.compile(r"[^()\n]{0,30}\)")
"""The text before and behind a value in brackets that only says the one before it once more."""
_LONGEST_GROUP = 200
_ATTAINED = linear.compile(r",?\s(?:is\s)?(?:attained|achieved|reached|occurring|which occurs)\s[^.\n]*\.?\s*$")
_FOR_ALL = linear.compile(
    r",?\sfor (?:all|every|each|any) (?:(?:real|positive|natural|whole|integers?|numbers?|values? of) ){0,3}"
    r"(?:\$|\\\()?\s?[a-z](?:,\s?[a-z])?\s?(?:\\in [^$\n]{1,30})?(?:\$|\\\))?\.?\s*$"
)
"""For which arguments a formula holds."""
_TAKING_BACK = DENYING | SUPPOSING
_TAKEN_BACK = linear.compile(
    r"[\s.!]*(?:(?:no|oh|oops|hmm|wait|but|actually|sorry)[\s,.!]+){0,4}(?:that|this|it)(?:['’]s| is| was)"
    r"(?: clearly| obviously)? (?:wrong|incorrect|not right|not correct|a mistake|mistaken)\s*(?:[.!,]|$)",
    linear.IGNORECASE,
)
"""A sentence that takes back the one before it."""
_CLAUSE_BEGUN = linear.compile(
    r"[,;:.!?(—\n]|\b(?:so|thus|therefore|hence|then|and|but|because|since|which|means|implies)\b",
    linear.IGNORECASE,
)
_OPENS = linear.compile(r"[\s*_]*(yes|no|true|false)[*_]*[,.;:!—–*]", linear.IGNORECASE)
_SAID = linear.compile(
    r"(?:\bis|\bare|\bwas|\bbe|\bequals)(?: an?| the)? "
    r"([A-Za-z][A-Za-z'’-]{1,20}(?: [a-z][A-Za-z'’-]{1,20}){0,3})[.!\s]*$"
)
_EMPHASISED = linear.compile(r"(?:\*\*([^*\n]{1,60})\*\*|__([^_\n]{1,60})__)[.!\s]*$")
_IN_BOLD = linear.compile(r"\*\*([^*\n]{1,60})\*\*")
_OF_A_VALUE = linear.compile(
    r"[A-Za-z ]{0,40}\b(?:for|in|over|after|at|by|from|during|within|on|per|every|each) [A-Za-z ]{0,20}"
    r"\$?\d[\d,.]{0,9}[A-Za-z ]{0,40}\.?"
)
_MADE_OF_IT = linear.compile(
    r"\b(?:twice|half|double|triple|square|cube|opposite|negative|reciprocal|inverse)(?: of)? (?:the |this |our )?$",
    linear.IGNORECASE,
)
_MARK_BETWEEN = linear.compile(r"[,;:.!?]\s")
_ATTACHED = linear.compile(r"[A-Za-z√π]+")
_ENDINGS_OF_NUMBERS = frozenset(("st", "nd", "rd", "th", "am", "pm", "s", "e", "E", "K", "M", "B"))
_SUPERLATIVE = linear.compile(r"\bthe (?:most|least)\b")
_WORDS_ALONE = linear.compile(r"[A-Za-z][A-Za-z '’-]*")
_STATES = linear.compile(r"\b(?:is|are|was|were|be|equals)(?: an?| the| on| in)?\s*$|:\s*$")
_LISTED = linear.compile(r"(?:\s{0,3},)?\s{0,3}(?:and|or|,)\s{0,3}", linear.IGNORECASE)
_BULLET = linear.compile(r"[,;.]?\s{0,3}\n\s{0,4}[-•]?\s{0,3}")
_NAMED_VALUE = linear.compile(r"(?:[A-Za-z](?:_\{?\d\}?)?|\([a-z](?:, ?[a-z])+\)) ?= ?[^=]{1,80}")
_COUNTED = linear.compile(r"\s([A-Za-z]{2,20}(?: [A-Za-z]{2,20})?)(?:,|,? and|,? or) ")
_WORD = linear.compile(r"[A-Za-z]{2,}")
_DIGIT_AND_BLANK = linear.compile(r"\d\s")
_COMMAND = linear.compile(r"\\(?:text|mbox|mathrm|textbf|textit)\s?\{[^{}]{0,200}\}|\\[A-Za-z]+")
_OR = linear.compile(r"\bor\b")
_ENVIRONMENT_END = linear.compile(r"\\(?:begin|end)\{[a-z]{4,11}\}(?:\{[clr|]{0,9}\})?")
_NOTATION = (
    "and or sqrt pi sin cos tan cot sec csc log ln exp percent percentage pct degrees degree cents cent "
    "dollars dollar cm mm km inches inch feet ft units unit text mbox mathrm frac dfrac tfrac left right "
    "infty cup cap in pm times cdot theta alpha beta begin end pmatrix bmatrix matrix oo inf arcsin arccos "
    "arctan am pm array cases tr det gcd lcm mod setminus emptyset mathbb ge le geq leq neq"
)
_NOT_PROSE = frozenset(_NOTATION.split())
_OPENING_WORDS = (
    "thus so hence therefore then finally since because answer result ainsi donc alors portanto logo entonces luego "
    "daher also somit folglich quindi dunque sonuç dolayısıyla böylece zatem dus alltså deci tedy jadi maka"
)
_OPENERS = frozenset(_OPENING_WORDS.split())
MAX_ANSWER = 4000


_MEASURE = linear.compile(
    r"[$*]{0,4}[ ~]?[$*]{0,2}((?:(?:square|cubic|sq\.?|cu\.?) )?[A-Za-z]{1,14}(?:(?: per |/)[A-Za-z]{1,14}){0,2})"
    r"(\^\{?[23]|[²³])?(?![A-Za-z'’])"
)
_POWERS = {"2": "^2", "3": "^3", "²": "^2", "³": "^3"}
_WORD_OF_MEASURE = linear.compile(r"[A-Za-z]+")
_MEASURE_WORDS = frozenset(("square", "cubic", "sq", "cu", "per"))
_MEASURE_LETTERS = frozenset("mgshLNJWVK")
_NO_MEASURE = frozenset(("in", "won", "bar", "pa", "min", "mi"))
"""Symbols that are words as well."""


class _Item(NamedTuple):
    """A value in a text."""

    start: int
    end: int
    body: str


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
    if last is None or other or _is_doubted(before):
        return "" if other else None
    rest = text[last.end() : last.end() + MAX_ANSWER]
    skipped = _LINE_OF_MARKUP.match(rest)
    rest = rest[skipped.end() if skipped and "-" not in skipped.group() else 0 :].lstrip()
    span = _SPAN.match(rest)
    end = _SENTENCE_END.search(rest, span.end() if span else 0)
    taken_back = end is not None and bool(_TAKEN_BACK.match(rest[end.end() :][:200]))
    sentence = (rest[: end.start()] if end else rest).strip().strip("*").strip()
    if not sentence or taken_back:
        return "" if taken_back else None
    sentence = with_english_joints(without_repetition(without_ending(sentence)))
    sentence = _ADVERB.sub("", sentence) if sentence[:1].isalpha() and " " in sentence else sentence
    if says_otherwise(sentence):
        return None
    if not is_prose(sentence) or number_in_words(sentence) is not None:
        return sentence
    leading = _LEADING.match(sentence)
    if leading:
        rest = sentence[leading.end() :]
        if not rest.strip() or (
            rest.lstrip()[0] not in "+-*/^=<>\\_{" and not rest[0].isdigit() and goes_on_plainly(rest)
        ):
            return leading.group("value")
    return last_value(sentence, announced=True)


def _is_doubted(before: str) -> bool:
    """Tells whether the clause that announces an answer takes it back: "I doubt that the answer is"."""
    if (
        _TAKING_BACK.isdisjoint(before.lower().replace(",", " ").split())
        and "n't" not in before
        and "n’t" not in before
    ):
        return False
    clause = _CLAUSE_BEGUN.split(before)[-1]
    return denies(clause) or any(word in SUPPOSING for word in words_of(clause))


def without_ending(sentence: str) -> str:
    """Returns a sentence without the copula that some languages put after the answer, and without marks at its end."""
    sentence = sentence.strip(" .!。।")
    found = None if sentence.isascii() and "'" not in sentence else ENDING.search(sentence)
    return sentence[: found.start()].strip() if found and found.start() else sentence


def is_prose(text: str) -> bool:
    """Tells whether words stand around the answer, so that it has to be looked for."""
    outside = _SPAN.sub(lambda span: " " if _is_formula(span.group()) else span.group(), text)
    has_span = len(outside) != len(text)
    words = [word for word in _WORD.findall(_without_commands(outside)) if word.lower() not in _NOT_PROSE]
    foreign = not outside.isascii() and (
        FOREIGN_LETTERS.search(outside) is not None or " è " in outside or " é " in outside
    )
    if words and words[0].lower() in _OPENERS:
        return True
    if foreign:
        return True
    return len(words) > (0 if has_span else 1) or (bool(words) and bool(_DIGIT_AND_BLANK.search(outside)))


def _without_commands(text: str) -> str:
    text = _ENVIRONMENT_END.sub(" ", text)
    return _COMMAND.sub(" ", text)


def _is_formula(span: str) -> bool:
    """Tells formulas from the text between two prices: "$5 for each, which makes $"."""
    words = _WORD.findall(_without_commands(span))
    return sum(word.lower() not in _NOT_PROSE and not (word.isupper() and len(word) < 4) for word in words) < 3


def last_value(text: str, announced: bool = False) -> str | None:
    """Returns the last value of a text: a formula between dollar signs (or their like), a matrix, a tuple, a number.

    Values that "and", "or" or, in an announced answer, a comma joins to it belong to it. None where the words beside it
    change what it says.
    """
    attained = _ATTAINED.search(text)
    quantified = _FOR_ALL.search(text)
    text = text[: quantified.start()] if quantified else text
    text = text[: attained.start()] if attained and _VALUE.search(text[: attained.start()]) else text
    text = with_english_joints(without_repetition(text))
    items = [item for item in _items(text) if _is_formula(item.body)]
    while len(items) > 1 and (aside := _SET_ASIDE.search(text[items[-2].end : items[-1].start])):
        text, items = text[: items[-2].end + aside.start()], items[:-1]
    if not items or says_otherwise(text[items[-1].start :]):
        return None
    again = _ITS_END.match(text[items[-1].end :])
    if len(items) > 1 and again and _says_again(text[items[-2].end : items[-1].start], again.group()):
        start, end = items[-2].start, items[-1].end + again.end()
        items = [*items[:-2], _Item(start, end, text[start:end])]
    group = [items[-1]]
    while len(group) < min(len(items), 50) and _belongs(text, items[-len(group) - 1], group, announced):
        group.insert(0, items[-len(group) - 1])
    if _is_factor(text, group[-1]) or not stands_plainly(text[max(group[0].start - 200, 0) : group[0].start]):
        return None
    if not goes_on_plainly(text[group[-1].end :][:200]):
        return None
    if ONE_OF_SEVERAL.search(text[max(group[0].start - 40, 0) : group[0].start]):
        return None
    named = len(group) > 1
    sign = text[max(group[0].start - 1, 0) : group[0].start]
    either = named and _OR.search(text[group[-2].end : group[-1].start])
    unit = UNIT_AFTER.match(text, group[-1].end)
    found = [(_name_before(text, item) if named else "") + item.body for item in group]
    found[0] = f"{sign}{found[0]}" if sign in SIGNS_OF_MONEY else found[0]
    if either and all(_VALUE.fullmatch(item.body) for item in group):
        return text[group[0].start : group[-1].end]
    found[-1] += "" if unit or UNIT_AFTER.search(found[-1]) else measure_after(text[group[-1].end :][:60])
    return (r" \text{ or } " if either else " , ").join(found) + ("%" if unit and "%" not in found[-1] else "")


def _is_factor(text: str, item: _Item) -> bool:
    """Tells whether a bare value is only the factor of what is written at it: 5y, 8π, 5ab. So 5cm and 5th are none."""
    attached = _ATTACHED.match(text, item.end)
    if text[item.end - 1] in ")]}$" or attached is None:
        return False
    return unit_named(attached.group()) is None and attached.group() not in _ENDINGS_OF_NUMBERS


def _says_again(before: str, after: str) -> bool:
    """Tells whether a value in brackets says the one before it again: about, or in another unit, as in (90 minutes)."""
    measures = before.endswith("(") and measure_after(before[:-1]) and measure_after(after)
    return bool(measures or _SAID_AGAIN.fullmatch(before))


def measure_after(text: str) -> str:
    """Returns the measure that follows a value at once, as in " square feet wide", as LaTeX; else nothing."""
    found = _MEASURE.match(text)
    if found is None:
        return ""
    known = [name for name in _WORD_OF_MEASURE.findall(found.group(1)) if name not in _MEASURE_WORDS]
    power = _POWERS.get((found.group(2) or "")[-1:], "")
    return rf"\text{{ {found.group(1)}}}{power}" if known and all(map(_is_measure, known)) else ""


def _is_measure(name: str) -> bool:
    return (len(name) > 1 or name in _MEASURE_LETTERS) and name not in _NO_MEASURE and unit_named(name) is not None


def emphasised(text: str) -> str | None:
    """Returns the words in bold that end a text, as in "The day is **Tuesday**."; None where they are no statement."""
    found = _EMPHASISED.search(text.rstrip())
    if found is None:
        return _said(text.rstrip())
    lines = text[: found.start()].rsplit("\n", 1)
    sentence = _SENTENCE_END.split(lines[-1])[-1]
    said = found.group(1) or found.group(2)
    if not _is_stated(sentence) or denies(said) or not _STATES.search(sentence):
        return None
    return said.strip(" .:") or None


YES_OR_NO = {"yes": "no", "no": "yes", "true": "false", "false": "true"}


def yes_or_no(text: str) -> str | None:
    """Returns the yes, no, true or false that opens a short text, where its opposite stands nowhere."""
    found = _OPENS.match(text)
    if found is None or len(text) > 400:
        return None
    word = found.group(1).lower()
    return None if YES_OR_NO[word] in words_of(text[found.end() :]) or "but" in words_of(text) else word


def _is_stated(sentence: str) -> bool:
    """Tells whether a sentence neither denies nor only supposes what it says."""
    return not denies(sentence) and not DENIAL.search(sentence) and SUPPOSING.isdisjoint(words_of(sentence))


def word_in_bold(text: str) -> str | None:
    """Returns the only words in bold of a last line, as in "**Navin** would earn the most."; None where its other words
    take them back or set others beside them."""
    line = text.rstrip().rsplit("\n", 1)[-1]
    found = list(_IN_BOLD.finditer(line))
    if len(found) != 1:
        return None
    said, clause = found[0].group(1).strip(" .:"), _MARK_BETWEEN.split(line[: found[0].start()])[-1]
    beside = _SUPERLATIVE.sub(" ", clause + line[found[0].end() :])
    plain = _is_stated(beside) and not changes(beside) and not denies(said)
    return said if plain and _WORDS_ALONE.fullmatch(said) else None


def value_in_bold(text: str) -> str | None:
    """Returns the only value in bold of a last line that then says no more than what it is for, as in
    "She earned **$10** for 50 minutes."."""
    line = text.rstrip().rsplit("\n", 1)[-1]
    found = list(_IN_BOLD.finditer(line))
    if len(found) != 1 or not _OF_A_VALUE.fullmatch(line[found[0].end() :]):
        return None
    plain = stands_plainly(line[max(found[0].start() - 200, 0) : found[0].start()])
    value = last_value(found[0].group(1)) if plain and len(_VALUE.findall(found[0].group(1))) == 1 else None
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


def _said(text: str) -> str | None:
    """Returns the words that a last sentence says of its subject: "The day is Saturday."."""
    sentence = _SENTENCE_END.split(text.rstrip(" .!"))[-1]
    found = _SAID.search(sentence)
    if found is None or not _is_stated(sentence) or _is_doubted(sentence):
        return None
    return found.group(1)


def _name_before(text: str, item: _Item) -> str:
    name = _NAMED.search(text[max(item.start - 12, 0) : item.start])
    return name.group(1) if name else ""


def _belongs(text: str, item: _Item, group: list[_Item], announced: bool) -> bool:
    """Tells whether a value is listed together with those that follow it."""
    between = text[item.end : group[0].start - len(_name_before(text, group[0]))].replace("*", "")
    if (
        _BULLET.fullmatch(between)
        and "\n" in between
        and all(_NAMED_VALUE.fullmatch(one.body) for one in (item, group[0]))
    ):
        return True
    if not _LISTED.fullmatch(between):
        counted = _COUNTED.fullmatch(between)
        return counted is not None and names_things(counted.group(1))
    named = _name_before(text, item) and _name_before(text, group[0])
    spans = text[item.start] in "$\\" and text[group[0].start] in "$\\"
    return announced or spans or bool(named) or len(group) > 1 or not between.strip().endswith(",")


def _items(text: str) -> list[_Item]:
    """Returns the formulas, matrices, tuples and sets, and numbers of a text, from left to right."""
    found = [_Item(span.start(), span.end(), _content(span)) for span in _SPAN.finditer(text)]
    for listed in (_environments(text), _groups(text), (_whole(match) for match in _VALUE.finditer(text))):
        taken = sorted(found)
        at = 0
        for item in listed:
            while at < len(taken) and taken[at].end <= item.start:
                at += 1
            if at == len(taken) or item.end <= taken[at].start:
                found.append(item)
    return sorted(found)


def _whole(match: linear.Match) -> _Item:
    return _Item(match.start(), match.end(), match.group())


def _environments(text: str) -> Iterator[_Item]:
    end = 0
    while (start := text.find("\\begin{", end)) >= 0:
        closed = text.find("}", text.find("\\end{", start))
        if closed < start:
            return
        end = closed + 1
        yield _Item(start, end, text[start:end])


def _groups(text: str) -> Iterator[_Item]:
    """Gives what stands in brackets and has a comma, and no words."""
    end = 0
    for start, char in enumerate(text):
        if char in "([" or (char == "{" and text[start - 1 : start] == "\\"):
            closed = -1 if start < end else _closed(text, start)
            if closed > 0 and _is_list(text[start + 1 : closed]):
                begun, end = start - (char == "{"), closed + 1
                yield _Item(begun, end, text[begun:end])


def _is_list(inner: str) -> bool:
    return ("," in inner or ";" in inner) and all(
        word in _NOT_PROSE for word in _WORD.findall(_without_commands(inner))
    )


def _closed(text: str, start: int) -> int:
    depth = 0
    for at in range(start, min(start + _LONGEST_GROUP, len(text))):
        depth += (text[at] in "([{") - (text[at] in ")]}")
        if depth == 0:
            return at
    return -1


def _content(span: linear.Match) -> str:
    return next(group for group in span.groups() if group is not None).strip()
