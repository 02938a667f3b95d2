"""Finds boxes in a text, and which of them make up one answer; each text is read from left to right once."""

from __future__ import annotations

from collections.abc import Sequence

from verifiers.patterns import linear
from verifiers.wording.values import UNIT_AFTER
from verifiers.wording.vocabulary import names_things

_BOX_TOKENS = linear.compile(r"\\(?:boxed|fbox|framebox)\s{0,8}\{|\\.|[{}]", linear.DOTALL)
_LONGEST_BOX = 20_000
_LONGEST_COMMAND = 20
_BETWEEN = "and or for part parts case cases a b c d also as well both either then with"
_BETWEEN_WORDS = frozenset(_BETWEEN.split())
_BETWEEN_NOISE = linear.compile(r"\\(?:text|mbox|mathrm|quad|qquad|left|right)|\\[()\[\],;:! ]|[${}()\s,;&.]")
_NAME_BEFORE = linear.compile(
    r"(?:\\?[A-Za-z]{1,6}(?:_\{?[A-Za-z0-9]\}?)?|[fgP]\([A-Za-z0-9]\)) ?(?:=|:| is )[\s$\\(]*$"
)
_DENIED_BEFORE = linear.compile(
    r"(?:\b(?:not|never|isn't|isn’t|wasn't|cannot be)(?: (?:equal to|be|simply|just|actually))?"
    r"|\bwrong answer (?:is|was|would be)"
    r"|\bincorrect answer (?:is|was|would be)|(?:^|\n)(?:wrong|incorrect|not)\s?:)[\s$*:}]*(?:\\[(\[])?\s*$",
    linear.IGNORECASE,
)
_DENIERS = ("not", "never", "n't", "n’t", "wrong", "incorrect")
_NEVER_GOES_ON = frozenset(("", ".", ",", "$", "\n", ")", "]", ";", "!"))
_INSIDE = linear.compile(
    r"(?:\\[dtc]?frac\s?\{|\\sqrt\s?(?:\[[^\[\]]{0,9}\])?\{|[\^_]\{|\\[dt]?binom\s?\{"
    r"|\\[dtc]?frac\s?\{[^{}]{0,40}\}\s?\{)[^{}$\n]{0,40}$"
)
_MINUS_BEFORE = linear.compile(r"(?:^|[=$({\[]\s?)-$")
_GOES_ON = linear.compile(
    r"\d|\s{0,2}(?:\\text\s?\{\s?)?(?:thousand|million|billion|trillion|hundred|dozen)\b"
    r"|\s{0,2}(?:\^\s?\{?\s?[-\d]|\\[dtc]?frac|(?:\\(?:cdot|times|div|pm)|[+*/])\s?[-\d\\({]|-\s?\d)"
)
_FORMULA_END = linear.compile(r"\$|\\[)\]]|\n|[.;](?:\s|$)|,|$")
_NAME_BEFORE_BOX = linear.compile(
    r"(?:^|\n|[,;:$(&]|\b(?:and|or|so|is|then)|\\quad|\\qquad|\\text\{[^{}]{1,8}\})[\s$\\(*-]*"
    r"([A-Za-z](?:_\{?[A-Za-z0-9]\}?)?) ?(?:=|is) ?[\s$\\(]*$"
)
_ESCAPED_TWICE = linear.compile(r"\\\\(?=[A-Za-z])")
_BASE = linear.compile(r"_(?:\d|\{\s?(?:\d{1,2}|\\(?:text|mathrm|rm)\s?\{\s?[a-z]{3,9}\s?\})\s?\})")
_SEPARATED = linear.compile(r"[,;&]|\b(?:and|or)\b|\n\s*(?:[-*]|\(?[b-hivx2-9]{1,3}[.)])|\([b-hivx2-9]{1,3}\)")
_BETWEEN_WORD = linear.compile(r"[A-Za-z]+|[^\x00-\x7f]+|[-=<>]")
_ITEM_MARK = linear.compile(r"\n\s*(?:[-*]|\(?[b-hivx2-9]{1,3}[.)])\s")
_CORRECTION = linear.compile(
    r"\b(?:actually|wait|no|not|instead|rather|correct\w*|mistake|sorry|but|so|thus|hence|therefore|final)\b",
    linear.IGNORECASE,
)
_ALTERNATIVE = linear.compile(r"^[^A-Za-z\n]*or\b|\bor[^A-Za-z\n]*$", linear.IGNORECASE)
_OR = linear.compile(r"\bor\b", linear.IGNORECASE)
_PART = linear.compile(r"(?:^|\W)\(?([a-jA-J])\)[:.]?(?:\s|\*|\$|\\[(,;:! ])*(?:[A-Za-z]\s?=\s?)?$")
_PART_LINE = linear.compile(r"(?:^|\n)[\s*#]*(?:[Pp]art\s)?\(?([a-jA-J])[).:]")
_ADJACENT = linear.compile(r"[ \t$/|~]*(?:\\[,;: ]|\\q?quad|\\\)|\\\()*[ \t$/|]*")


def boxes(text: str) -> list[tuple[int, int, str]]:
    """Returns (start, end, content) of each balanced outermost `\\boxed{}` or `\\fbox{}`, in order."""
    stack: list[tuple[int, int]] = []
    found: list[tuple[int, int, str]] = []
    for match in _BOX_TOKENS.finditer(text):
        token = match.group()
        if token.endswith("{") and token != r"\{":
            stack.append((match.start() if token != "{" else -1, match.end()))
        elif token == "}" and stack:
            start, inner = stack.pop()
            if start >= 0:
                while found and found[-1][0] > start:
                    found.pop()
                content = text[inner : match.start()] if match.end() - inner < _LONGEST_BOX else ""
                found.append((start, match.end(), content))
    return found


