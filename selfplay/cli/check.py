"""`selfplay check`: everything about a recipe that can be found out before anything expensive."""

from __future__ import annotations

import typer

from selfplay.cli.shared import Overrides, RecipeFile, load_recipe_file, show


def check(recipe: RecipeFile, overrides: Overrides = None) -> None:
    """Validate a recipe, show its plan, and try its rewards on known answers; loads no weights."""
    loaded = load_recipe_file(recipe, overrides)
    from selfplay.cli.plan_view import plan_view
    from selfplay.preflight.prompts import check_prompt_endpoints, check_prompts
    from selfplay.preflight.recipe import (
        check_endpoints,
        check_engine,
        check_models,
        check_pool,
        check_sandbox,
        check_teacher,
        check_trainer_arguments,
    )
    from selfplay.preflight.rewards import check_rewards
    from selfplay.stage.plan import synthesises
    from selfplay.tracking.sinks import check_trackers

    show(plan_view(loaded))
    check_trackers(loaded.tracking)
    check_trainer_arguments(loaded, loaded.compute.workers or 1)
    check_engine(loaded)
    findings = check_models(loaded) + check_rewards(loaded) + check_endpoints(loaded) + check_sandbox(loaded)
    findings += check_pool(loaded) + check_teacher(loaded)
    if synthesises(loaded):
        findings += check_prompts(loaded, offline=True) + check_prompt_endpoints(loaded)
    for finding in findings:
        typer.echo(f"ok  {finding.name}: {finding.detail}")
