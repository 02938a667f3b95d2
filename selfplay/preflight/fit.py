"""Whether a recipe fits on this machine, before anything loads: no 30B run begins by accident on a laptop."""

from __future__ import annotations

from pathlib import Path

from selfplay.config.recipe import Recipe
from selfplay.config.section import NamedModel
from selfplay.planning.architecture import UnknownArchitecture
from selfplay.planning.known_models import architecture_of
from selfplay.planning.machine import GIB, here
from selfplay.planning.number_formats import UnknownSizes
from selfplay.planning.plan import DoesNotFit, Outlook, amount, outlook
from selfplay.planning.rates import Rates
from selfplay.planning.remedies import demand_fit
from selfplay.preflight.recipe import Finding, named_models

BY_ACCIDENT = 10**9
"""Parameters of a model from which on a run on a CPU must have been meant."""
DOUBT = 1.15
"""A machine may have this much less than what is predicted: so far off may the prediction be."""


def demand_gpus(recipe: Recipe) -> None:
    """Refuses large models on a machine without GPUs, unless `compute.device` says `cpu`.

    Raises:
        DoesNotFit: names the model and its size.
    """
    if recipe.compute.device == "cpu":
        return
    for field, model in named_models(recipe).items():
        size = _parameters(model, field)
        if size is not None and size >= BY_ACCIDENT:
            raise DoesNotFit(
                f"{field}.name: {model.name} has {size / 1e9:.1f} billion parameters, and this machine has no GPU; run "
                "it where there is one (`selfplay plan` says on which it fits), or set compute.device to cpu if you "
                "mean it"
            )


def _parameters(model: NamedModel, field: str) -> int | None:
    try:
        return architecture_of(model, field).parameters
    except UnknownArchitecture:
        return None


def demand_room(recipe: Recipe, device: str, workers: int, run: Path) -> list[Finding]:
    """Refuses what surely does not fit on this machine; where sizes are not known nothing is said.

    Args:
        device: `cpu` or `cuda`.
        workers: processes that hold models.

    Raises:
        DoesNotFit: names the stage, the term and the field; see `demand_gpus`, too.
    """
    if device == "cpu":
        demand_gpus(recipe)
    machine = here(device, workers, recipe.engine.ranks, run)
    try:
        plan = outlook(recipe, machine, Rates())
    except UnknownSizes as error:
        return [Finding("plan", f"not planned: {error}")]
    demand_fit(plan, DOUBT)
    return [Finding("plan", _said(plan))]


def fits_here(recipe: Recipe, gpus: int, workers: int, run: Path) -> list[Finding]:
    """The same for `selfplay check`, which also says where a machine without GPUs is the wrong one.

    Raises:
        DoesNotFit: see `demand_room`.
    """
    meant = bool(gpus) or recipe.compute.device == "cpu"
    try:
        return demand_room(recipe, "cpu" if not gpus or recipe.compute.device == "cpu" else "cuda", workers, run)
    except DoesNotFit as error:
        if meant:
            raise
        return [Finding("plan", f"`selfplay run` would refuse here: {error}")]


def _said(plan: Outlook) -> str:
    largest = max(plan.needs, key=lambda need: need.total / need.limit, default=None)
    if largest is None:
        return "no model runs on this machine"
    return (
        f"{plan.machine}: at most {largest.total / GIB:.1f} of {largest.limit / GIB:.1f} GiB of a device "
        f"({largest.stage}, {largest.what}), {amount(plan.disk)} of disk"
    )
