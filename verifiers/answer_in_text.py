"""Finds the answer that a text without a box announces, or ends in; helpers of `extraction`."""

from __future__ import annotations

from verifiers.patterns import linear

CUE = linear.compile(
    r"(?:final\s+answer|\banswer|\bans)\b(?:(?:\s+(?:should|would|must|will)\s+be|\s+is|\s*[:：=])[\s*:：]*|[*#\s:：]*\n)"
    r"|答案(?:是|为|：|:)?|####|^A:",
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
    r"[-+]?(?:\\[dtc]?frac\s?\{[^{}]{1,40}\}\s?\{[^{}]{1,40}\}"
    r"|\d{1,2}:\d\d(?!\d)(?:\s?[ap]\.?m\b)?|(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d+)?(?:\s?/\s?\d+(?:\.\d+)?)?|\.\d+)"
    r"(?:\s?(?:\\?%|percent\b|pct\b)|\s(?:hundred|thousand|million|billion|trillion)\b)?"
)
_VALUE = linear.compile(rf"(?<![A-Za-z0-9.]){_NUMBER}")
_LEADING = linear.compile(rf"\**\$?(?P<value>{_NUMBER})\$?\**(?=\s*(?:[;(]|[—–]|,\s*[A-Za-z]|\s[A-Za-z])|\s*$)")
_EITHER = linear.compile(
    rf"(?:(?<![A-Za-z0-9.]){_NUMBER}|\$[^$]{{1,60}}\$)\s{{0,3}},?\s{{0,3}}or\s{{1,3}}(?:maybe |perhaps |possibly )?$",
    linear.IGNORECASE,
)
_LISTED = linear.compile(r"(?:\s{0,3},)?\s{0,3}(?:and|or|,)\s{0,3}", linear.IGNORECASE)
_WORD = linear.compile(r"[A-Za-z]{2,}")
_GOES_ON = linear.compile(r"[\s,]*(?:or|to|and)\b")
_AND_NOT = linear.compile(r"[\s,]*and\s+not")
_DIGIT_AND_BLANK = linear.compile(r"\d\s")
_COMMAND = linear.compile(r"\\(?:text|mbox|mathrm|textbf|textit)\s?\{[^{}]{0,200}\}|\\[A-Za-z]+")
_NOTATION = (
    "and or sqrt pi sin cos tan cot sec csc log ln exp percent percentage pct degrees degree cents cent "
    "dollars dollar cm mm km inches inch feet ft units unit text mbox mathrm frac dfrac tfrac left right "
    "infty cup cap in pm times cdot theta alpha beta begin end pmatrix bmatrix matrix oo inf arcsin arccos "
    "arctan am pm"
)
_NOT_PROSE = frozenset(_NOTATION.split())
_OPENERS = frozenset(["thus", "so", "hence", "therefore", "then", "finally", "since", "because", "answer", "result"])
MAX_ANSWER = 4000


def last_cue(text: str) -> linear.Match | None:
    """Returns the last place where a text says that an answer follows."""
    last = None
    for match in CUE.finditer(text):
        last = match
    return last


def announced(text: str) -> str | None:
    """Returns what follows the last "the answer is" or its like; None when nothing does."""
    last = last_cue(text)
    if last is None:
        return None
    rest = text[last.end() : last.end() + MAX_ANSWER]
    skipped = _LINE_OF_MARKUP.match(rest)
    rest = rest[skipped.end() if skipped and "-" not in skipped.group() else 0 :].lstrip()
    span = _SPAN.match(rest)
    end = _SENTENCE_END.search(rest, span.end() if span else 0)
    sentence = (rest[: end.start()] if end else rest).strip().strip("*").strip()
    if not sentence:
        return None
    if not is_prose(sentence):
        return sentence
    leading = _LEADING.match(sentence)
    if leading:
        rest = sentence[leading.end() :]
        if not _GOES_ON.match(rest) or _AND_NOT.match(rest):
            return leading.group("value")
    return last_value(sentence)


def is_prose(text: str) -> bool:
    """Tells whether words stand around the answer, so that it has to be looked for."""
    outside = _SPAN.sub(lambda span: " " if _is_formula(span.group()) else span.group(), text)
    has_span = len(outside) != len(text)
    words = [word for word in _WORD.findall(_without_commands(outside)) if word.lower() not in _NOT_PROSE]
    foreign = not outside.isascii() and sum("\u3040" <= char <= "\u9fff" for char in outside) > 1
    if words and words[0].lower() in _OPENERS:
        return True
    return foreign or len(words) > (0 if has_span else 1) or (bool(words) and bool(_DIGIT_AND_BLANK.search(outside)))


def _without_commands(text: str) -> str:
    return _COMMAND.sub(" ", text)


def _is_formula(span: str) -> bool:
    """Tells formulas from the text between two prices: "$5 for each, which makes $"."""
    return sum(word.lower() not in _NOT_PROSE for word in _WORD.findall(_without_commands(span))) < 3


def last_value(text: str) -> str | None:
    """Returns the last formula between dollar signs (or their like), number or fraction of a text.

    Formulas that a comma, "and" or "or" joins to it belong to it, and so does a number before an "or".
    """
    spans = [span for span in _SPAN.finditer(text) if _content(span) and _is_formula(_content(span))]
    values = list(_VALUE.finditer(text, spans[-1].end() if spans else 0))
    if values:
        before = _EITHER.search(text[max(values[-1].start() - 100, 0) : values[-1].start()])
        return before.group() + values[-1].group() if before else values[-1].group()
    if not spans:
        return None
    group = [spans[-1]]
    while len(group) < min(len(spans), 50) and _LISTED.fullmatch(text[spans[-len(group) - 1].end() : group[0].start()]):
        group.insert(0, spans[-len(group) - 1])
    unit = UNIT_AFTER.match(text, spans[-1].end())
    return " , ".join(_content(span) for span in group) + ("%" if unit else "")


def _content(span: linear.Match) -> str:
    return next(group for group in span.groups() if group is not None).strip()
