"""Where a run may write: in its own directory, and nowhere else, whatever names and links it is given."""

from __future__ import annotations

import os
from pathlib import Path

from selfplay.run.files import RunError

LONGEST = 200
"""Bytes of a name, so that it stays one with an ending and a mark of what is being written."""
BEST = "best"
"""The link to the best policy, which a run makes for people and never writes through."""


def inside(root: Path, *names: str) -> Path:
    """A place below a run's directory, for whoever makes or writes it.

    Args:
        root: the run's directory, or a folder of it.
        names: one for each folder, and that of the file.

    Raises:
        RunError: a name is none, or the place lies elsewhere, also by a link.
    """
    for name in names:
        # Surrogates stand for bytes that are no text.
        size = len(name.encode("utf-8", "surrogatepass"))
        if name in ("", ".", "..") or "/" in name or not name.isprintable() or size > LONGEST:
            raise RunError(f"{root}: {name[:LONGEST]!r} is no name of a file of a run; take letters, digits, . _ and -")
    path = root.joinpath(*names)
    _demand_below(root, path)
    return path


def refuse_ways_out(root: Path) -> None:
    """Refuses a run directory with a link that leads out of it, so that nothing below it is written elsewhere.

    Raises:
        RunError: names the link.
    """
    for folder, folders, files in os.walk(root):
        for name in (*folders, *files):
            path = Path(folder, name)
            if path.is_symlink() and path != root / BEST and not _is_log_of_wandb(path.relative_to(root)):
                _demand_below(root, path)


def _is_log_of_wandb(path: Path) -> bool:
    """W&B links a session's log by its whole path, which leads out once a run was moved; none is written again."""
    return len(path.parts) == 4 and path.parts[::2] == ("wandb", "logs") and path.name == "debug-core.log"


def _demand_below(root: Path, path: Path) -> None:
    try:
        there = path.resolve()
        # Of a loop of links some versions of Python raise, and others leave the link.
        below = there.is_relative_to(root.resolve()) and not os.path.islink(there)
    except (OSError, RuntimeError, ValueError):
        below = False
    if not below:
        raise RunError(
            f"{path}: leads out of {root}, where a run writes all it makes; replace the link by what it names"
        )
