"""`python -m handbook` writes the pages and the picture that are made of the code; `--check` says which are behind."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from handbook.commands import commands_page
from handbook.fields import recipe_page
from handbook.functions import api_page
from handbook.loop import loop_picture
from handbook.metrics import metrics_page
from handbook.tables import tables_page

DOCS = Path(__file__).resolve().parents[1] / "docs"
MADE: dict[str, Callable[[], str]] = {
    "reference/recipe.md": recipe_page,
    "reference/commands.md": commands_page,
    "reference/tables.md": tables_page,
    "reference/api.md": api_page,
    "reference/metrics.md": metrics_page,
    "assets/loop.svg": loop_picture,
}


def main() -> int:
    """Writes what changed, or with `--check` only names it."""
    behind = {name: text for name, make in MADE.items() if (text := make()) != _there(name)}
    for name, text in behind.items():
        print(f"{name} {'is behind the code: python -m handbook' if '--check' in sys.argv else 'is new'}")
        if "--check" not in sys.argv:
            (DOCS / name).write_text(text, encoding="utf-8")
    return int(bool(behind) and "--check" in sys.argv)


def _there(name: str) -> str:
    file = DOCS / name
    return file.read_text(encoding="utf-8") if file.exists() else ""


if __name__ == "__main__":
    sys.exit(main())
