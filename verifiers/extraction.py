"""Finds the answer inside a completion: what follows the thinking, the last box, the last code block.

Every function here reads its text a bounded number of times from left to right, so that a hostile text of
100 kB costs milliseconds, and none of them raises on any text.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from textwrap import dedent
from unicodedata import decomposition, normalize

from sandbox.languages import LANGUAGES, family_of
from verifiers.patterns import linear
from verifiers.wording.afterthoughts import without_afterthoughts
from verifiers.wording.answer_in_text import (
    MAX_ANSWER,
    announced,
    emphasised_formula,
    last_cue,
    last_value,
    value_in_bold,
    without_bold,
)
from verifiers.wording.boxes import after_last_box, boxed_answer, boxes
from verifiers.wording.cues import CHOOSING, DENIAL, searchable, with_usual_digits
from verifiers.wording.main_clause import in_main_clause
from verifiers.wording.plain_wording import in_plain_wording, without_option
from verifiers.wording.said_words import emphasised
from verifiers.wording.statements import stated
from verifiers.wording.surroundings import last_sentence
from verifiers.wording.taken_back import is_taken_back, said_instead
from verifiers.wording.values import aligned_step, is_prose
from verifiers.wording.vocabulary import changes, denies, heads
from verifiers.wording.worked_out import counted, solved, without_places, worked_out

__all__ = [
    "CYRILLIC_LETTERS",
    "Extracted",
    "answer_in_box",
    "boxed_answer",
    "boxes",
    "choice_letter",
    "code_block",
    "cyrillic_choice",
    "final_text",
    "last_value",
    "math_answer",
]

_END_OF_TURN = linear.compile(r"<\|(?:im_end|endoftext|eot_id|end_of_text|end)\|>|<\|im_start\|>\s*user")
_END_OF_THINKING = linear.compile(r"</think(?:ing)?>")
_SPECIAL = linear.compile(r"<\|[a-z_]{1,30}\|>")
_FENCE = linear.compile(r"^([ \t]*)(`{3,})[ \t]*([A-Za-z0-9_+#.-]{0,20})[^\n`]*$", linear.MULTILINE)

_LEADING_CHOICE = linear.compile(r"\s*\(?([A-J])(?:[).:,。、\s]|$)")
_ARTICLE = linear.compile(r"\s*[AI]\s(?:[a-hj-z]|i[a-rt-z])")
_UNSEEN = frozenset("\u00ad\u200b\u200c\u200d\u200e\u200f\u2060\u2061\u2062\u2063\u2064\ufeff")
_FENCED = linear.compile(r"^`{3}[a-z]{0,10}\n([^`\n]{1,200})\n`{3}$")
_QUOTED = linear.compile(r"^>\s?(\*\*[^*\n]{1,200}\*\*)$")
_HEADED = linear.compile(r"^[_#\s]{0,4}([A-Za-z]{3,20}(?: [A-Za-z]{1,20}){0,4})_{0,2}\s?([:=])_{0,2}\s([^\n]{1,100})$")
_LAST_IN_BOLD = linear.compile(r"\n\s*\*\*([^*\n]{1,200})\*\*[\s.]*$")
_REASON = linear.compile(r"\b(?:because|since|whereas|while|although|unlike)\b")
_SAID_OF_IT = linear.compile(r"(?:is|are|or|and)\b")


@dataclass(frozen=True, slots=True)
class Extracted:
    """An answer that was found, or why none was."""

    text: str | None
    reason: str = ""


def final_text(completion: str) -> str | None:
    """Returns what the completion says after its last `</think>`; None when a think block is still open.

    `<thinking>` is taken for `<think>`.
    """
    ends = [match.end() for match in _END_OF_THINKING.finditer(completion)] if "</think" in completion else []
    text = completion[ends[-1] :] if ends else completion
    if "<think>" in text or "<thinking>" in text:
        return None
    begun = len(text) - len(text.lstrip())
    end = next((match.start() for match in _END_OF_TURN.finditer(text) if match.start() > begun), len(text))
    return _SPECIAL.sub(" ", text[:end])


def tagged(text: str) -> str:
    """Returns what stands in the last `<answer>` of a text, where no box follows it; else the text."""
    end = text.rfind("</answer>")
    begun = text.rfind("<answer>", 0, max(end, 0))
    after = text.find("boxed", end) if end >= 0 else -1
    inner = text[begun + len("<answer>") : end].strip() if begun >= 0 and after < 0 else ""
    return inner or text


def answer_in_box(text: str) -> Extracted:
    """Returns the answer of the last box alone; none where what follows takes it back."""
    boxed = boxed_answer(text)
    if boxed is None or is_taken_back(after_last_box(text)):
        return Extracted(None, "the last box is taken back" if boxed is not None else "there is no box")
    return Extracted(boxed)


def _boxed_or_said_after(text: str, boxed: str) -> Extracted:
    """Returns the answer of a text with a box: what a "final answer is" announces below the last box, or what is said
    in the place of a box that is taken back; else what is in the box."""
    after = after_last_box(text)
    if any(map(str.isalpha, after)):
        if is_taken_back(after):
            instead = searchable(said_instead(after))
            said = announced(instead) or last_value(instead[-MAX_ANSWER:])
            return Extracted(said) if said else Extracted(None, "the last box is taken back")
        at = max(after.rfind("inal answer"), after.rfind("inal Answer"))
        said = announced(searchable(after[at - 1 :])) if at > 0 else None
        boxed = said if said is not None and any(map(str.isdigit, said)) and not is_prose(said) else boxed
    return Extracted(boxed) if boxed.strip() else Extracted(None, "the last box is empty")


def without_heading(text: str) -> str:
    """Returns the value of a line that is headed by a name for it, as in "Roots: 3, 5"."""
    found = _HEADED.match(text) if len(text) < 160 else None
    if found is None or changes(found.group(1)):
        return text
    return found.group(3) if found.group(2) == ":" or heads(found.group(1)) else text


def _with_plain_fractions(text: str) -> str:
    """Writes 137½ as 137 1/2."""
    if text.isascii() or not any(map(_is_fraction, text)):
        return text
    plain = [normalize("NFKC", char).replace("\u2044", "/") if _is_fraction(char) else char for char in text]
    return "".join(f" {now}" if len(now) > 1 and before.isdigit() else now for before, now in pairwise(["", *plain]))


def _with_broken_numbers(text: str) -> str:
    """Marks what nobody sees between two digits: they are no one number, nor is either a number of its own."""
    if text.isascii() or _UNSEEN.isdisjoint(text):
        return text
    sides = zip(f" {text}", text, f"{text[1:]} ", strict=False)
    return "".join(
        "\ufffd" if char in _UNSEEN and before.isdigit() and after.isdigit() else char for before, char, after in sides
    )


def _is_fraction(char: str) -> bool:
    return char > "\x7f" and decomposition(char).startswith("<fraction>")


def math_answer(text: str) -> Extracted:
    """Returns the answer of a text without thinking: the last box or a final answer said below it, else what an
    "answer is" announces, else the text itself when it is nothing but an answer, else its last formula or number."""
    text = tagged(text)
    boxed = boxed_answer(text)
    if boxed is not None:
        return _boxed_or_said_after(text, boxed)
    text = text if text[:1] != ">" else _QUOTED.sub(r"\1", text)
    plain = _with_broken_numbers(_with_plain_fractions(with_usual_digits(searchable(text.strip()))))
    text = _FENCED.sub(r"\1", plain.replace("\u2212", "-"))
    if not text:
        return Extracted(None, "there is no text after the thinking")
    if "\\boxed{" in text:
        return Extracted(None, "the box is never closed")
    text = in_plain_wording(text)
    said = announced(text)
    text = without_afterthoughts(text) if said is None else text
    said = stated(last_sentence(text)) if said is None else without_option(said)
    if said is not None:
        return Extracted(said) if said else Extracted(None, "what is announced is not the answer")
    marked, text = text[-MAX_ANSWER:], without_option(without_heading(without_bold(text)))
    if len(text) <= MAX_ANSWER and not is_prose(text):
        closing = _LAST_IN_BOLD.search(marked)
        listed = last_value(text) if text.startswith("- ") else None
        return Extracted(closing.group(1) if closing else listed or solved(text) or aligned_step(text))
    said = (
        emphasised_formula(marked)
        or value_in_bold(marked)
        or worked_out(last_sentence(text))
        or counted(last_sentence(text))
    )
    tail = text[-MAX_ANSWER:]
    main = "" if said else in_main_clause(tail)
    sentence = last_sentence(main)
    if not said and (main != tail or without_places(sentence) != sentence):
        said = stated(without_places(sentence).strip())
    value = said or last_value(main) or emphasised(marked)
    return Extracted(value) if value else Extracted(None, "no box, no announced answer, no number")


_CHOICE_ALONE = linear.compile(r"(?<![A-Za-z0-9'’\\])\(?([A-J])\)?(?![A-Za-z0-9'’])")
_CHOSEN = linear.compile(
    r"\b(?:choose|chose|pick|picked|select|selected|option|choice|go with|answer is)[\s(*$]*$", linear.IGNORECASE
)
_CHOICE_GOES_ON = linear.compile(
    r"\)?\s{0,3}\(?(?:,|/|&|(?:or|and|et|ou)\s)\s{0,3}(?:or\s|and\s)?(?:possibly|maybe|perhaps|even|also)?\s?"
    r"\(?[A-J]\)?(?![A-Za-z0-9'’])"
)
_RETHOUGHT = linear.compile(
    r"(?:\b(?:(?:[Ww]ait|[Hh]mm+|[Aa]ctually|[Rr]ather|[Pp]ossibly|[Mm]aybe|[Pp]erhaps|[Ii]nstead)\b[\s,.!:;…—–-]{1,8}"
    r"|[Nn]o[,.!:;…—–-]\s{0,3})|(?:->|\\(?:to|rightarrow|Rightarrow)\b)[\s$]{0,4})\(?([A-J])\)?(?![A-Za-z0-9'’])"
)
_NOT_THE_ANSWER = linear.compile(
    r"\b(?:wrong|incorrect|false|other|another|second|next|best|worst|tempting|common|opposite|previous|first)\s{1,3}$",
    linear.IGNORECASE,
)
_SET_ASIDE = linear.compile(r"\b(?:over|than|unlike|except|(?:instead|ahead) of)\s{1,3}\(?$", linear.IGNORECASE)
_LONGEST_RETHINKING = 400
_MARKUP = linear.compile(
    r"\\(?:textbf|textrm|textit|text|mathrm|mbox|mathbf|boldsymbol|bf|rm|left|right|qquad|quad|[,;:!~ ])|[{}$*_~]"
)
_CHOICE_BOX = linear.compile(
    r"(?:(?:option|choice|answer)\s*:?\s*)?(?:\(\s?([A-J])\s?\)|([A-J])\s?[.):])(?:\s+(.*)|([^\s\d].*)?)",
    linear.IGNORECASE | linear.DOTALL,
)
_CLAUSE_PART = linear.compile(r"[.!?,;\n。，；:：]")
_COPULA = linear.compile(r"\s?['’](?:d|t)\wr\b")


def choice_letter(text: str) -> str | None:
    """Returns the option letter (A to J) a text settles on, or None: boxed, announced, leading or last."""
    text = tagged(text)
    boxed = boxed_answer(text)
    if boxed is not None:
        return _boxed_letter(boxed)
    text = _COPULA.sub(" ", searchable(text))
    last = last_cue(text)
    if last is not None:
        if _NOT_THE_ANSWER.search(text[max(last.start() - 20, 0) : last.start()]):
            return None
        named = _CHOICE_ALONE.search(text, last.end())
        if named:
            between = text[last.end() : named.start()]
            direct = len(between) <= 40 and not denies(between) and not DENIAL.search(between)
            return _settled(text, named) if direct else None
    leading = _LEADING_CHOICE.match(text)
    if leading and not _ARTICLE.match(text):
        return _settled(text, leading)
    tail = text[-MAX_ANSWER:]
    letters = list(_CHOICE_ALONE.finditer(tail))
    for found in reversed(letters):
        begun = max((part.end() for part in _CLAUSE_PART.finditer(tail[: found.start()])), default=0)
        clause = tail[begun : found.start()]
        if (
            denies(clause)
            or DENIAL.search(clause)
            or _REASON.search(clause)
            or _SET_ASIDE.search(clause)
            or _is_article(tail, found.start(), clause)
        ):
            continue
        bracketed = len(letters) == 1 and found.group().startswith("(") and found.group().endswith(")")
        alone = bracketed or not _MARKUP.sub("", clause).strip(" (")
        return _settled(tail, found) if alone or CHOOSING.search(clause) else None
    return None


def _is_article(text: str, start: int, clause: str) -> bool:
    """Tells the A of "A circle" from an option, which a word for choosing may name: "I choose A because"."""
    return bool(_ARTICLE.match(text[start:])) and not _CHOSEN.search(clause)


CYRILLIC_LETTERS = dict(zip("АБВГДЕ", "ABCDEF", strict=True))
_LATIN = frozenset("ABCDEFGHIJ")


def cyrillic_choice(text: str) -> str | None:
    """Returns the option letter (А to Е) that a text in Russian or its like settles on, or None.

    A letter of the Latin alphabet that looks like one is another letter.
    """
    plain = [
        CYRILLIC_LETTERS.get(char, "?" if char in _LATIN else char)
        if not text[at - 1 : at].isalnum() and not text[at + 1 : at + 2].isalnum()
        else char
        for at, char in enumerate(text)
    ]
    letter = choice_letter("".join(plain))
    return next((name for name, latin in CYRILLIC_LETTERS.items() if latin == letter), None)


def _settled(text: str, letter: linear.Match) -> str | None:
    """The letter, unless another one stands beside it, or its clause takes it back."""
    rest = text[letter.end(1) :]
    again = _RETHOUGHT.search(rest[:_LONGEST_RETHINKING])
    if again is not None and again.group(1) != letter.group(1) and not _ARTICLE.match(rest[again.start(1) :]):
        return None
    end = _CLAUSE_PART.search(rest)
    clause = rest[: end.start()] if end else rest
    reason = _REASON.search(clause)
    clause = clause[: reason.start()] if reason else clause
    if _CHOICE_GOES_ON.match(_with_commas(rest)) or denies(clause) or DENIAL.search(clause):
        return None
    before = list(_CHOICE_ALONE.finditer(text[max(letter.start() - 20, 0) : letter.start()]))
    joined = before and _CHOICE_GOES_ON.match(_with_commas(text[max(letter.start() - 20, 0) + before[-1].end(1) :]))
    return None if joined else letter.group(1)


def _with_commas(text: str) -> str:
    for word in ("和", "或", "또는", " или ", " и ", " או ", " أو ", " या ", "หรือ", " hoặc ", " veya ", " ή "):
        text = text.replace(word, ", ")
    return text


def _boxed_letter(boxed: str) -> str | None:
    """The letter of a box that holds nothing else, but for the text of its option: "(C) 12"."""
    plain = _MARKUP.sub(" ", boxed).strip(" .")
    found = _CHOICE_BOX.fullmatch(plain if not plain[-1:].isalpha() or len(plain) > 20 else f"{plain})")
    if found is None:
        return None
    letter, rest = found.group(1) or found.group(2), found.group(3) or found.group(4) or ""
    if not letter.isupper() or denies(rest) or _CHOICE_ALONE.search(rest) or _SAID_OF_IT.match(rest):
        return None
    return letter


def code_block(completion: str, language: str = "python") -> Extracted:
    """Returns the program of a completion: of its fenced blocks after the thinking, the last that is a program.

    That is one whose tag is of the language asked for, or one without such a tag that has the look of a program in it;
    blocks of other languages and of outputs are none. Where no block is one, the last without a tag is taken. So the
    place and the form of the blocks decide, and which it is can never hang on the tests. An unclosed last block is
    refused, since a truncated program is not an answer.
    """
    text = final_text(completion)
    if text is None:
        return Extracted(None, "the thinking never ends")
    blocks, unclosed = _fenced(text)
    if unclosed:
        return Extracted(None, "the last code block is never closed")
    if not blocks:
        return Extracted(None, "there is no fenced code block after the thinking")
    family = family_of(language)
    kinds = [(_kind(tag, family), source) for tag, source in blocks]
    programs = [source for kind, source in kinds if kind == family or (not kind and _looks_like(source, family))]
    found = programs or [source for kind, source in kinds if not kind]
    if not found:
        return Extracted(None, f"the last code block is marked {blocks[-1][0]}, and {language} was asked for")
    return Extracted(found[-1]) if found[-1].strip() else Extracted(None, "the last code block is empty")


_TAGS = {language.family: language.tags for language in LANGUAGES.values()}
_OUTPUTS = "text txt plain plaintext output out stdout stderr input in stdin console terminal log pycon python-repl"
_SHELLS = "shell sh bash zsh powershell cmd makefile dockerfile"
_DATA = "json yaml toml xml html css csv markdown md latex tex diff sql"
_OTHERS = (
    "java rust go golang javascript js typescript ts kotlin swift scala ruby rb php perl r julia haskell csharp c# cs"
)
_NO_PROGRAM = frozenset(f"{_OUTPUTS} {_SHELLS} {_DATA} {_OTHERS}".split())
"""Tags of blocks that are no program in a language of ours."""


def _kind(tag: str, family: str) -> str:
    """The family of languages that a tag names; nothing for no tag, or for one that says little."""
    for name, tags in _TAGS.items():
        if tag in tags or (tag.rstrip(".0123456789") in tags and tag not in _NO_PROGRAM):
            return name
    return tag if tag == family or tag in _NO_PROGRAM else ""


_STATEMENTS = ("import ", "from ", "def ", "class ", "async def ", "@", "print(", "return ")
_COMPOUND = ("for ", "while ", "if ", "with ", "try:")


def _looks_like(source: str, family: str) -> bool:
    """Whether a block without a tag has the look of a whole program, rather than of what one reads or prints."""
    if family != "python":
        marks = LANGUAGES[family].marks if family in LANGUAGES else ()
        return not marks or any(mark in source for mark in marks)
    if source.lstrip().startswith((">>>", "$ ", "%")):
        return False
    if any(word in source for word in ("print(", ".write(", "input(", "lambda ")):
        return True
    lines = (line.strip() for line in source.splitlines())
    return any(line.startswith(_STATEMENTS) or (line.startswith(_COMPOUND) and line.endswith(":")) for line in lines)


def _fenced(text: str) -> tuple[list[tuple[str, str]], bool]:
    """Returns the (tag, source) of each closed fenced block, and whether the last one stays open."""
    blocks: list[tuple[str, str]] = []
    opening: linear.Match | None = None
    for fence in _FENCE.finditer(text):
        if opening is None:
            opening = fence
        elif len(fence.group(2)) >= len(opening.group(2)) and not fence.group(3):
            source = text[opening.end() + 1 : fence.start()]
            blocks.append((opening.group(3).lower(), dedent(source) if opening.group(1) else source))
            opening = None
    return blocks, opening is not None
