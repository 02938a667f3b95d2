"""The pages of the documentation, as tests read them."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
FENCE = re.compile(r"^([ ]*)(```+)[^\n]*\n.*?^\1\2$", re.DOTALL | re.MULTILINE)


def pages(*names: str) -> str:
    """The text of some pages, named from `docs/`, one after the other."""
    return "\n".join((DOCS / name).read_text(encoding="utf-8") for name in names)


def prose(text: str) -> str:
    """A page without its fenced blocks."""
    return FENCE.sub("", text)
