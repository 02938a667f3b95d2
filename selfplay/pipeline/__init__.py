"""A run from its first stage to its last: the main loop, the table of stages, and what starts and ends them.

From Python: `from selfplay.pipeline import run; run("recipe.yaml")`.
"""

from selfplay.pipeline.api import RunResult, check, load_recipe, open_run, run
from selfplay.stage.hooks import Callbacks, OwnWork, StageInfo

__all__ = ["Callbacks", "OwnWork", "RunResult", "StageInfo", "check", "load_recipe", "open_run", "run"]
