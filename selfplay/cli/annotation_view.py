"""What annotation did, for the person who ran it: how many triples, by whom, at what cost, and what went wrong."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from selfplay.watching.terminal import plain

SHOWN = 3


def annotation_view(counts: Mapping[str, Any], folder: str) -> RenderableType:
    """A table from the counts in the annotation stage's manifest, and where its tables are."""
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("annotator")
    for name in ("answers", "usable", "rationales", "tokens", "cost"):
        table.add_column(name, justify="right")
    table.add_column("not usable", overflow="fold")
    for row in counts["annotators"]:
        tokens = row["prompt_tokens"] + row["completion_tokens"]
        failures = sorted(row["failures"].items(), key=lambda item: -item[1])[:SHOWN]
        table.add_row(
            plain(row["name"]),
            str(row["asked"]),
            str(row["used"]),
            str(row["rationales"]),
            f"{tokens:,}",
            f"{row['cost']:.4f}",
            plain(", ".join(f"{reason} ({count})" for reason, count in failures), "dim"),
        )
    head = (
        f"{counts['triples']} triples, {counts['as_they_were']} of them as they came; {counts['failed']} problems "
        f"could not be annotated; {counts['tokens']:,} tokens, cost {counts['cost']:.4f}"
    )
    return Group(Text(head, "bold"), table, plain(folder, "dim", overflow="fold"))
