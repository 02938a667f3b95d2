"""The plan of a recipe on a machine: what each stage needs, whether it fits, and the smallest change that mends it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from selfplay.config.errors import UserError
from selfplay.config.recipe import Recipe
from selfplay.planning.counts import counts_of
from selfplay.planning.machine import GIB, Machine
from selfplay.planning.need import Need
from selfplay.planning.needs import Needs
from selfplay.planning.rates import Rates
from selfplay.planning.stages import stages_of
from selfplay.planning.work import StageNeeds
from selfplay.run.plan import PlannedStage

REMEDIES = {
    "host memory": "lower compute.workers",
    "disk": "lower the fields `prompts` and `samples`, or choose a --run-dir with more room",
}
"""By what the machine as a whole is short of."""


class DoesNotFit(UserError):
    """A recipe that a machine cannot run; the message names the term, the field and the remedy."""


@dataclass(frozen=True, slots=True)
class Outlook:
    """A recipe on a machine, before it runs."""

    recipe: Recipe
    machine: Machine
    rates: Rates
    stages: tuple[PlannedStage, ...]
    needs: tuple[Need, ...]

    @property
    def hours(self) -> float:
        """Of all stages together."""
        return sum(need.hours for need in self.needs)

    @property
    def tokens(self) -> int:
        """Written, read and trained on."""
        return sum(need.tokens for need in self.needs)

    @property
    def host(self) -> int:
        """Most bytes of host memory."""
        return max((need.host for need in self.needs), default=0)

    @property
    def disk(self) -> int:
        """Most bytes of disk: what stays of all stages, with the largest checkpoints."""
        passing = max((need.passing for need in self.needs), default=0)
        return sum(need.stays for need in self.needs) + passing

    @property
    def measured(self) -> bool:
        """Whether every rate was measured."""
        return all(need.speed.measured for need in self.needs)

    def unfit(self, doubt: float = 1.0) -> list[Need]:
        """Work that a device does not hold, each of a kind once.

        Without any doubt also work that its engine would cut, which hangs on prompts of an assumed length.
        """
        seen: dict[tuple[str, ...], Need] = {}
        for need in self.needs:
            if need.total > need.limit * doubt or (need.notes and doubt == 1.0):
                seen.setdefault((need.what, *need.fields), need)
        return list(seen.values())

    def faults(self, doubt: float = 1.0) -> Iterator[str]:
        """Why the machine as a whole does not hold it, besides its devices."""
        for kind, wanted, there in (
            ("host memory", self.host, self.machine.host_bytes),
            ("disk", self.disk, self.machine.disk_bytes),
        ):
            # On a CPU the devices are the host.
            if there is not None and wanted > there * doubt and (kind == "disk" or self.machine.device == "cuda"):
                yield f"{kind}: needs {amount(wanted)}, and {amount(there)} are there; {REMEDIES[kind]}"


def outlook(
    recipe: Recipe,
    machine: Machine,
    rates: Rates,
    seeds: int | None = None,
    only: PlannedStage | None = None,
) -> Outlook:
    """Plans a recipe; reads configurations and counts rows, and loads no library and no weight.

    Args:
        rates: what is assumed of speed and lengths.
        seeds: training seeds of each domain, in place of those of its files.
        only: the one stage to plan; None plans all.

    Raises:
        UnknownSizes: the sizes of a model that it names are not known.
    """
    stages = stages_of(recipe) if only is None else [only]
    needs = Needs(machine, rates, recipe.engine, recipe.compute)
    makes = StageNeeds(recipe, needs, counts_of(recipe, rates, seeds))
    return Outlook(recipe, machine, rates, tuple(stages), tuple(need for stage in stages for need in makes.of(stage)))


def amount(count: int) -> str:
    """Bytes for a person; what a tiny run needs of a disk is no GiB."""
    return f"{count / GIB:.1f} GiB" if count >= GIB / 10 else f"{count / 2**20:.1f} MiB"


def sentence_of(need: Need, remedy: str) -> str:
    """Why a piece of work does not fit, and what mends it."""
    if need.fits:
        return f"{need.stage}, {need.what}: {'; '.join(need.notes)}; {remedy}"
    parts = sorted(((size, name) for name, size in need.terms.items() if size), reverse=True)
    listed = ", ".join(f"{name} {size / GIB:.1f}" for size, name in parts)
    return (
        f"{need.stage}, {need.what}: needs {need.total / GIB:.1f} GiB of each device, which has {need.limit / GIB:.1f} "
        f"for it, most of it for {parts[0][1]} ({listed}); {remedy}"
    )
