"""The engines that labelling asks: the run's own policy, or one that the recipe names."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from selfplay.config.programs import LabelEngine, PolicyEngine
from selfplay.config.section import SamplingSettings
from selfplay.engines.base import Missing, ModelRef, Sample
from selfplay.stage.context import Context
from selfplay.stage.open_engine import OpenedEngine, answers_of

NO_ANSWER = Sample("", (), complete=False)
"""Stands for what an endpoint refused to answer."""


@contextmanager
def open_label_engine(
    context: Context, engine: LabelEngine, owner: str, policy: ModelRef | None
) -> Iterator[OpenedEngine]:
    """Opens an engine.

    Args:
        owner: the field of the recipe that names it.
        policy: the run's policy as it is now.
    """
    if isinstance(engine, PolicyEngine):
        assert policy is not None
        yield context.engine(policy)
        return
    with context.open_engine(engine, owner) as opened:
        yield opened


def ask(
    context: Context, engine: OpenedEngine, inputs: Sequence[str], sampling: SamplingSettings, seed: int
) -> list[Sample]:
    """One completion an input, in order; what an endpoint refuses counts as cut off.

    Raises:
        BudgetSpent, EndpointError: an endpoint gives nothing more now; what was finished is kept.
    """
    found = answers_of(engine, inputs, sampling, seed, context.listener.advance)
    return [NO_ANSWER if isinstance(sample, Missing) else sample for sample in found]
