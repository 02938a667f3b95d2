"""Pins of suites: a file with the commit and a hash of the content of each, as they were first loaded.

A named data set may change under its name. With a lock, a suite of the hub is loaded at the commit that the lock has,
and a suite of another content than the lock's is refused, wherever it comes from.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from selfplay.run.files import write_json
from selfplay.suites.rows import SuiteError
from verifiers.untrusted.files import read_json

VERSION = 1
OTHER = "give another file with --lock"


@dataclass(frozen=True, slots=True)
class Pin:
    """A suite as it was loaded."""

    source: str
    """The data set, or the files."""
    revision: str | None
    """The commit on the hub; None for files, and where no hub answered."""
    problems: int
    content: str
    """A hash of all problems with their labels."""


class SuiteLock:
    """A lock file; one that is not there yet pins nothing."""

    def __init__(self, file: Path) -> None:
        """Raises SuiteError where the file is no lock."""
        self._file = file
        empty = {"version": VERSION, "suites": {}}
        content = read_json(file, SuiteError, f"it is no lock of suites; {OTHER}") if file.exists() else empty
        pins = content.get("suites") if isinstance(content, dict) and content.get("version") == VERSION else None
        if not isinstance(pins, dict):
            raise SuiteError(f"{file}: is no lock of suites of version {VERSION}; {OTHER}")
        self._pins = {name: self._pin(name, one) for name, one in pins.items()}

    def _pin(self, name: str, found: Any) -> Pin:
        kinds: dict[str, Any] = {"source": str, "revision": (str, type(None)), "problems": int, "content": str}
        if not isinstance(found, dict) or any(not isinstance(found.get(key), kind) for key, kind in kinds.items()):
            raise SuiteError(f"{self._file}: the pin of {name} is damaged; remove it, and the next load writes it anew")
        return Pin(**{key: found[key] for key in kinds})

    def revision_of(self, name: str) -> str | None:
        """The commit at which a suite is pinned; None where it is not, or is one of files."""
        pin = self._pins.get(name)
        return None if pin is None else pin.revision

    def check(self, name: str, loaded: Pin) -> None:
        """Compares a suite with its pin, or pins it.

        Raises:
            SuiteError: its content is another.
        """
        pin = self._pins.get(name)
        if pin is not None and pin.content != loaded.content:
            at = f" at {pin.revision}" if pin.revision else ""
            raise SuiteError(
                f"{name}: has another content than {self._file} pins ({pin.problems} problems, {pin.content[:12]}, of "
                f"{pin.source}{at}; here {loaded.problems}, {loaded.content[:12]}, of {loaded.source}); load what was "
                "pinned, or remove the pin from that file to take the new content"
            )
        if pin is None or (pin.revision is None and loaded.revision is not None):
            self._pins[name] = loaded
            shown = {
                key: {"source": one.source, "revision": one.revision, "problems": one.problems, "content": one.content}
                for key, one in self._pins.items()
            }
            write_json(self._file, {"version": VERSION, "suites": shown})
