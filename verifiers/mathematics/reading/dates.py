"""Reads times of day and dates, however they are written: 3:45 p.m., noon, March 15, 2024, 15 March."""

from __future__ import annotations

from verifiers.patterns import linear

_TIME = linear.compile(r"(?:at )?(\d{1,2})(?: ?: ?([0-5]\d))? ?([ap]) ?\.? ?m ?\.?", linear.IGNORECASE)
_NAMED_TIME = linear.compile(r"(?:at )?(?:12(?: ?:00)? ?)?(noon|midnight)", linear.IGNORECASE)
_SPACING = linear.compile(
    r"\\(?:text|mathrm|mbox|textrm|textbf|textit|mathbf|quad|qquad)(?![a-z])"
    r"|\\[hm]s(?:pace|kip)\s?\{[^{}]{0,20}\}|\\[,!;:> ]"
    r"|[{}$~]|\\$"
)
_MONTHS = "january february march april may june july august september october november december"
_MONTH = rf"({'|'.join(f'{name}|{name[:3]}[.]?' for name in _MONTHS.split())}|sept[.]?)"
_DAY = r"(\d{1,2})(?:st|nd|rd|th)?"
_YEAR = r"(?:,? (\d{4}))?"
_MONTH_FIRST = linear.compile(rf"{_MONTH} {_DAY}{_YEAR}", linear.IGNORECASE)
_DAY_FIRST = linear.compile(rf"(?:the )?{_DAY}(?: of)? {_MONTH}{_YEAR}", linear.IGNORECASE)
_BY_SIZE = linear.compile(r"(\d{4})-(\d\d)-(\d\d)")
_SHORT_MONTHS = [name[:3] for name in _MONTHS.split()]
_LONGEST = 60
_ENDS = " .,}$~"
_LAST_OF_TIMES = ("m", "M", "noon", "midnight", "Noon", "Midnight")


def _plain(text: str) -> str:
    return " ".join(_SPACING.sub(" ", text).split()).rstrip(" ,.")


def time_of_day(text: str) -> tuple[int, int] | None:
    """Returns (hour from 0 to 23, minute) of a time with am or pm, of noon and midnight, else None."""
    if len(text) > _LONGEST or not text.rstrip(_ENDS).endswith(_LAST_OF_TIMES):
        return None
    plain = _plain(text)
    named = _NAMED_TIME.fullmatch(plain)
    if named is not None:
        return (12 if named.group(1).lower() == "noon" else 0), 0
    match = _TIME.fullmatch(plain)
    if match is None or not 1 <= int(match.group(1)) <= 12:
        return None
    return int(match.group(1)) % 12 + (12 if match.group(3).lower() == "p" else 0), int(match.group(2) or 0)


def date_of(text: str) -> tuple[int, int, int] | None:
    """Returns (year, or 0 where none is said, month, day) of a date, else None."""
    if len(text) > _LONGEST or not (text[-1:].isdigit() or text.rstrip(_ENDS)[-1:].isalnum()):
        return None
    lower = text.lower()
    if not any(month in lower for month in _SHORT_MONTHS) and not lower.startswith(("1", "2")):
        return None
    plain = _plain(text)
    by_size = _BY_SIZE.fullmatch(plain)
    if by_size is not None:
        year, month, day = map(int, by_size.groups())
        return year, month, day
    first, other = _MONTH_FIRST.fullmatch(plain), _DAY_FIRST.fullmatch(plain)
    if first is not None:
        name, day_said, year_said = first.groups()
    elif other is not None:
        day_said, name, year_said = other.groups()
    else:
        return None
    return int(year_said or 0), _SHORT_MONTHS.index(name[:3].lower()) + 1, int(day_said)
