"""Brings the ways people write an answer to one spelling, by text rules alone; each rule reads its text
once."""

from __future__ import annotations

import re

_CHARACTERS = str.maketrans(
    {
        "−": "-", "–": "-", "—": "-", "×": r"\times ", "·": r"\cdot ", "⋅": r"\cdot ", "÷": "/", "⁄": "/",
        "π": r"\pi ", "∞": r"\infty ", "≤": r"\le ", "≥": r"\ge ", "≠": r"\ne ", "≈": r"\approx ",
        "∪": r"\cup ", "∩": r"\cap ", "∈": r"\in ", "±": r"\pm ", "∅": r"\emptyset ", "√": r"\sqrt ",
        "°": r"^\circ ", "²": "^{2}", "³": "^{3}", "½": r"\frac{1}{2}", "¼": r"\frac{1}{4}",
        "¾": r"\frac{3}{4}", "θ": r"\theta ", "α": r"\alpha ", "β": r"\beta ", "λ": r"\lambda ",
        "φ": r"\phi ", "…": r"\ldots ", "，": ",", "（": "(", "）": ")", "：": ":", "；": ";", "。": ".",
        "％": "%", "′": "'", "“": "", "”": "", "€": "", "£": "", "¥": "", "\u00a0": " ", "\u200b": "",
    }
)  # fmt: skip
_DROPPED = re.compile(
    r"\\(?:left|right|displaystyle|textstyle|limits|boxed|fbox|Bigg?|bigg?|[Bb]igg?[lrm]|mathstrut|phantom"
    r"|ensuremath|rm|bf|it)(?![a-zA-Z])|\\(?:boxed|fbox)(?=\{)|\\!|\\label\{[^{}]*\}"
)
_SPACES = re.compile(r"\\(?:qquad|quad|hspace\{[^{}]*\}|[,;:> ])|~|\s+")
_DEGREES = re.compile(r"\^\s?\{?\s?\\circ\s?\}?|\\degree(?![a-zA-Z])|\bdegrees?\b|\\circ(?=\s*[.,]?\s*$)")
_TRIGONOMETRY = re.compile(r"\b(?:sin|cos|tan|cot|sec|csc)")
_ANGLE = re.compile(r"(\d+(?:\.\d+)?)\s?\^\s?\{?\s?\\circ\s?\}?")
_PERCENT = re.compile(r"\\?%|\\text\s?\{\s*(?:\\?%|percent(?:age)?|pct)\s*\}|\b(?:percent(?:age)?|pct)\b")
_TEXT = re.compile(
    r"\\(?:text|mbox|mathrm|textbf|textit|textrm|texttt|mathbf|mathit|mathsf|operatorname|hbox)\s?\*?\s?\{([^{}]*)\}"
)
_JOINING = re.compile(r"^\s*(?:,\s*)?(?:and|or|&)\s*(?:,\s*)?$", re.IGNORECASE)
_JOINING_PLAIN = re.compile(r"(?:\s*,)?\s+(?:and|or)\s+|\s*,\s*(?:and|or)\s+", re.IGNORECASE)
_THOUSANDS = re.compile(r"(?<![\d.,])\d{1,3}(?:,\d{3})+(?![\d,])")
_THOUSANDS_SPACED = re.compile(r"(?<![\d.])\d{1,3}(?:(?:\{,\}|\\,|,\s?\\!|\\ )\d{3})+(?!\d)")
_MIXED = re.compile(r"(?<![\d./^_}])(\d+)\s+(\d+)\s?/\s?(\d+)(?![\d/])")
_REPEATING = re.compile(r"(\d*)\.(\d*)\\(?:overline|bar)\s?\{?(\d+)\}?")
_UNITS = (
    "square|cubic|sq|cents?|dollars?|usd|bucks|cm|mm|km|kg|mg|lbs?|pounds?|ounces?|oz|inch(?:es)?|feet|foot|ft|yards?"
    "|miles?|meters?|metres?|kilometers?|centimeters?|units?|hours?|hrs?|minutes?|mins?|seconds?|secs?|days?|weeks?"
    "|months?|years?|mph|mi|radians?|rad|people|students?|men|women|apples?|books?|ways|points?|liters?|litres?|ml"
    "|gallons?|grams?|times|rows?|pages?|pieces?|marbles?|coins?|tiles?|cubes?|boxes|games?|numbers?|integers?|values?"
    "|solutions?|euros?|pence|per"
)
_PLAIN_UNIT = re.compile(
    rf"(?<=[\d)}}])\s*(?:(?:{_UNITS})(?![A-Za-z])[\s.]*(?:(?:\^|\*\*)?\s?\{{?[23]\}}?)?[\s/]*)+$",
    re.IGNORECASE,
)
_HEDGING = re.compile(r"\b(?:or|not|but|maybe|perhaps|possibly|more|less|least|most|than|no)\b", re.IGNORECASE)
_TEXT_UNIT = re.compile(r"^(?P<core>[^\"]*\d[^\"]*?|\$?\d[^\"]*?)(?P<words>(?:\s*\"[^\"]*\"\s*(?:\^\s?\{?[23]\}?)?)+)$")
_SHORT_FRACTION = re.compile(r"\\frac\s*(?:(\d)\s*(\d)|(\d)\s*(\{)|(\{[^{}]*\})\s*(\d)|(\d)\s*([a-zA-Z]))")
_FRACTION_NAMES = re.compile(r"\\[dtc]frac(?![a-zA-Z])")
_EDGE = re.compile(r"^[\s*]+|[\s.,;:\\*]+$")
_DELIMITERS = re.compile(r"\\\(|\\\)|\\\[|(?<!\\)\\\]|\$")
_TRAILING_ITEM = re.compile(r"\\(?:text|mbox)\s?\{\s*(?:are|is|units?)?\s*\}")


