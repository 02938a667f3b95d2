"""Gives each thing that LaTeX or plain notation has several names for one of them."""

from __future__ import annotations

import re

_SAME = (
    (r"\{", "\x01"), (r"\}", "\x02"), (r"\lbrace", "\x01"), (r"\rbrace", "\x02"), (r"\varnothing", r"\emptyset"),
    (r"\langle", "("), (r"\rangle", ")"), (r"\bigcup", r"\cup"), (r"\bigcap", r"\cap"),
    (r"\backslash", r"\setminus"), (r"\lt ", "<"), (r"\gt ", ">"), (r"\colon", ":"), (r"\operatorname*", r"\mathrm"),
    (r"\|", "|"), (r"\dbinom", r"\binom"), (r"\tbinom", r"\binom"),
)  # fmt: skip
_REWRITTEN = (
    (re.compile(r"\\(?:mathbf|mathrm)\s?\{R\}(?=\s*(?:$|[,.;\\^}\x02-]))"), r"\\reals "),
    (re.compile(r"\\[lr]?vert(?![a-z])\s?"), "|"),
    (re.compile(r"\\overline\s?\{([A-Z]{2,4})\}"), r"\1"),
    (re.compile(r"\\[pb]?mod\s?\{?\s?(\w+)\s?\}?"), r"(mod \1)"),
)
_NUMBER_SETS = re.compile(r"\\(?:mathbb|Bbb)\s?\{?\s?([RZNQC])(?![A-Za-z])\s?\}?")
_SET_NAMES = {"R": "reals", "Z": "integers", "N": "naturals", "Q": "rationals", "C": "complexes"}
_LARGE = re.compile(
    r"(?<=\d)\s?(?:\\text\{)?\s?\b(hundred|thousand|million|billion|trillion)s?\b\s?(?:of)?\}?", re.IGNORECASE
)
_SIZES = {"hundred": "100", "thousand": "10^3", "million": "10^6", "billion": "10^9", "trillion": "10^{12}"}
_ELLIPSIS = re.compile(r"\\(?:dots[cbmio]?|cdots|ldots)(?![a-z])|\.\.\.+")
_INFINITY = re.compile(r"\bInfinity\b")
_CHOOSE = re.compile(r"(?:\{\})?_\{?(\d{1,6})\}?\s?C_\{?(\d{1,6})\}?")
_PLUS_MINUS = re.compile(r"\+\s?/\s?-|(?:^|(?<==))\s*\+\s?-(?=\s*[\d\\s(])")
_UNION = re.compile(r"(?<=[)\]\x02])\s*[uU]\s*(?=[(\[\x01])")


def with_one_name(text: str) -> str:
    """Returns the text with sets between \\x01 and \\x02, `\\reals` for the real numbers, and so on."""
    if "\\" in text:
        for name, one in _SAME:
            text = text.replace(name, one)
        text = _NUMBER_SETS.sub(lambda match: f"\\{_SET_NAMES[match.group(1)]} ", text)
        for pattern, one in _REWRITTEN:
            text = pattern.sub(one, text)
    text = _LARGE.sub(lambda match: rf"\cdot {_SIZES[match.group(1).lower()]} ", _INFINITY.sub("infinity", text))
    text = _CHOOSE.sub(r"\\binom{\1}{\2}", _ELLIPSIS.sub(r"\\ldots ", text))
    return _PLUS_MINUS.sub(r"\\pm ", _UNION.sub(r"\\cup ", text))