def boxed_answer(text: str) -> str | None:
    """Returns the content of the last box; boxes that are listed side by side count as one list.

    `\\boxed{1} and \\boxed{2}` gives "1 , 2", which is no answer of one value; `\\boxed{4}, but actually
    \\boxed{5}` gives "5". None when there is no balanced box.
    """
    if "boxed" not in text and "fbox" not in text and "framebox" not in text:
        return None
    if "\\\\boxed" in text:
        text = _ESCAPED_TWICE.sub(r"\\", text)
    found = boxes(text)
    if not found:
        return None
    parts = _parts(text, found) if len(found) > 1 else []
    if parts:
        return f"({' , '.join(parts)})"
    group = [found[-1]]
    for box in reversed(found[:-1]):
        if len(group) >= 50 or not _side_by_side(text[box[1] : group[0][0]]):
            break
        group.insert(0, box)
    if len(group) == 1:
        return _with_surroundings(text, group[0])
    contents = list(dict.fromkeys(_named(text, group)))
    unit = UNIT_AFTER.match(text, found[-1][1])
    alternatives = _OR.search(text[group[-2][1] : group[-1][0]])
    return (r" \text{ or } " if alternatives else " , ").join(contents) + (
        "%" if unit and "%" not in contents[-1] else ""
    )


def after_last_box(text: str) -> str:
    """Returns what stands behind the last box; nothing where there is none, or it is never closed."""
    begun = max(map(text.rfind, ("\\boxed", "\\fbox", "\\framebox")))
    at = text.find("{", begun, begun + _LONGEST_COMMAND) if begun >= 0 else -1
    depth = 0
    while 0 <= at < len(text):
        depth += (text[at] == "{") - (text[at] == "}")
        if not depth:
            return text[at + 1 :]
        at += 2 if text[at] == "\\" else 1
    return ""


def base_of_last_box(text: str, content: str) -> str:
    """Returns the base that stands behind the last box where this is what it holds: _5 of \\boxed{4210}_5."""
    found = boxes(text)
    base = _BASE.match(text[found[-1][1] : found[-1][1] + 30]) if found and found[-1][2].strip() == content else None
    return base.group() if base is not None else ""


def _with_surroundings(text: str, box: tuple[int, int, str]) -> str:
    """The content of a box with what stands around it in its formula, as in \\boxed{9}^2 or -\\boxed{9}.

    A box that a sentence denies, or that is a part of a fraction, a root or a power, holds no answer.
    """
    start, end, content = box
    content = content.strip()
    before, after = text[max(start - 120, 0) : start], text[end : end + 120]
    if any(word in before.lower() for word in _DENIERS) and _DENIED_BEFORE.search(before):
        return rf"\text{{not the answer: }} {content}"
    if before[-1:] in {"^", "_"} or ("{" in before and _INSIDE.search(before)):
        return rf"\text{{part of the answer: }} {content}"
    if after.lstrip(" ")[:1] not in _NEVER_GOES_ON and _GOES_ON.match(after):
        rest = after[: _FORMULA_END.search(after).start()]  # type: ignore[union-attr]
        content = f"{content}{rest}"
    begun = after[:6]
    unit = UNIT_AFTER.match(text, end) if "%" in begun or "p" in begun else None
    content += "%" if unit and "%" not in content else ""
    return f"-({content})" if before.endswith("-") and _MINUS_BEFORE.search(before) else content


def _named(text: str, group: Sequence[tuple[int, int, str]]) -> list[str]:
    """The contents of boxes, with the names before them where each has one: x = \\boxed{1} and y = \\boxed{2}."""
    contents = [box[2].strip() for box in group]
    names = [_NAME_BEFORE_BOX.search(text[max(box[0] - 24, 0) : box[0]]) for box in group]
    if len(group) < 2 or None in names or any("=" in content for content in contents):
        return contents
    return [f"{name.group(1)} = {content}" for name, content in zip(names, contents, strict=True) if name is not None]


def _parts(text: str, found: Sequence[tuple[int, int, str]]) -> list[str]:
    """The boxes that answer the parts (a), (b) and so on, in this order; none where the last boxes do no such thing."""
    marks = _marks(text, found[-10:])
    for count in range(2, len(marks) + 1):
        if marks[-count:] == list("abcdefghij"[:count]):
            return [box[2].strip() for box in found[-count:]]
    return []


def _marks(text: str, found: Sequence[tuple[int, int, str]]) -> list[str]:
    """The mark of a part before each box: at the start of a line, or right before the box."""
    marks, end = [], 0
    for box in found:
        between = text[end : box[0]]
        close = _PART.search(between[-60:])
        lines = list(_PART_LINE.finditer(between))
        marks.append(close.group(1).lower() if close else lines[-1].group(1).lower() if lines else "")
        end = box[1]
    return marks


def _side_by_side(between: str) -> bool:
    """Tells whether two boxes are parts of one answer, or alternatives: neither corrects the other."""
    if len(between) > 80:
        return False
    if _ADJACENT.fullmatch(between) or (_ALTERNATIVE.search(between) and not _CORRECTION.search(between)):
        return True
    separated = bool(_SEPARATED.search(between))
    plain = _NAME_BEFORE.sub(" ", _ITEM_MARK.sub(" ", between))
    words = _BETWEEN_WORD.findall(_BETWEEN_NOISE.sub(" ", plain))
    if words[-1:] == ["and"] and len(words) < 4 and names_things(" ".join(words[:-1])):
        return True
    return separated and all(word.lower() in _BETWEEN_WORDS for word in words)
