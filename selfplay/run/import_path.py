"""`RUN/import_path.json`: the folders in which a run looked for verifiers of one's own, its recipe's among them.

Whoever measures its policies later, from another folder, finds a verifier there, too. No folder of it is looked into
but for a module that was named and lies nowhere else, since somebody else may have made the run.
"""

from __future__ import annotations

import importlib.util
import sys
from importlib.machinery import PathFinder
from pathlib import Path

from selfplay.run.files import read_json, write_json
from verifiers.plugins.places import plugin_folders
from verifiers.registry import find

FILE = "import_path.json"


def note_import_path(run: Path) -> None:
    """Writes down where modules of one's own are found now."""
    write_json(run / FILE, {"folders": plugin_folders()})


def find_verifier(name: str, run: Path | None) -> None:
    """Has a verifier be found: one that is named `module:Name` also where a run found its own.

    Args:
        run: the run; None for none.

    Raises:
        UnknownVerifier: it is nowhere; the message says where it was looked for.
        RunError: the run's file is damaged.
    """
    module, colon, _ = name.partition(":")
    top = module.partition(".")[0]
    if not colon or not top:
        # What is known by its name lies in no folder.
        find(name)
        return
    if top not in sys.modules and importlib.util.find_spec(top) is None:
        folders = [] if run is None else _noted(run)
        having = [folder for folder in folders if PathFinder.find_spec(top, [folder]) is not None]
        # Where none has it, the error names them all.
        sys.path += [folder for folder in having[:1] or folders if folder not in sys.path]
    find(name)


def _noted(run: Path) -> list[str]:
    file = run / FILE
    folders = read_json(file).get("folders") if file.exists() else None
    return [one for one in folders if isinstance(one, str) and one] if isinstance(folders, list) else []
