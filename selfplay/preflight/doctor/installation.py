"""Whether this project's three packages are those that Python finds, file by file.

Another distribution on the index is named `verifiers`. In one site-packages its folder and ours become one, and each
owns its own files (ours has no `verifiers/__init__.py`), so both work. What does not work is looked for here: a folder
of theirs that hides ours, and files of ours that another distribution has replaced or removed.
"""

from __future__ import annotations

import base64
import csv
import hashlib
from importlib.metadata import Distribution, FileHash, PackageNotFoundError, PackagePath, distributions
from importlib.util import find_spec
from pathlib import Path

DISTRIBUTION = "promptcot"
SHARED_NAMES = ("verifiers", "sandbox")
"""Packages whose names others use, too."""
HOME = Path(__file__).resolve().parents[3]
"""The folder that holds this project's packages."""


def clash() -> str:
    """One sentence on what is wrong and what mends it; empty when all is well."""
    return next((fault for name in SHARED_NAMES if (fault := _hidden(name))), "") or _damaged()


def _hidden(name: str) -> str:
    """Whether a regular package of that name, elsewhere, keeps Python from finding ours."""
    spec = find_spec(name)
    places = [] if spec is None else [Path(place).resolve() for place in spec.submodule_search_locations or ()]
    if HOME / name in places:
        return ""
    found = ", ".join(map(str, places)) or "no folder"
    return (
        f"the package `{name}` is found in {found}, which hides this project's in {HOME}: another distribution of that "
        f"name is installed elsewhere; install both into one environment (`pip install {DISTRIBUTION}`, not editable), "
        f"or run `pip uninstall {name}`"
    )


def _damaged() -> str:
    """Whether files that this project's RECORD lists are not there any more, or are another distribution's now."""
    try:
        own = Distribution.from_name(DISTRIBUTION)
    except PackageNotFoundError:
        return ""
    if Path(str(own.locate_file(""))).resolve() != HOME:
        return ""  # an editable installation, or another than the one that runs: its RECORD says nothing of these files
    for file in _recorded(own):
        if file.parts[0] not in SHARED_NAMES or file.suffix != ".py" or _is_as_installed(file):
            continue
        place, owner = HOME / file, _other_owner(str(file))
        if place.exists() and not owner:
            continue  # edited where it lies, which is nobody else's affair
        state = f"was replaced by the distribution {owner}" if place.exists() else "is missing"
        return f"{place}: {state}; run `pip install --force-reinstall --no-deps {DISTRIBUTION}`"
    return ""


def _recorded(own: Distribution) -> list[PackagePath]:
    """The files of its RECORD, those too that are gone, which `own.files` leaves out from Python 3.12 on."""
    found = []
    for row in csv.reader((own.read_text("RECORD") or "").splitlines()):
        name, digest, size = (*row, "", "")[:3]
        file = PackagePath(name)
        file.hash, file.size, file.dist = FileHash(digest) if digest else None, int(size) if size else None, own
        found.append(file)
    return found


def _is_as_installed(file: PackagePath) -> bool:
    place = HOME / file
    if not place.exists():
        return False
    if file.hash is None:
        return file.size in (None, place.stat().st_size)
    digest = hashlib.new(file.hash.mode, place.read_bytes()).digest()
    return base64.urlsafe_b64encode(digest).decode().rstrip("=") == file.hash.value


def _other_owner(file: str) -> str:
    names = [
        other.metadata["Name"]
        for other in distributions()
        if other.metadata["Name"] != DISTRIBUTION and any(str(owned) == file for owned in other.files or ())
    ]
    return ", ".join(sorted(set(names)))
