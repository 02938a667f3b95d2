"""Views as a terminal shows them, as plain text."""

from __future__ import annotations

import io

from rich.console import Console, RenderableType


def shown(view: RenderableType, width: int = 100) -> str:
    console = Console(file=io.StringIO(), width=width, color_system=None)
    console.print(view)
    output = console.file.getvalue()  # type: ignore[attr-defined]
    assert isinstance(output, str)
    return output
