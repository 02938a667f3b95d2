"""`selfplay plan`: memory, disk, tokens and hours of a recipe on a machine, before it runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from selfplay.cli.shared import Overrides, RecipeFile, load_recipe_file, show
from selfplay.config.errors import UserError


def plan(
    recipe: RecipeFile,
    overrides: Overrides = None,
    gpus: Annotated[str | None, typer.Option(help="GPUs and the GiB or the name of each: 8x80, 1x24, 8xH100.")] = None,
    nodes: Annotated[str | None, typer.Option(help="Nodes, GPUs of each and their GiB: 2x8x80.")] = None,
    rates: Annotated[
        Path | None, typer.Option(help="YAML with your own rates and shares (docs/how-to/plan.md).")
    ] = None,
    seeds: Annotated[int | None, typer.Option(min=1, help="Training seeds a domain, in place of the files'.")] = None,
    note: Annotated[
        bool, typer.Option("--note", help="Write what was found into the recipe's opening comment.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print all figures as JSON.")] = False,
    slurm: Annotated[Path | None, typer.Option(help="Write a SLURM script that runs the recipe on the nodes.")] = None,
    kuberay: Annotated[Path | None, typer.Option(help="Write KubeRay manifests that run the recipe on them.")] = None,
) -> None:
    """Plan a recipe: memory of each GPU, disk, tokens and hours, from the models' configurations alone."""
    from selfplay.planning import machine as machines
    from selfplay.planning.plan import outlook
    from selfplay.planning.rates import read_rates
    from selfplay.planning.remedies import demand_fit

    if (gpus is None) == (nodes is None):
        raise UserError(
            "plan: say for which machine, by --gpus 8x80 or --nodes 1x8x80; `selfplay check` is for this one"
        )
    if note and overrides:
        raise UserError("plan --note: writes what holds for the file itself; put the overrides into it, or drop --note")
    machine = machines.named(gpus) if gpus is not None else machines.of_nodes(str(nodes))
    loaded = load_recipe_file(recipe, overrides)
    asked = slurm or kuberay
    if machine.nodes > 1 and loaded.compute.executor == "local" and asked is None:
        raise UserError(
            "compute.executor: is local, which uses the GPUs of one machine; set it to ray for several, or "
            "plan by --gpus"
        )
    found = outlook(loaded, machine, read_rates(rates), seeds)
    if as_json:
        import json

        from selfplay.planning.view import plan_json

        typer.echo(json.dumps(plan_json(found), indent=1))
    else:
        from selfplay.planning.view import plan_table

        show(plan_table(found))
    demand_fit(found)
    if note:
        from selfplay.planning.view import note_of, write_note

        write_note(recipe, note_of(found, f"--gpus {gpus}" if gpus is not None else f"--nodes {nodes}", seeds))
    if asked is not None:
        from selfplay.planning import cluster_files
        from selfplay.run.files import write_text

        if slurm is not None:
            write_text(slurm, cluster_files.slurm_script(loaded, recipe, overrides or [], machine, slurm))
        if kuberay is not None:
            write_text(kuberay, cluster_files.kuberay_manifests(loaded, machine))