def normalise(text: str) -> str:
    """Returns the answer in one spelling: without dollar signs, blanks, units, `\\text`, degree signs or
    thousands separators. Words that the author marked as text stay, between double quotes."""
    text = text.translate(_CHARACTERS).replace('"', "").replace(r"\$", " ")
    if re.search(r"\\\\[A-Za-z]{2}", text) and "\\begin" not in text:
        text = re.sub(r"\\\\(?=[A-Za-z])", r"\\", text)
    if "\\begin" in text:
        text = text.replace("\\\\", " \x06 ")
    text = _THOUSANDS_SPACED.sub(lambda m: re.sub(r"\D", "", m.group()), text)
    text = text.replace(r"\{", "\x01").replace(r"\}", "\x02").replace(r"\lbrace", "\x01").replace(r"\rbrace", "\x02")
    text = text.replace(r"\varnothing", r"\emptyset")
    if _TRIGONOMETRY.search(text):
        text = _ANGLE.sub(r"(\1\\pi/180)", text)
    text = _DROPPED.sub("", _DELIMITERS.sub(" ", text))
    text = _DEGREES.sub("", _PERCENT.sub("%", text))
    text = _TEXT.sub(_quoted, _TRAILING_ITEM.sub("", text))
    text = _REPEATING.sub(_repeating, _FRACTION_NAMES.sub(r"\\frac", text))
    text = _SPACES.sub(" ", text)
    text = _EDGE.sub("", text)
    text = _JOINING_PLAIN.sub(" , ", text)
    text = _without_units(text)
    text = _MIXED.sub(r"\1\\frac{\2}{\3}", text)
    text = _outside_brackets(text)
    text = _SHORT_FRACTION.sub(_braced, _SHORT_FRACTION.sub(_braced, text))
    text = _EDGE.sub("", text)
    text = re.sub(r"(?<=\d) (?=\d)", "\x03", text).replace(" ", "") if "\\" not in text else _tight(text)
    return re.sub(r"^\+", "", text)


def squeezed(text: str) -> str:
    """Returns the text without blanks and without dollar signs around it: the oldest rule of all."""
    return "".join(text.split()).strip("$")


def _quoted(match: re.Match[str]) -> str:
    words = match.group(1)
    if _JOINING.match(words):
        return " , "
    words = _JOINING_PLAIN.sub(" , ", words) if re.search(r"\d", words) else words
    if re.fullmatch(r"\s*(?:[\d.,/\s%()^-]*|[A-Za-z]|sin|cos|tan|log|ln|sqrt|pi)\s*", words):
        return f" {words.strip()} "
    return f' "{words.strip()}" ' if words.strip() else " "


def _repeating(match: re.Match[str]) -> str:
    whole, fixed, period = match.groups()
    nines = "9" * len(period) + "0" * len(fixed)
    top = int((whole or "0") + fixed + period) - int((whole or "0") + fixed) if len(period) < 40 else 0
    return rf"(\frac{{{top}}}{{{nines}}})" if top else match.group()


def _without_units(text: str) -> str:
    worded = _TEXT_UNIT.match(text)
    if (
        worded
        and not _HEDGING.search(worded.group("words"))
        and not re.search(r"\d", worded.group("words").replace("^", "").strip('23{} "'))
    ):
        text = worded.group("core").strip()
    return _PLAIN_UNIT.sub("", text).strip()


def _outside_brackets(text: str) -> str:
    """Joins thousands such as 1,234,567 where no bracket makes the commas those of a tuple."""
    if "," not in text or any(bracket in text for bracket in "([\x01"):
        return text
    return _THOUSANDS.sub(lambda m: m.group().replace(",", ""), text)


def _braced(match: re.Match[str]) -> str:
    parts = [part for part in match.groups() if part]
    if parts[1] == "{":
        return rf"\frac{{{parts[0]}}}{{"
    return r"\frac" + "".join(part if part.startswith("{") else f"{{{part}}}" for part in parts)


def _tight(text: str) -> str:
    """Drops blanks, but keeps the one that ends a command or parts two numbers."""
    text = re.sub(r"(\\[A-Za-z]+) (?=[A-Za-z])", "\\1\x04", text)
    text = re.sub(r"(?<=\d) (?=\d)", "\x03", text).replace(" ", "")
    return text.replace("\x04", " ")
