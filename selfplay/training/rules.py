"""The update rules over the same prompts and the same rewards: grpo, dpo, rft, and a control on the seeds."""

from __future__ import annotations

import itertools
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from selfplay import formats
from selfplay.config.rules import PairFiles
from selfplay.curation.reserved import Reserved
from selfplay.engines.base import ModelRef
from selfplay.rollouts.rollout_log import logged_rollouts
from selfplay.run.directory import Stage
from selfplay.run.files import read_json
from selfplay.run.records import Example, LabelledTask, Pair, PolicyTask, Rollout, Seed
from selfplay.run.seeding import content_id
from selfplay.run.tables import write_table
from selfplay.stage.context import Context, Job, Training
from selfplay.training.pair_files import file_pairs
from selfplay.training.pairs import balanced, faults, make_pairs, pass_rates, right_completions
from selfplay.training.validity import ValidForm
from selfplay.training.verified_rollouts import solver_prompt, taught_by, write_rollouts
from selfplay.trl_trainers.dpo import OUTCOME, train_dpo
from selfplay.trl_trainers.grpo import GROUPS_FILE, train_grpo
from selfplay.trl_trainers.grpo_async import train_async_grpo
from selfplay.trl_trainers.jobs import DPOJob, GRPOJob, Placement, SFTJob
from selfplay.trl_trainers.sft import NothingToLearn, train_sft

POLICY = "policy"

Counts = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Round:
    """One round, as an update rule sees it."""

    stage: Stage
    context: Context
    number: int
    policy: ModelRef
    tasks: Sequence[LabelledTask]
    seeds: Sequence[Seed]
    teacher: ModelRef | None = None
    """A model that the run trained to learn from."""
    reserved: Reserved | None = None
    """Problems that nothing may be trained on, where people's own files are read."""

    @property
    def form(self) -> ValidForm:
        """Of completions that it may learn from."""
        return ValidForm.of(self.context.recipe)

    def train(self, function: Callable[[Job, Placement], dict[str, float]], job: Job) -> None:
        """Trains the policy by a function of `selfplay.trl_trainers` and keeps the result in the stage."""
        self.context.train(self.stage, [Training(POLICY, function, job)])

    def roll_out(self, k: int) -> int:
        """Writes `rollouts`, k of each task, and says how many there are."""
        return write_rollouts(self.stage, self.context, self.number, self.policy, self.tasks, k)

    def rollouts(self) -> Iterator[Rollout]:
        """The rollouts as the rule learns from them, less the tokens."""
        return taught_by(self.stage, self.context, self.number)

    def fit(self, examples: Iterable[Example]) -> None:
        """Trains the policy by maximum likelihood."""
        file = self.stage.folder / "examples.parquet"
        write_table(file, Example, examples)
        settings = self.context.recipe.training
        router = self.context.recipe.router
        job = SFTJob(model=self.policy, args=settings.rule_args, lora=settings.lora, router=router, examples=file)
        self.train(train_sft, job)


def grpo(this: Round) -> Counts:
    """Rolls out and learns in one loop, TRL's own; its rollouts are read back from what the reward logged."""
    context, settings = this.context, this.context.recipe.training
    file = this.stage.folder / "tasks.parquet"
    tasks = (PolicyTask(task.id, task.domain, solver_prompt(context, task), task.task) for task in this.tasks)
    write_table(file, PolicyTask, tasks)
    sampling: dict[str, Any] = {
        "temperature": settings.sampling.temperature,
        "top_p": settings.sampling.top_p,
        "top_k": settings.sampling.top_k,
        "min_p": settings.sampling.min_p or None,
        "max_completion_length": settings.sampling.max_new_tokens,
    }
    args = sampling | settings.rule_args
    job = GRPOJob(
        model=this.policy,
        args=args,
        lora=settings.lora,
        router=context.recipe.router,
        tasks=file,
        rule=settings.grpo,
        domains=context.recipe.domains,
        sandbox=context.recipe.sandbox,
        store=context.run.store_folder,
        shuffled=settings.rewards == "shuffled",
    )
    this.train(train_async_grpo if settings.grpo.trainer == "async_grpo" else train_grpo, job)
    training = this.stage.folder / f"{POLICY}-training"
    count = this.stage.write("rollouts", Rollout, logged_rollouts(training, this.number, args["temperature"]))
    unchecked = sum(passed is None for (passed,) in this.stage.columns("rollouts", Rollout, ("passed",)))
    return {"rollouts": count, "not_checked": unchecked} | read_json(training / GROUPS_FILE)


