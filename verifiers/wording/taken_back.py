"""Tells whether what follows an answer takes it back: "Wait, that is wrong.", "Correction: 7", "I made a mistake"."""

from __future__ import annotations

from verifiers.patterns import linear
from verifiers.wording.cues import TAKEN_BACK, searchable

_CALL = (
    r"(?:no|oh|oops|hmm+|wait|hold on|but|actually|sorry|however|(?:my )?apologies|on second thought|well|correction)"
)
_MARKS = r"[\s,.!:;—–…-]+"
_WHICH = r"(?:boxed |above |previous |last |first |earlier )?"
_THAT = (
    rf"(?:that|this|it|the above|the {_WHICH}(?:answer|result|value|box|number)(?: above)?"
    rf"|(?:my|our) {_WHICH}(?:answer|result|value|work|calculation|reasoning))"
)
_HOW = r"(?: (?:clearly|obviously|actually|of course|also|still|simply|just|in fact|not quite))?"
_FAULT = (
    r"(?:an?|my|the|one) (?:(?:small|slight|silly|simple|sign|arithmetic|calculation|algebraic|algebra) )?"
    r"(?:mistake|error|slip|typo|miscalculation|blunder)"
)
_NOT_RIGHT = r"(?:right|correct|true|it|the (?:right |correct |final )?answer|what was asked)"
_CLAUSE_ENDS = r"\s*(?:[.!,;:…—–(\n]|$|because\b|since\b|as\b|though\b)"
_DENIED = (
    rf"(?:{_THAT}(?:['’]s| is| was| must be| seems| looks){_HOW}"
    rf" (?:wrong|incorrect|false|mistaken|invalid|off|{_FAULT}|not {_NOT_RIGHT})"
    rf"|{_THAT} (?:can['’]?t|cannot|can not|could(?:n['’]t| not)|must not) be{_HOW} {_NOT_RIGHT}"
    rf"|{_THAT} (?:isn['’]t|wasn['’]t){_HOW} {_NOT_RIGHT}"
    rf"|there(?:['’]s| is| was) {_FAULT}(?: here| above| in (?:that|this|my|the) \w{{1,20}})?"
    r"|scratch that|strike that|(?:I|we) take (?:that|it|this) back"
    r"|(?:please )?(?:ignore|disregard) (?:that|this|it|the above|my (?:previous |last )?answer)"
    rf"|let me (?:correct|fix|redo) (?:that|this|it|my \w{{1,20}})){_CLAUSE_ENDS}"
)
_CONFESSED = (
    rf"(?:I|we)(?:['’]ve| have| had)?{_HOW} (?:made|found|see|notice|noticed|spotted) {_FAULT}\b"
    r"|(?:I|we)(?:['’]m| was| were| am) (?:wrong|mistaken)\b"
    r"|(?:I|we)(?:['’]ve| have)? (?:miscalculated|miscounted|misread|misunderstood|messed up)\b"
)
_VALUE_FOLLOWS = r"\s*(?:\$|\\\(|\*\*)?\s*(?:[-\d]|\\(?:boxed|frac|sqrt|pi))"
_REPLACED = (
    rf"(?:(?:that|this|it|the (?:final |correct |right )?answer) should (?:instead |actually |really )?(?:be|have been)"
    rf"|make that|correction\s*[:—–-]){_VALUE_FOLLOWS}"
)
_EDGE = r"[\s.!?$)\]\\}*,;:—–-]*"
_DOUBTS = rf"(?:{_DENIED}|{_CONFESSED}|{_REPLACED})"
_IS_DENIED = rf"(?:is|was){_HOW} (?:wrong|incorrect|false|not {_NOT_RIGHT}){_CLAUSE_ENDS}"
_AT_ONCE = linear.compile(rf"{_EDGE}(?:{_CALL}{_MARKS}){{0,4}}{_DOUBTS}|[\s$)\]\\}}*]*{_IS_DENIED}", linear.IGNORECASE)
_LATER = linear.compile(rf"[.!?\n…]\s{{0,9}}(?:{_CALL}{_MARKS}){{1,4}}{_DOUBTS}", linear.IGNORECASE)
_REPLACES = linear.compile(rf"(?:{_CALL}{_MARKS}){{0,4}}{_REPLACED}", linear.IGNORECASE)
_ANOTHER = linear.compile(
    rf"{_EDGE}(?:(?:no|wait|actually|sorry|oops|rather|or rather)[\s,.!:—–-]+){{1,3}}"
    r"(?:(?:it|that)(?:['’]s| is) |I mean )?"
    r"(?P<value>(?:\$|\\\(|\*\*)?\s*[-\d\\][^\n.!?]{0,40})[.!\s]*$",
    linear.IGNORECASE,
)
_SENTENCE_ENDS = linear.compile(r"[.!?\n](?:\s|$)")
_MOST = 4000


def is_taken_back(after: str) -> bool:
    """Tells whether what follows an answer takes it back: at once, or later with a call such as "Wait"."""
    after = after[:_MOST]
    patterns = (_AT_ONCE.match(after), _LATER.search(after), _ANOTHER.match(after))
    return any(pattern is not None for pattern in patterns) or TAKEN_BACK.search(searchable(after)) is not None


def said_instead(after: str) -> str:
    """Returns what is said in place of an answer that was taken back: the sentences behind the one that does so, or
    what that one puts in its place."""
    after = after[:_MOST]
    another = _ANOTHER.match(after)
    if another is not None:
        return another.group("value")
    found = _AT_ONCE.match(after) or _LATER.search(after)
    if found is None:
        foreign = TAKEN_BACK.search(searchable(after))
        return after[foreign.end() :] if foreign is not None else ""
    replaced = _REPLACES.search(after, found.start())
    if replaced is not None and replaced.start() < found.end():
        return after[found.start() :]
    if "answer" in after[found.end() :].lower().split(".")[0]:
        return after[found.end() :]
    end = _SENTENCE_ENDS.search(after, found.end() - 1)
    return after[end.end() :] if end else ""
