"""Text of others in messages for people: nothing that a terminal would obey, and never much of it."""

from __future__ import annotations

LONGEST = 300
"""Most characters of any one input."""
LONGEST_LINE = 1_200
"""Most characters of a line of a message, of which what is cut stood in the middle: the remedy is at the end."""
MOST_LINES = 20


def shown(value: object, most: int = LONGEST) -> str:
    """Anything on one line: control characters and line breaks as escapes, `most` characters at most."""
    return _cut(_visible(_cut(str(value), most)), most)


def quoted(value: object, most: int = LONGEST) -> str:
    """Anything as Python writes it, on one line."""
    try:
        return shown(repr(value), most)
    except ValueError:  # an integer of more digits than Python writes
        return f"{type(value).__name__} that is too long to be written"


def readable(message: str) -> str:
    """A whole message, whose line breaks stay; the same again for one that was made readable before."""
    lines = message.split("\n", MOST_LINES)
    kept = [shown(line, LONGEST_LINE) for line in lines[:MOST_LINES]]
    return "\n".join([*kept, f"… and {lines[-1].count(chr(10)) + 1} more lines"] if len(lines) > MOST_LINES else kept)


def _cut(text: str, most: int) -> str:
    """The text, or its two ends."""
    if len(text) <= most:
        return text
    return f"{text[: most // 2]} … {text[3 - most // 2 :]}"


def _visible(text: str) -> str:
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)
