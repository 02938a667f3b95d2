"""The means of every stage: the run directory, the workers, the stores, the judge, and who is told of progress."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, NoReturn, TypeVar, cast

from selfplay.compute.clock import Clock
from selfplay.compute.workers import RANK_TIMEOUT_S, Workers
from selfplay.config.programs import LabelEngine, PolicyEngine
from selfplay.config.recipe import Recipe
from selfplay.config.section import NamedModel
from selfplay.engines import loading
from selfplay.engines.api.budget import Ledger
from selfplay.engines.base import ModelRef
from selfplay.engines.named_models import NamedModels
from selfplay.engines.sharded import ShardedEngine
from selfplay.rollouts.judge import Judge
from selfplay.run.directory import RunDirectory, Stage
from selfplay.run.files import read_json, remove_folder, repair_lines, sync_directory_entry, sync_folder, write_json
from selfplay.run.seeding import derive
from selfplay.run.store import ShardStore
from selfplay.stage.open_engine import OpenedEngine, open_engine
from selfplay.stage.recipe_view import UndeclaredSetting, covers
from selfplay.stage.training_logs import ProgressListener, TrainingLogs
from selfplay.trl_trainers.jobs import Placement, TrainerJob
from selfplay.trl_trainers.model_folder import trained_model
from selfplay.trl_trainers.training_set import FOLDER as TRAINING_SET

Job = TypeVar("Job", bound=TrainerJob)
WORLD = "workers.json"
"""In the folder of a training: the workers that were its ranks, null for one that had a worker to itself."""


@dataclass(frozen=True, slots=True)
class Training(Generic[Job]):
    """One model to be trained by a function of `selfplay.trl_trainers`."""

    name: str
    """The folder of the trained model within the stage."""
    function: Callable[[Job, Placement], dict[str, float]]
    job: Job
    prefix: str = ""
    """The beginning of the names of its metrics, where stages of its kind train several models."""


class Context:
    """The means of one run."""

    def __init__(
        self, run: RunDirectory, workers: Workers, judge: Judge, listener: ProgressListener, clock: Clock
    ) -> None:
        self.run = run
        self.recipe: Recipe = run.recipe
        self.models = NamedModels(run.store_folder)
        self.workers = workers
        self.judge = judge
        self.listener = listener
        self.clock = clock

    def of_stage(self, recipe: Recipe, sections: Collection[str]) -> Context:
        """The same means for a stage that may read only some settings.

        Args:
            recipe: shows only those.
            sections: their dotted paths; verdicts depend on `sandbox`, so that a stage without it gets no judge.
        """
        own = copy.copy(self)
        own.recipe = recipe
        if not covers(sections, "sandbox"):
            own.judge = cast(Judge, _NoJudge())
        return own

    @property
    def chat(self) -> bool:
        """Whether the policy's prompts go through a chat template."""
        return self.recipe.model.prompt_style == "chat"

    def seed(self, *names: str | int) -> int:
        """The seed of whatever the names say."""
        return derive(self.recipe.seed, *names)

    def end_stage(self) -> None:
        """Gives back the memory that a stage's models took, where the recipe wants that or they lie on a GPU."""
        isolate = self.recipe.compute.isolate
        if isolate or (isolate is None and self.workers.device != "cpu"):
            self.workers.renew()

    def engine(self, model: ModelRef) -> ShardedEngine:
        """Generation and scoring with a model over all workers."""
        settings, store = self.recipe.engine, ShardStore(self.run.store_folder / "shards")
        return ShardedEngine(model.stretched(settings.yarn), settings, self.workers, store)

    def local_engine(self, settings: NamedModel) -> ShardedEngine:
        """The same with a model that the recipe names."""
        return self.engine(self.models.ref(settings))

    def open_engine(
        self, settings: LabelEngine, owner: str, wide: Ledger | None = None, policy: ModelRef | None = None
    ) -> AbstractContextManager[OpenedEngine]:
        """An engine that the recipe names beside the run's own, or the policy as it is now.

        Args:
            owner: the field that names it.
            wide: a ledger on which what it spends is booked, too.
            policy: what the engine `{kind: policy}` is.
        """
        if isinstance(settings, PolicyEngine):
            assert policy is not None
            return nullcontext(self.engine(policy))
        return open_engine(settings, owner, self.local_engine, self.run.store_folder / "answers.sqlite", wide)

    def train(self, stage: Stage, trainings: Sequence[Training[Any]]) -> list[ModelRef]:
        """Trains models that the stage does not have yet, and returns references to all of them.

        On a CPU several small models train side by side, one a worker; otherwise each takes all workers together.
        """
        missing = [training for training in trainings if not (stage.folder / training.name).exists()]
        with self.workers.sparing(max((training.job.spares for training in missing), default=0)) as spared:
            self._train(stage, missing, spared, len(trainings) > 1)
        return [trained_model(stage.folder / t.name, t.job.model.chat) for t in trainings]

    def _train(self, stage: Stage, missing: Sequence[Training[Any]], spared: tuple[str, ...], several: bool) -> None:
        compute = self.recipe.compute
        whole = compute.sharding == "none" and compute.sequence_parallel == 1
        side_by_side = several and self.workers.device == "cpu" and whole
        calls = [(training, self._placement(stage, training.name, side_by_side, spared)) for training in missing]
        logs = [place.work / "log.jsonl" for _, place in calls]
        names, prefixes = [training.name for training in missing], [training.prefix for training in missing]
        follow = TrainingLogs(stage, logs, names, self.listener, side_by_side, prefixes)
        if side_by_side:
            results = self.workers.map(_call, calls, follow)
        else:
            results = [
                self.workers.together(
                    _call,
                    call,
                    follow,
                    call[0].job.args.get("ddp_timeout", RANK_TIMEOUT_S),
                    functools.partial(remove_folder, call[1].output),
                )
                for call in calls
            ]
        for (training, place), metrics in zip(calls, results, strict=True):
            self.clock.wait_for_verdicts(metrics.get("reward_seconds", 0.0))
            self._keep(stage, training.name, place)

    def _placement(self, stage: Stage, name: str, alone: bool, spared: tuple[str, ...]) -> Placement:
        partial = stage.folder / f".{name}.partial"
        remove_folder(partial)
        work = stage.folder / f"{name}-training"
        self._discard_other_worlds(work, None if alone else self.workers.count)
        rounding, compute = self.recipe.engine.rounding, self.recipe.compute
        ranks, seed = 1 if alone else self.workers.count, self.seed(stage.name, name)
        return Placement(
            self.workers.device,
            seed,
            work,
            partial,
            rounding,
            compute.sharding,
            ranks,
            spared,
            compute.offload,
            compute.sequence_parallel,
        )

    def _discard_other_worlds(self, work: Path, ranks: int | None) -> None:
        """Drops what another number of workers left, whose global batch was another (one alone has no ranks), or as
        many that shared sequences otherwise, and checkpoints of whole models where they are to be cut, and the other
        way round."""
        mark, world = work / WORLD, {"workers": ranks}
        compute = self.recipe.compute
        world |= {} if compute.sharding == "none" else {"sharded": 1}
        world |= {} if compute.sequence_parallel == 1 else {"sequence_parallel": compute.sequence_parallel}
        if work.exists() and (not mark.exists() or read_json(mark) != world):
            remove_folder(work)
        write_json(mark, world)
        repair_lines(work / "log.jsonl")

    def _keep(self, stage: Stage, name: str, place: Placement) -> None:
        sync_folder(place.output)
        place.output.replace(stage.folder / name)
        sync_directory_entry(stage.folder)
        # They are as large as the model, and what they were for is done.
        for folder in (*place.work.glob("checkpoint-*"), place.work / TRAINING_SET):
            remove_folder(folder)


class _NoJudge:
    """Stands for the judge where a stage has not said that it needs verdicts."""

    def __getattr__(self, name: str) -> NoReturn:
        raise UndeclaredSetting("a stage asks for verdicts, which depend on `sandbox`; name that in its StageSpec")


def _call(call: tuple[Training[Any], Placement]) -> dict[str, float]:
    training, place = call
    loading.free_engines()
    result: dict[str, float] = training.function(training.job, place)
    if place.device != "cpu":
        # Weights, gradients and optimiser states must not lie beside the next generation's cache.
        loading.forget_all()
    return result
