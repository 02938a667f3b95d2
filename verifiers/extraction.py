"""Finds the answer inside a completion: what follows the thinking, the last box, the last code block.

Every function here reads its text a bounded number of times from left to right, so that a hostile text of
100 kB costs milliseconds, and none of them raises on any text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from textwrap import dedent

_END_OF_TURN = re.compile(r"<\|(?:im_end|endoftext|eot_id|end_of_text|end)\|>|<\|im_start\|>\s*user")
_SPECIAL = re.compile(r"<\|[a-z_]{1,30}\|>")
_BOX_TOKENS = re.compile(r"\\(?:boxed|fbox)\s{0,8}\{|\\.|[{}]", re.DOTALL)
_FENCE = re.compile(r"^([ \t]*)(`{3,})[ \t]*([A-Za-z0-9_+#.-]{0,20})[^\n`]*$", re.MULTILINE)

_CUE = re.compile(
    r"(?:final\s+answer|\banswer|\bans)\b(?:\s+should\s+be|\s+is|\s*[:：=])[\s*:：]*|答案(?:是|为|：|:)?|####|^A:",
    re.IGNORECASE | re.MULTILINE,
)
_SENTENCE_END = re.compile(r"\n|。|[.!?](?=\s|$)")
_LINE_OF_MARKUP = re.compile(r"[*_#>\s✅-]*")
_SPAN = re.compile(
    r"\$\$(?P<dd>[^$]+)\$\$|\$(?P<d>(?:\\\$|[^$])+)\$"
    r"|\\\((?P<p>(?:[^\\]|\\[^()])+)\\\)|\\\[(?P<b>(?:[^\\]|\\[^\[\]])+)\\\]"
)
_UNIT_AFTER = re.compile(r"[\s$]{0,4}(\\?%|percent(?:age)?\b|pct\b)")
_VALUE = re.compile(
    r"(?<![A-Za-z0-9.])[-+]?(?:\\[dtc]?frac\s?\{[^{}]{1,40}\}\s?\{[^{}]{1,40}\}"
    r"|(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d+)?(?:\s?/\s?\d+(?:\.\d+)?)?|\.\d+)(?:\s?(?:\\?%|percent\b|pct\b))?"
)
_BETWEEN = "and or for part parts case cases a b c d also as well both either then with"
_BETWEEN_WORDS = frozenset(_BETWEEN.split())
_BETWEEN_NOISE = re.compile(r"\\(?:text|mbox|mathrm|quad|qquad|left|right)|\\[()\[\],;:! ]|[${}()\s,;&.]")
_WORD = re.compile(r"[A-Za-z]{2,}")
_NOTATION = (
    "and or sqrt pi sin cos tan cot sec csc log ln exp percent percentage pct degrees degree cents cent "
    "dollars dollar cm mm km inches inch feet ft units unit text mbox mathrm frac dfrac tfrac left right "
    "infty cup cap in pm times cdot theta alpha beta begin end pmatrix bmatrix matrix oo inf arcsin arccos "
    "arctan"
)
_NOT_PROSE = frozenset(_NOTATION.split())
_MAX_ANSWER = 4000


@dataclass(frozen=True, slots=True)
class Extracted:
    """What was found, or why nothing was."""

    text: str | None
    reason: str = ""


def final_text(completion: str) -> str | None:
    """Returns what the completion says after its last `</think>`; None when a think block is still open."""
    close = completion.rfind("</think>")
    text = completion if close < 0 else completion[close + len("</think>") :]
    if "<think>" in text:
        return None
    begun = len(text) - len(text.lstrip())
    end = next((match.start() for match in _END_OF_TURN.finditer(text) if match.start() > begun), len(text))
    return _SPECIAL.sub(" ", text[:end])


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
                found.append((start, match.end(), ""))
                found[-1] = (
                    start,
                    match.end(),
                    text[inner : match.start()] if match.end() - inner < 20000 else "",
                )
    return found


def boxed_answer(text: str) -> str | None:
    """Returns the content of the last box; boxes that are listed side by side count as one list.

    `\\boxed{1} and \\boxed{2}` gives "1 , 2", which is no answer of one value; `\\boxed{4}, but actually
    \\boxed{5}` gives "5". None when there is no balanced box.
    """
    if "boxed" not in text and "fbox" not in text:
        return None
    if "\\\\boxed" in text:
        text = re.sub(r"\\\\(?=[A-Za-z])", r"\\", text)
    found = boxes(text)
    if not found:
        return None
    group = [found[-1]]
    for box in reversed(found[:-1]):
        if len(group) >= 50 or not _side_by_side(text[box[1] : group[0][0]]):
            break
        group.insert(0, box)
    contents = list(dict.fromkeys(box[2].strip() for box in group))
    unit = _UNIT_AFTER.match(text, found[-1][1])
    return " , ".join(contents) + ("%" if unit and "%" not in contents[-1] else "")


def _side_by_side(between: str) -> bool:
    if len(between) > 80:
        return False
    separated = bool(re.search(r"[,;&]|\b(?:and|or)\b", between))
    words = re.findall(r"[A-Za-z]+|[^\x00-\x7f]+|[-=<>]", _BETWEEN_NOISE.sub(" ", between))
    return separated and all(word.lower() in _BETWEEN_WORDS for word in words)


def math_answer(text: str) -> Extracted:
    """Returns the answer of a text without thinking: the last box, else what an "answer is" announces, else
    the text itself when it is nothing but an answer, else its last formula or number."""
    boxed = boxed_answer(text)
    if boxed is not None:
        return Extracted(boxed) if boxed.strip() else Extracted(None, "the last box is empty")
    text = text.strip()
    if not text:
        return Extracted(None, "there is no text after the thinking")
    if "\\boxed{" in text:
        return Extracted(None, "the box is never closed")
    announced = _announced(text)
    if announced is not None:
        return Extracted(announced)
    if len(text) <= _MAX_ANSWER and not is_prose(text):
        return Extracted(text)
    value = last_value(text[-_MAX_ANSWER:])
    return Extracted(value) if value else Extracted(None, "no box, no announced answer, no number")


def _last_cue(text: str) -> re.Match[str] | None:
    last = None
    for match in _CUE.finditer(text):
        last = match
    return last


def _announced(text: str) -> str | None:
    last = _last_cue(text)
    if last is None:
        return None
    rest = text[last.end() : last.end() + _MAX_ANSWER]
    skipped = _LINE_OF_MARKUP.match(rest)
    rest = rest[skipped.end() if skipped and "-" not in skipped.group() else 0 :].lstrip()
    span = _SPAN.match(rest)
    end = _SENTENCE_END.search(rest, span.end() if span else 0)
    sentence = (rest[: end.start()] if end else rest).strip().strip("*").strip()
    if not sentence:
        return None
    return sentence if not is_prose(sentence) else last_value(sentence)


def is_prose(text: str) -> bool:
    """Tells whether words stand around the answer, so that it has to be looked for."""
    outside = _SPAN.sub(lambda span: " " if _is_formula(span.group()) else span.group(), text)
    has_span = len(outside) != len(text)
    bare = re.sub(r"\\(?:text|mbox|mathrm|textbf|textit)\s?\{[^{}]{0,200}\}|\\[A-Za-z]+", " ", outside)
    words = [word for word in _WORD.findall(bare) if word.lower() not in _NOT_PROSE]
    foreign = len(re.findall(r"[\u3040-\u9fff]", bare)) > 1
    return foreign or len(words) > (0 if has_span else 1) or (bool(words) and bool(re.search(r"\d\s", outside)))


def _is_formula(span: str) -> bool:
    """Tells formulas from the text between two prices: "$5 for each, which makes $"."""
    bare = re.sub(r"\\(?:text|mbox|mathrm|textbf|textit)\s?\{[^{}]{0,200}\}|\\[A-Za-z]+", " ", span)
    return sum(word.lower() not in _NOT_PROSE for word in _WORD.findall(bare)) < 3


def last_value(text: str) -> str | None:
    """Returns the last formula between dollar signs (or their like), number or fraction of a text."""
    best, best_end = None, -1
    for span in _SPAN.finditer(text):
        content = next(group for group in span.groups() if group is not None).strip()
        if content and _is_formula(content):
            best, best_end = content, span.end()
            unit = _UNIT_AFTER.match(text, span.end())
            best += "%" if unit else ""
    for value in _VALUE.finditer(text, max(best_end, 0)):
        best = value.group()
    return best


_CHOICE_ALONE = re.compile(r"(?<![A-Za-z0-9'’])\(?([A-J])\)?(?![A-Za-z0-9'’])")


_CHOICE_GOES_ON = re.compile(r"\)?\s{0,3}(?:,|/|\bor\b|\band\b|&)\s{0,3}(?:or\s|and\s)?\(?[A-J]\)?(?![A-Za-z0-9'’])")


def choice_letter(text: str) -> str | None:
    """Returns the option letter (A to J) a text settles on, or None: boxed, announced, leading, or the last
    one."""
    boxed = boxed_answer(text)
    if boxed is not None:
        letters = set(_CHOICE_ALONE.findall(re.sub(r"\\(?:text|mathrm|mbox|textbf|mathbf)", " ", boxed)))
        return letters.pop() if len(letters) == 1 else None
    last = _last_cue(text)
    if last is not None:
        announced = _CHOICE_ALONE.search(text, last.end())
        if announced:
            return None if _CHOICE_GOES_ON.match(text, announced.end()) else announced.group(1)
    leading = re.match(r"\s*\(?([A-J])(?:[).:,。、\s]|$)", text)
    if leading and not re.match(r"\s*[AI]\s[a-z]", text):
        return None if _CHOICE_GOES_ON.match(text, leading.end(1)) else leading.group(1)
    tail = text[-_MAX_ANSWER:]
    found = list(_CHOICE_ALONE.finditer(tail))
    if not found or (len(found) > 1 and _CHOICE_GOES_ON.match(tail, found[-2].end())):
        return None
    return found[-1].group(1)


def code_block(completion: str, language: str = "python") -> Extracted:
    """Returns the program of a completion: its last fenced block after the thinking.

    An unclosed last block is refused, since a truncated program is not an answer.
    """
    text = final_text(completion)
    if text is None:
        return Extracted(None, "the thinking never ends")
    blocks, unclosed = _fenced(text)
    if unclosed:
        return Extracted(None, "the last code block is never closed")
    if not blocks:
        return Extracted(None, "there is no fenced code block after the thinking")
    tag, source = blocks[-1]
    if not source.strip():
        return Extracted(None, "the last code block is empty")
    if tag and tag in _OTHER_LANGUAGES and tag not in _TAGS.get(language, frozenset((language,))):
        return Extracted(None, f"the last code block is marked {tag}, and {language} was asked for")
    return Extracted(source)


_TAGS = {
    "python": frozenset(("python", "py", "python3", "py3")),
    "cpp": frozenset(("cpp", "c++", "cc", "cxx", "c", "cpp17", "c++17")),
}
_OTHER_LANGUAGES = frozenset().union(*_TAGS.values()) | {
    "java",
    "rust",
    "go",
    "javascript",
    "js",
    "bash",
    "sh",
}


def _fenced(text: str) -> tuple[list[tuple[str, str]], bool]:
    """Returns the (tag, source) of each closed fenced block, and whether the last one stays open."""
    blocks: list[tuple[str, str]] = []
    opening: re.Match[str] | None = None
    for fence in _FENCE.finditer(text):
        if opening is None:
            opening = fence
        elif len(fence.group(2)) >= len(opening.group(2)) and not fence.group(3):
            source = text[opening.end() + 1 : fence.start()]
            blocks.append((opening.group(3).lower(), dedent(source) if opening.group(1) else source))
            opening = None
    return blocks, opening is not None
