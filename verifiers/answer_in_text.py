"""Finds the answer that a text without a box announces, or ends in; helpers of `extraction`.

What stands around a value is read, too: a value that is scaled, bounded or taken back by the words beside it is no answer.
"""

from __future__ import annotations

import re

from verifiers.wording.cues import DENIAL, ENDING, FOREIGN_CUE
from verifiers.wording.vocabulary import changes, denies, names_things, words_of

CUE = re.compile(
    r"(?:final\s+answer|\banswer|\bans)\b(?:(?:\s+(?:should|would|must|will)\s+be|\s+is|\s*[:：=])[\s*:：]*|[*#\s:：]*\n)"
    r"|答案(?:是|为|：|:)?|####|^A:",
    re.IGNORECASE | re.MULTILINE,
)
_SENTENCE_END = re.compile(r"\n|。|[.!?](?=\s|$)")
_LINE_OF_MARKUP = re.compile(r"[*_#>\s✅-]*")
_SPAN = re.compile(
    r"\$\$(?P<dd>[^$]+)\$\$|\$(?P<d>(?:\\\$|[^$])+)\$"
    r"|\\\((?P<p>(?:[^\\]|\\[^()])+)\\\)|\\\[(?P<b>(?:[^\\]|\\[^\[\]])+)\\\]"
)
UNIT_AFTER = re.compile(r"[\s$]{0,4}(\\?%|percent(?:age)?\b|pct\b)")
_NUMBER = (
    r"[-+]?(?:\\[dtc]?frac\s?\{[^{}]{1,40}\}\s?\{[^{}]{1,40}\}"
    r"|\d{1,2}:\d\d(?!\d)(?:\s?[ap]\.?m\b)?|(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d+)?(?:\s?/\s?\d+(?:\.\d+)?)?|\.\d+)"
    r"(?:\s?(?:\\?%|percent\b|pct\b)|\s(?:hundred|thousand|million|billion|trillion|dozen|lakh|crore)s?\b)?"
)
_VALUE = re.compile(rf"(?<![A-Za-z0-9.]){_NUMBER}")
_LEADING = re.compile(rf"\**\$?(?P<value>{_NUMBER})\$?\**")
_ENVIRONMENT = r"\\begin\{(?P<env>[a-z]{4,11})\}(?:[^\\]|\\[^e]|\\e[^n])*\\end\{[a-z]{4,11}\}"
_MEMBER = r"[^(){}\[\],;$\n]{1,40}(?:\{[^{}]{0,40}\}[^(){}\[\],;$\n]{0,40}){0,4}"
_GROUP = rf"(?:\\left\s?)?(?:[(\[]|\\?\{{){_MEMBER}(?:[,;]{_MEMBER}){{1,20}}(?:\\right\s?)?(?:[)\]]|\\?\}})"
_NAMED = r"(?:[A-Za-z](?:_\{?\d\}?)? ?= ?)?"
_ITEM = re.compile(
    rf"(?P<name>{_NAMED})(?P<body>\$\$[^$]+\$\$|\$(?:\\\$|[^$])+\$|\\\((?:[^\\]|\\[^()])+\\\)|\\\[(?:[^\\]|\\[^\[\]])+\\\]"
    rf"|{_ENVIRONMENT}|{_GROUP}|(?<![A-Za-z0-9.]){_NUMBER})"
)
_CLAUSE_END = re.compile(
    r"[,;:(—–!?。，；（]|\.(?:\s|$)|\b(?:because|since|which|where|who|as|so|when|while|that|after|before|by|from|and|but|with|for)\b"
)
_VERB = re.compile(r"\b(?:is|are|was|were|be|been|equals?|gives?|gets?|have|has|had|makes?|costs?|needs?|needed|takes?|leaves?|total)\b|[=:,]")
_SET_AGAINST = re.compile(
    r"[\s,(]*(?:and |but )?(?:not|rather than|instead of|nicht|pas|не) (?:an? |the )?[\s$(*]*(?:[-+]?\d|[A-J]\b)", re.IGNORECASE
)
_NOT_THAT = re.compile(r"\bnot (?:an? |the )?\$?[-+]?\d[\d.,/]*\$?(?= \w)")
_BREAK = re.compile(r"[.!?;\n。；,，]\s|\n")
_FOREIGN_LETTERS = re.compile(
    r"[\u0400-\u052f\u0590-\u06ef\u06fa-\u0965\u0970-\u0e4f\u0e5a-\u0e7f\u1100-\u11ff\u3040-\u9fff\uac00-\ud7af]|[\u0370-\u03ff]{3}"
    r"|[A-Za-z\u00c0-\u024f\u1e00-\u1eff]*[\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u024f\u1e00-\u1eff][A-Za-z\u00c0-\u024f\u1e00-\u1eff]+"
)
_EITHER = re.compile(
    rf"(?:(?<![A-Za-z0-9.]){_NUMBER}|\$[^$]{{1,60}}\$)\s{{0,3}},?\s{{0,3}}or\s{{1,3}}(?:maybe |perhaps |possibly )?$",
    re.I,
)
_LISTED = re.compile(r"(?:\s{0,3},)?\s{0,3}(?:and|or|,)\s{0,3}", re.IGNORECASE)
_WORD = re.compile(r"[A-Za-z]{2,}")
_NOTATION = (
    "and or sqrt pi sin cos tan cot sec csc log ln exp percent percentage pct degrees degree cents cent "
    "dollars dollar cm mm km inches inch feet ft units unit text mbox mathrm frac dfrac tfrac left right "
    "infty cup cap in pm times cdot theta alpha beta begin end pmatrix bmatrix matrix oo inf arcsin arccos "
    "arctan am pm array cases tr det gcd lcm mod setminus emptyset mathbb ge le geq leq neq"
)
_NOT_PROSE = frozenset(_NOTATION.split())
_OPENERS = frozenset(["thus", "so", "hence", "therefore", "then", "finally", "since", "because", "answer", "result"])
MAX_ANSWER = 4000


