"""A whole run of a recipe, which goes on where it was cut.

`python -m benchmarks._gpu.whole_run FOLDER RECIPE OVERRIDE...`.
"""

from __future__ import annotations

import contextlib
import json
import sys
from pathlib import Path
from typing import Any

from selfplay.pipeline import api


def measure(folder: Path, recipe: str, overrides: list[str]) -> dict[str, Any]:
    """Seconds of each stage, the accuracies, and where the run lies."""
    found = api.run(recipe, overrides, folder)
    summary = found.summary or {}
    return {
        "run": str(found.path),
        "stages": [{"name": one["name"], "seconds": one["seconds"]} for one in summary["stages"]],
        "total_s": summary["total_seconds"],
        "evaluation": summary["evaluation"],
        "gains": summary["gains"],
    }


if __name__ == "__main__":
    with contextlib.redirect_stdout(sys.stderr):
        figures = measure(Path(sys.argv[1]), sys.argv[2], sys.argv[3:])
    print(json.dumps(figures))
