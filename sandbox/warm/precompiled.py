"""The C++ standard library's headers, compiled once for this machine and shown read-only to every sandbox.

They are the system's own, so no untrusted text is compiled here; what comes of them lies in the user's cache
folder and takes about 100 MB. Without it (no compiler, no writable folder) programs compile as well, but slower.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from sandbox.languages import LANGUAGES, Language

_SECONDS = 120


def headers_folder() -> Path:
    """Where the compiled headers lie, one folder a compiler."""
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return Path(cache) / "selfplay" / "headers"


def prepare(language: Language) -> Path | None:
    """Compiles the language's header unless that was done before; the folder, or None where it cannot be done."""
    place, compiled = _place(language)
    if place is None or os.path.isfile(compiled):
        return place
    try:
        with _only_one(place):
            if not os.path.isfile(compiled):
                _compile(language, place, Path(compiled))
    except (OSError, subprocess.SubprocessError):
        return None
    return place


def all_prepared() -> list[Path]:
    """The folders of those languages that have one."""
    return [place for place, compiled in _places_by(*_environment()) if os.path.isfile(compiled)]


def _place(language: Language) -> tuple[Path | None, str]:
    """The folder for a language's headers, and the file that is there once they are; None where there are none."""
    if not language.header:
        return None, ""
    return _place_by(language, *_environment())


def _environment() -> tuple[str | None, ...]:
    """The variables that a compiler and its place depend on."""
    return tuple(map(os.environ.get, ("PATH", "XDG_CACHE_HOME", "HOME")))


@functools.lru_cache(maxsize=16)
def _places_by(*environment: str | None) -> tuple[tuple[Path, str], ...]:
    """The places of all languages, of which several may share one."""
    found = [_place_by(language, *environment) for language in LANGUAGES.values() if language.header]
    return tuple(dict.fromkeys((place, compiled) for place, compiled in found if place is not None))


@functools.lru_cache(maxsize=64)
def _place_by(language: Language, *_environment: str | None) -> tuple[Path | None, str]:
    """It is named after the compiler that is found, as it is when it is first asked for, and its flags."""
    compiler = shutil.which(language.compiler[0])
    if compiler is None:
        return None, ""
    binary = os.path.realpath(compiler)
    state = os.stat(binary)
    told = (binary, state.st_size, state.st_mtime_ns, language.compiler, language.header)
    place = headers_folder() / hashlib.sha256(repr(told).encode()).hexdigest()[:16]
    return place, str(place.joinpath(f"{language.header}.gch"))


@contextlib.contextmanager
def _only_one(place: Path) -> Iterator[None]:
    """Several processes may want the same headers at once; the first compiles them."""
    place.mkdir(parents=True, exist_ok=True)
    with (place / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _compile(language: Language, place: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    for shown in {place, target.parent}:
        shown.chmod(0o755)  # to the sandbox's user, whatever the umask
    with tempfile.TemporaryDirectory(dir=place) as folder:
        source, made = Path(folder) / "all.h", Path(folder) / "all.h.gch"
        source.write_text(f"#include <{language.header}>\n")
        command = [*language.compiler, "-x", "c++-header", str(source), "-o", str(made)]
        subprocess.run(command, check=True, capture_output=True, timeout=_SECONDS, stdin=subprocess.DEVNULL)
        made.chmod(0o644)
        made.rename(target)
