"""Which mutants there are, as mutmut makes them, and a seeded sample of those that a test ought to notice."""

from __future__ import annotations

import difflib
import io
import random
import re
import tokenize
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

FOLDERS: dict[str, str] = {
    "synthesis": "selfplay/synthesis/*.py",
    "labelling": "selfplay/labelling/*.py",
    "training": "selfplay/training/*.py",
    "trl_trainers": "selfplay/trl_trainers/*.py",
    "run": "selfplay/run/*.py",
    "metrics": "selfplay/evaluation/metrics.py",
}
"""What is mutated, by the name under which it is counted."""

GUARDS = re.compile(r",?\s*\b(strict|encoding)=[^,()]+")
"""Arguments that guard what is so already: lengths that agree, and UTF-8 where that is the default."""


@dataclass(frozen=True, slots=True)
class Mutant:
    """One change of one function."""

    name: str
    """As mutmut names it."""
    folder: str
    function: str
    """The dotted name of the function or method."""
    old: str
    """The lines that it replaces, blanks around them left out."""
    new: str


def mutants(folder: str) -> list[Mutant]:
    """All mutants of a folder but those of wording and of guards, in the order of the files."""
    return [one for file in sorted(Path().glob(FOLDERS[folder])) for one in _of_file(folder, file)]


def sample(found: Sequence[Mutant], count: int, seed: int) -> list[Mutant]:
    """`count` of the mutants, or all; the same for the same mutants and seed, whatever their order."""
    ordered = sorted(found, key=lambda mutant: mutant.name)
    return ordered if len(ordered) <= count else random.Random(seed).sample(ordered, count)


def matters(old: str, new: str) -> bool:
    """Whether a change is more than of a sentence for people, or of an argument that only guards."""
    return _without_sentences(_without_guards(old)) != _without_sentences(_without_guards(new))


def _of_file(folder: str, file: Path) -> list[Mutant]:
    from mutmut.mutation.file_mutation import mutate_file_contents
    from mutmut.utils.format_utils import get_mutant_name, orig_function_and_class_names_from_key

    made = mutate_file_contents(str(file), file.read_text())
    lines = made.code.splitlines()
    found = []
    for name in made.mutant_names:
        original = f"{name.rpartition('__mutmut_')[0]}__mutmut_orig"
        texts = []
        for which in (original, name):
            span = made.line_span_by_function_name[which]
            texts.append([line.replace(which, "_") for line in lines[span.start - 1 : span.end]])
        old, new = _changed(*texts)
        if matters(old, new):
            whole = get_mutant_name(file, name)
            function, owner = orig_function_and_class_names_from_key(whole)
            parts = [whole.rpartition(".")[0], *([owner] if owner else []), function]
            found.append(Mutant(whole, folder, ".".join(parts), old, new))
    return found


def _changed(old: Sequence[str], new: Sequence[str]) -> tuple[str, str]:
    """The lines that differ, blanks around them left out."""
    sides: dict[str, list[str]] = {"-": [], "+": []}
    for line in difflib.ndiff(old, new):
        if line[0] in sides:
            sides[line[0]].append(line[2:].strip())
    return "\n".join(sides["-"]), "\n".join(sides["+"])


def _without_guards(code: str) -> str:
    """Code without the arguments that guard, and without a comma that an argument left behind."""
    return re.sub(r",\s*\)", ")", GUARDS.sub("", code))


def _without_sentences(code: str) -> str:
    """Code with every string of several words emptied."""
    tokens: list[str] = []
    try:
        for token in tokenize.generate_tokens(io.StringIO(code).readline):
            prose = token.type == tokenize.STRING and " " in token.string
            tokens.append('""' if prose else token.string)
    except (tokenize.TokenError, IndentationError):
        # Lines out of their context may open a bracket that they do not close: what was read until then counts.
        pass
    return " ".join(tokens)
