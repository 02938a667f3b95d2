"""Takes out what a reader of the page doesn't see: phantoms, labels, tags, colours; what has no closing brace stays."""

from __future__ import annotations

from verifiers.patterns import linear

_COMMAND = linear.compile(
    r"\\(?:(?P<whole>[hv]?phantom|label|tag|[hv]space|color|pagecolor|nonumber|notag)|(?P<style>textcolor|colorbox|mathcolor))"
    r"\*?\s?(?:\[[^\[\]{}]{0,20}\]\s?)?\{"
)


def without_unseen(text: str) -> str:
    """Returns the text with a blank in place of each such command and of its first argument."""
    parts, begun = [], 0
    for found in _COMMAND.finditer(text):
        if found.start() < begun:
            continue
        end = _closing_brace(text, found.end())
        if end < 0:
            break
        parts.append(text[begun : found.start()])
        begun = end + 1
    return " ".join([*parts, text[begun:]]) if parts else text


def _closing_brace(text: str, start: int) -> int:
    depth = 1
    for at in range(start, len(text)):
        depth += {"{": 1, "}": -1}.get(text[at], 0)
        if depth == 0:
            return at
    return -1
