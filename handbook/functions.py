"""`reference/api.md`: the stable names of Python with their signatures and docstrings."""

from __future__ import annotations

import importlib
import inspect
import re
from enum import EnumType
from pathlib import Path
from typing import Any

from handbook.markdown import page

PYTHON = Path(__file__).resolve().parents[1] / "docs" / "reference" / "python.md"
INTRODUCTION = """What [From Python](python.md) calls stable, from the docstrings. Settings of a recipe are in
[fields of a recipe](recipe.md), columns of tables in [tables of a run](tables.md)."""


def api_page() -> str:
    """The page, in the order of the table of stable names."""
    parts = []
    for modules, names in stable():
        for module in modules:
            found = [name for name in names if hasattr(importlib.import_module(module), name)]
            if found:
                parts.append(f"## {module}")
                parts += [_entry(importlib.import_module(module), name) for name in found]
    return page("Functions and classes", "the docstrings", INTRODUCTION, *parts)


def stable() -> list[tuple[list[str], list[str]]]:
    """Modules and their stable names, as the page of Python lists them."""
    rows = re.findall(r"^\| (`.*?) \| (.*) \|$", PYTHON.read_text(encoding="utf-8"), re.MULTILINE)
    return [(re.findall(r"`([a-z_.]+)`", modules), re.findall(r"`([A-Za-z_]+)`", names)) for modules, names in rows]


def _entry(module: Any, name: str) -> str:
    thing = getattr(module, name)
    signature = _signature(thing, name)
    text = f"### {name}\n\n```text\n{signature}\n```\n\n{_doc(thing)}"
    if inspect.isclass(thing):
        public = {name: part for name, part in vars(thing).items() if not name.startswith("_")}
        own = {name: part for name, part in public.items() if inspect.isfunction(part)}
        text += "\n\n" + "\n".join(f"- `{_signature(part, name)}`: {_first(part)}" for name, part in own.items())
    return text


def _signature(thing: Any, name: str) -> str:
    """With types by their last names, and without the values of defaults that are objects."""
    if hasattr(thing, "model_fields"):
        return f"{name}(**fields)"
    if isinstance(thing, EnumType):
        return f"{name}: {', '.join(str(one.value) for one in thing)}"
    try:
        given = str(inspect.signature(thing))
    except (TypeError, ValueError):
        return name
    given = re.sub(r"<[^<>]*>", "...", given).replace("NoneType", "None").replace("self, ", "").replace("(self)", "()")
    return name + re.sub(r"\b(?:[A-Za-z_]\w*\.)+([A-Za-z_]\w*)", r"\1", given).replace("'", "")


def _doc(thing: Any) -> str:
    text = inspect.cleandoc(thing.__doc__ or "")
    if text.startswith(f"{getattr(thing, '__name__', '')}("):
        return ""
    return re.sub(r"^(Args|Returns|Raises|Yields):\n((?:    .*\n?|\n(?=    ))+)", _listed, text, flags=re.MULTILINE)


def _listed(block: re.Match[str]) -> str:
    """A block of Google's style as a list."""
    lines = re.sub(r"\n {5,}", " ", block[2]).strip("\n").split("\n")
    return f"{block[1]}:\n\n" + "\n".join(f"- {line.strip()}" for line in lines) + "\n"


def _first(thing: Any) -> str:
    return " ".join(_doc(thing).split("\n\n")[0].split())
