"""Rewrites numerals that a formula's grammar doesn't know: thousands, repeating decimals, mixed numbers, times."""

from __future__ import annotations

from fractions import Fraction

from verifiers.patterns import linear
from verifiers.wording.number_words import number_in_words
from verifiers.wording.vocabulary import names_things

_THOUSANDS = linear.compile(r"(?<![\d.,])[1-9]\d{0,2}(?:,\d{3})+(?!\d|,\d)")
_GAP = r"(?:\{,\}|\\[,;:! ]|,\s?\\[,;:! ]\s?|~)"
_THOUSANDS_SPACED = linear.compile(rf"(?<![\d.,])\d{{1,3}}(?: ?{_GAP} ?\d{{3}})+(?!\d)")
_THOUSANDS_BLANK = linear.compile(r"(?<![\d.,/^_}{])\d{1,3}(?: \d{3})+(?![\d/]| [\d/]| ?\\frac)")
_THOUSANDS_DOTTED = linear.compile(r"(?<![\d.,])\d{1,3}(?:\.\d{3}){2,}(?![\d.])")
_DECIMAL_COMMA = linear.compile(r"(?<!\d)(\d+)\{,\}(\d+)")
_COMMA_NUMBER = linear.compile(
    r"(\s*(?:[A-Za-z]\s?=\s?)?\$?-?)(\d{1,3}(?:[. ]\d{3}){1,4}|\d{1,12})(?:,|\{,\})(\d{1,12})"
    r"([^\d,;()\[\]]*(?:\^\{?[23]\}?\$?)?)"
)
_COMMA_LIST = linear.compile(r"[(\[{\\\s$]*-?\d+(?:,\d+)?(?:\s*;\s*-?\d+(?:,\d+)?){1,20}[)\]}\\\s$]*")
_BETWEEN_DIGITS = linear.compile(r"(\d),(\d)")
_MIXED = linear.compile(r"(?<![\d./^_}])(\d+)\s+(\d+)\s?/\s?(\d+)(?![\d/])")
_BARRED = linear.compile(r"(\d*)\.(\d*)\\(?:overline|bar)\s?(?:\{(\d+)\}|(\d))")
_BRACKETED = linear.compile(r"(\d*)\.(\d*)\((\d{1,30})\)(?![\d(])")
_DOTTED = linear.compile(r"(\d*)\.(\d*)\\dot\s?\{?(\d)\}?(?:(\d*)\\dot\s?\{?(\d)\}?)?")
_ENDLESS = linear.compile(r"(?<![\d.])(\d{0,40})\.(\d{3,512})\s?\\ldots")
_IN_BASE = linear.compile(
    r"(?<![A-Za-z0-9.}])(?:\((?P<inner>[0-9][0-9A-F]{0,40})\)|(?P<digits>[0-9][0-9A-F]{0,40}))\s?"
    r'(?:_\s?\{?\s?"?\s?(?:base\s?"?\s?)?(?P<base>\d{1,2}(?!\d)|[a-z]{3,7})\s?"?\s?\}?|(?:"|in\s)?\s?base\s?"?\s?(?P<last>\d{1,2})$)'
)
_LETTERS_IN_BASE = linear.compile(
    r'(?<![A-Za-z0-9.}\\])(?:"(?P<inner>[0-9A-F]{2,20})"|(?P<digits>[A-F][0-9A-F]{1,20}))\s?_\s?\{?\s?(?P<base>16)(?P<last>)\s?\}?'
)
_PREFIXED = linear.compile(r'(?<![A-Za-z0-9.])"?(0x[0-9A-Fa-f]{1,20}|0b[01]{1,60})"?(?![A-Za-z0-9.])')
_NO_DIGIT = linear.compile(r"\D")
_TEXT_MARKS = linear.compile(r"\\(?:text|mbox|textrm|textbf|textit|mathrm)\s?\{|\\[,;:! ]|\\q?quad(?![a-z])|[{}$~]")
_OPEN_TEXT = linear.compile(r"\\(?:text|mbox|textrm|textbf|textit|mathrm)\s?\{\s*$")


def joined_thousands(text: str) -> str:
    """Drops the marks of LaTeX and the blanks that part thousands, as in 1{,}234 or 1 234, and reads 3{,}14."""
    text = _THOUSANDS_SPACED.sub(lambda m: _NO_DIGIT.sub("", m.group()), text)
    text = _DECIMAL_COMMA.sub(r"\1.\2", text)
    text = _THOUSANDS_BLANK.sub(_without_blanks, text)
    return _THOUSANDS_DOTTED.sub(lambda m: m.group().replace(".", ""), text)


def _without_blanks(match: linear.Match) -> str:
    before = match.string[max(match.start() - 2, 0) : match.start()]
    stays = len(before) == 2 and before[1] == " " and (before[0].isdecimal() or before[0] in ".,/^_}{\\")
    return match.group() if stays else match.group().replace(" ", "")


