"""Pairs that somebody made before, for dpo: `prompt`, `chosen` and `rejected` a row, as texts or as messages."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from selfplay.config.recipe import Recipe
from selfplay.config.rules import PairFiles
from selfplay.run.files import contents_hash
from selfplay.seeds.row_files import rows_of_file
from selfplay.seeds.rows import SeedError

SOURCE = "source"
"""Column that says where a pair comes from, which is kept."""


class FoundPair(NamedTuple):
    """A pair as it stands in a file."""

    where: str
    domain: str
    prompt: str
    chosen: str
    rejected: str
    source: str


def file_pairs(recipe: Recipe, settings: PairFiles) -> Iterator[FoundPair]:
    """The pairs of the recipe's files, in their order.

    Raises:
        SeedError: a file cannot be read, or a row lacks a text, has two equal ones, or is of no domain of the recipe.
    """
    for name in settings.paths:
        for where, row in rows_of_file(Path(name), SeedError):
            yield _read(recipe, settings, where, row)


def pair_files(recipe: Recipe) -> str:
    """A hash of the files of pairs that the recipe reads; empty where it reads none."""
    settings = recipe.training.pair_files
    return "" if settings is None else contents_hash(map(Path, settings.paths))


def plain_text(value: Any) -> str | None:
    """A text, or what the only message of a list says; None for anything else."""
    if isinstance(value, list) and len(value) == 1 and isinstance(value[0], dict):
        value = value[0].get("content")
    return value if isinstance(value, str) else None


def domain_of(recipe: Recipe, said: Any, where: str, field: str) -> str:
    """The domain of a row that says it, or whose recipe has only one.

    Raises:
        SeedError: it is none of the recipe's; the message names the field that says it for all rows.
    """
    domain = said or (next(iter(recipe.domains)) if len(recipe.domains) == 1 else None)
    if domain not in recipe.domains:
        raise SeedError(
            f"{where}: belongs to no domain of the recipe; give it a `domain` of {sorted(recipe.domains)}, or set "
            f"{field}"
        )
    return str(domain)


def _read(recipe: Recipe, settings: PairFiles, where: str, row: dict[str, Any]) -> FoundPair:
    domain = domain_of(recipe, row.get("domain", settings.domain), where, "training.dpo.files.domain")
    columns = {name: getattr(settings, name) for name in ("prompt", "chosen", "rejected")}
    texts = {name: plain_text(row.get(column)) for name, column in columns.items()}
    for name, text in texts.items():
        if text is None or not text.strip():
            raise SeedError(
                f"{where}: `{columns[name]}` must be a text, or a list of one message; training.dpo.files.{name} names "
                f"another column; the row has {sorted(row)}"
            )
    prompt, chosen, rejected = (str(text) for text in texts.values())
    if chosen == rejected:
        raise SeedError(f"{where}: `{columns['chosen']}` and `{columns['rejected']}` are the same text; drop the row")
    source = row.get(SOURCE)
    return FoundPair(where, domain, prompt, chosen, rejected, source if isinstance(source, str) else "file")
