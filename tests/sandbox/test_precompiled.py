"""The headers that are compiled once: used where they can be, and missed by no program where they cannot."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from sandbox.languages import find_language
from sandbox.model import Limits, Program, Status
from sandbox.open import open_sandbox
from sandbox.warm import precompiled

CPP = find_language("cpp")
PROGRAM = Program(
    "#include <bits/stdc++.h>\n#ifndef FROM_THE_HEADERS\n#define FROM_THE_HEADERS 0\n#endif\n"
    "int main() { std::cout << FROM_THE_HEADERS; }",
    "cpp",
)

pytestmark = pytest.mark.skipif(shutil.which("g++") is None, reason="no g++ here")


def printed() -> bytes:
    sandbox = open_sandbox()
    with sandbox:
        sandbox.run(Program("print(1)"), [b""], Limits())
        execution = sandbox.run(PROGRAM, [b""], Limits())[0]
    assert execution.status is Status.OK, execution.reason
    return execution.stdout


def test_programs_use_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert precompiled.all_prepared() == []

    def compile_marked(command: list[str], **options: object) -> None:
        source = Path(command[command.index("c++-header") + 1])
        source.write_text(source.read_text() + "#define FROM_THE_HEADERS 1\n")
        run(command, **options)

    run = subprocess.run
    monkeypatch.setattr(precompiled.subprocess, "run", compile_marked)
    assert printed() == b"1"
    assert precompiled.all_prepared() == [precompiled.prepare(CPP)]


def test_without_a_folder_to_keep_them_programs_compile_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/proc/nowhere")
    assert precompiled.prepare(CPP) is None
    assert printed() == b"0"


def test_the_sandbox_reads_them_whatever_the_umask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else every right program that includes the header failed to compile."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    before = os.umask(0o077)
    try:
        place = precompiled.prepare(replace(find_language("cpp"), header="bits/allocator.h"))
    finally:
        os.umask(before)
    assert place is not None
    made = [place, place / "bits", place / "bits" / "allocator.h.gch"]
    assert [stat.S_IMODE(path.stat().st_mode) for path in made] == [0o755, 0o755, 0o644]