def dpo(this: Round) -> Counts:
    """Learns from pairs of a right and a wrong rollout; says so where the right ones became unlikely."""
    training = this.context.recipe.training
    settings = training.dpo
    counts = _pairs_of_files(this, settings.files) if settings.files is not None else _pairs_of_rollouts(this)
    table, guard = this.stage.folder / "pairs.parquet", settings.collapse
    job = DPOJob(
        model=this.policy,
        args=settings.args,
        lora=training.lora,
        router=this.context.recipe.router,
        pairs=table,
        collapse=guard,
    )
    this.train(train_dpo, job)
    outcome = this.stage.folder / f"{POLICY}-training" / OUTCOME
    if outcome.exists():
        counts["stopped"] = read_json(outcome)["stopped"]
        this.context.listener.note(f"round {this.number}: {counts['stopped']}")
    return counts


def _pairs_of_files(this: Round, files: PairFiles) -> Counts:
    """Writes the pairs of people's files, less those whose prompt holds a problem that must stay unseen."""
    lost = Counter[str]()

    def kept() -> Iterator[Pair]:
        seen: set[str] = set()
        for found in file_pairs(this.context.recipe, files):
            if this.reserved is not None and this.reserved.leak(found.domain, found.prompt) is not None:
                lost["contaminated"] += 1
                continue
            texts = (found.prompt, found.chosen, found.rejected)
            identifier = content_id("pair", *texts)
            if identifier not in seen:
                seen.add(identifier)
                yield Pair(identifier, content_id("pair prompt", found.prompt), *texts, found.source)

    counts: Counts = {"pairs": this.stage.write("pairs", Pair, kept())}
    if not counts["pairs"]:
        raise NothingToLearn(
            f"no pair of training.dpo.files is left ({_listed(lost)}): name other files, or look at curation.benchmarks"
        )
    return counts | ({"lost": dict(lost)} if lost else {})


def _pairs_of_rollouts(this: Round) -> Counts:
    """Rolls out, and writes pairs of a right and a wrong completion."""
    settings = this.context.recipe.training.dpo
    count = this.roll_out(settings.rollouts)
    prompts = {task.id: task for task in this.tasks}
    seed = this.context.seed("selfplay", this.number)

    def prompt_of(task: str) -> str:
        return solver_prompt(this.context, prompts[task])

    form = this.form
    invalid = faults(this.rollouts(), form)
    pairs = make_pairs(this.rollouts(), prompt_of, settings.pairs_per_prompt, seed, form)
    counts: Counts = {"rollouts": count, "pairs": this.stage.write("pairs", Pair, pairs), "invalid": invalid}
    if not counts["pairs"]:
        raise NothingToLearn(
            f"no prompt has both a right and a wrong rollout ({_listed(invalid)} of {count} were not valid): raise "
            "training.dpo.rollouts, or sampling.max_new_tokens where they were cut"
        )
    return counts


def rft(this: Round) -> Counts:
    """Learns from the right rollouts by maximum likelihood."""
    training = this.context.recipe.training
    settings = training.rft
    count = this.roll_out(settings.rollouts)
    rates = pass_rates((row.task_id, row.passed) for row in this.rollouts())
    prompts = {task.id: task for task in this.tasks}
    form = this.form

    def right() -> Iterator[Rollout]:
        return right_completions(this.rollouts(), settings.samples_per_prompt, form)

    # Of all samples only their tasks are held, and each name once.
    kept = balanced(
        [sys.intern(row.task_id) for row in right()], rates, settings.bands, this.context.seed("selfplay", this.number)
    )
    if not any(kept):
        raise NothingToLearn("no rollout passed: raise training.rft.rollouts, or synthesise easier prompts")
    this.fit(
        Example(solver_prompt(this.context, prompts[row.task_id]), (row.completion,))
        for row in itertools.compress(right(), kept)
    )
    return {
        "rollouts": count,
        "samples": sum(kept),
        "set_aside": len(kept) - sum(kept),
        "invalid": faults(this.rollouts(), form),
    }


def continued_sft(this: Round) -> Counts:
    """The control: further training on the seeds' own solutions, with no self-play in it."""
    solved = [seed for seed in this.seeds if seed.solution]
    if not solved:
        raise NothingToLearn("the seeds carry no worked solutions, which continued_sft trains on")
    domains = this.context.recipe.domains
    this.fit(Example(formats.solver_input(domains[s.domain], s.task), (s.solution,)) for s in solved)
    return {"samples": len(solved)}


def _listed(counts: dict[str, int]) -> str:
    """Counts by reason, as text."""
    return ", ".join(f"{count} {reason}" for reason, count in sorted(counts.items())) or "none"
