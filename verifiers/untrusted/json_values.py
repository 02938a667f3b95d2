"""JSON that somebody else wrote: within bounds of depth and of numbers, and with each field once."""

from __future__ import annotations

import json
import math
from collections import Counter
from typing import Any, NoReturn

DEEPEST_JSON = 100
"""Most lists and objects within one another."""
LONGEST_NUMBER = 4_000
"""Most digits of a number; Python reads no more than 4,300."""
_DIGITS = "0123456789"


def parse_json(text: str | bytes, *, finite: bool = True) -> Any:
    """The value of a JSON text.

    Args:
        text: a text, or its UTF-8.
        finite: whether NaN and Infinity, which JSON lacks and Python writes, are refused.

    Raises:
        ValueError: what is wrong, as the end of a sentence: "is not JSON (…)", "names … twice".
    """
    try:
        text = text.decode("utf-8") if isinstance(text, bytes) else text
        number = _refuse_long if _holds_long_number(text) else None
        value = json.loads(
            text,
            object_pairs_hook=_without_twins,
            parse_constant=_refuse if finite else None,
            parse_float=_finite if finite else None,
            parse_int=number,
        )
    except UnicodeDecodeError as error:
        raise ValueError(f"is not JSON in UTF-8 ({error.reason} at byte {error.start + 1})") from error
    except json.JSONDecodeError as error:
        raise ValueError(f"is not JSON ({error})") from error
    except RecursionError as error:
        raise ValueError(_TOO_DEEP) from error
    if text.count("[") + text.count("{") > DEEPEST_JSON and is_too_deep(value):
        raise ValueError(_TOO_DEEP)
    return value


def _holds_long_number(text: str) -> bool:
    """Whether more digits than a number may have stand in a row; such a row covers one of the places looked at."""
    for place in range(LONGEST_NUMBER, len(text), LONGEST_NUMBER):
        before, after = text[place - LONGEST_NUMBER : place], text[place : place + LONGEST_NUMBER]
        left, right = before.rstrip(_DIGITS), after.lstrip(_DIGITS)
        if len(before) - len(left) + len(after) - len(right) > LONGEST_NUMBER:
            return True
    return False


_TOO_DEEP = f"is not JSON that can be read: it is nested deeper than {DEEPEST_JSON} levels"


def is_too_deep(value: Any) -> bool:
    """Whether lists and objects lie deeper within one another than any of ours do."""
    layer, depth = [value], 0
    while layer and depth <= DEEPEST_JSON:
        inside = [part for part in layer if isinstance(part, list | dict)]
        layer = [item for part in inside for item in (part.values() if isinstance(part, dict) else part)]
        depth += bool(inside)
    return depth > DEEPEST_JSON


def is_of_whole_characters(text: str) -> bool:
    """Whether a text has no half of a surrogate pair, which JSON can spell and UTF-8 can't hold."""
    if text.isascii():
        return True
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _without_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    row = dict(pairs)
    if len(row) != len(pairs):
        twin = Counter(name for name, _ in pairs).most_common(1)[0][0]
        raise ValueError(f"names the field {twin[:80]!r} twice; keep one of them")
    return row


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"holds {constant}, which is no number; write null or a number")


def _finite(digits: str) -> float:
    number = float(digits)
    return number if math.isfinite(number) else _refuse(digits[:40])


def _refuse_long(digits: str) -> int:
    if len(digits) > LONGEST_NUMBER:
        raise ValueError(f"holds a number of {len(digits)} digits, and the most are {LONGEST_NUMBER}; shorten it")
    return int(digits)
