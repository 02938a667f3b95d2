"""A recipe of which only some settings can be read: those that a stage says it depends on.

A stage that reads another one fails at once, so that what a stage depends on cannot be forgotten.
"""

from __future__ import annotations

import inspect
import types
from collections.abc import Collection
from typing import Any, cast

from pydantic import BaseModel

from selfplay.config.recipe import Recipe
from selfplay.config.section import Section

ALWAYS = ("name", "seed", "compute", "tracking")
"""Settings that change no result, and the seed, on which every stage depends."""


class UndeclaredSetting(RuntimeError):
    """A stage read a setting that its StageSpec does not name."""


class _View:
    """A section of which some fields can be read; its properties and methods see the same fields."""

    __slots__ = ("_path", "_section", "_sections", "_stage")

    def __init__(self, section: Section, path: str, stage: str, sections: Collection[str]) -> None:
        self._section, self._path, self._stage, self._sections = section, path, stage, sections

    def __getattr__(self, name: str) -> Any:
        kind = type(self._section)
        if name in kind.model_fields:
            return self._field(name)
        if hasattr(BaseModel, name):
            raise UndeclaredSetting(
                f"the stage {self._stage} asks for {name} of {self._path or 'the recipe'}, which shows all settings "
                "there; read those that it names"
            )
        found = inspect.getattr_static(kind, name)
        if isinstance(found, property) and found.fget is not None:
            return found.fget(self)
        if isinstance(found, types.FunctionType):
            return types.MethodType(found, self)
        return getattr(self._section, name)

    def _field(self, name: str) -> Any:
        path = f"{self._path}.{name}" if self._path else name
        value = getattr(self._section, name)
        if covers(self._sections, path):
            return value
        if any(section.startswith(f"{path}.") for section in self._sections):
            return _View(value, path, self._stage, self._sections) if isinstance(value, Section) else value
        raise UndeclaredSetting(
            f"the stage {self._stage} reads {path}, which its StageSpec does not name; name it in its sections, so "
            "that the stage is made again where the setting changes"
        )


def covers(sections: Collection[str], path: str) -> bool:
    """Whether one of the sections is the setting, or holds it."""
    return any(path == section or path.startswith(f"{section}.") for section in sections)


def restricted(recipe: Recipe, stage: str, sections: Collection[str]) -> Recipe:
    """The recipe, of which only these dotted sections can be read.

    Args:
        sections: such as `em` or `training.rounds`.
    """
    return cast(Recipe, _View(recipe, "", stage, {*ALWAYS, *sections}))
