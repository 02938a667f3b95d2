"""Pydantic's errors as sentences that name the nearest setting, kind or value that there is."""

from __future__ import annotations

import difflib
import json
import typing
from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, ValidationError

from selfplay.config.faults.sources import RecipeSource
from selfplay.config.values.places import At
from verifiers.untrusted.shown import quoted, shown

HALF_A_CHARACTER = "holds half of a character; remove it"
"""The end of a sentence on a text that UTF-8 cannot hold."""
KINDS = frozenset(
    ("pretrained", "scratch", "quickstart", "reasoning_gym", "file", "dataset", "openai", "local", "policy")
)
"""Names by which pydantic tells the alternatives of a setting apart; they are no part of its path."""
KEY = "[key]"
"""The last part that pydantic adds to the path of a key that is wrong itself."""
QUOTE = "'"
"""The mark around each name that pydantic would have accepted."""


def explained(error: ValidationError, source: RecipeSource, what: str, root: type[BaseModel]) -> str:
    """A sentence for each fault of settings, with its place, the field and the remedy.

    Args:
        what: the place of a setting of which none is known.
        root: the settings as a whole.
    """
    sentences = []
    for problem in error.errors():
        named = problem.get("ctx", {}).get("setting")
        at = tuple(part for part in problem["loc"] if part not in KINDS and part != KEY) + (
            (named,) if named is not None else ()
        )
        field = ".".join(map(str, at)) or "the recipe"
        where = source.where(at, what)
        sentences.append(f"{where}: {_sentence(problem, field, at, root)}")
    return "\n".join(sentences)


def _sentence(problem: Any, field: str, at: At, root: type[BaseModel]) -> str:
    if problem["type"] == "extra_forbidden":
        return f"`{field}` is {_no_setting(at, root)}"
    if problem["type"] in ("union_tag_not_found", "union_tag_invalid"):
        return _no_kind(problem["ctx"].get("tag"), field, _kinds_at(at, root))
    if problem["type"] == "literal_error" and problem["loc"][-1] == KEY:
        return f"`{field}` is not a setting; {_nearest(str(at[-1]), problem['ctx']['expected'].split(QUOTE)[1::2])}"
    if problem["type"] == "missing":
        return f"`{field}` is missing; add it"
    of_text = problem["type"] == "string_unicode"
    message = HALF_A_CHARACTER if of_text else str(problem["msg"]).removeprefix("Value error, ")
    if of_text or problem["type"] in ("value_error", "setting"):
        return f"{field}: {message}"
    given = json.dumps(problem["input"], default=str)
    return f"`{field}` is {shown(given, 80)}, but: {message[0].lower()}{message[1:]}"


def _no_kind(given: str | None, field: str, kinds: Sequence[str]) -> str:
    expected = ", ".join(kinds)
    if given is None:
        return f"`{field}` lacks `kind`; add one of {expected}"
    near = difflib.get_close_matches(given, kinds, n=1)
    return f"`{field}.kind` is {quoted(given, 40)}; " + (f"did you mean `{near[0]}`?" if near else f"give {expected}")


def _no_setting(at: At, root: type[BaseModel]) -> str:
    names = _valid_names(at[:-1], root)
    if at[-1] in names:
        kind = ".".join(map(str, (*at[:-1], "kind")))
        return f"a setting of another kind; set `{kind}`, too, to one of {', '.join(_kinds_at(at[:-1], root))}"
    return f"not a setting; {_nearest(str(at[-1]), names)}"


def _nearest(name: str, names: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    return f"did you mean `{near[0]}`?" if near else f"valid names: {', '.join(sorted(names))}"


def _valid_names(at: At, root: type[BaseModel]) -> list[str]:
    return sorted({name for model in _models_at(at, root) for name in model.model_fields})


def _kinds_at(at: At, root: type[BaseModel]) -> list[str]:
    """The values of `kind` by which the alternatives of a setting are told apart."""
    fields = (model.model_fields for model in _models_at(at, root))
    tags = (typing.get_args(known["kind"].annotation) for known in fields if "kind" in known)
    return list(dict.fromkeys(str(tag) for found in tags for tag in found))


def _models_at(at: At, root: type[BaseModel]) -> list[type[BaseModel]]:
    models = [root]
    for part in at:
        models = [inner for model in models for inner in _models_below(model, part)]
    return models


def _models_below(model: type[BaseModel], part: str | int) -> list[type[BaseModel]]:
    if part not in model.model_fields:
        # A key of a mapping, such as a domain's name: the mapping's value type has been reached already.
        return [model]
    return _models_in(model.model_fields[str(part)].annotation)


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for argument in typing.get_args(annotation) for model in _models_in(argument)]
