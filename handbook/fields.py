"""`reference/recipe.md`: every field of a recipe, from the pydantic models."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from handbook.markdown import anchor, code, page, table
from selfplay.config.recipe import Recipe

BOUNDS = (("minimum", "at least"), ("exclusiveMinimum", "above"), ("maximum", "at most"), ("exclusiveMaximum", "below"))
INTRODUCTION = """A recipe is a YAML file. Each section here is one of its parts. A field that is not given has its
default. `extends: FILE` takes all that is not said from another recipe. On the command line `a.b.c=value` sets a
field. A wrong name or value is refused before anything loads, with the nearest name that there is. `selfplay schema`
prints the same as a JSON schema, by which editors complete and check.

TRL's own arguments stand in `args` fields and are not listed here: they pass through whole."""


def recipe_page() -> str:
    """The page; sections come in the order in which fields lead to them."""
    schema = Recipe.model_json_schema()
    parts = [_section("Recipe", schema)]
    parts += [_section(name, schema["$defs"][name]) for name in _order(schema)]
    return page("Fields of a recipe", "`selfplay/config`", INTRODUCTION, *parts)


def _order(schema: dict[str, Any]) -> list[str]:
    """Names of the definitions, each after the first that leads to it, breadth first within a top field."""
    found: dict[str, None] = {}
    for field in schema["properties"].values():
        ahead = list(_references(field))
        while ahead:
            name = ahead.pop(0)
            if name not in found:
                found[name] = None
                ahead += _references(schema["$defs"][name].get("properties", {}))
    return list(found)


def _references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if "$ref" in node:
            yield node["$ref"].rpartition("/")[2]
        for key, value in node.items():
            if key not in {"discriminator", "default", "examples"}:
                yield from _references(value)
    elif isinstance(node, list):
        for value in node:
            yield from _references(value)


def _section(name: str, schema: dict[str, Any]) -> str:
    required = set(schema.get("required", ()))
    rows = [
        (code(field), _kind(of), "needed" if field in required else _default(of), str(of.get("description", "")))
        for field, of in schema.get("properties", {}).items()
        if not ("const" in of and field != "kind")
    ]
    about = str(schema.get("description", ""))
    return f"## {name}\n\n{about}\n\n" + table(("field", "type", "default", "meaning"), rows)


def _kind(of: dict[str, Any]) -> str:  # noqa: PLR0911 - one line a form
    """What may stand there, in words."""
    if "$ref" in of:
        name = of["$ref"].rpartition("/")[2]
        return f"[{name}](#{anchor(name)})"
    if "const" in of:
        return code(of["const"])
    if "enum" in of:
        return ", ".join(code(value) for value in of["enum"])
    if choices := of.get("anyOf") or of.get("oneOf"):
        return " or ".join(dict.fromkeys("none" if c.get("type") == "null" else _kind(c) for c in choices))
    if of.get("type") == "array":
        inner = of.get("items") or {}
        return f"list of {_kind(inner)}" if inner else "list"
    if of.get("type") == "object":
        inner = next(iter(of.get("patternProperties", {}).values()), of.get("additionalProperties"))
        return f"{_kind(inner)} by name" if isinstance(inner, dict) and inner else "mapping"
    plain = {"integer": "whole number", "number": "number", "boolean": "true, false", "string": "text"}
    return ", ".join([plain.get(of.get("type", ""), "any"), *(f"{w} {_number(of[k])}" for k, w in BOUNDS if k in of)])


def _number(bound: float) -> str:
    return f"{bound:,.0f}" if float(bound).is_integer() else f"{bound:g}"


def _default(of: dict[str, Any]) -> str:
    value = of.get("default")
    if value is None:
        return "none"
    if isinstance(value, dict) and value:
        return "its own"
    return code(json.dumps(value)).replace('`""`', "empty")
