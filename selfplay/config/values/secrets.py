"""Secrets: no recipe holds any, and what looks like one is struck from all that is written. The only place for either.

A secret belongs into the environment. What is written are the copy of the recipe, logs, metrics, tables for people, the
report and cards; trackers copy from these. Parquet tables are data, and stay as models wrote them.
"""

from __future__ import annotations

import io
import os
import re
import sys
from array import array
from collections.abc import Iterator, Mapping
from typing import Any

STRUCK = "[secret]"
SHORTEST = 8
"""Characters of a variable's value below which it is no secret, and striking it would spoil honest text."""
_ROUNDS = 3
"""Spellings within spellings that are seen through, as in JSON within JSON."""
_DEEPEST = 64

# Bounded, or begun where a word does: a text of models costs time in proportion to its length. Where there is a group,
# it alone is the secret. None holds a quote or a backslash, so that JSON stays JSON.
_SHAPES = re.compile(
    r"(?<![A-Za-z0-9])(?:"
    r"hf_[A-Za-z0-9]{16,}"
    r"|sk-[A-Za-z0-9_-]{16,}"
    r"|gh[opsur]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,}|glpat-[A-Za-z0-9_-]{16,}"
    r"|wandb_v1_[A-Za-z0-9_]{16,}|npm_[A-Za-z0-9]{30,}|pypi-[A-Za-z0-9_-]{30,}"
    r"|A[KS]IA[A-Z0-9]{16}|AIza[A-Za-z0-9_-]{30,}|xox[abeprs]-[A-Za-z0-9-]{10,}|xapp-[A-Za-z0-9-]{20,}"
    r"|eyJ[A-Za-z0-9_-]{8,1024}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{4,}"
    r"|(?i:bearer)[ :=]{1,4}(?=[A-Za-z._~+/=-]{0,64}[0-9])([A-Za-z0-9._~+/=-]{12,})"
    r"|(?i:authorization)[\"']?[ ]?[:=][ ]?[\"']?(?:[A-Za-z]{1,16} )?([^\s\"',;\\<>]{8,})"
    r"|(?i:(?:api_?|access_)key|(?:hub|hf|access|auth)_token)[\"']?[ ]?[:=][ ]?[\"']?"
    r"(?=[A-Za-z._~+/=-]{0,64}[0-9])([A-Za-z0-9._~+/=-]{12,})"
    r")"
    r"|://([^\s/:@\"'<>\\]{1,128}:[^\s/@\"'<>\\]{1,128})@"
    r"|[?&](?i:(?:api_?|access_)?key|(?:access_|auth_)?token|signature)=([^&\s\"'<>\\]{8,})"
    r"|-----BEGIN [A-Z ]{0,32}PRIVATE KEY-----((?:[A-Za-z0-9+/=\s]|\\n){1,8192})"
)
_SPELLINGS = re.compile(
    r"\\u([0-9a-fA-F]{4})|\\U([0-9a-fA-F]{8})|\\u\{([0-9a-fA-F]{1,8})\}|\\x([0-9a-fA-F]{2})|%([0-9a-fA-F]{2})"
    r"|&#[xX]0{0,32}([0-9a-fA-F]{1,6});|&#0{0,32}([0-9]{1,7});|\\([\"\\/bfnrt])"
)
_LETTERS = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_SECRET_VARIABLE = re.compile(r"TOKEN(?!IZ)|KEY|SECRET|PASSWO?R?D|CREDENTIAL", re.IGNORECASE)
_WORD = re.compile(r"[A-Za-z]{1,11}")

_SECRET_FIELD = re.compile(
    r"(?:.*_)?(?:hub|hf|api|auth|access|bearer|wandb|github|refresh|session|private|secret|huggingface|openai)"
    r"_?(?:token|key)"
    r"|(?:.*_)?(?:apikey|secret|password|passwd|credentials?|authorization)|token"
)
_FOR_THE_HUB = re.compile(r"(?:.*_)?(?:hub|hf|huggingface)_?token|token")


def names_a_secret(variable: str) -> bool:
    """Whether an environment variable of that name is taken for a secret."""
    return _SECRET_VARIABLE.search(variable) is not None


def struck(text: str) -> str:
    """The text without what looks like a secret, however it is spelt: plain, `\\uXXXX`, percent or HTML."""
    if not _SPELLINGS.search(text):
        return _without(text, list(_found(text)))
    # A letter after a backslash may belong to it.
    spans = [(start, end) for start, end in _found(text) if text[start - 1 : start] != "\\"]
    plain, places, changed = text, array("q", range(len(text) + 1)), True
    for _ in range(_ROUNDS):
        plain, places, changed = _respelt(plain, places)
        spans += [(places[start], places[end]) for start, end in _found(plain)]
        if not changed:
            break
    return _without(text, spans)


