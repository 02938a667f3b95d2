"""Reads a recipe: YAML with `extends`, dotted overrides, and errors that name file, line, field and remedy."""

from __future__ import annotations

import difflib
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from selfplay.config.annotation import AnnotationSettings, OpenAIEngine
from selfplay.config.errors import UserError
from selfplay.config.faults.sentences import HALF_A_CHARACTER, explained
from selfplay.config.faults.sources import RecipeSource
from selfplay.config.recipe import Recipe
from selfplay.config.sandbox import SandboxSettings
from selfplay.config.values.places import At, placed, recipe_file, shipped_recipes, with_wording
from verifiers.untrusted.files import read_text
from verifiers.untrusted.shown import quoted
from verifiers.untrusted.yaml_text import DEEPEST, UnusableYaml, parse_yaml

Settings = TypeVar("Settings", bound=BaseModel)

LARGEST = 1 << 20
"""Most bytes of a recipe."""
LONGEST_CHAIN = 20
"""Most recipes that extend one another."""
MAY_BE_NULL = (("domains",), ("curation", "benchmarks"), ("labelling", "labellers"))
"""Named things that a recipe need not take over from the one that it extends: null leaves one out."""


class RecipeError(UserError):
    """A recipe that cannot be used; the message is meant for the person who wrote it."""


_last_read: list[RecipeSource] = []
"""Where the settings stand of the recipe that was read last."""


def with_line(sentence: str) -> str:
    """A sentence on a setting, with its file and line in front; for what is found out once the recipe has been read."""
    field = sentence.partition(":")[0]
    at: At = tuple(field.split("."))
    if not _last_read or at[0] not in Recipe.model_fields:
        return sentence
    place = _last_read[-1].where(at, "")
    return f"{place}: {sentence}" if place else sentence


def load_recipe(path: str | Path, overrides: Sequence[str] = ()) -> Recipe:
    """Reads, merges and validates a recipe.

    Args:
        path: a YAML file, or the name of a shipped recipe. Its `extends` key names another one, relative to it. A
            domain, benchmark or labeller set to null is one that it does not take over. Paths are relative to the file
            that says them.
        overrides: `a.b.c=value` settings, the value in YAML; their paths are relative to the working directory.

    Raises:
        RecipeError: with file, line, field, what was expected and the nearest valid name.
    """
    path = recipe_file(Path(path))
    source = RecipeSource(path.parent)
    _last_read[:] = [source]
    _find_modules_in(str(path.parent.resolve()))
    return _validated(_read(path, source, ()), overrides, source, path)


def _find_modules_in(beside: str) -> None:
    """Verifiers named `module:Name` may lie beside the recipe: after packages, and before the working directory."""
    if beside not in sys.path:
        here = str(Path.cwd())
        sys.path.insert(len(sys.path) - 1 if sys.path[-1] == here else len(sys.path), beside)


def recipe_of(settings: dict[str, Any], overrides: Sequence[str] = ()) -> Recipe:
    """A recipe from its settings; paths are relative to the working directory.

    Raises:
        RecipeError: as for `load_recipe`; the place is "the recipe".
    """
    return _validated(settings, overrides, RecipeSource(Path()), Path("the recipe"))


def section_of(kind: type[Settings], overrides: Sequence[str], what: str) -> Settings:
    """Settings that are no recipe, from overrides alone.

    Args:
        overrides: as for `load_recipe`.

    Raises:
        RecipeError: as for `load_recipe`.
    """
    source, merged = RecipeSource(Path()), dict[str, Any]()
    for override in overrides:
        merged = _override(merged, override, source)
    try:
        return kind.model_validate(merged)
    except ValidationError as error:
        raise RecipeError(explained(error, source, what, kind)) from error
    except UnicodeEncodeError as error:
        raise RecipeError(f"{what}: a name of a setting {HALF_A_CHARACTER}") from error


def _validated(settings: dict[str, Any], overrides: Sequence[str], source: RecipeSource, path: Path) -> Recipe:
    merged = settings
    for override in overrides:
        merged = _override(merged, override, source)
    for place in MAY_BE_NULL:
        merged = _without_nulls(merged, place)

    def told(at: At, fault: str) -> RecipeError:
        return RecipeError(f"{source.where(at, str(path))}: {'.'.join(map(str, at))}: {fault}")

    try:
        recipe = Recipe.model_validate(with_wording(merged, source.folder, told))
    except ValidationError as error:
        raise RecipeError(explained(error, source, str(path), Recipe)) from error
    except UnicodeEncodeError as error:
        raise RecipeError(f"{path}: a name of a setting {HALF_A_CHARACTER}") from error
    placed_recipe: Recipe = placed(recipe, source.folder, told)
    return placed_recipe


