"""The plan of a recipe as a table for the terminal, as plain JSON, and as a line that its file keeps (`--note`)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from selfplay.planning.machine import GIB
from selfplay.planning.need import Need
from selfplay.planning.plan import Outlook
from selfplay.run.files import write_text
from verifiers.untrusted.files import read_text

TERMS = ("weights", "gradients", "optimiser", "reference", "buffers", "logits", "activations", "cache")
MARK = "# Planned for "
"""Begins the line."""
ASSUMED = (
    "Hours (~) are assumptions, from data sheets and the shares in docs/how-to/plan.md, unless a rate was "
    "measured; lengths and what gates keep are assumed, too. `--rates FILE` takes better ones."
)


def plan_table(plan: Outlook) -> RenderableType:
    """A row for each piece of work; alike ones of several rounds stand in one."""
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("stage, work", overflow="fold")
    table.add_column("GiB a device")
    table.add_column("of which", overflow="fold")
    for name in ("host", "disk", "M tokens", "hours"):
        table.add_column(name, justify="right", no_wrap=True)
    for names, need in _rows(plan):
        terms = [f"{name} {need.terms[name] / GIB:.1f}" for name in TERMS if need.terms.get(name, 0) > GIB / 20]
        mark = "" if need.speed.measured else "~"
        table.add_row(
            f"{names}, {need.what}",
            Text(f"{need.total / GIB:.1f} of {need.limit / GIB:.1f}", "" if need.fits else "bold red"),
            ", ".join(terms),
            f"{need.host / GIB:.0f}",
            f"{(need.stays + need.passing) / GIB:.1f}",
            f"{need.tokens / 1e6:,.1f}",
            f"{mark}{need.hours:,.2f}",
        )
    mark = "" if plan.measured else "~"
    closing = (
        f"{mark}{plan.hours:,.1f} hours, {mark}{plan.hours * plan.machine.devices:,.0f} device hours, "
        f"{plan.tokens / 1e6:,.0f} M tokens; {plan.host / GIB:.0f} GiB of host memory, {plan.disk / GIB:.0f} of disk"
    )
    notes = [] if plan.measured else [Text(ASSUMED, "dim")]
    return Group(_title(plan), table, Text(closing, "bold"), *notes)


def _title(plan: Outlook) -> Text:
    return Text(f"{plan.recipe.name} on {plan.machine}, memory in GiB of each device at its fullest", "bold")


def _rows(plan: Outlook) -> list[tuple[str, Need]]:
    """Needs with the names of the stages that have the same, in order."""
    found: dict[tuple[Any, ...], tuple[list[str], Need]] = {}
    for need in plan.needs:
        key = (need.what, tuple(need.terms.items()), need.tokens)
        found.setdefault(key, ([], need))[0].append(need.stage)
    return [(names[0] if len(names) == 1 else f"{names[0]} … {names[-1]}", need) for names, need in found.values()]


def plan_json(plan: Outlook) -> dict[str, Any]:
    """All figures: bytes, tokens, tokens a second of a device, hours."""
    rows = [
        {
            "stage": need.stage,
            "work": need.what,
            "terms": need.terms,
            "total": need.total,
            "limit": need.limit,
            "fits": need.fits and not need.notes,
            "host": need.host,
            "disk": need.stays + need.passing,
            "tokens": need.tokens,
            "tokens_per_s": need.speed.tokens_per_s,
            "measured": need.speed.measured,
            "devices": need.devices,
            "hours": need.hours,
        }
        for need in plan.needs
    ]
    machine = {"card": plan.machine.card.name, "devices": plan.machine.devices, "bytes": plan.machine.device_bytes}
    whole = {"hours": plan.hours, "tokens": plan.tokens, "host": plan.host, "disk": plan.disk}
    return {"recipe": plan.recipe.name, "machine": machine, "measured": plan.measured, **whole, "work": rows}


def note_of(plan: Outlook, machine: str, seeds: int | None) -> str:
    """The line.

    Args:
        machine: the option by which its machine was named, with its value.
        seeds: the option of that name.
    """
    options = machine + (f" --seeds {seeds}" if seeds is not None else "")
    largest = max(plan.needs, key=lambda need: need.total / need.limit)
    by = "measured" if plan.measured else "assumed"
    return (
        f"{MARK}{options}: {plan.hours:.0f} hours by {by} rates; at most {largest.total / GIB:.1f} of "
        f"{largest.limit / GIB:.1f} GiB of a GPU ({largest.stage}), {plan.host / GIB:.0f} of the host, "
        f"{plan.disk / GIB:.0f} of disk."
    )


def write_note(file: Path, line: str) -> None:
    """Puts the line at the end of a recipe's opening comment, in the place of an older one."""
    lines = [one for one in read_text(file).splitlines() if not one.startswith(MARK)]
    opening = next((place for place, one in enumerate(lines) if not one.startswith("#")), len(lines))
    write_text(file, "\n".join([*lines[:opening], line, *lines[opening:]]) + "\n")
