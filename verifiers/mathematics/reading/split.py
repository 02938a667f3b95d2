"""Cuts text at separators that stand outside all brackets; sets are written between \\x01 and \\x02 here, cases between
\\x10 and \\x11."""

from __future__ import annotations

from functools import cache

from verifiers.patterns import linear

PAIRS = {"(": ")", "[": "]", "\x01": "\x02", "{": "}", "\x10": "\x11"}
_CLOSERS = frozenset(PAIRS.values())
_FRENCH_BEGINS = linear.compile(r"(?:^|\\cup|\\cap|\\in|\\setminus|[=,;:(])\s*\]")
_FRENCH_ENDS = linear.compile(r"(\\sqrt)?\[\s*(?:$|\\cup|\\cap|\\setminus|[,;)]|\x02)")
_FRENCH_INTERVAL = linear.compile(r"([\[\](])([^\[\];,]{1,200})([;,])([^\[\];,]{1,200}?)([\[\])])")


def closing(text: str, start: int, mixed: bool = False) -> int:
    """Returns where the bracket at `start` closes, or -1; `mixed` lets (a,b] close."""
    depth = 0
    for at in range(start, len(text)):
        char = text[at]
        if char in PAIRS:
            depth += 1
        elif char in _CLOSERS:
            depth -= 1
            if depth == 0:
                fits = char == PAIRS[text[start]] or (mixed and {char, text[start]} <= set("()[]"))
                return at if fits else -1
    return -1


def unwrapped(text: str) -> str:
    """Returns a text without the braces, however many, around all of it."""
    if not text.startswith("{"):
        return text
    partners: dict[int, int] = {}
    open_: list[int] = []
    for at, char in enumerate(text):
        if char in PAIRS:
            open_.append(at)
        elif char in _CLOSERS and open_:
            partners[open_.pop()] = at
    begin, end = 0, len(text)
    while begin < end and text[begin] == "{" and text[end - 1] == "}" and partners.get(begin) == end - 1:
        begin, end = begin + 1, end - 1
        while begin < end and text[begin].isspace():
            begin += 1
        while begin < end and text[end - 1].isspace():
            end -= 1
    return text[begin:end]


def depths_of(text: str) -> list[int]:
    """Returns, for each character, in how many brackets it stands."""
    depths, depth = [], 0
    for char in text:
        depths.append(depth)
        depth += (char in PAIRS) - (char in _CLOSERS)
    return depths


def split(text: str, separators: str) -> list[str]:
    """Cuts at each of the separators that stands outside all brackets."""
    parts, depth, begun = [], 0, 0
    for at, char in enumerate(text):
        if char in PAIRS:
            depth += 1
        elif char in _CLOSERS:
            depth -= 1
        elif depth == 0 and char in separators:
            parts.append(text[begun:at])
            begun = at + 1
    return [*parts, text[begun:]]


def split_command(text: str, *commands: str) -> list[str]:
    """Cuts at LaTeX commands that stand outside all brackets, such as `\\cup`."""
    if not any(command in text for command in commands):
        return [text]
    return split(_any_of(commands).sub("\x05", text), "\x05")


@cache
def _any_of(commands: tuple[str, ...]) -> linear.Pattern:
    return linear.compile(rf"(?:{'|'.join(map(linear.escape, commands))})(?![A-Za-z]) ?")


def with_usual_brackets(text: str) -> str:
    """Writes intervals such as ]0,1[ with round brackets; other text stays."""
    if "[" not in text and "]" not in text:
        return text
    french = _FRENCH_BEGINS.search(text) or any(not end.group(1) for end in _FRENCH_ENDS.finditer(text))
    return _FRENCH_INTERVAL.sub(_usual, text) if french else text


def _usual(match: linear.Match) -> str:
    opening, low, comma, high, close = match.groups()
    if any(side.count("(") != side.count(")") for side in (low, high)):
        return match.group()
    opening = "(" if opening == "]" else opening
    close = ")" if close == "[" else close
    return f"{opening}{low}{comma}{high}{close}"
