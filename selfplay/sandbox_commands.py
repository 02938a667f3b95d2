"""What `selfplay sandbox run` does."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from sandbox.model import Limits, Program
from sandbox.open import open_sandbox

LANGUAGES = {".py": "python", ".cpp": "cpp", ".cc": "cpp", ".cxx": "cpp"}


class SandboxInputError(ValueError):
    """A file that cannot be run; the message names it and the remedy."""


def run_file(file: Path, language: str | None, stdin: Path | None) -> dict[str, Any]:
    """Runs a program file once; returns the execution with text in place of bytes.

    Raises:
        SandboxInputError: a file cannot be read, or its language is not known.
        SandboxUnavailable: no backend works on this host.
    """
    chosen = language or LANGUAGES.get(file.suffix)
    if chosen not in set(LANGUAGES.values()):
        raise SandboxInputError(f"{file}: the language is not known; give --language python or --language cpp")
    try:
        source = file.read_text(encoding="utf-8")
        given = stdin.read_bytes() if stdin is not None else b""
    except (OSError, UnicodeDecodeError) as error:
        raise SandboxInputError(f"{error}: give a program as text, and a file that exists") from error
    sandbox = open_sandbox()
    try:
        execution = sandbox.run(Program(source, chosen), [given], Limits())[0]
    finally:
        sandbox.close()
    row = asdict(execution)
    row.pop("value")
    text = {name: row[name].decode("utf-8", "replace") for name in ("stdout", "stderr")}
    return row | text | {"status": str(execution.status)}
