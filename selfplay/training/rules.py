"""The update rules over the same prompts and the same rewards: grpo, dpo, rft, and a control on the seeds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from selfplay import formats
from selfplay.engines.base import ModelRef
from selfplay.rollouts.rollout_log import logged_rollouts
from selfplay.run.directory import Stage
from selfplay.run.files import read_json
from selfplay.run.records import Example, LabelledTask, Pair, PolicyTask, Rollout, Seed
from selfplay.run.tables import write_table
from selfplay.stage.context import Context, Job, Training
from selfplay.training.pairs import balanced, faults, make_pairs, pass_rates, right_completions
from selfplay.training.verified_rollouts import solver_prompt, verified_rollouts
from selfplay.trl_trainers.dpo import OUTCOME, train_dpo
from selfplay.trl_trainers.grpo import GROUPS_FILE, train_grpo
from selfplay.trl_trainers.jobs import DPOJob, GRPOJob, Placement, SFTJob
from selfplay.trl_trainers.sft import NothingToLearn, train_sft

POLICY = "policy"

Counts = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Round:
    """What an update rule works with."""

    stage: Stage
    context: Context
    number: int
    policy: ModelRef
    tasks: Sequence[LabelledTask]
    seeds: Sequence[Seed]
    teacher: ModelRef | None = None
    """A model that the run trained to learn from."""

    def train(self, function: Callable[[Job, Placement], dict[str, float]], job: Job) -> None:
        """Trains the policy by a function of `selfplay.trl_trainers` and keeps the result in the stage."""
        self.context.train(self.stage, [Training(POLICY, function, job)])

    def fit(self, examples: Iterable[Example]) -> None:
        """Trains the policy by maximum likelihood."""
        file = self.stage.folder / "examples.parquet"
        write_table(file, Example, examples)
        settings = self.context.recipe.training
        self.train(train_sft, SFTJob(model=self.policy, args=settings.rule_args, lora=settings.lora, examples=file))


def grpo(this: Round) -> Counts:
    """Rolls out and learns in one loop, TRL's own; its rollouts are read back from what the reward logged."""
    context, settings = this.context, this.context.recipe.training
    file = this.stage.folder / "tasks.parquet"
    write_table(file, PolicyTask, _policy_tasks(this))
    sampling = {
        "temperature": settings.sampling.temperature,
        "top_p": settings.sampling.top_p,
        "max_completion_length": settings.sampling.max_new_tokens,
    }
    args = sampling | settings.rule_args
    job = GRPOJob(
        model=this.policy,
        args=args,
        lora=settings.lora,
        tasks=file,
        rule=settings.grpo,
        domains=context.recipe.domains,
        sandbox=context.recipe.sandbox,
        store=context.run.store_folder,
        shuffled=settings.rewards == "shuffled",
    )
    this.train(train_grpo, job)
    training = this.stage.folder / f"{POLICY}-training"
    outcomes: Counter[bool | None] = Counter()
    rollouts = logged_rollouts(training, this.number, args["temperature"])
    this.stage.write("rollouts", Rollout, _counted(rollouts, outcomes))
    spent = read_json(training / GROUPS_FILE)
    return {"rollouts": outcomes.total(), "not_checked": outcomes[None]} | spent


def _counted(rollouts: Iterable[Rollout], outcomes: Counter[bool | None]) -> Iterator[Rollout]:
    for row in rollouts:
        outcomes[row.passed] += 1
        yield row


def _policy_tasks(this: Round) -> Iterator[PolicyTask]:
    """The tasks with what labelling knows of each; pass rates only where the policy itself tried."""
    settings = this.context.recipe.labelling
    own = settings.self_labelled or settings.difficulty is not None
    for task in this.tasks:
        known = (task.pass_rate, task.tried) if own else ()
        prompt = solver_prompt(this.context, task)
        yield PolicyTask(task.id, task.domain, prompt, task.task, *known)


def dpo(this: Round) -> Counts:
    """Learns from pairs of a right and a wrong rollout; says so where the right ones became unlikely."""
    training = this.context.recipe.training
    settings = training.dpo
    rollouts = _rollouts(this, settings.rollouts)
    prompts = {task.id: solver_prompt(this.context, task) for task in this.tasks}
    seed = this.context.seed("selfplay", this.number)
    pairs = make_pairs(rollouts, prompts, settings.pairs_per_prompt, seed, training.thinking)
    counts: Counts = {"rollouts": len(rollouts), "pairs": len(pairs), "invalid": faults(rollouts, training.thinking)}
    if not pairs:
        raise NothingToLearn(
            f"no prompt has both a right and a wrong rollout ({_listed(counts['invalid'])} of {len(rollouts)} were not "
            "valid): raise training.dpo.rollouts, or sampling.max_new_tokens where they were cut"
        )
    this.stage.write("pairs", Pair, pairs)
    table, guard = this.stage.folder / "pairs.parquet", settings.collapse
    this.train(
        train_dpo,
        DPOJob(model=this.policy, args=settings.args, lora=training.lora, pairs=table, collapse=guard),
    )
    outcome = this.stage.folder / f"{POLICY}-training" / OUTCOME
    if outcome.exists():
        counts["stopped"] = read_json(outcome)["stopped"]
        this.context.listener.note(f"round {this.number}: {counts['stopped']}")
    return counts


def rft(this: Round) -> Counts:
    """Learns from the right rollouts by maximum likelihood."""
    training = this.context.recipe.training
    settings = training.rft
    rollouts = _rollouts(this, settings.rollouts)
    right = right_completions(rollouts, settings.samples_per_prompt, training.thinking)
    seed = this.context.seed("selfplay", this.number)
    chosen = balanced(right, pass_rates(rollouts), settings.bands, seed)
    if not chosen:
        raise NothingToLearn("no rollout passed: raise training.rft.rollouts, or synthesise easier prompts")
    prompts = {task.id: solver_prompt(this.context, task) for task in this.tasks}
    this.fit([Example(prompts[row.task_id], (row.completion,)) for row in chosen])
    return {
        "rollouts": len(rollouts),
        "samples": len(chosen),
        "set_aside": len(right) - len(chosen),
        "invalid": faults(rollouts, training.thinking),
    }


def continued_sft(this: Round) -> Counts:
    """The control: further training on the seeds' own solutions, with no self-play in it."""
    solved = [seed for seed in this.seeds if seed.solution]
    if not solved:
        raise NothingToLearn("the seeds carry no worked solutions, which continued_sft trains on")
    domains = this.context.recipe.domains
    this.fit([Example(formats.solver_input(domains[s.domain], s.task), (s.solution,)) for s in solved])
    return {"samples": len(solved)}


def _listed(counts: dict[str, int]) -> str:
    """Counts by reason, as text."""
    return ", ".join(f"{count} {reason}" for reason, count in sorted(counts.items())) or "none"


def _rollouts(this: Round, k: int) -> list[Rollout]:
    rollouts = verified_rollouts(this.context, this.number, this.policy, this.tasks, k)
    this.stage.write("rollouts", Rollout, rollouts)
    return rollouts
