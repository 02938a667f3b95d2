"""`selfplay em-ablation`: arms of EM side by side, each an ordinary run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from selfplay.cli.shared import Overrides, RecipeFile, load_recipe_file, show


def em_ablation(
    recipe: RecipeFile,
    overrides: Overrides = None,
    seeds: Annotated[str, typer.Option(help="Seeds, as in 0,1,2.")] = "0,1,2",
    out: Annotated[Path | None, typer.Option(help="Where the runs go; default runs/<name>-em-ablation.")] = None,
    rewards: Annotated[
        bool, typer.Option("--rewards", help="Compare the alternatives to the summed reward, down to labelled prompts.")
    ] = False,
    arm: Annotated[
        list[str] | None, typer.Option(metavar="NAME:a.b=value,...", help="One more arm; may be repeated.")
    ] = None,
) -> None:
    """Compare EM with a frozen E-step and with the cold start alone, with and without rationales, over seeds."""
    from selfplay.ablation.arms import CONVERGENCE, REWARDS, arm_of, run_arms, seeds_of
    from selfplay.ablation.figures import closing_view, figures
    from selfplay.ablation.plot import demand_plots, draw_curves, draw_ends
    from selfplay.cli.run import launch_run
    from selfplay.run.files import write_json
    from selfplay.stage.plan import planned_stages

    loaded = load_recipe_file(recipe, overrides)
    kind = "em-rewards" if rewards else "em-ablation"
    folder = out or Path("runs") / f"{loaded.name}-{kind}"
    demand_plots()
    arms, of_seeds = [*(REWARDS if rewards else CONVERGENCE), *map(arm_of, arm or [])], seeds_of(seeds)
    run_arms(
        recipe,
        overrides or [],
        arms,
        of_seeds,
        folder,
        rewards,
        lambda own, where, reuse, until: launch_run(own, where, reuse, until, planned_stages(own)),
        lambda text: typer.echo(text, err=True),
    )
    found = figures(folder, arms, of_seeds, rewards)
    write_json(folder / f"{kind}.json", found)
    (draw_ends if rewards else draw_curves)(found, folder / f"{kind}.svg", loaded.name)
    show(closing_view(found))
    typer.echo(f"{folder / kind}.json has all figures, {folder / kind}.svg shows them.")
