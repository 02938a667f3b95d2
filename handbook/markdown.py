"""Small pieces of Markdown."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Sequence


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; bars, and breaks of lines, inside of cells do no harm."""
    lines = [_row(head), _row(["---"] * len(head)), *map(_row, rows)]
    return "\n".join(lines)


def code(text: object) -> str:
    """A piece of code inside of a line."""
    return f"`{text}`" if str(text) else ""


def page(title: str, source: str, *parts: str) -> str:
    """A page that is made, which says of what."""
    mark = f"<!-- Made by `python -m handbook` of {source}; edit that. -->"
    return "\n\n".join([f"# {title}", mark, *(part.strip() for part in parts if part.strip())]) + "\n"


def anchor(heading: str) -> str:
    """Where a heading is found on its page."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(_cell(cell) for cell in cells) + " |"


def _cell(text: str) -> str:
    """Outside of code a mark of HTML would be taken for one."""
    parts = " ".join(text.split()).split("`")
    spans = [_code(part) if i % 2 else _plain(part) for i, part in enumerate(parts)]
    return "".join(spans) if len(parts) % 2 else "".join(spans).removesuffix("`")


def _plain(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")


def _code(text: str) -> str:
    """An escaped bar in backticks would keep its backslash on the site, and a bare one would end the cell on GitHub."""
    return f"<code>{html.escape(text, quote=False).replace('|', '&#124;')}</code>" if "|" in text else f"`{text}`"