def last_cue(text: str) -> re.Match[str] | None:
    """Returns the last place where a text says that an answer follows."""
    last = None
    for pattern in (CUE, FOREIGN_CUE) if not text.isascii() else (CUE,):
        for match in pattern.finditer(text):
            last = match if last is None or match.end() > last.end() else last
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
    sentence = without_ending(sentence)
    if not is_prose(sentence):
        return sentence
    leading = _LEADING.match(sentence)
    if leading:
        rest = sentence[leading.end() :]
        if not rest.strip() or (rest.lstrip()[0] not in "+-*/^=<>\\_{" and not rest[0].isdigit() and goes_on_plainly(rest)):
            return leading.group("value")
    return last_value(sentence, announced=True)


def without_ending(sentence: str) -> str:
    """Returns a sentence without the copula that some languages put after the answer, and without marks at its end."""
    sentence = sentence.strip(" .!。")
    found = None if sentence.isascii() and "'" not in sentence else list(ENDING.finditer(sentence))
    if found and found[-1].end() == len(sentence) and found[-1].start():
        return sentence[: found[-1].start()].strip()
    return sentence


def goes_on_plainly(rest: str) -> bool:
    """Tells whether what follows a value leaves it as it is: a unit, a reason, another value that it is not."""
    rest = rest.lstrip("*$_ )]}")
    end = _CLAUSE_END.search(rest)
    clause = rest[: end.start()] if end else rest
    if (changes(clause) and not names_things(clause)) or DENIAL.search(clause):
        return False
    if end is None or end.group() in {"because", "since", "as", "so", "for", ".", "when"}:
        return True
    after = rest[end.start() :]
    if _SET_AGAINST.match(after):
        return True
    after = after[len(end.group()) :]
    following = _CLAUSE_END.search(after)
    said = after[: following.start()] if following else after
    return not (words_of(said)[:1] == ["or"] or _takes_back(said))


def _takes_back(clause: str) -> bool:
    """Tells whether a clause of its own denies what stands before it, and says nothing else."""
    return (denies(clause) and len(words_of(clause)) < 6 and not any(map(str.isdigit, clause))) or bool(DENIAL.search(clause))


