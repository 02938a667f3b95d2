"""The tree of a pattern, read from the syntax of Python's `re` by Python's own parser, which never sees a text.

Characters are sets of bytes here (`alphabet`), so that case and classes are settled, and one set can bound another.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from re import _constants as constants  # type: ignore[attr-defined]
from re import _parser as parser  # type: ignore[attr-defined]
from typing import Any

from verifiers.patterns.alphabet import BLANKS, DIGITS, EVERY, WORDS, code_of, with_both_cases


class Untranslatable(ValueError):
    """The pattern needs what a linear-time engine has not."""


@dataclass(frozen=True, slots=True)
class Chars:
    """One character of a set."""

    codes: frozenset[int]


@dataclass(frozen=True, slots=True)
class Seq:
    """One part after the other."""

    parts: tuple[Node, ...] = ()


@dataclass(frozen=True, slots=True)
class Alt:
    """One of several, the first that leads to a match."""

    options: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Loop:
    """A body so many times; `most` None is without end."""

    body: Node
    least: int
    most: int | None
    greedy: bool


@dataclass(frozen=True, slots=True)
class Captured:
    """A body that a match remembers."""

    index: int
    body: Node


@dataclass(frozen=True, slots=True)
class Mark:
    """Where a group begins (`side` 0) or ends (1)."""

    index: int
    side: int


@dataclass(frozen=True, slots=True)
class Edge:
    """The beginning or the end of a text or a line, as RE2 writes it."""

    sign: str


@dataclass(frozen=True, slots=True)
class Look:
    """The next (`ahead`) or the last character is one of a set, or there is none, where `edge` says so."""

    ahead: bool
    codes: frozenset[int]
    edge: bool


@dataclass(frozen=True, slots=True)
class Boundary:
    """A word begins or ends here."""


@dataclass(frozen=True, slots=True)
class Trailing:
    """Stands for text that must follow a match without belonging to it."""

    body: Node


Node = Chars | Seq | Alt | Loop | Captured | Mark | Edge | Look | Boundary | Trailing

_END = Trailing(Seq((Loop(Chars(frozenset(b"\n")), 0, 1, True), Edge(r"\z"))))
"""`$` as `re` takes it: a last end of line may follow."""
_EDGES = {
    (constants.AT_BEGINNING, False): r"\A",
    (constants.AT_BEGINNING, True): "(?m:^)",
    (constants.AT_BEGINNING_STRING, False): r"\A",
    (constants.AT_BEGINNING_STRING, True): r"\A",
    (constants.AT_END, True): "(?m:$)",
    (constants.AT_END_STRING, False): r"\z",
    (constants.AT_END_STRING, True): r"\z",
}
_CATEGORIES = {
    constants.CATEGORY_DIGIT: DIGITS,
    constants.CATEGORY_NOT_DIGIT: EVERY - DIGITS,
    constants.CATEGORY_SPACE: BLANKS,
    constants.CATEGORY_NOT_SPACE: EVERY - BLANKS,
    constants.CATEGORY_WORD: WORDS,
    constants.CATEGORY_NOT_WORD: EVERY - WORDS,
}
_LOOPS = {constants.MAX_REPEAT, constants.MIN_REPEAT}


def read(pattern: str, flags: int) -> tuple[Node, dict[str, int], int]:
    """Returns the tree, the names of groups and their number; raises Untranslatable."""
    parsed = parser.parse(pattern, flags)
    tree = _sequence(parsed, parsed.state.flags)
    return tree, dict(parsed.state.groupdict), parsed.state.groups - 1


def _sequence(items: Any, flags: int) -> Node:
    parts = tuple(_node(kind, value, flags) for kind, value in items)
    return parts[0] if len(parts) == 1 else Seq(parts)


def _node(kind: Any, value: Any, flags: int) -> Node:  # noqa: PLR0911 - one return per kind of node
    codes = _codes(kind, value, flags)
    if codes is not None:
        return Chars(codes)
    if kind is constants.BRANCH:
        return Alt(tuple(_sequence(option, flags) for option in value[1]))
    if kind is constants.SUBPATTERN:
        index, added, dropped, body = value
        inner = _sequence(body, (flags | added) & ~dropped)
        return inner if index is None else Captured(index, inner)
    if kind in _LOOPS:
        least, most, body = value
        bound = None if most is constants.MAXREPEAT else int(most)
        return Loop(_sequence(body, flags), int(least), bound, kind is constants.MAX_REPEAT)
    if kind is constants.AT:
        if value is constants.AT_BOUNDARY:
            return Boundary()
        if value is constants.AT_END and not flags & constants.SRE_FLAG_MULTILINE:
            return _END
        sign = _EDGES.get((value, bool(flags & constants.SRE_FLAG_MULTILINE)))
        if sign is not None:
            return Edge(sign)
    if kind in {constants.ASSERT, constants.ASSERT_NOT}:
        return _look(value[0] > 0, kind is constants.ASSERT_NOT, _sequence(value[1], flags))
    raise Untranslatable(f"{kind} has no linear-time translation")


def _look(ahead: bool, negative: bool, body: Node) -> Node:
    options = body.options if isinstance(body, Alt) else (body,)
    sets = [option.codes for option in options if isinstance(option, Chars)]
    if len(sets) == len(options):
        codes = frozenset[int]().union(*sets)
        return Look(ahead, EVERY - codes if negative else codes, negative)
    if not ahead:
        raise Untranslatable("a look back at several characters")
    return Trailing(_other_than(_texts(body)) if negative else body)


Text = tuple[frozenset[int], ...]


def _texts(node: Node) -> list[Text]:
    """Returns the texts, character by character, that a tree without end matches."""
    if isinstance(node, Chars):
        return [(node.codes,)]
    if isinstance(node, Alt):
        return [text for option in node.options for text in _texts(option)]
    if isinstance(node, Loop) and node.most == 1:
        return [*_texts(node.body), *([()] if node.least == 0 else [])]
    if isinstance(node, Seq):
        texts: list[Text] = [()]
        for part in node.parts:
            texts = [before + after for before in texts for after in _texts(part)]
        return texts
    raise Untranslatable("a look at what may not stand there, and is of any length")


def _other_than(texts: list[Text]) -> Node:
    """Returns a tree for how a text goes on that begins with none of these, as far as needed to tell."""
    options: list[Node] = [Edge(r"\z")]
    by_rest: dict[tuple[Text, ...], set[int]] = {}
    for code in EVERY:
        by_rest.setdefault(tuple(text[1:] for text in texts if code in text[0]), set()).add(code)
    for rest, codes in by_rest.items():
        if not rest:
            options.append(Chars(frozenset(codes)))
        elif () not in rest:
            options.append(Seq((Chars(frozenset(codes)), _other_than(list(rest)))))
    return Alt(tuple(options))


def _codes(kind: Any, value: Any, flags: int) -> frozenset[int] | None:
    """The characters that a node of one character takes; None for any other node."""
    if kind is constants.ANY:
        return EVERY if flags & constants.SRE_FLAG_DOTALL else EVERY - {ord("\n")}
    folded = bool(flags & constants.SRE_FLAG_IGNORECASE)
    if kind in {constants.LITERAL, constants.NOT_LITERAL}:
        codes = _members(constants.LITERAL, value)
        codes = with_both_cases(codes) if folded else codes
        return codes if kind is constants.LITERAL else EVERY - codes
    if kind is not constants.IN:
        return None
    negated = bool(value) and value[0][0] is constants.NEGATE
    taken = frozenset[int]().union(*(_members(*item) for item in value[negated:]))
    taken = with_both_cases(taken) if folded else taken
    return EVERY - taken if negated else taken


@lru_cache(1024)
def _members(kind: Any, value: Any) -> frozenset[int]:
    if kind is constants.LITERAL:
        return frozenset((code_of(chr(value)),))
    if kind is constants.RANGE:
        return frozenset(code_of(chr(code)) for code in range(value[0], value[1] + 1))
    return _CATEGORIES[value]
