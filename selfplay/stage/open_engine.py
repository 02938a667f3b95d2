"""An engine of the recipe's for as long as a `with` lasts, whether its model runs here or answers at an endpoint."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from selfplay.config.annotation import AnnotatorEngine, LocalEngine
from selfplay.config.section import SamplingSettings
from selfplay.engines.api.budget import Ledger
from selfplay.engines.api.engine import ApiEngine
from selfplay.engines.base import Missing, OnProgress, Sample, Sampling
from selfplay.engines.sharded import ShardedEngine
from selfplay.rollouts.completions import NO_SAMPLE
from selfplay.run.store import SampleStore

OpenedEngine = ShardedEngine | ApiEngine


@contextmanager
def open_engine(
    settings: AnnotatorEngine,
    owner: str,
    local: Callable[[LocalEngine], ShardedEngine],
    answers: Path,
    wide: Ledger | None = None,
) -> Iterator[OpenedEngine]:
    """Opens an engine.

    Args:
        owner: the field of the recipe that names it, for messages and the account of what was spent.
        local: makes the engine of a model on this machine.
        answers: the store of endpoints' answers.
        wide: a ledger on which its spending is booked too, and which may stop it.

    Raises:
        EndpointRefused: the variable of a key is not set.
    """
    if isinstance(settings, LocalEngine):
        yield local(settings)
        return
    store = SampleStore(answers)
    engine = ApiEngine(settings, store, owner, Ledger(f"{owner}.budget", settings.budget, wide))
    try:
        yield engine
    finally:
        engine.close()
        store.close()


def answers_of(
    engine: OpenedEngine,
    prompts: Sequence[str],
    sampling: SamplingSettings,
    seed: int,
    on_progress: OnProgress | None = None,
) -> list[Sample | Missing]:
    """One completion a prompt, in order, or why an endpoint refuses that prompt.

    Raises:
        BudgetSpent, EndpointError: nothing more will come now; what was finished is kept.
    """
    return [item for part in engine.stream(prompts, Sampling.of(sampling), seed, on_progress) for item in part]


def samples_of(
    engine: OpenedEngine, prompts: Sequence[str], sampling: SamplingSettings, seed: int, on_progress: OnProgress
) -> list[Sample]:
    """The same, where what an endpoint refuses counts as cut off."""
    found = answers_of(engine, prompts, sampling, seed, on_progress)
    return [NO_SAMPLE if isinstance(sample, Missing) else sample for sample in found]
