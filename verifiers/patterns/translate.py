"""From the tree of a pattern to the syntax of RE2, which can't look around.

A look at one character is pushed to the neighbour that takes that character, whose set it narrows. Where none does, at
the edge of the pattern, the character is taken outside of marks that say where the match itself begins and ends.
Nothing changes which match is found; what has no such translation is refused when the product is imported.
"""

from __future__ import annotations

from collections.abc import Iterable

from verifiers.patterns.alphabet import EVERY, WORDS, char_of
from verifiers.patterns.syntax import (
    Alt,
    Boundary,
    Captured,
    Chars,
    Edge,
    Look,
    Loop,
    Mark,
    Node,
    Seq,
    Trailing,
    Untranslatable,
)

Bound = Look | None
EMPTY = Seq()


def choices(tree: Node) -> list[tuple[Bound, Node]]:
    """Returns the alternatives of a pattern, the preferred first: what must stand before, and a tree that looks nowhere
    but, by a Trailing, past its end."""
    if not _looks_anywhere(tree):
        return [(None, _joined(tree))]
    return [(before, _forward((node,), None)) for before, node in _behind(_settled(tree, None, None), None)]


def _looks_anywhere(node: Node) -> bool:
    if isinstance(node, Seq | Alt):
        return any(map(_looks_anywhere, node.parts if isinstance(node, Seq) else node.options))
    if isinstance(node, Loop | Captured):
        return _looks_anywhere(node.body)
    return isinstance(node, Look | Boundary | Trailing)


def _settled(node: Node, before: Node | None, after: Node | None) -> Node:  # noqa: PLR0911 - one return per kind of node
    """Turns the boundaries of words into looks to the side that their neighbours leave open."""
    if isinstance(node, Seq):
        parts = list(node.parts)
        for at, part in enumerate(parts):
            left = Seq(tuple(parts[:at])) if at else before
            right = Seq(tuple(parts[at + 1 :])) if at + 1 < len(parts) else after
            parts[at] = _settled(part, left, right)
        return Seq(tuple(parts))
    if isinstance(node, Alt):
        return Alt(tuple(_settled(option, before, after) for option in node.options))
    if isinstance(node, Captured):
        body = _settled(node.body, before, after)
        marked = Seq((Mark(node.index, 0), body, Mark(node.index, 1)))
        return marked if _looks(body, ahead=True) or _looks(body, ahead=False) else Captured(node.index, body)
    if isinstance(node, Trailing):
        return Trailing(_settled(node.body, before, after))
    if isinstance(node, Loop):
        body = _settled(node.body, None, None)
        if (node.least, node.most, node.greedy) == (0, 1, True) and _looks(body, ahead=True):
            return Alt((body, EMPTY))
        return Loop(body, node.least, node.most, node.greedy)
    return _boundary(before, after) if isinstance(node, Boundary) else node


def _boundary(before: Node | None, after: Node | None) -> Node:
    for ahead, neighbour in ((True, before), (False, after)):
        beside = EVERY if neighbour is None or _may_be_empty(neighbour) else edge_codes(neighbour, first=not ahead)
        if beside <= WORDS:
            return Look(ahead, EVERY - WORDS, True)
        if not beside & WORDS:
            return Look(ahead, WORDS, False)
    raise Untranslatable("a boundary between characters that may or may not belong to words")


def _may_be_empty(node: Node) -> bool:
    if isinstance(node, Seq):
        return all(map(_may_be_empty, node.parts))
    if isinstance(node, Alt):
        return any(map(_may_be_empty, node.options))
    if isinstance(node, Loop):
        return node.least == 0 or _may_be_empty(node.body)
    return _may_be_empty(node.body) if isinstance(node, Captured) else not isinstance(node, Chars)


def edge_codes(node: Node, first: bool) -> frozenset[int]:
    """Returns the characters that a tree may begin (or end) with."""
    if isinstance(node, Chars):
        return node.codes
    if isinstance(node, Alt):
        return frozenset[int]().union(*(edge_codes(option, first) for option in node.options))
    if isinstance(node, Loop | Captured):
        return edge_codes(node.body, first)
    codes = frozenset[int]()
    for part in node.parts if isinstance(node, Seq) and first else reversed(getattr(node, "parts", ())):
        codes |= edge_codes(part, first)
        if not _may_be_empty(part):
            break
    return codes


