"""The names of a trainer's arguments, by the source of the library's classes: to import these takes seconds."""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from verifiers.untrusted.files import UnusableFile, read_text

SHARED = (("trl", "trainer/base_config.py", "_BaseConfig"), ("transformers", "training_args.py", "TrainingArguments"))
CLASSES = {
    "sft": (("trl", "trainer/sft_config.py", "SFTConfig"), *SHARED),
    "dpo": (("trl", "trainer/dpo_config.py", "DPOConfig"), *SHARED),
    "grpo": (("trl", "trainer/grpo_config.py", "GRPOConfig"), *SHARED),
    "async_grpo": (("trl", "experimental/async_grpo/async_grpo_config.py", "AsyncGRPOConfig"), *SHARED),
}
"""By kind of training: its configuration class and those that it inherits from, by package and file."""


@functools.cache
def names_in_source(kind: str) -> frozenset[str]:
    """The arguments of a kind's configuration class; none where its source cannot be had or is built otherwise.

    Args:
        kind: sft, dpo, grpo or async_grpo.
    """
    found: set[str] = set()
    for package, file, name in CLASSES[kind]:
        own = _fields(package, file, name)
        if not own:
            return frozenset()
        found |= own
    return frozenset(found)


@functools.cache
def _fields(package: str, file: str, name: str) -> frozenset[str]:
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        return frozenset()
    try:
        tree = ast.parse(read_text(Path(spec.submodule_search_locations[0]) / file))
    except (UnusableFile, SyntaxError):
        return frozenset()
    return frozenset(field for node in tree.body if _is_class(node, name) for field in _arguments(node))


def _is_class(node: ast.stmt, name: str) -> bool:
    return isinstance(node, ast.ClassDef) and node.name == name


def _arguments(node: ast.AST) -> Iterator[str]:
    """The annotated fields of a dataclass, less those that its initialiser does not take."""
    for one in ast.iter_child_nodes(node):
        if isinstance(one, ast.AnnAssign) and isinstance(one.target, ast.Name) and not _is_set_within(one.value):
            yield one.target.id


def _is_set_within(value: ast.expr | None) -> bool:
    keywords = value.keywords if isinstance(value, ast.Call) else []
    return any(
        one.arg == "init" and isinstance(one.value, ast.Constant) and one.value.value is False for one in keywords
    )
