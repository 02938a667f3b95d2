"""Writes the trees of patterns in the syntax of RE2."""

from __future__ import annotations

from functools import cache

from verifiers.patterns.alphabet import EVERY
from verifiers.patterns.syntax import Alt, Chars, Context, Edge, Group, Loop, Mark, Node, Seq, Untranslatable
from verifiers.patterns.translate import Bound

START, END = Mark(0, 0), Mark(0, 1)
"""Where a match begins and ends, when characters around it are looked at."""
_NEVER = r"[^\x00-\xff]"


class Writer:
    """One program; `groups` says which group of the pattern each of its groups is."""

    def __init__(self, *, whole: bool) -> None:
        """`whole` has the text end where the match does."""
        self.groups: list[Group | Mark] = []
        self._whole = whole
        self._past_end = False

    def anywhere(self, choices: list[tuple[Bound, Node]]) -> str:
        """Returns the program of alternatives that see nothing before them."""
        return "|".join(self.written(node) for _, node in choices) or _NEVER

    def alternatives(self, choices: list[tuple[Bound, Node]], *, at_start: bool) -> str:
        """Returns the program of alternatives that stand at the text's start, or after a character that is seen."""
        found = [self._alternative(before, node, at_start) for before, node in choices]
        return "|".join(text for text in found if text) or _NEVER

    def _alternative(self, before: Bound, node: Node, at_start: bool) -> str:
        if at_start:
            seen = r"\A" if before is None or before.edge else ""
        else:
            seen = _class(EVERY if before is None else before.codes)
        return f"{seen}{self._mark(START)}{self._atom(node, True)}" if seen else ""

    def written(self, node: Node, tail: bool = True) -> str:  # noqa: PLR0911 - one return per kind of node
        """Returns the text of a tree; `tail` where nothing follows it."""
        if isinstance(node, Chars):
            return _class(node.codes)
        if isinstance(node, Seq):
            last = len(node.parts) - 1
            return "".join(self._atom(part, tail and at == last) for at, part in enumerate(node.parts))
        if isinstance(node, Alt):
            return "|".join(self.written(option, tail) for option in node.options) or _NEVER
        if isinstance(node, Group):
            self.groups.append(node)
            return f"({self.written(node.body, False)})"
        if isinstance(node, Loop):
            return self._loop(node)
        if isinstance(node, Mark):
            return self._mark(node)
        if isinstance(node, Edge):
            return node.sign
        if isinstance(node, Context) and tail:
            return self._context(node)
        raise Untranslatable(f"a {type(node).__name__} in the midst of a pattern")

    def _context(self, node: Context) -> str:
        if self._whole:
            return "" if _fits_the_end(node.body) else _NEVER
        if self._past_end:
            return self._atom(node.body, True)
        mark, self._past_end = self._mark(END), True
        text = self._atom(node.body, True)
        self._past_end = False
        return mark + text

    def _mark(self, mark: Mark) -> str:
        self.groups.append(mark)
        return "()"

    def _atom(self, node: Node, tail: bool) -> str:
        text = self.written(node, tail)
        return f"(?:{text})" if isinstance(node, Alt) else text

    def _loop(self, node: Loop) -> str:
        most = "" if node.most is None else str(node.most)
        known = {(0, ""): "*", (1, ""): "+", (0, "1"): "?"}
        count = known.get((node.least, most)) or f"{{{node.least},{most}}}"
        body = self.written(node.body, False)
        body = body if isinstance(node.body, Chars | Group) else f"(?:{body})"
        return f"{body}{count}{'' if node.greedy else '?'}"


def _fits_the_end(node: Node) -> bool:
    """Whether what must follow a match lets the text end there."""
    if isinstance(node, Seq):
        return all(map(_fits_the_end, node.parts))
    if isinstance(node, Alt):
        return any(map(_fits_the_end, node.options))
    if isinstance(node, Loop):
        return node.least == 0
    return _fits_the_end(node.body) if isinstance(node, Group | Context) else isinstance(node, Edge | Mark)


@cache
def _class(codes: frozenset[int]) -> str:
    if not codes:
        return r"[^\x00-\xff]"
    if len(codes) == 1:
        return _byte(next(iter(codes)))
    if codes == EVERY:
        return "(?s:.)"
    negated = len(codes) > 128
    spans: list[list[int]] = []
    for code in sorted(EVERY - codes if negated else codes):
        if spans and spans[-1][1] == code - 1:
            spans[-1][1] = code
        else:
            spans.append([code, code])
    inner = "".join(_byte(low) if low == high else f"{_byte(low)}-{_byte(high)}" for low, high in spans)
    return f"[{'^' if negated else ''}{inner}]"


def _byte(code: int) -> str:
    return chr(code) if chr(code).isalnum() and code < 0x80 else f"\\x{code:02x}"