def _both(one: Bound, other: Bound) -> Bound:
    if one is None or other is None:
        return one or other
    return Look(one.ahead, one.codes & other.codes, one.edge and other.edge)


def _narrowed(node: Chars, bound: Bound) -> list[Node]:
    codes = node.codes if bound is None else node.codes & bound.codes
    return [Chars(codes)] if codes else []


def either(options: Iterable[Node]) -> Node:
    """Returns a tree for one of several."""
    kept = tuple(options)
    return kept[0] if len(kept) == 1 else Alt(kept)


def _joined(*nodes: Node) -> Node:
    parts = [part for node in nodes for part in (node.parts if isinstance(node, Seq) else (node,))]
    return parts[0] if len(parts) == 1 else Seq(tuple(parts))


def _looks(node: Node, ahead: bool) -> bool:
    if isinstance(node, Look):
        return node.ahead == ahead
    if isinstance(node, Seq | Alt):
        return any(_looks(part, ahead) for part in (node.parts if isinstance(node, Seq) else node.options))
    return isinstance(node, Loop | Captured | Trailing) and (
        (ahead and isinstance(node, Trailing)) or _looks(node.body, ahead)
    )


def _is_fixed(node: Node) -> bool:
    """Whether there is one way at most in which a tree can match at one place."""
    if isinstance(node, Seq):
        return all(map(_is_fixed, node.parts))
    if isinstance(node, Loop):
        return node.least == node.most and _is_fixed(node.body)
    return _is_fixed(node.body) if isinstance(node, Captured) else isinstance(node, Chars | Edge | Look | Mark)


def _forward(parts: tuple[Node, ...], bound: Bound) -> Node:
    """Returns a sequence that begins under a bound and ends the pattern, without looks; what follows is Trailing."""
    done: list[Node] = []
    for at, part in enumerate(parts):
        rest = parts[at + 1 :]
        if isinstance(part, Seq):
            return _joined(*done, _forward((*part.parts, *rest), bound))
        if isinstance(part, Alt) and _looks(part, ahead=True):
            return _joined(*done, either(_forward((option, *rest), bound) for option in part.options))
        found = _ahead(part, bound)
        if len({after for _, after in found}) > 1:
            return _joined(*done, either(_joined(inner, _forward(rest, after)) for inner, after in found))
        done.append(either(inner for inner, _ in found))
        bound = found[0][1] if found else None
    left = trail(bound)
    return _joined(*done, *([Trailing(left)] if left else []))


def _ahead(node: Node, bound: Bound) -> list[tuple[Node, Bound]]:  # noqa: PLR0911 - one return per kind of node
    """Returns the alternatives of a tree that begins under a bound, each with the bound on what follows it."""
    if bound is None and not _looks(node, ahead=True):
        return [(node, None)]
    if isinstance(node, Chars):
        return [(inner, None) for inner in _narrowed(node, bound)]
    if isinstance(node, Look) and node.ahead:
        return [(EMPTY, _both(bound, node))]
    if isinstance(node, Alt):
        return [found for option in node.options for found in _ahead(option, bound)]
    if isinstance(node, Captured):
        return [(Captured(node.index, inner), after) for inner, after in _ahead(node.body, bound)]
    if isinstance(node, Loop):
        return _looped(node, bound)
    if isinstance(node, Trailing):
        return [(Trailing(_forward((node.body,), bound)), None)]
    return _ahead_in_turn(node, bound) if isinstance(node, Seq) else [(node, bound)]


def _ahead_in_turn(node: Seq, bound: Bound) -> list[tuple[Node, Bound]]:
    open_: list[tuple[Node, Bound]] = [(EMPTY, bound)]
    for part in node.parts:
        wider: list[tuple[Node, Bound]] = []
        for done, left in open_:
            found = _ahead(part, left)
            if len({after for _, after in found}) == 1:
                wider.append((_joined(done, either(inner for inner, _ in found)), found[0][1]))
            elif found and not _is_fixed(done):
                raise Untranslatable("a look past what may be empty, after what can match in several ways")
            else:
                wider += [(_joined(done, inner), after) for inner, after in found]
        open_ = wider
    return open_


