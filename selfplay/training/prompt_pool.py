"""Which prompts a round trains on: new ones, external ones at a stated share, and earlier rounds' at another.

Every choice is a function of the labels of all rounds so far and of the seed, so that a round that is done again after
a crash chooses alike.
"""

from __future__ import annotations

import dataclasses
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from selfplay.config.training import PromptPool
from selfplay.run.records import LabelledTask, RoundPrompt
from selfplay.run.seeding import content_id, derive
from verifiers.voting import reaches

SYNTHESISED, EXTERNAL = "synthesised", "external"


@dataclass(frozen=True, slots=True)
class Pools:
    """The tasks from which rounds may draw."""

    by_round: Mapping[int, Sequence[LabelledTask]]
    """The synthesised tasks that each round had, with the labels that they had then."""
    external: Sequence[RoundPrompt] = ()


@dataclass(frozen=True, slots=True)
class Draw:
    """How a round draws."""

    prompts: int
    """New, external and replayed ones together; 0 takes all new ones."""
    min_agreement: float
    seed: int


@dataclass(slots=True)
class _Ledger:
    """The tasks that earlier rounds have trained on."""

    uses: Counter[str] = field(default_factory=Counter)
    """How often, by prompt."""
    trained_on: dict[str, RoundPrompt] = field(default_factory=dict)
    """Synthesised prompts, by id."""


def candidate(task: LabelledTask, source: str, made_in: int = 1, origin: str = "") -> RoundPrompt:
    """A task that rounds may draw."""
    return RoundPrompt("", 0, task, source, origin, made_in, False)


def choose(pools: Pools, settings: PromptPool, draw: Draw, number: int) -> list[RoundPrompt]:
    """The tasks of round `number`, from 1."""
    ledger = _Ledger()
    chosen: list[RoundPrompt] = []
    # What earlier rounds took decides what is left to this one.
    for earlier in range(1, number + 1):
        chosen = _one_round(pools, settings, draw, earlier, ledger)
        ledger.uses.update(one.task.prompt_id for one in chosen)
        for one in chosen:
            if one.source == SYNTHESISED:
                ledger.trained_on.setdefault(one.task.prompt_id, one)
    return [
        dataclasses.replace(one, id=content_id("round prompt", number, one.task.id), round=number) for one in chosen
    ]


def _one_round(pools: Pools, settings: PromptPool, draw: Draw, number: int, ledger: _Ledger) -> list[RoundPrompt]:
    if settings.arm == "external":
        return _next(pools.external, draw.prompts, draw, ledger)
    share = settings.external_share if settings.arm == "mixed" else 0.0
    again = settings.replay if number > 1 else 0.0
    made_in = {task.prompt_id: n for n in range(number, 0, -1) for task in pools.by_round[n]}
    labelled = [task for task in pools.by_round[number] if not task.dropped]
    usable = [task for task in labelled if reaches(task.agreement or 0.0, draw.min_agreement)]
    own = [candidate(task, SYNTHESISED, made_in[task.prompt_id]) for task in usable]
    wanted = draw.prompts - round(share * draw.prompts) - round(again * draw.prompts)
    # Rounding the shares must not leave a round without one new prompt.
    wanted = max(wanted, 1) if draw.prompts else 0
    fresh = _next(own, wanted, draw, ledger)
    # Where there are fewer new prompts than wanted, or all are, the shares are of what there is.
    total = draw.prompts if len(fresh) == wanted else len(fresh) / (1.0 - share - again)
    external = _next(pools.external, round(total * share), draw, ledger, all_if_none=False)
    # What this round has labelled anew and dropped is not wanted back under its old label.
    lost = {task.prompt_id for task in pools.by_round[number]} - {one.task.prompt_id for one in own}
    held = {one.task.prompt_id for one in fresh} | lost
    replayed = _replay(own, held, round(total * again), derive(draw.seed, "replay", number), ledger)
    return fresh + external + replayed


def _next(
    candidates: Sequence[RoundPrompt], count: int, draw: Draw, ledger: _Ledger, all_if_none: bool = True
) -> list[RoundPrompt]:
    """The first of one order that have been used least: round after round goes through all, then starts again."""
    if not count and not all_if_none:
        return []
    order = list(candidates)
    random.Random(draw.seed).shuffle(order)
    order.sort(key=lambda one: ledger.uses[one.task.prompt_id])
    return order[: count or len(order)]


def _replay(own: Sequence[RoundPrompt], held: set[str], count: int, seed: int, ledger: _Ledger) -> list[RoundPrompt]:
    """Prompts of earlier rounds, with the newest label that there is for each."""
    newest = {one.task.prompt_id: one for one in own}
    known = [newest.get(key, old) for key, old in sorted(ledger.trained_on.items()) if key not in held]
    drawn = random.Random(seed).sample(known, min(count, len(known)))
    return [dataclasses.replace(one, replayed=True) for one in drawn]


def source_counts(chosen: Sequence[RoundPrompt]) -> dict[str, int]:
    """How many prompts came from where."""
    return dict(Counter("replayed" if one.replayed else one.source for one in chosen))


def missed_shares(chosen: Sequence[RoundPrompt], settings: PromptPool, number: int) -> str:
    """Shares of the recipe's that were missed for want of prompts; empty where they are met."""
    wanted = {EXTERNAL: settings.external_share} if settings.arm == "mixed" else {}
    if number > 1 and settings.replay:
        wanted["replayed"] = settings.replay
    counts, total = source_counts(chosen), max(1, len(chosen))
    short = [
        f"{counts.get(name, 0) / total:.0%} of its prompts are {name}, where {share:.0%} were to be"
        for name, share in wanted.items()
        # One prompt is what rounding may cost.
        if counts.get(name, 0) + 1 < share * total
    ]
    return " and ".join(short)
