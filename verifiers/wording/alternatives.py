"""Tells equations that are answers beside one another, two functions or two curves, from steps that lead to the last.

"f(x) = 0 and f(x) = x" gives two functions, for which of f nothing else is said; "f(x) = f(1)x and f(x) = x" goes on
from what f is made of.
"""

from __future__ import annotations

from itertools import pairwise

from verifiers.patterns import linear

FOR_ALL = (
    r",?\sfor (?:all|every|each|any) (?:(?:real|positive|natural|whole|integers?|numbers?|values? of) ){0,3}"
    r"(?:\$|\\\()?\s?[a-z](?:,\s?[a-z])?\s?(?:\\in [^$\n]{1,30})?(?:\$|\\\))?"
)
"""For which arguments a formula holds."""
_BEHIND = linear.compile(FOR_ALL)
_JOINED = linear.compile(
    r"\s?[,;]?\s?(?:(?:&|and|or|as well as|along with),?\s(?:(?:also|else|possibly|perhaps|maybe|even)\s)?)?"
    r"(?:\((?:[ivx]{1,4}|[a-e]|\d)\)\s)?",
    linear.IGNORECASE,
)
_OR_ELSE = linear.compile(r"\bor (?:else )?(?:we (?:have|get) |that |then )", linear.IGNORECASE)
_OR = linear.compile(r"\bor\b", linear.IGNORECASE)
_NEXT_LINE = linear.compile(r"[,;.]?\s{0,3}\n\s{0,4}[-*•]\s{1,3}")
_LINE_BEGUN = linear.compile(r"(?:^|\n)\s{0,4}[-*•]\s{1,3}$")
_SEVERAL = linear.compile(
    r"\b(?:lines|circles|curves|planes|ellipses|parabolas|hyperbolas|tangents|asymptotes|spheres|graphs|loci|polynomials"
    r"|functions|sequences|(?:solutions|answers|equations|they) are)\b[^.]{0,150}$",
    linear.IGNORECASE,
)
JOINTS = (r" \text{ or } ", " , ")
"""Each stands between the values of an answer that a text lists."""
_WORD = linear.compile(r"[a-z]+|,")
_SYMBOL = linear.compile(r"\s*(?:[A-Za-z]|\\[A-Za-z]+)(?:_\w)?'*\s*")
_EQUALS = linear.compile(r"=|\\equiv(?![A-Za-z])")
_SPACING = linear.compile(r"\s+|\\[,;:!]|\\(?:left|right|quad|qquad)(?![A-Za-z])")
_SUBSCRIPT = linear.compile(r"_\{(\w)\}")
_APPLIED = linear.compile(r"(?P<name>\\?[A-Za-z]+(?:_\w)?'{0,3})\((?P<of>[a-z](?:,[a-z]){0,3})\)")
_INDEXED = linear.compile(r"(?P<name>\\?[A-Za-z]+)_[i-nt]")
_COMMAND = linear.compile(r"\\[A-Za-z]+|\b(?:arc)?(?:sin|cos|tan|exp|log|ln)\b")
_LETTERS = linear.compile(r"[A-Za-z]")
_LONGEST = 300


def are_alternatives(first: str, second: str, joint: str, before: str, listed: bool) -> bool:
    """Tells whether two equations are each an answer.

    Args:
        first: The first of them.
        second: The one that follows it.
        joint: What stands between them.
        before: The text before the first.
        listed: Whether a third one belongs to the second.
    """
    sides = [_sides(equation) for equation in (first, second)]
    joint = f",{joint}" if first.endswith(",") else joint
    if not all(map(all, sides)) or not _joins(joint, before):
        return False
    (head, value), (other, later) = sides
    one, two = _letters(head + " " + value), _letters(other + " " + later)
    either = _OR.search(joint) is not None
    several = _SEVERAL.search(before[-400:]) is not None
    if _name(head) == _name(other):
        call = _call(head)
        if call and not either:
            return not any(call in _COMMAND.sub(" ", side).replace(" ", "") for side in (value, later))
        return several or either or one <= two
    implicit = not (_SYMBOL.fullmatch(head) or _SYMBOL.fullmatch(other))
    joined = several or listed or (either and implicit)
    return (
        joined
        and _NEXT_LINE.fullmatch(joint) is None
        and not _call(head)
        and not _call(other)
        and (one <= two or two <= one)
    )


def parts_of(answer: str) -> list[str]:
    """Returns the equations of an answer that lists such alternatives; none for any other."""
    joint = next((joint for joint in JOINTS if joint in answer), None)
    parts = answer.split(joint) if joint is not None else []
    word = f" {_WORD.findall(joint)[-1]} " if joint is not None else ""
    return parts if all(are_alternatives(*pair, word, "", False) for pair in pairwise(parts)) else []


def end_of(equation: str, after: str) -> int:
    """Returns how much of the text behind an equation only says for which arguments it holds."""
    found = _BEHIND.match(after) if any(_sides(equation)) else None
    return found.end() if found is not None else 0


def _joins(joint: str, before: str) -> bool:
    """Tells whether a text joins two equations as words or commas do, or as two lines of a list."""
    if _NEXT_LINE.fullmatch(joint):
        return _LINE_BEGUN.search(before[-12:]) is not None
    words = f" {' '.join(joint.replace('*', '').split())} "
    between = _OR_ELSE.sub("or ", words).replace(" ,", ",")
    joins = _JOINED.fullmatch(between) is not None
    return joins and bool(words.strip()) and ("\n" not in joint or any(map(str.isalpha, words)))


def _sides(equation: str) -> tuple[str, str]:
    """The two sides of an equation; nothing where there is none."""
    if len(equation) > _LONGEST:
        return "", ""
    head, *rest = _EQUALS.split(_SUBSCRIPT.sub(r"_\1", _SPACING.sub(" ", equation)))
    return (head, "=".join(rest)) if rest else ("", "")


def _name(head: str) -> str:
    """A left side without blanks, in which the arguments of a function have no names of their own."""
    head = head.replace(" ", "")
    applied = _APPLIED.fullmatch(head)
    return head if applied is None else f"{applied.group('name')}({applied.group('of').count(',')})"


def _call(head: str) -> str:
    """How other values of the function or sequence of a left side begin: f( and a_; nothing for other left sides."""
    head = head.replace(" ", "")
    applied, indexed = _APPLIED.fullmatch(head), _INDEXED.fullmatch(head)
    if applied is not None:
        return f"{applied.group('name')}("
    return f"{indexed.group('name')}_" if indexed is not None else ""


def _letters(side: str) -> set[str]:
    return set(_LETTERS.findall(_COMMAND.sub(" ", side)))
