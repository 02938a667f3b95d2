"""The words around an answer: what they announce, count, change or deny, in the languages that answers come in."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from verifiers.untrusted.files import read_text


def table(module: str) -> dict[str, Any]:
    """Returns the table beside a module, given its `__file__`: words and names are data, in TOML files of their own."""
    return tomllib.loads(read_text(Path(module).with_suffix(".toml")))