def with_decimal_points(text: str) -> str:
    """Writes 3,5 and 1.234,5, and 1,5; 2,5 with points. A gold of MATH such as 1,2 is a list, so only one side may do
    so: the caller takes the two texts for one only where they are the same number then."""
    found = _COMMA_NUMBER.fullmatch(text)
    if found is not None:
        before, whole, digits, after = found.groups()
        thousands = len(digits) == 3 and "." not in whole and " " not in whole and 0 < len(whole) < 4 and whole != "0"
        return text if thousands else f"{before}{_NO_DIGIT.sub('', whole)}.{digits}{after}"
    if ";" in text and _COMMA_LIST.fullmatch(text):
        return _BETWEEN_DIGITS.sub(r"\1.\2", text).replace(";", ",")
    return text


def joined_at_commas(text: str) -> str:
    """Joins thousands such as 1,234,567 where the commas can't be those of a tuple or a set."""
    if "," not in text or (any(bracket in text for bracket in "([\x01") and ", " not in text):
        return text
    if text.startswith("-0,") and text[3:].isdigit():
        return text.replace(",", ".")  # no list, since nobody writes -0
    return _THOUSANDS.sub(lambda m: m.group().replace(",", ""), text)


def with_fractions(text: str) -> str:
    """Writes mixed numbers such as 3 1/4 with a fraction, and repeating decimals as exact fractions."""
    if "." in text:
        text = _BARRED.sub(lambda m: _repeating(m.group(1), m.group(2), m.group(3) or m.group(4)), text)
        text = _BRACKETED.sub(lambda m: _repeating(m.group(1), m.group(2), m.group(3)), text)
        text = _DOTTED.sub(_between_dots, text)
        text = _ENDLESS.sub(_endless, text)
    return _MIXED.sub(r"\1\\frac{\2}{\3}", text)


def _between_dots(match: linear.Match) -> str:
    whole, fixed, first, middle, last = match.groups()
    return _repeating(whole, fixed, first + (middle + last if last else ""))


def _endless(match: linear.Match) -> str:
    whole, digits = match.groups()
    for first in range(min(len(digits), 21)):
        for size in range(1, 13):
            times, rest = divmod(len(digits) - first, size)
            if rest == 0 and 3 <= times <= 41 and digits[first:] == digits[first : first + size] * times:
                return _repeating(whole, digits[:first], digits[first : first + size])
    for size in range(12, 1, -1):
        times, rest = divmod(len(digits), size)
        if rest == 0 and 2 <= times <= 21 and digits == digits[:size] * times:
            return _repeating(whole, "", digits[:size])
    return match.group()


def _repeating(whole: str, fixed: str, period: str) -> str:
    if len(whole) + len(fixed) + len(period) > 100:
        return f"{whole}.{fixed}\\overline{{{period}}}"
    nines = "9" * len(period) + "0" * len(fixed)
    top = int((whole or "0") + fixed + period) - int((whole or "0") + fixed)
    return rf"(\frac{{{top}}}{{{nines}}})"


def without_bases(text: str) -> str:
    """Writes numerals in another base, such as 101_2, 52_{\\text{eight}} or 0x1F, in base ten."""
    text = _PREFIXED.sub(lambda match: str(int(match.group(1), 0)), text)
    return _IN_BASE.sub(_in_ten, _LETTERS_IN_BASE.sub(_in_ten, text))


def _in_ten(match: linear.Match) -> str:
    word = match.group("base") or match.group("last")
    base = int(word) if word.isdigit() else number_word(word) or 0
    digits = match.group("digits") or match.group("inner")
    if match.group("last") and match.start():
        return match.group()
    if not 2 <= base <= 36 or any(int(digit, 36) >= base for digit in digits):
        return match.group()
    return str(int(digits, base))


def number_word(text: str) -> int | None:
    """Returns the whole number that one word says, such as eight; None for any other text."""
    value = number_in_words(text) if text.isalpha() else None
    return None if value is None else value.numerator


def in_words(text: str) -> Fraction | None:
    """Returns the number that an answer of words alone says, as text or plain; None for any other answer."""
    if len(text) > 200 or not any(map(str.isalpha, text[:20])):
        return None
    plain = _TEXT_MARKS.sub(" ", text).strip(" .,")
    return _counted_in_words(plain) if " " in plain or "-" in plain else None


def _counted_in_words(text: str) -> Fraction | None:
    """The number that words say, what is counted may follow: "three real roots"."""
    value = number_in_words(text)
    words = text.split()
    if value is not None or not words or number_in_words(words[0]) is None:
        return value
    for size in range(min(len(words) - 1, 8), 0, -1):
        if value is None and names_things(" ".join(words[size:])):
            value = number_in_words(" ".join(words[:size]))
    return value


def said_twice(answer: str) -> tuple[str, Fraction] | None:
    """Returns what stands beside the words of "1/2 (one half)" or "fifteen (15)", to be compared, and their number."""
    text = answer.strip(" .$")
    begun = text.rfind("(")
    if begun < 1 or len(text) > 300 or text.count("(") > 2:
        return None
    before, inner = (_TEXT_MARKS.sub(" ", part).strip(" .)$") for part in (text[:begun], text[begun:].lstrip("(")))
    if not text.rstrip("} .$").endswith(")"):
        return None
    figures = text[:begun].rstrip(" ~\\,;")
    for words, rest in ((inner, _OPEN_TEXT.sub("", figures)), (before, inner)):
        value = number_in_words(words)
        if value is not None and rest:
            return rest, value
    return None
