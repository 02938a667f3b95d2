"""Which prompts a round learns from: new ones, given ones at a stated share, and earlier rounds' at another.

Every choice is a function of the labels of all rounds so far and of the seed, so that a round that is done again after
a crash chooses alike.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from selfplay.config.training import PromptPool
from selfplay.run.records import LabelledTask, RoundPrompt
from selfplay.run.seeding import content_id, derive

SYNTHESISED, GIVEN = "synthesised", "given"


@dataclass(frozen=True, slots=True)
class Chosen:
    """A task of a round, with where its prompt comes from."""

    task: LabelledTask
    source: str
    """`synthesised`, or `given`."""
    origin: str
    """Of a given prompt, the source that its file names; empty for others."""
    made_in: int
    """The round that the prompt was made for."""
    replayed: bool
    """Whether an earlier round learnt from it, and it is here for that."""


@dataclass(frozen=True, slots=True)
class Given:
    """A task that somebody gave, and where it is from."""

    task: LabelledTask
    origin: str


@dataclass(frozen=True, slots=True)
class Pools:
    """What the rounds up to now may draw from."""

    by_round: Mapping[int, Sequence[LabelledTask]]
    """The synthesised tasks that each round had, with the labels that they had then."""
    given: Sequence[Given] = ()


@dataclass(frozen=True, slots=True)
class Draw:
    """How a round draws."""

    prompts: int
    """New, given and replayed ones together; 0 takes all new ones."""
    min_agreement: float
    seed: int


@dataclass(slots=True)
class _Ledger:
    """What earlier rounds have learnt from."""

    uses: Counter[str] = field(default_factory=Counter)
    """How often, by prompt."""
    learnt: dict[str, Chosen] = field(default_factory=dict)
    """Synthesised prompts, by id."""


def choose(pools: Pools, settings: PromptPool, draw: Draw, number: int) -> list[Chosen]:
    """The tasks of round `number`, from 1."""
    ledger = _Ledger()
    chosen: list[Chosen] = []
    for earlier in range(1, number + 1):
        chosen = _one_round(pools, settings, draw, earlier, ledger)
        ledger.uses.update(one.task.prompt_id for one in chosen)
        for one in chosen:
            if one.source == SYNTHESISED:
                ledger.learnt.setdefault(one.task.prompt_id, one)
    return chosen


def _one_round(pools: Pools, settings: PromptPool, draw: Draw, number: int, ledger: _Ledger) -> list[Chosen]:
    given = [Chosen(one.task, GIVEN, one.origin, 1, False) for one in pools.given]
    if settings.arm == "given":
        return _next(given, draw.prompts, draw, ledger)
    share = settings.given_share if settings.arm == "mixed" else 0.0
    again = settings.replay if number > 1 else 0.0
    made_in = {task.prompt_id: n for n in range(number, 0, -1) for task in pools.by_round[n]}
    own = [Chosen(t, SYNTHESISED, "", made_in[t.prompt_id], False) for t in _usable(pools.by_round[number], draw)]
    wanted = draw.prompts - round(share * draw.prompts) - round(again * draw.prompts)
    wanted = max(wanted, 1) if draw.prompts else 0
    fresh = _next(own, wanted, draw, ledger)
    # Where there are fewer new prompts than wanted, or all are, the shares are of what there is.
    total = draw.prompts if len(fresh) == wanted else len(fresh) / (1.0 - share - again)
    handed = _next(given, round(total * share), draw, ledger, all_if_none=False)
    # What this round has labelled anew and dropped is not wanted back under its old label.
    lost = {task.prompt_id for task in pools.by_round[number]} - {one.task.prompt_id for one in own}
    held = {one.task.prompt_id for one in fresh} | lost
    replayed = _replay(own, held, round(total * again), derive(draw.seed, "replay", number), ledger)
    return fresh + handed + replayed


def _usable(tasks: Sequence[LabelledTask], draw: Draw) -> list[LabelledTask]:
    return [task for task in tasks if not task.dropped and task.agreement >= draw.min_agreement]


def _next(
    candidates: Sequence[Chosen], count: int, draw: Draw, ledger: _Ledger, all_if_none: bool = True
) -> list[Chosen]:
    """The first of one order that have been used least: round after round goes through all, then starts again."""
    if not count and not all_if_none:
        return []
    order = list(candidates)
    rng = random.Random(draw.seed)
    if any(one.task.weight != 1.0 for one in order):
        # Efraimidis and Spirakis: the largest u^(1/w) first is a draw in proportion to w without replacement.
        keys = {one.task.id: math.log(1.0 - rng.random()) / max(one.task.weight, 1e-9) for one in order}
        order.sort(key=lambda one: (-keys[one.task.id], one.task.id))
    else:
        rng.shuffle(order)
    order.sort(key=lambda one: ledger.uses[one.task.prompt_id])
    return order[: count or len(order)]


def _replay(own: Sequence[Chosen], held: set[str], count: int, seed: int, ledger: _Ledger) -> list[Chosen]:
    """Prompts of earlier rounds, with the newest label that there is for each."""
    newest = {one.task.prompt_id: one for one in own}
    known = [newest.get(key, old) for key, old in sorted(ledger.learnt.items()) if key not in held]
    drawn = random.Random(seed).sample(known, min(count, len(known)))
    return [Chosen(one.task, one.source, one.origin, one.made_in, True) for one in drawn]


def round_prompts(chosen: Sequence[Chosen], number: int) -> list[RoundPrompt]:
    """The table of what a round learns from."""
    return [
        RoundPrompt(
            id=content_id("round prompt", number, one.task.id),
            task_id=one.task.id,
            prompt_id=one.task.prompt_id,
            domain=one.task.domain,
            problem=one.task.problem,
            round=number,
            source=one.source,
            origin=one.origin,
            made_in=one.made_in,
            replayed=one.replayed,
        )
        for one in chosen
    ]


def source_counts(chosen: Sequence[Chosen]) -> dict[str, int]:
    """How many prompts came from where."""
    return dict(Counter("replayed" if one.replayed else one.source for one in chosen))


def missed_shares(chosen: Sequence[Chosen], settings: PromptPool, number: int) -> str:
    """What the recipe's shares were to be and are not, for want of prompts; empty where they are met."""
    wanted = {"given": settings.given_share} if settings.arm == "mixed" else {}
    if number > 1 and settings.replay:
        wanted["replayed"] = settings.replay
    counts, total = source_counts(chosen), max(1, len(chosen))
    short = [
        f"{counts.get(name, 0) / total:.0%} of its prompts are {name}, where {share:.0%} were to be"
        for name, share in wanted.items()
        if counts.get(name, 0) + 1 < share * total
    ]
    return " and ".join(short)
