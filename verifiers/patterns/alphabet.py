"""Texts as bytes, one for each character, so that places in the bytes are places in the text.

ASCII and Latin-1 stand for themselves. A few others have bytes of their own, since patterns name them;
all others share four: a blank, a letter, a digit, something else. So `\\s`, `\\w` and `\\d` mean what they do to `re`.
"""

from __future__ import annotations

import codecs
from functools import lru_cache

_BLANK, _OTHER, _LETTER, _DIGIT = 0xA0, 0x80, 0x81, 0x82
NAMED = "’′–—…。，、：；！？√π⁻⁄∕✅答案是为≈•≤≥≠\ufffd"
_FREE = [code for code in range(0x83, 0xA0) if code != 0x85]
_CODES = dict(zip(NAMED, _FREE, strict=False))
_CHARACTERS = {code: char for char, code in _CODES.items()}

EVERY = frozenset(range(256))
_TABLE = "".join(
    _CHARACTERS.get(code, "\ufffe" if 0x80 <= code < 0xA0 and code != 0x85 else chr(code)) for code in range(256)
)
_ENCODING = codecs.charmap_build(_TABLE)


def _class_of(char: str) -> int:
    if char.isspace():
        return _BLANK
    if char.isalnum():
        return _DIGIT if char.isdecimal() else _LETTER
    return _OTHER


def _classes(error: UnicodeError) -> tuple[bytes, int]:
    assert isinstance(error, UnicodeEncodeError)
    return bytes(map(_class_of, error.object[error.start : error.end])), error.end


codecs.register_error("verifiers.patterns", _classes)


def encoded(text: str) -> bytes:
    """Returns as many bytes as the text has characters."""
    if text.isascii():
        return text.encode("ascii")
    return codecs.charmap_encode(text, "verifiers.patterns", _ENCODING)[0]


def code_of(char: str) -> int:
    """Returns the byte of a character that a pattern names; ValueError where it has none of its own."""
    if char in _CODES:
        return _CODES[char]
    if ord(char) > 0xFF or 0x80 <= ord(char) < 0xA0:
        raise ValueError(f"{char!r} has no byte of its own: name it in verifiers.patterns.alphabet")
    return ord(char)


def char_of(code: int) -> str | None:
    """Returns the character that alone has this byte, or None."""
    return _CHARACTERS.get(code) or (chr(code) if code < 0x80 or code > 0xA0 else None)


def _of_class(told: str) -> frozenset[int]:
    """The bytes of the characters of which a method of `str` holds true."""
    plain = {code for code in EVERY if (char := char_of(code)) is not None and getattr(char, told)()}
    shared = {_BLANK: "\u2003", _LETTER: "\u4e00", _DIGIT: "\u0663"}
    return frozenset(plain | {code for code, char in shared.items() if getattr(char, told)()})


DIGITS = _of_class("isdecimal")
BLANKS = _of_class("isspace") | {0x85}
WORDS = _of_class("isalnum") | {ord("_")}


@lru_cache(1024)
def with_both_cases(codes: frozenset[int]) -> frozenset[int]:
    """Returns the codes with those of the same letters in the other case."""
    letters = [chr(code) for code in codes if code < 0x80 or code > 0xBF]
    folded = {ord(other) for char in letters for other in (char.lower(), char.upper()) if len(other) == 1}
    return codes | {code for code in folded if code < 0x100}