def stands_plainly(before: str) -> bool:
    """Tells whether what leads up to a value in its clause leaves it as it is: no bound, no denial."""
    ends = list(_BREAK.finditer(before))
    clause = before[ends[-1].end() :] if ends else before
    clause = _NOT_THAT.sub(" ", clause)
    if denies(clause) or DENIAL.search(clause[-20:]):
        return False
    verbs = list(_VERB.finditer(clause))
    window = words_of(clause[verbs[-1].end() :] if verbs else clause)
    return not any(word in {"than", "least", "most", "between", "to", "of", "over", "under", "minus", "negative", "twice", "double", "half", "times",
                            "below", "above", "except", "opposite", "dozen", "up", "beyond", "within"} for word in window[-2:])  # fmt: skip


def is_prose(text: str) -> bool:
    """Tells whether words stand around the answer, so that it has to be looked for."""
    outside = _SPAN.sub(lambda span: " " if _is_formula(span.group()) else span.group(), text)
    has_span = len(outside) != len(text)
    words = [word for word in _WORD.findall(_without_commands(outside)) if word.lower() not in _NOT_PROSE]
    foreign = not outside.isascii() and _FOREIGN_LETTERS.search(outside) is not None
    if words and words[0].lower() in _OPENERS:
        return True
    if foreign:
        return True
    return len(words) > (0 if has_span else 1) or (bool(words) and bool(re.search(r"\d\s", outside)))


def _without_commands(text: str) -> str:
    text = re.sub(r"\\(?:begin|end)\{[a-z]{4,11}\}(?:\{[clr|]{0,9}\})?", " ", text)
    return re.sub(r"\\(?:text|mbox|mathrm|textbf|textit)\s?\{[^{}]{0,200}\}|\\[A-Za-z]+", " ", text)


def _is_formula(span: str) -> bool:
    """Tells formulas from the text between two prices: "$5 for each, which makes $"."""
    return sum(word.lower() not in _NOT_PROSE for word in _WORD.findall(_without_commands(span))) < 3


def last_value(text: str, announced: bool = False) -> str | None:
    """Returns the last value of a text: a formula between dollar signs (or their like), a matrix, a tuple, a number.

    Values that "and", "or" or, in an announced answer, a comma joins to it belong to it. None where the words beside it
    change what it says.
    """
    items = [item for item in _ITEM.finditer(text) if _is_formula(_content(item))]
    if not items:
        return None
    group = [items[-1]]
    while len(group) < min(len(items), 50) and _belongs(text, items[-len(group) - 1], group, announced):
        group.insert(0, items[-len(group) - 1])
    if not stands_plainly(text[max(group[0].start() - 200, 0) : group[0].start()]):
        return None
    if not goes_on_plainly(text[group[-1].end() :][:200]):
        return None
    named = len(group) > 1
    either = named and re.search(r"\bor\b", text[group[-2].end() : group[-1].start()])
    unit = UNIT_AFTER.match(text, group[-1].end())
    found = [(item.group("name") if named else "") + _content(item) for item in group]
    if either and all(_VALUE.fullmatch(_content(item)) for item in group):
        return text[group[0].start() : group[-1].end()]
    return (r" \text{ or } " if either else " , ").join(found) + ("%" if unit and "%" not in found[-1] else "")


def _belongs(text: str, item: re.Match[str], group: list[re.Match[str]], announced: bool) -> bool:
    """Tells whether a value is listed together with those that follow it."""
    between = text[item.end() : group[0].start()]
    joined = _LISTED.fullmatch(between)
    if not joined:
        return False
    spans = item.group("body")[0] in "$\\" and group[0].group("body")[0] in "$\\"
    return announced or spans or len(group) > 1 or not between.strip().endswith(",")


_FENCED = re.compile(r"\$\$([^$]+)\$\$|\$((?:\\\$|[^$])+)\$|\\\((.+)\\\)|\\\[(.+)\\\]", re.DOTALL)


def _content(item: re.Match[str]) -> str:
    body = item.group("body")
    fenced = _FENCED.fullmatch(body)
    return next(group for group in fenced.groups() if group is not None).strip() if fenced else body
