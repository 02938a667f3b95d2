"""Where each setting of a recipe was said: the file and the line, or the command line."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import yaml

from selfplay.config.values.places import At


class RecipeSource:
    """Where each setting came from, so that an error can point at it, and to which folder its paths are relative."""

    def __init__(self, folder: Path) -> None:
        self.lines: dict[At, str] = {}
        self._folder = folder
        self._folders: dict[At, Path] = {}

    def record(self, file: Path | str, node: yaml.Node | None, at: At = ()) -> None:
        """Remembers where every key below a YAML node stands: in a file, or, by a text, on the command line."""
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                self._note(file, key, (*at, key.value))
                self.record(file, value, (*at, key.value))
            return
        # It replaces whatever a recipe below this one said in its place.
        for known in [known for known in self.lines if known[: len(at)] == at and len(known) > len(at)]:
            del self.lines[known]
            self._folders.pop(known, None)
        if isinstance(node, yaml.SequenceNode):
            for index, value in enumerate(node.value):
                self._note(file, value, (*at, index))
                self.record(file, value, (*at, index))

    def _note(self, file: Path | str, node: yaml.Node, at: At) -> None:
        of_file = isinstance(file, Path)
        self.lines[at] = f"{file}, line {node.start_mark.line + 1}" if of_file else str(file)
        self._folders[at] = file.parent if isinstance(file, Path) else Path()

    def override(self, at: At, said: str, node: yaml.Node | None) -> None:
        """Remembers that a setting is of the command line, and relative to the working directory."""
        self.lines[at], self._folders[at] = f"command line, {said}", Path()
        for above in _enclosing(at):
            # A section that no file has, such as a mistyped one, was said here too.
            self.lines.setdefault(above, self.lines[at])
        self.record(self.lines[at], node, at)

    def where(self, at: At, default: str) -> str:
        """The place of a setting, or of its nearest enclosing one."""
        return next((self.lines[near] for near in _enclosing(at) if near in self.lines), default)

    def folder(self, at: At) -> Path:
        """The folder to which a path in a setting is relative: that of the file which says it."""
        return next((self._folders[near] for near in _enclosing(at) if near in self._folders), self._folder)


def _enclosing(at: At) -> Iterator[At]:
    """The names on the way to a setting, of itself first, then of those that it is in."""
    return (at[:length] for length in range(len(at), 0, -1))
