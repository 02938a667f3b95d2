"""Settings that name something on this machine: relative to the file that says so, and looked for when it is read.

A field of a section is marked by its type (`RowsFile`, `ModelName` and the like); nothing else has to know of it. The
recipes that come with this project, in a checkout and in a wheel alike, are found here, too.
"""

from __future__ import annotations

import functools
import os
import typing
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, WithJsonSchema

from verifiers.untrusted.files import demand_file, read_text

At = tuple[str | int, ...]
"""The names on the way to a setting."""
Told = Callable[[At, str], Exception]
"""Makes the error of a setting, of which it gets the end of a sentence."""


@dataclass(frozen=True, slots=True)
class Place:
    """Marks a text that names a file that must be there, a folder, or what may also be on the hub."""

    kind: Literal["file", "folder", "hub"]
    what: str
    """For people, as in "give a JSON lines file"."""
    words: tuple[str, ...] = ()
    """Texts that name no place."""


LONGEST = 96
"""Most characters of a name on the hub."""
RECIPES = (Path(__file__).resolve().parents[2] / "recipes").resolve()
"""In a checkout this is `configs/`, to which `selfplay/recipes` is a link."""
ROWS = "a CSV, JSON, JSON lines or Parquet file"
ROW_FILES = (".csv", ".tsv", ".json", ".jsonl", ".parquet")
"""Endings of files of rows, of which no hub name has one."""
RowsFile = Annotated[str, Field(min_length=1), Place("file", ROWS)]
TracesFile = Annotated[str, Field(min_length=1), Place("file", f"{ROWS} of traces")]
PairsFile = Annotated[str, Field(min_length=1), Place("file", f"{ROWS} of pairs")]
ConceptsFile = Annotated[str, Field(min_length=1), Place("file", "a list of concepts")]
DownloadsFolder = Annotated[str, Field(min_length=1), Place("folder", "a folder of downloaded files")]
LockFile = Annotated[str, Field(min_length=1), Place("folder", "a lock of suites, which need not be there yet")]
RunFolder = Annotated[str, Field(min_length=1), Place("folder", "a run directory")]
ModelName = Annotated[str, Field(min_length=1), Place("hub", "a folder with a model, or a hub name")]
SentenceModelName = Annotated[
    str, Field(min_length=1), Place("hub", "a folder with a model, a hub name, or `policy`", ("policy",))
]
_FILE = {"type": "object", "properties": {"file": {"type": "string"}}, "required": ["file"]}
Wording = Annotated[str, WithJsonSchema({"anyOf": [{"type": "string"}, _FILE | {"additionalProperties": False}]})]
"""A template: a text, or, until a recipe is read, `{file: PATH}`."""
DataSetName = Annotated[
    str,
    Field(min_length=1),
    Place("hub", "a folder of Parquet, CSV or JSON lines files, or a hub name"),
]


def flat(annotation: Any) -> Iterator[Any]:
    """A type with all that it is made of, marks included."""
    yield annotation
    for inner in typing.get_args(annotation):
        yield from flat(inner)


def placed(model: BaseModel, folder_of: Callable[[At], Path], told: Told, at: At = ()) -> Any:
    """A section with whole paths in place of relative ones; hub names stay.

    Args:
        folder_of: the folder to which a setting is relative.
        told: makes the error of a setting that names nothing.
    """
    changed = {}
    for name, field in type(model).model_fields.items():
        marks = [mark for mark in (*field.metadata, *flat(field.annotation)) if isinstance(mark, Place)]
        value = getattr(model, name)
        new = _within(value, marks[0] if marks else None, folder_of, told, (*at, name))
        if new is not value:
            changed[name] = new
    return model.model_copy(update=changed) if changed else model


def _within(value: Any, place: Place | None, folder_of: Callable[[At], Path], told: Told, at: At) -> Any:
    if isinstance(value, BaseModel):
        return placed(value, folder_of, told, at)
    if isinstance(value, str) and place is not None and value not in place.words:
        return _found(value, place, folder_of(at), lambda sentence: told(at, sentence))
    if isinstance(value, dict):
        new = {key: _within(inner, place, folder_of, told, (*at, key)) for key, inner in value.items()}
        return new if any(new[key] is not value[key] for key in value) else value
    if isinstance(value, tuple):
        parts = tuple(_within(inner, place, folder_of, told, (*at, number)) for number, inner in enumerate(value))
        return parts if any(a is not b for a, b in zip(parts, value, strict=True)) else value
    return value


def with_wording(settings: dict[str, Any], folder_of: Callable[[At], Path], told: Told, at: At = ()) -> dict[str, Any]:
    """Settings, not yet looked at, with the text of a file for each template that is written as `{file: PATH}`.

    Args:
        folder_of: the folder to which a setting is relative.
        told: makes the error of a setting that names nothing.
    """
    found = dict(settings)
    for key, value in settings.items():
        here = (*at, key)
        is_wording = at[:1] == ("domains",) and (str(key).endswith("_template") or at[-1] == "annotation")
        if is_wording and isinstance(value, dict) and list(value) == ["file"] and isinstance(value["file"], str):
            file = folder_of(here) / os.path.expanduser(value["file"])
            found[key] = read_text(file, functools.partial(told, here), "give a file of UTF-8 text")
        elif isinstance(value, dict):
            found[key] = with_wording(value, folder_of, told, here)
    return found


def has_hub_form(name: str) -> bool:
    """Whether a name may be one of the hub's, `owner/name` or a lone old `name`, as `huggingface_hub` checks it."""
    parts = name.split("/")
    return len(parts) <= 2 and len(name) <= LONGEST and all(map(_is_part, parts))


def _is_part(part: str) -> bool:
    plain = part.isascii() and part.replace("-", "").replace("_", "").replace(".", "").isalnum()
    return plain and part[0] not in "-." and part[-1] not in "-." and "--" not in part and ".." not in part


def _found(name: str, place: Place, folder: Path, told: Callable[[str], Exception]) -> str:
    whole = os.path.realpath(folder / os.path.expanduser(name))
    if place.kind == "folder":
        return whole
    if place.kind == "file":
        if not os.path.exists(whole):
            raise told(f"there is no file {whole}; give {place.what}")
        demand_file(whole, told, f"give {place.what}")
        return whole
    if os.path.isdir(whole):
        return whole
    if os.path.isfile(whole) or name.endswith(ROW_FILES):
        raise told(f"{name} is a file's name, and no folder and no hub name; give {place.what}")
    # An owner's name that is a folder here: somebody meant that folder, and mistyped what is in it.
    if not has_hub_form(name) or ("/" in name and os.path.isdir(os.path.dirname(whole))):
        raise told(f"there is no folder {whole}, and {name!r} is not looked for on the hub; give {place.what}")
    return name


def shipped_recipes() -> dict[str, Path]:
    """The files of the shipped recipes, by name."""
    return {file.stem: file for file in sorted(RECIPES.glob("*.yaml"))}


def described(file: Path) -> str:
    """The first sentence of a recipe's comments."""
    lines = read_text(file).splitlines()
    comments = (line.removeprefix("#").strip() for line in lines if line.startswith("#"))
    told = (line for line in comments if not line.startswith("yaml-language-server"))
    return next(told, "").split(": `")[0].rstrip(".:")


def recipe_file(path: Path) -> Path:
    """The file of a recipe that is named by its path or, where nothing bears that name, as one of those shipped."""
    return path if len(path.parts) != 1 or path.is_file() else shipped_recipes().get(path.name, path)
