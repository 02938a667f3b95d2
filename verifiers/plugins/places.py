"""Folders in which plug-ins may lie: those of the import path that are neither Python's nor of installed packages."""

from __future__ import annotations

import sys
import sysconfig
from pathlib import Path

_INSTALLED = tuple(
    Path(sysconfig.get_path(name)).resolve() for name in ("stdlib", "platstdlib", "purelib", "platlib", "scripts")
)


OF_A_FILE = ".py"


def without_ending(path: str) -> str:
    """The remedy for `my_rules.py:right`, where a module is named by its file, to stand after a sentence; else none."""
    module, colon, name = path.partition(":")
    if not module.endswith(OF_A_FILE):
        return ""
    return f"; a module is named without {OF_A_FILE}: give {module.removesuffix(OF_A_FILE)}{colon}{name}"


def plugin_folders() -> list[str]:
    """The folders, as whole paths, in the order in which modules are looked for."""
    wholes = dict.fromkeys(Path(path).resolve() for path in sys.path)
    return [str(one) for one in wholes if one.is_dir() and not any(one.is_relative_to(own) for own in _INSTALLED)]
