"""The notebook runs from its first cell to its last, on a smaller run."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.docs.pages import DOCS
from tests.docs.test_tutorials import SMALLER
from tests.e2e.conftest import environment

FILE = DOCS / "tutorials" / "look-at-a-run.ipynb"


@pytest.mark.long
def test_the_notebook_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nbformat: Any = pytest.importorskip("nbformat")
    client: Any = pytest.importorskip("nbclient")
    for name, value in environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent) + os.pathsep + os.environ["PATH"])
    book = nbformat.read(FILE, as_version=4)
    small = {name: int(value) for name, _, value in (one.partition("=") for one in SMALLER)}
    cells = [cell for cell in book.cells if cell.cell_type == "code"]
    assert [cell.source.count("SMALL = {}") for cell in cells] == [1] + [0] * (len(cells) - 1)
    cells[0].source = cells[0].source.replace("SMALL = {}", f"SMALL = {small}")
    client.NotebookClient(book, timeout=600, resources={"metadata": {"path": str(tmp_path)}}).execute()
    shown = [output.get("text", "") for cell in cells for output in cell.outputs if output.output_type == "stream"]
    assert any("are solved sometimes" in text for text in shown)
    assert any(text.startswith("better on ") for text in shown)
