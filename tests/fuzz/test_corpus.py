"""The fuzz targets on the inputs that are kept, and, among the long tests, a short run of each by coverage."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz.run import CORPUS, TOKENS
from tests.fuzz.targets import TARGETS

KEPT = [(name, path) for name in TARGETS for path in sorted((CORPUS / name).iterdir())]
PIECES = [line[1:-1].encode().decode("unicode_escape").encode("latin-1") for line in TOKENS.read_text().splitlines()]


def test_every_target_has_inputs() -> None:
    assert {name for name, _ in KEPT} == set(TARGETS) == {path.name for path in CORPUS.iterdir()}


@pytest.mark.parametrize(("name", "path"), KEPT, ids=[f"{name}-{path.name}" for name, path in KEPT])
def test_a_kept_input_breaks_nothing(name: str, path: Path) -> None:
    begun = time.process_time()
    TARGETS[name](path.read_bytes())
    assert time.process_time() - begun < 5


@pytest.mark.parametrize("name", TARGETS)
@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.sampled_from(PIECES) | st.binary(max_size=4) | st.sampled_from([b"1", b"x", b",", b"="]), max_size=25)
)
def test_tokens_in_any_order_break_nothing(name: str, pieces: list[bytes]) -> None:
    TARGETS[name](b"".join(pieces))


@pytest.mark.parametrize("name", TARGETS)
@settings(max_examples=25, deadline=None)
@given(st.lists(st.sampled_from(PIECES), min_size=3, max_size=4), st.integers(100, 400))
def test_a_pumped_token_breaks_nothing(name: str, pieces: list[bytes], times: int) -> None:
    """What is counted in steps in `tests/verifiers/patterns` is put to the promises here."""
    before, *repeated, after = pieces
    TARGETS[name](before + b"".join(repeated) * times + after)


@pytest.mark.long
@pytest.mark.skipif(importlib.util.find_spec("atheris") is None, reason="atheris is not installed: the extra fuzz")
@pytest.mark.parametrize("name", TARGETS)
def test_fuzzing_for_seconds_breaks_nothing(name: str, tmp_path: Path) -> None:
    root = CORPUS.parents[2]
    command = [sys.executable, "-m", "tests.fuzz.run", name, "--seconds", "15"]
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=tmp_path, env={"PYTHONPATH": str(root)}, check=False
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-3000:]
    assert not list(tmp_path.iterdir())
