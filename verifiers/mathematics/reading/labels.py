"""Tells a label from an equation to solve: P(A|B) = 0.5 gives a value, 3x = 42 does not."""

from __future__ import annotations

from math import gcd

from verifiers.mathematics.reading.split import closing, split, split_command
from verifiers.mathematics.reading.tokens import GREEK
from verifiers.patterns import linear
from verifiers.wording.vocabulary import denies

_BLANKS_TO_FILL = "square Box bigcirc triangle heartsuit spadesuit clubsuit diamondsuit star bigstar blacksquare"
_LETTER = rf"(?:[A-Za-z]|\\(?:{'|'.join([*GREEK, *_BLANKS_TO_FILL.split()])}))"
_SUBSCRIPT = r"(?:_(?:\{[^{}]*\}|[A-Za-z0-9]))?"
_ONE = rf"{_LETTER}{_SUBSCRIPT}(?:\^\{{-1\}}|'*)"
_NAME = linear.compile(
    rf"^(?:{_ONE}(?:\([A-Za-z0-9,]{{0,12}}\))?|\|[A-Z]{{1,3}}\||(?:m|\\measuredangle|\\triangle)?\\angle ?[A-Z]{{1,3}}"
    rf"|[A-Z]{{2,4}}|pO?H|pK_\{{?[abw]\}}?|\|\|?[A-Za-z]{{1,2}}\|\|?|\[[A-Z]{{3,6}}\]|\\frac\{{d(?:\^\{{?2\}}?)?[a-z]?\}}\{{d[a-z](?:\^\{{?2\}}?)?\}}|\"[^\"]*\""
    rf"|\\nabla ?[A-Za-z]|\\frac\{{\\partial ?[a-z]?\}}\{{\\partial ?[a-z]\}}"
    rf"|d[a-z]?/d[a-z]|[A-Za-z]\"-[a-z]{{2,12}}\"|{_ONE}(?::{_ONE})+|\(?{_ONE}(?:,{_ONE})+\)?)$"
)
_SUM_OF_NAMES = linear.compile(r"^\d{0,4}[a-dkm-s](?:[+-]\d{0,4}[a-dkm-s])+$")
"""As in m+n = 113, which answers a question for the sum; x+y = 2 is rather a line."""
_MULTIPLE = linear.compile(r"(\d{0,4})[a-z]")
_HEAD = linear.compile(
    rf"(?:[A-Zfgh]|\\(?:phi|varphi|sigma|tau|mu|Phi|Gamma|zeta|Pr|det|dim|gcd|deg|arg|ker|mathbb\{{[PE]\}})|\"[A-Za-z]{{1,12}}\""
    r"|\((?:[A-Za-z]\\circ ?){1,3}[A-Za-z]\))"
    rf"{_SUBSCRIPT}(?:\^\{{-1\}}|'*)\s?(?=[(\[\x01])"
)
_QUANTITY = linear.compile(
    r"(?:[A-Z]{2,4}'?|(?:m|\\measuredangle ?)?\\angle ?[A-Z]{1,3}|\[[A-Z]{3,6}\]|\|[A-Z]{1,3}\|"
    r"|(?:\\triangle ?)[A-Z]{3})(?:\^\{?[23]\}?)?"
)
_SIZE = linear.compile(r"\|[A-Z](?:(?:\\(?:cup|cap|setminus|times) ?)[A-Z])+\|")
_ANGLE = r"(?:[A-Za-z]|\\(?:theta|alpha|beta|gamma|phi) ?)"
_TRIGONOMETRIC = linear.compile(
    r"\\?(?:sin|cos|tan|cot|sec|csc)(?:\^\{?2\}?)?"
    rf"(?: ?\d?{_ANGLE}| ?\\angle ?[A-Z]{{1,3}}|\(\d?{_ANGLE}(?:/2)?\)|\{{[A-Z]\}}"
    rf"| ?\(?(?:\\frac\{{{_ANGLE}\}}\{{2\}}|\\frac\{{1\}}\{{2\}}{_ANGLE})\)?)"
)
_EXTREME = linear.compile(r"\\?(?:min|max|inf|sup)(?![A-Za-z])(?:_(?:\{[^{}]{0,60}\}|[A-Za-z]))? ?")
_OF_MATRIX = linear.compile(r"(?:\\(?:det|deg|dim|arg|ker) ?|\"(?:tr|rank|deg|ord)\") ?[A-Za-z](?:\([A-Za-z]\))?")
_OPERATION = linear.compile(
    r"-?\d{1,6} ?(?:\\?[&@#]|\\(?:star|bigstar|oplus|ominus|otimes|odot|diamond|diamondsuit|heartsuit"
    r"|spadesuit|clubsuit|triangle|nabla|square|bigcirc|circ|wr|bullet|dagger) ?) ?-?\d{1,6}"
)
"""An operation that a task defines, as in 9 \\& 2."""
_PROJECTION = linear.compile(r'"(?:proj|comp|orth|perp)"_(?:\{[^{}]{1,20}\}|[A-Za-z]) ?\(?[A-Za-z]\)?')
_FRACTION = linear.compile(r"\\frac\{([^{}]*(?:\{[^{}]*\}[^{}]*)*)\}\{([^{}]*(?:\{[^{}]*\}[^{}]*)*)\}")
_CALCULUS = linear.compile(r"\\(?:int|iint|oint|sum|prod|lim|limsup|liminf|frac\{d\}|frac\{\\partial)(?![A-Za-z])")
_COMMAND = linear.compile(r"\\[A-Za-z]+|\"[^\"]*\"")
_COUNT = linear.compile(r"n\([A-Z][A-Z\\a-z ']*\)")
_SYMBOL = linear.compile(r"(?<![\\A-Za-z])[A-Za-z]")
_BOUND = linear.compile(
    r"(?:\\(?:sum|prod)_\{?([a-z])=|\\lim_\{?([a-z])\\to|d([a-z])(?![a-z])|frac\{d\}\{d([a-z])\}|\{\\partial ?([a-z]))"
)


