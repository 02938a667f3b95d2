"""What an honest program is: its source, its input and its exact output."""

from __future__ import annotations

from dataclasses import dataclass
from textwrap import dedent


@dataclass(frozen=True)
class Honest:
    """A program, its input and its exact output."""

    name: str
    source: str
    given: bytes
    wanted: bytes
    language: str = "python"


def one(name: str, source: str, wanted: str | bytes, given: str | bytes = "", language: str = "python") -> Honest:
    as_bytes = [text.encode() if isinstance(text, str) else text for text in (given, wanted)]
    return Honest(name, dedent(source).strip("\n"), *as_bytes, language)
