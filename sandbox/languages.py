"""The languages a program may be written in, one entry each: how they run, are named, marked and recognised.

Nothing else lists them: a new language is an entry here, and what it takes in the sandbox to run it.
"""

from __future__ import annotations

from dataclasses import dataclass

from sandbox.model import Limits

HEADERS = "{headers}"
"""In a compiler's command, the folder of the headers that were compiled beforehand."""


@dataclass(frozen=True, slots=True)
class Language:
    """How a source text becomes a running program."""

    name: str
    title: str
    """Its name for people."""
    family: str
    """Of languages whose programs look alike: the name of one of them."""
    tags: tuple[str, ...]
    """Tags of fenced blocks that hold a program of its family, in lower case."""
    endings: tuple[str, ...]
    """Of files that hold one; the first entry of a family takes them."""
    marks: tuple[str, ...]
    """Texts of which a whole program has one; none where that says little."""
    empty: str
    """A program that does nothing, and does it well."""
    has_functions: bool = False
    """Whether the sandbox can call a function of a program, and return its value."""
    source_name: str = "main.py"
    compiler: tuple[str, ...] = ()
    """Compiler and flags; empty for Python."""
    files: tuple[str, ...] = ()
    """Arguments after those, that make `binary_name` from `source_name` in the current folder."""
    binary_name: str = "program"
    header: str = ""
    """Header that many programs include whole, compiled once for all of them (C and C++ with gcc)."""
    standard: str = ""
    """The last of the compiler's flags, which an old compiler may not know."""
    otherwise: str = ""
    """Name of the entry that takes its place there."""
    stack_mb: int = 120
    """Stack of the main thread. Not all of the memory: each thread of a compiled program reserves as much."""


def _python() -> Language:
    return Language(
        "python",
        title="Python",
        family="python",
        tags=("python", "py", "python2", "python3", "py3", "sage"),
        endings=(".py",),
        marks=(),
        empty="pass",
        has_functions=True,
    )


def _cpp(name: str, standard: str, otherwise: str = "") -> Language:
    return Language(
        name,
        title=name.replace("cpp", "C++"),
        family="cpp",
        tags=("cpp", "c++", "cc", "cxx", "c", "hpp", "g++"),
        endings=(".cpp", ".cc", ".cxx"),
        marks=("#include", "main("),
        empty="int main() {}",
        source_name="main.cpp",
        compiler=("g++", "-O2", "-pipe", standard),
        files=("-I", HEADERS, "-o", "program", "main.cpp"),
        header="bits/stdc++.h",
        stack_mb=128,
        standard=standard,
        otherwise=otherwise,
    )


LANGUAGES = {
    language.name: language
    for language in (
        _python(),
        _cpp("cpp", "-std=c++20", otherwise="cpp17"),
        _cpp("cpp17", "-std=c++17"),
        _cpp("cpp20", "-std=c++20"),
        _cpp("cpp23", "-std=c++23"),
    )
}

COMPILE_LIMITS = Limits(cpu_s=20.0, wall_s=40.0, memory_mb=1024, processes=16, output_bytes=64 << 10, disk_mb=64)
"""The limits of one compilation, whatever those of the tests."""


def find_language(name: str) -> Language:
    """The entry of that name. Raises ValueError naming the known ones."""
    if name not in LANGUAGES:
        raise ValueError(f"unknown language {name!r}; known: {', '.join(sorted(LANGUAGES))}")
    return LANGUAGES[name]


def language_of_file(ending: str) -> str | None:
    """The language of a file by the ending of its name, as in `.py`; None for any other."""
    return next((name for name, language in LANGUAGES.items() if ending in language.endings), None)


def family_of(name: str) -> str:
    """The family of a language; of one that is not known, its own name."""
    return LANGUAGES[name].family if name in LANGUAGES else name
