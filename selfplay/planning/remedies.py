"""The smallest change of a recipe by which a piece of work fits: each is tried on the recipe itself, least first."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from selfplay.config.load import RecipeError, recipe_of
from selfplay.config.recipe import Recipe
from selfplay.planning.need import Need
from selfplay.planning.plan import DoesNotFit, Outlook, outlook, sentence_of
from selfplay.run.plan import PlannedStage

ADAPTER = {"r": 32, "lora_alpha": 64, "target_modules": ["q_proj", "k_proj", "v_proj", "o_proj"]}
SHORTENED = (0.75, 0.5, 0.375, 0.25, 0.1875, 0.125, 0.0625)
"""Shares of a length that are tried; none shorter is worth a run."""
ROUND = 256
"""Lengths are multiples of this."""
Change = tuple[str, ...]
"""Overrides, as the command line takes them."""


def demand_fit(plan: Outlook, doubt: float = 1.0) -> None:
    """Refuses what does not fit.

    Args:
        doubt: by how much a prediction may be too high without a refusal.

    Raises:
        DoesNotFit: a sentence for each piece of work, with the term, the field and the change that mends it.
    """
    faults = [*_mended(plan, plan.unfit(doubt)), *plan.faults(doubt)]
    if faults:
        raise DoesNotFit(f"{plan.recipe.name} does not fit on {plan.machine}: " + "; and ".join(faults))


def _mended(plan: Outlook, unfit: list[Need]) -> Iterator[str]:
    """A sentence for each, whose change is made before the next is looked at: together they are to mend all."""
    for need in unfit:
        now = next((one for one in plan.needs if (one.stage, one.what) == (need.stage, need.what)), None)
        if now is None or (now.fits and not now.notes):
            yield sentence_of(need, "what is named before mends that, too")
            continue
        said, change = _mending(plan, now)
        yield sentence_of(need, said)
        if change:
            plan = outlook(recipe_of(plan.recipe.model_dump(mode="json"), list(change)), plan.machine, plan.rates)


def remedy(plan: Outlook, need: Need) -> str:
    """The change to make, as the end of a sentence."""
    return _mending(plan, need)[0]


def _mending(plan: Outlook, need: Need) -> tuple[str, Change]:
    """The same, and the change itself; an empty one where there is none."""
    stage = next(stage for stage in plan.stages if stage.name == need.stage)
    for change in changes(plan, need):
        after = _after(plan, stage, need, change)
        if after is not None:
            return f"set {' '.join(change)}, with which it takes {after.total / 2**30:.1f}", change
    together: dict[str, str] = {}
    for field in need.fields:
        # The strongest of each field, one on top of the other.
        for strongest in list(_of_field(plan, need, field))[-1:]:
            together |= {one.partition("=")[0]: one for one in strongest}
            change = tuple(together.values())
            after = _after(plan, stage, need, change)
            if after is not None:
                return f"set {' '.join(change)}, with which it takes {after.total / 2**30:.1f}", change
    return f"no setting of this recipe mends that: it takes devices of at least {need.total / 2**30:.0f} GiB", ()


def changes(plan: Outlook, need: Need) -> Iterator[Change]:
    """Changes of one field each, the least first."""
    for field in need.fields:
        yield from _of_field(plan, need, field)


def _after(plan: Outlook, stage: PlannedStage, need: Need, change: Change) -> Need | None:
    """The same work under a change; None where it does not fit yet, or the recipe takes no such change."""
    try:
        recipe = recipe_of(plan.recipe.model_dump(mode="json"), list(change))
    except RecipeError:
        return None
    found = outlook(recipe, plan.machine, plan.rates, only=stage).needs
    after = next((one for one in found if one.what == need.what), None)
    return after if after is not None and after.fits and not after.notes else None


def _of_field(plan: Outlook, need: Need, field: str) -> Iterator[Change]:
    value, leaf = _at(plan.recipe, field), field.rpartition(".")[2]
    yield from _BY_LEAF.get(leaf, _shorter)(plan, field, value)


def _shorter(plan: Outlook, field: str, value: Any) -> Iterator[Change]:
    whole = int(value or plan.recipe.training.sampling.max_new_tokens + plan.rates.prompt_tokens)
    lengths = (int(whole * share) for share in SHORTENED)
    yield from ((f"{field}={length // ROUND * ROUND or length}",) for length in lengths)


def _windows(plan: Outlook, field: str, value: Any) -> Iterator[Change]:
    lengths = (2**n for n in range(18, 10, -1))
    yield from ((f"{field}={length}",) for length in lengths if length != value)


def _spread(plan: Outlook, field: str, value: Any) -> Iterator[Change]:
    yield from (
        (f"{field}={n}", "engine.supervision={}") for n in (2, 4, 8) if n <= plan.machine.devices // plan.machine.nodes
    )


def _adapted(plan: Outlook, field: str, value: Any) -> Iterator[Change]:
    yield (f"{field}={json.dumps(ADAPTER)}",)


def _cut(plan: Outlook, field: str, value: Any) -> Iterator[Change]:
    if value == "none" and plan.machine.devices > 1:
        yield (f"{field}=fsdp2",)


def _parted(plan: Outlook, field: str, value: Any) -> Iterator[Change]:
    """Sequences over more workers, of which there are as many as devices."""
    yield from ((f"{field}={n}",) for n in (2, 4, 8, 16) if n > int(value) and plan.machine.devices % n == 0)


def _recomputed(plan: Outlook, field: str, value: Any) -> Iterator[Change]:
    yield (f"{field}=true",)


def _by_vllm(plan: Outlook, field: str, value: Any) -> Iterator[Change]:
    if plan.machine.device == "cuda":
        yield (f"{field}=vllm",)


def _without_reference(plan: Outlook, field: str, value: Any) -> Iterator[Change]:
    if value:
        yield (f"{field}=0.0",)


def _shares(plan: Outlook, field: str, value: Any) -> Iterator[Change]:
    """Other shares of a device, the nearest first."""
    now = float(value or 0.3)
    for share in sorted((n / 20 for n in range(2, 19)), key=lambda share: abs(share - now)):
        yield (f"{field}={share:g}",)


def _smaller_batches(plan: Outlook, field: str, value: Any) -> Iterator[Change]:
    """Smaller micro-batches, with as many more of them to a step."""
    batch = int(value or 8)
    more = field.replace("per_device_train_batch_size", "gradient_accumulation_steps")
    steps = int(_at(plan.recipe, more) or 1)
    for smaller in (n for n in range(batch - 1, 0, -1) if batch % n == 0):
        yield (f"{field}={smaller}", f"{more}={steps * batch // smaller}")


def _fewer_at_once(plan: Outlook, field: str, value: Any) -> Iterator[Change]:
    """Fewer completions at a time, in whole groups."""
    args = plan.recipe.training.grpo.args
    steps = int(value or args.get("gradient_accumulation_steps", 1))
    each = int(args.get("per_device_train_batch_size", 8)) * plan.machine.devices
    group = int(args.get("num_generations") or 8)
    for fewer in (n for n in range(steps - 1, 0, -1) if steps % n == 0 and each * n % group == 0):
        yield (f"{field}={fewer}",)


_BY_LEAF = {
    "per_device_train_batch_size": _smaller_batches,
    "gradient_checkpointing": _recomputed,
    "sharding": _cut,
    "sequence_parallel": _parted,
    "steps_per_generation": _fewer_at_once,
    "max_model_len": _windows,
    "tensor_parallel_size": _spread,
    "lora": _adapted,
    "generator_lora": _adapted,
    "kind": _by_vllm,
    "beta": _without_reference,
    "vllm_gpu_memory_utilization": _shares,
}
"""Changes of a field by its last name; any other field is a length."""


def _at(recipe: Recipe, field: str) -> Any:
    """The value of a dotted field; None where it is not set."""
    value: Any = recipe
    for name in field.split("."):
        value = value.get(name) if isinstance(value, dict) else getattr(value, name, None)
    return value
