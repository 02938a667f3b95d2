"""The line of a recipe that says what a plan found, written by the plan itself: `selfplay plan ... --note`."""

from __future__ import annotations

from pathlib import Path

from selfplay.planning.machine import GIB
from selfplay.planning.plan import Outlook
from selfplay.run.files import write_text
from verifiers.untrusted.files import read_text

MARK = "# Planned for "


def note_of(plan: Outlook, gpus: str, seeds: int | None) -> str:
    """The line.

    Args:
        plan: of the recipe.
        gpus: the option by which its machine was named.
        seeds: the option of the same name.
    """
    options = f"--gpus {gpus}" + (f" --seeds {seeds}" if seeds is not None else "")
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