def _looped(node: Loop, bound: Bound) -> list[tuple[Node, Bound]]:
    inner = _ahead(node.body, None)
    bounds = {after for _, after in inner}
    if len(bounds) != 1 or _may_be_empty(node.body):
        raise Untranslatable("a loop over what looks around in several ways")
    after = bounds.pop()
    body = either(part for part, _ in inner)
    first = [part for part, _ in _ahead(body, bound)]
    again = [part for part, _ in _ahead(body, after)]
    most = None if node.most is None else node.most - 1
    more = Loop(either(again), max(node.least - 1, 0), most, node.greedy) if again and most != 0 else EMPTY
    if not again and node.least > 1:
        return []
    repeated: list[tuple[Node, Bound]] = [(_joined(part, more), after) for part in first]
    if node.least:
        return repeated
    return [*repeated, (EMPTY, bound)] if node.greedy else [(EMPTY, bound), *repeated]


def _behind(node: Node, bound: Bound) -> list[tuple[Bound, Node]]:  # noqa: PLR0911 - one return per kind of node
    """As `_ahead`, from right to left."""
    if bound is None and not _looks(node, ahead=False):
        return [(None, node)]
    if isinstance(node, Chars):
        return [(None, inner) for inner in _narrowed(node, bound)]
    if isinstance(node, Look) and not node.ahead:
        return [(_both(bound, node), EMPTY)]
    if isinstance(node, Alt):
        return [found for option in node.options for found in _behind(option, bound)]
    if isinstance(node, Captured):
        return [(before, Captured(node.index, inner)) for before, inner in _behind(node.body, bound)]
    if isinstance(node, Loop):
        return _looped_behind(node, bound)
    if isinstance(node, Seq):
        open_: list[tuple[Bound, Node]] = [(bound, EMPTY)]
        for at in range(len(node.parts) - 1, -1, -1):
            part = node.parts[at]
            wider = [(before, _joined(inner, done)) for left, done in open_ for before, inner in _behind(part, left)]
            if len({before for before, _ in wider}) == 1:
                wider = [(wider[0][0], either(done for _, done in wider))]
            elif (len(open_) > 1 and len(wider) > len(open_)) or not all(map(_is_fixed, node.parts[:at])):
                raise Untranslatable("a look back past what may be empty, after what can match in several ways")
            open_ = wider
        return open_
    return [(bound, node)]


def _looped_behind(node: Loop, bound: Bound) -> list[tuple[Bound, Node]]:
    inner = _behind(node.body, None)
    if any(before is not None for before, _ in inner) or _may_be_empty(node.body):
        raise Untranslatable("a loop over what looks back")
    body = either(part for _, part in inner)
    if bound is None:
        return [(None, Loop(body, node.least, node.most, node.greedy))]
    last = either(part for _, part in _behind(body, bound))
    most = None if node.most is None else node.most - 1
    repeated = (None, _joined(Loop(body, max(node.least - 1, 0), most, node.greedy), last))
    if node.least:
        return [repeated]
    return [repeated, (bound, EMPTY)] if node.greedy else [(bound, EMPTY), repeated]


def trail(bound: Bound) -> Node | None:
    """Returns what takes the character that a bound asks for, or stands at the edge of the text."""
    if bound is None or (bound.codes == EVERY and bound.edge):
        return None
    edge = Edge(r"\z" if bound.ahead else r"\A")
    return Alt((Chars(bound.codes), edge)) if bound.edge else Chars(bound.codes)


def required(node: Node) -> frozenset[str]:
    """Returns texts of which every match holds one; empty where none is known."""
    if isinstance(node, Alt):
        each = [required(option) for option in node.options]
        return frozenset[str]().union(*each) if all(each) and sum(map(len, each)) <= 4 else frozenset()
    if isinstance(node, Loop):
        return required(node.body) if node.least else frozenset()
    if isinstance(node, Captured | Trailing):
        return required(node.body)
    found, run = [frozenset[str]()], ""
    for part in node.parts if isinstance(node, Seq) else (node,):
        char = char_of(next(iter(part.codes))) if isinstance(part, Chars) and len(part.codes) == 1 else None
        run = run + char if char is not None else ""
        found.append(frozenset((run,)) if run else frozenset() if part is node else required(part))
    return max(filter(None, found), key=lambda texts: (min(map(len, texts)), -len(texts)), default=frozenset())