def _without_nulls(settings: dict[str, Any], place: Sequence[str]) -> dict[str, Any]:
    """The settings, less what is null among the named things at a place."""
    first, rest = place[0], place[1:]
    below = settings.get(first)
    if not isinstance(below, dict):
        return settings
    kept = _without_nulls(below, rest) if rest else {name: one for name, one in below.items() if one is not None}
    return settings | {first: kept}


def _read(path: Path, source: RecipeSource, seen: tuple[Path, ...]) -> dict[str, Any]:
    text = read_text(path, RecipeError, _remedy(path), LARGEST)
    if path.resolve() in seen:
        raise RecipeError(f"{path}: extends itself by way of {' -> '.join(map(str, seen))}; remove one `extends`")
    if len(seen) > LONGEST_CHAIN:
        raise RecipeError(f"{path}: is the end of {len(seen)} recipes that extend one another; put them into one")
    try:
        content, node = parse_yaml(text)
    except UnusableYaml as error:
        raise RecipeError(f"{path}: is not valid YAML: {error}") from error
    if not isinstance(content, dict) or node is None:
        raise RecipeError(f"{path}: a recipe is a mapping of settings, such as `name: my-run`")
    base: dict[str, Any] = {}
    if "extends" in content:
        below = content.pop("extends")
        if not isinstance(below, str) or "\0" in below:
            raise RecipeError(f"{path}: `extends` must be the path of a recipe, not {quoted(below, 80)}")
        base = _read(_extended(path.parent, below), source, (*seen, path.resolve()))
    source.record(path, node)
    return _merge(base, content)


def _remedy(path: Path) -> str:
    near = [] if path.exists() else difflib.get_close_matches(path.stem, shipped_recipes(), n=1)
    hint = f"did you mean `{near[0]}`? " if near else ""
    return f"{hint}give a recipe's path, or a name that `selfplay recipes` lists"


def _extended(folder: Path, name: str) -> Path:
    return folder / name if (folder / name).is_file() else shipped_recipes().get(name, folder / name)


def _merge(base: dict[str, Any], top: dict[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in top.items():
        below = merged.get(key)
        replaced = (
            isinstance(value, dict)
            and isinstance(below, dict)
            and value.get("kind", below.get("kind")) == below.get("kind")
        )
        merged[key] = _merge(below, value) if replaced and isinstance(below, dict) else value
    return merged


def _override(settings: dict[str, Any], override: str, source: RecipeSource) -> dict[str, Any]:
    name, equals, text = override.partition("=")
    said = quoted(override)
    path = tuple(name.split("."))
    if not equals or not name or len(path) > DEEPEST:
        raise RecipeError(f"{said}: an override is written `a.b.c=value`")
    try:
        top, node = parse_yaml(text)
    except UnusableYaml as error:
        raise RecipeError(f"{said}: cannot be read as an override ({error})") from error
    source.override(path, said, node)
    for key in reversed(path):
        top = {key: top}
    return _merge(settings, top)


def deciding(settings: dict[str, Any]) -> dict[str, Any]:
    """A resolved recipe's settings, less what doesn't change results: these may differ when a run goes on.

    They are compute, tracking, callbacks, where the policy is pushed to, how many sandboxes there are, and where
    endpoints are, what they cost and how much may be spent on them.
    """
    kept = {name: value for name, value in settings.items() if name not in ("compute", "tracking")}
    cold_start = dict(kept.get("cold_start", {}))
    cold_start["annotation"] = {
        name: value
        for name, value in cold_start.get("annotation", {}).items()
        if name not in AnnotationSettings.may_change
    }
    training = {name: value for name, value in kept.get("training", {}).items() if name != "push_to_hub"}
    hooks = {name: value for name, value in kept.get("hooks", {}).items() if name != "callbacks"}
    sandbox = {name: value for name, value in kept.get("sandbox", {}).items() if name not in SandboxSettings.may_change}
    kept |= {"cold_start": cold_start, "training": training, "hooks": hooks, "sandbox": sandbox}
    return {name: _without_endpoints(value) for name, value in kept.items()}


def _without_endpoints(value: Any) -> Any:
    if isinstance(value, list):
        return [_without_endpoints(inner) for inner in value]
    if not isinstance(value, dict):
        return value
    harmless = OpenAIEngine.changes_no_result if value.get("kind") == "openai" else ()
    return {name: _without_endpoints(inner) for name, inner in value.items() if name not in harmless}


def differences(old: dict[str, Any], new: dict[str, Any], at: str = "") -> list[str]:
    """One line a setting that differs between two resolved recipes."""
    lines = []
    for key in sorted(old.keys() | new.keys()):
        here = f"{at}.{key}" if at else key
        before, after = old.get(key), new.get(key)
        if isinstance(before, dict) and isinstance(after, dict):
            lines += differences(before, after, here)
        elif before != after:
            lines.append(f"{here}: {json.dumps(before)} -> {json.dumps(after)}")
    return lines