def is_name(text: str) -> bool:
    """Tells whether a text is one name: x, a_1, f(2), AB, some words."""
    if text[:1] == '"':
        return bool(_NAME.match(text)) and not denies(text)
    return bool(_NAME.match(text)) and text != "\\pi"


def is_label(text: str) -> bool:
    """Tells whether what stands before an equals sign names a quantity that the other side is the value of."""
    if is_name(text) or _is_sum_of_names(text) or _SIZE.fullmatch(text) or _is_application(text):
        return True
    extreme = _EXTREME.match(text)
    if extreme and (extreme.end() == len(text) or is_label(text[extreme.end() :])):
        return True
    if any(kind.fullmatch(text) for kind in (_TRIGONOMETRIC, _OF_MATRIX, _OPERATION, _PROJECTION)):
        return True
    fraction = _FRACTION.fullmatch(text)
    sides = [fraction.group(1), fraction.group(2)] if fraction else split(text, "/")
    if len(sides) == 2 and all(is_name(side) and side not in ("d", "1") for side in sides):
        return True
    parts = [
        piece for side in sides for part in split_command(side, "\\cdot", "\\times") for piece in split(part, "+-/:")
    ]
    return all(_QUANTITY.fullmatch(part.strip()) or _is_application(part.strip()) for part in parts)


def _is_sum_of_names(text: str) -> bool:
    """Tells whether a sum of names, or of multiples of them, is one from which no number can be taken out."""
    return bool(_SUM_OF_NAMES.match(text)) and gcd(*(int(times or 1) for times in _MULTIPLE.findall(text))) == 1


def is_open_calculus(text: str) -> bool:
    """Tells whether a sum, limit or integral depends on what is not given in it, so that nothing can contradict it."""
    if not _CALCULUS.match(text):
        return False
    if text.startswith("\\int") and "_" not in text[:6]:
        return True
    bound = {letter for found in _BOUND.finditer(text) for letter in found.groups() if letter} | {"d", "e", "i"}
    return any(char.isalpha() and char not in bound for char in _COMMAND.sub(" ", text))


def _is_application(text: str) -> bool:
    head = _HEAD.match(text)
    if not head:
        return text.startswith("n(") and bool(_COUNT.fullmatch(text))
    inner = text[head.end() + 1 : -1]
    letter = head.group()[0]
    known = head.group().strip()[:4] in {"\\gcd", "\\det"} and not _SYMBOL.search(inner)
    again = letter.isalpha() and letter in inner.split("\\")[0] and not _is_application(inner)
    return closing(text, head.end()) == len(text) - 1 and not known and not again
