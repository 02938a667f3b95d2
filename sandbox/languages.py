"""The languages a program may be written in, one entry each."""

from __future__ import annotations

from dataclasses import dataclass

from sandbox.model import Limits

HEADERS = "{headers}"
"""In a compiler's command, the folder of the headers that were compiled beforehand."""


@dataclass(frozen=True, slots=True)
class Language:
    """How a source text becomes a running program."""

    name: str
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


def _cpp(name: str, standard: str, otherwise: str = "") -> Language:
    return Language(
        name,
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
        Language("python"),
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
