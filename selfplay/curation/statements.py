"""Faults of a statement by its text alone: it breaks off, asks for a proof, tells its answer, is foreign."""

from __future__ import annotations

from collections.abc import Callable
from unicodedata import category

from selfplay.config.curation import Curation
from verifiers.model import Task
from verifiers.patterns import linear
from verifiers.patterns.given import foreign_to
from verifiers.rules.language import LanguageVerifier, prose

FEWEST_WORDS = 5
"""Words of a last line that is prose; shorter ones may be examples."""
LONGEST = 20_000
"""Characters of a statement that are looked at; longer ones are dropped by their number of words."""

Gate = Callable[[str], str]
"""Gives the reason to drop a statement, empty for none."""

# Words that a sentence does not end with.
_UNFINISHED = linear.compile(
    r"(?:\b(?:the|an|of|and|or|with|such|let|to|into|from|than|that|where|which|whose|if|is|are|in|for|by|at|between|its)"
    r"|[,;:({\[=+*/<^_\\&-])\s*\Z",
    linear.IGNORECASE,
)
_SENTENCE_END = linear.compile(r"[.?!]\s")
_DOLLARS = linear.compile(r"(?<!\\)\$\$|(?<!\\)\$")
_ENVIRONMENT = linear.compile(r"\\(begin|end)\{([A-Za-z*]{1,40})\}")
_FENCE = linear.compile(r"^[ \t]*```", linear.MULTILINE)

# A demand at the beginning of a sentence or clause: "show that" within one mostly reports what someone did.
_PROOF = linear.compile(
    r"(?:\A|[.!?:;]\s+|\n\s*|,\s+|\band\s+|\bthen\s+|\)\s*)"
    r"(?:please\s+)?(?:prove|disprove|show\s+that|demonstrate\s+that|justify|verify\s+that|"
    r"give\s+(?:a|the)\s+(?:\w+\s+){0,2}proof|provide\s+(?:a|the)\s+(?:\w+\s+){0,2}proof|write\s+a\s+proof|derive\s+that)\b",
    linear.IGNORECASE,
)

_TOLD = linear.compile(
    r"\\boxed\s*\{|^\s*(?:\*\*)?(?:final\s+)?(?:answer|solution)(?:\*\*)?\s*[:=]|"
    r"(?:\A|[.!?]\s+|\b(?:so|thus|hence|therefore),?\s+)the\s+(?:final\s+|correct\s+)?answer\s+is\s+[^\s.?!][^.?!\n]{0,60}[.!]?\s*\Z|"
    r"^\s*####\s|<answer>|</think>",
    linear.IGNORECASE | linear.MULTILINE,
)


def text_gates(settings: Curation) -> list[Gate]:
    """The gates that the settings turn on, in order.

    Raises:
        ValueError: a language or a script that nobody knows.
    """
    gates: list[Gate] = [lambda text: length_fault(text, settings.min_words, settings.max_words)]
    known: dict[str, Gate] = {"truncated": truncated, "proof": proof, "answer_in_statement": tells_answer}
    gates += [known[name] for name in known if name in settings.drop]
    if settings.scripts:
        gates.append(script_gate(settings.scripts))
    if settings.language is not None:
        gates.append(language_gate(settings.language))
    return gates


def length_fault(text: str, least: int, most: int) -> str:
    """Too few or too many words."""
    count = len(text.split())
    return "too short" if count < least else "too long" if count > most else ""


def truncated(text: str) -> str:
    """A statement that breaks off: its end cannot be one, or something that was opened is never closed."""
    head = text[:LONGEST].rstrip()
    if _ends_early(head):
        return f"truncated statement (ends in {head[-12:]!r})"
    left_open = {
        # An odd one may be money; a formula that breaks off takes the end of its sentence with it.
        "a formula": len(_DOLLARS.findall(head)) % 2 and head[-1:] not in ".?!)",
        "a code block": len(_FENCE.findall(head)) % 2,
        "an environment": _open_environment(head),
        # All kinds together, since half-open intervals pair a round bracket with a square one.
        "a bracket": sum(map(head.count, "([{")) > sum(map(head.count, ")]}")) and _last_open(head),
    }
    return next((f"truncated statement ({name} is not closed)" for name, found in left_open.items() if found), "")


def _ends_early(head: str) -> bool:
    if _UNFINISHED.search(head[-40:]):
        return True
    last = head.rpartition("\n")[2]
    prose = len(last.split()) >= FEWEST_WORDS
    # Prose that ends without a mark though sentences before it have theirs.
    return bool(prose and last.rstrip()[-1:].isalpha() and _has_sentence(head))


def _has_sentence(text: str) -> bool:
    """Whether a small letter and a mark end a sentence."""
    return any(category(text[end.start() - 1]) == "Ll" for end in _SENTENCE_END.finditer(text) if end.start())


def _open_environment(head: str) -> bool:
    depth: dict[str, int] = {}
    for kind, name in (found.groups() for found in _ENVIRONMENT.finditer(head)):
        depth[name] = depth.get(name, 0) + (1 if kind == "begin" else -1)
    return any(count > 0 for count in depth.values())


def _last_open(text: str) -> bool:
    """Whether the last bracket is an opening one; an emoticon or a typing error further up cuts nothing off."""
    return max(map(text.rfind, "([{")) > max(map(text.rfind, ")]}"))


def proof(text: str) -> str:
    """A demand for a proof, which no answer can be compared with."""
    found = _PROOF.search(text[:LONGEST])
    return f"proof question ({found.group().strip(' .!?:;,')[:40]})" if found else ""


def tells_answer(text: str) -> str:
    """A statement that gives its answer away."""
    found = _TOLD.search(text[:LONGEST])
    return f"answer in the statement ({found.group().strip()[:40]})" if found else ""


def script_gate(scripts: tuple[str, ...]) -> Gate:
    """Drops statements with a letter of another script.

    Raises:
        ValueError: Unicode knows no such script.
    """
    try:
        foreign = foreign_to(scripts)
    except ValueError as error:
        raise ValueError(
            f"curation.scripts: {list(scripts)}: {error}; give names such as Latin, Greek or Han"
        ) from error

    def gate(text: str) -> str:
        found = foreign(text[:LONGEST])
        return f"foreign script ({found!r})" if found else ""

    return gate


def language_gate(language: str) -> Gate:
    """Drops statements whose prose is in another language; those with too little prose to tell stay.

    Raises:
        ValueError: the language is not known.
    """
    try:
        verifier = LanguageVerifier(language=language, when_short="pass")
    except ValueError as error:
        raise ValueError(f"curation.language: {error}") from error

    def gate(text: str) -> str:
        verdict = verifier.verify(Task(), prose(text[:LONGEST]) or "-")
        return f"other language ({verdict.reason})" if verdict.status == "wrong" else ""

    return gate
