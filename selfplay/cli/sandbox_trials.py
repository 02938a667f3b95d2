"""The work of `selfplay sandbox run` and `selfplay sandbox doctor`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from sandbox.doctor import LIMITS, backends, examine
from sandbox.languages import LANGUAGES, language_of_file
from sandbox.model import Limits, Program, RemoteServer
from sandbox.open import open_sandbox
from selfplay.config.errors import UserError
from verifiers.untrusted.files import read_bytes, read_text


class SandboxInputError(UserError):
    """A file that cannot be run, or a backend that cannot be examined; the message says why and the remedy."""


def run_file(
    file: Path, language: str | None, stdin: Path | None, backend: str = "auto", waive: Sequence[str] = ()
) -> dict[str, Any]:
    """Runs a program file once; returns the execution with text in place of bytes.

    Raises:
        SandboxInputError: a file cannot be read, or its language, the backend or a limit is not known.
        SandboxUnavailable: no backend works on this host.
    """
    chosen = language or language_of_file(file.suffix)
    if chosen not in LANGUAGES:
        raise SandboxInputError(f"{file}: the language is not known; give --language, one of {', '.join(LANGUAGES)}")
    source = read_text(file, SandboxInputError, "give a program as text")
    given = b"" if stdin is None else read_bytes(stdin, SandboxInputError, "give a file")
    if backend not in (known := ("auto", *backends()[:-1])):
        raise SandboxInputError(f"--backend {backend}: is not of this host; give {', '.join(known)}")
    if unknown := sorted(set(waive) - set(LIMITS)):
        raise SandboxInputError(f"--waive {unknown[0]}: is no limit; the limits are {', '.join(LIMITS)}")
    sandbox = open_sandbox(backend, waive)
    try:
        execution = sandbox.run(Program(source, chosen), [given], Limits())[0]
    finally:
        sandbox.close()
    row = asdict(execution)
    row.pop("value")
    text = {name: row[name].decode("utf-8", "replace") for name in ("stdout", "stderr")}
    return row | text | {"status": str(execution.status)}


def examine_backend(backend: str, url: str | None, token_env: str | None) -> tuple[str, list[dict[str, Any]]]:
    """Tries every limit of a backend; returns a line about it, and one row a limit.

    Raises:
        SandboxInputError: the options do not go together.
        SandboxUnavailable: the backend does not work here.
    """
    if backend not in ("auto", *backends()):
        raise SandboxInputError(f"--backend {backend}: is not known; give auto, {', '.join(backends())}")
    if (backend == "remote") != (url is not None):
        raise SandboxInputError("--backend remote and --url go together: give both, or neither")
    if token_env is not None and url is None:
        raise SandboxInputError("--token-env: is for --backend remote; leave it out")
    try:
        server = RemoteServer(url, token_env) if url is not None else None
    except ValueError as error:
        raise SandboxInputError(f"--url: {error}") from error
    examined = examine(backend, server)
    rows = [asdict(found) | {"backend": examined.backend} for found in examined.findings]
    return f"{examined.backend}: {examined.about}", rows