def _without(text: str, spans: list[tuple[int, int]]) -> str:
    pieces, done = [], 0
    for start, end in sorted(spans):
        if start >= done:
            pieces += [text[done:start], STRUCK]
        done = max(done, end)
    return "".join([*pieces, text[done:]])


def _found(text: str) -> Iterator[tuple[int, int]]:
    """The half-open spans of secrets in a text."""
    yield from (match.span(match.lastindex or 0) for match in _SHAPES.finditer(text))
    for value in _values(os.environ):
        start = text.find(value)
        while start >= 0:
            yield start, start + len(value)
            start = text.find(value, start + len(value))


def _values(environment: Mapping[str, str]) -> list[str]:
    """The values of variables that hold secrets by their names; short words and paths are none."""
    named = (value.strip() for name, value in environment.items() if _SECRET_VARIABLE.search(name))
    return [
        form
        for value in named
        if len(value) >= SHORTEST and not _WORD.fullmatch(value) and not value.startswith("/")
        for form in _forms(value)
    ]


def _forms(value: str) -> Iterator[str]:
    """The value, and what is left of it in a text whose spellings were undone, where it holds some, such as `%20`."""
    yield value
    for _ in range(_ROUNDS if _SPELLINGS.search(value) else 0):
        value, _, changed = _respelt(value, array("q", range(len(value) + 1)))
        if changed and len(value) >= SHORTEST:
            yield value


def _respelt(text: str, places: array[int]) -> tuple[str, array[int], bool]:
    """The text with one layer of spellings undone, and where each character, and the end, stood in the first text."""
    parts, kept, done = [], array("q"), 0
    for match in _SPELLINGS.finditer(text):
        parts += [text[done : match.start()], _character(match)]
        kept += places[done : match.start()]
        kept.append(places[match.start()])
        done = match.end()
    return "".join([*parts, text[done:]]), kept + places[done:], bool(parts)


def _character(match: re.Match[str]) -> str:
    *_, decimal, letter = match.groups()
    if letter:
        return _LETTERS.get(letter, letter)
    number = int(decimal) if decimal else int(match[match.lastindex or 0], 16)
    return chr(number) if number <= sys.maxunicode else "\ufffd"


class StruckStream(io.TextIOWrapper):
    """A stream of text from which secrets are struck as they are written."""

    def write(self, text: str) -> int:
        """Writes what is left of a text."""
        super().write(struck(text))
        return len(text)


def strike_streams() -> None:
    """Has what this process and its libraries print in Python go through `struck`; for processes that print to logs."""
    for number, name in ((1, "stdout"), (2, "stderr")):
        sink = open(number, "wb", buffering=0, closefd=False)  # noqa: SIM115 - as long as the process
        setattr(sys, name, StruckStream(sink, encoding="utf-8", errors="replace", write_through=True))


def refuse_secrets(settings: Any) -> None:
    """Refuses a recipe that holds a secret, or has code of a model's folder run.

    Args:
        settings: as they were read.

    Raises:
        ValueError: names the field; never what it holds.
    """
    left: list[tuple[str, Any, int]] = [("", settings, 0)]
    while left:
        at, value, depth = left.pop()
        listed = enumerate(value) if isinstance(value, list | tuple) else ()
        inner = value.items() if isinstance(value, Mapping) else listed
        for key, held in inner if depth < _DEEPEST else ():
            field = f"{at}.{key}" if at else str(key)
            _judge(field, str(key), held)
            left.append((field, held, depth + 1))


def _judge(field: str, key: str, held: Any) -> None:
    name = key.lower().replace("-", "_")
    if name == "trust_remote_code" and held is not False:
        raise ValueError(f"{field}: code in a model's folder is never run; remove it, and take a model that needs none")
    if held and held is not True and _SECRET_FIELD.fullmatch(name):
        variable = "HF_TOKEN" if _FOR_THE_HUB.fullmatch(name) else "an environment variable"
        raise ValueError(f"{field}: a secret never stands in a recipe, which is copied; remove it, and set {variable}")
    if isinstance(held, str) and struck(held) != held:
        raise ValueError(
            f"{field}: holds what looks like a secret, or the value of an environment variable that is named like one; "
            "a recipe is copied, so keep it in the environment alone"
        )
