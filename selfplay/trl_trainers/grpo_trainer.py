"""TRL's GRPOTrainer, told which rollouts to learn from, and which prompts to roll out in place of useless ones.

TRL 1.16 has no dynamic sampling, and none of its public hooks suffices for it. A sampler is read a batch ahead of the
training, before the rewards are known by which a batch is topped up.
`rollout_func` may return rollouts of other prompts than it was asked for, but TRL would show the old prompts beside
them. So five methods are wrapped, and nothing of TRL is copied: `_generate_and_score_completions`, which takes rows of
the dataset and returns what the loss needs, gets other rows; `_generate`, which it calls once with their prompts, may
give the completions that were made before; and `_tokenize_prompts` cuts a prompt that is plain text as engines do.
And `_compute_loss` weighs each batch by its rollouts that have a reward, for which `_prepare_inputs` counts batches.
Everything else, with all of GRPOConfig, is TRL's own.
"""

from __future__ import annotations

import asyncio
import dataclasses
import math
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from accelerate.utils import gather_object
from trl import GRPOTrainer

from selfplay.engines.hf_engine import prompt_ids
from selfplay.rollouts.reward_function import VerifiedReward
from selfplay.rollouts.rollout_log import Reward
from selfplay.trl_trainers.prompt_walk import PromptWalk
from selfplay.trl_trainers.rollout_groups import Group, Tally, TopUp
from selfplay.trl_trainers.sft import NothingToLearn
from selfplay.trl_trainers.sharded.trainer import KeepsShards
from selfplay.trl_trainers.vllm_rollouts.generation import ProbedGeneration
from selfplay.trl_trainers.vllm_rollouts.probe import mismatch, shares
from selfplay.trl_trainers.vllm_server.ahead import OneAhead

Row = dict[str, Any]
MEANS_OVER_ROLLOUTS = ("grpo", "dr_grpo", "luspo", "sapo")
"""TRL's losses that divide by the number of rollouts; the others divide by tokens."""
MEAN_OVER_BATCHES = "bnpo"
"""TRL's loss that divides by the tokens of each batch, and then by the number of batches."""
SCORED = "scored"
"""Which rollouts of a batch have a reward, beside what TRL's loss reads."""


@dataclass(slots=True)
class Rolled:
    """One rollout: the row it is of, what TRL's `_generate` gave for it, field by field, and its reward."""

    row: Row
    fields: tuple[Any, ...]
    reward: Reward


class SelfplayGRPOTrainer(KeepsShards, GRPOTrainer):
    """A GRPOTrainer whose only reward function is a `VerifiedReward`.

    - A rollout without a reward is masked: TRL leaves it out of its group's mean and deviation and gives it no
      advantage; here its tokens count neither in the loss's normaliser nor in its KL and entropy terms, and where the
      loss is a mean over rollouts, it is one over those with a reward; where it is one over batches, over those that
      hold such a rollout.
    - With `walk`, which gives the prompts in the dataset's place, groups without variance are replaced by further
      groups, until all places have variance or `top_up` of a generation batch has been rolled out on top of it.
    - `tally` counts all that was rolled out.
    """

    beta: float

    def __init__(
        self,
        *,
        reward_funcs: VerifiedReward,
        pool: Sequence[Row],
        walk: PromptWalk | None,
        top_up: float,
        tally: Tally,
        ahead: OneAhead | None = None,
        **others: Any,
    ) -> None:
        """
        Args:
            reward_funcs: judges rollouts.
            pool: rows of the tasks; `row` is a row's place in it. The training dataset has such rows, too.
            walk: gives the places of prompts in the pool; without one, the rows come as in the dataset.
            top_up: with a walk, most further groups, as a share of a generation batch.
            tally: counts on.
            ahead: where the next batch is drawn while this one is learnt from.
            others: what GRPOTrainer takes.

        Raises:
            NothingToLearn: the dataset does not fill one generation batch.
        """
        super().__init__(reward_funcs=reward_funcs, **others)
        self._verified = reward_funcs
        self._pool = pool
        self._walk = walk
        self.tally = tally
        self._logged = dataclasses.replace(tally)
        self._batch_groups = self.args.generation_batch_size // self.num_generations
        self._most_further = int(top_up * self._batch_groups)
        if len(self.train_dataset) < self._batch_groups:
            raise NothingToLearn(
                f"a generation batch of grpo takes {self._batch_groups} prompts, and all epochs together have "
                f"{len(self.train_dataset)}: raise num_train_epochs in training.grpo.args, set max_steps, or lower "
                "per_device_train_batch_size"
            )
        self._ahead = ahead
        if ahead is not None:
            ahead.joins(self.vllm_generation)
        self._ready: tuple[Any, ...] | None = None
        self._rows_per_scored = 1.0
        """Rollouts of the generation batch over those of them that have a reward, on all ranks."""
        self._batches_per_scored = 1.0
        """Batches that it is cut into over those of them with such a rollout, on all ranks."""
        self._generating_s = 0.0
        """Seconds of generation since the last log, syncs of weights included."""
        self._judged_s = 0.0
        """Seconds spent on verdicts by the last log."""

    def _generate_and_score_completions(self, inputs: list[Row]) -> dict[str, Any]:
        if not self.model.training:
            return dict(super()._generate_and_score_completions(inputs))
        if self._walk is not None:
            rows = self._topped_up(self._walk)
            return self._compared(self._masked(super()._generate_and_score_completions(rows)))
        output = super()._generate_and_score_completions(inputs)
        learned = output["completion_mask"].any(dim=1).tolist()
        self.tally.add(self._gathered(inputs, self._verified.given, self._verified.lengths, learned))
        return self._compared(self._masked(output))

    def _compute_loss(self, model: Any, inputs: dict[str, Any]) -> Any:
        """TRL's, whose means over rollouts would count those without a reward as if they had taught nothing."""
        scale = self._scale() if self.model.training else 1.0
        beta = self.beta
        self.beta = beta * scale
        try:
            return super()._compute_loss(model, inputs | {"advantages": inputs["advantages"] * scale})
        finally:
            self.beta = beta

    def _scale(self) -> float:
        if self.loss_type in MEANS_OVER_ROLLOUTS:
            return self._rows_per_scored
        return self._batches_per_scored if self.loss_type == MEAN_OVER_BATCHES else 1.0

    def _prepare_inputs(self, generation_batch: Any) -> Any:
        """TRL's; of a generation batch that is new, it counts the batches that hold a rollout with a reward."""
        before = self._buffered_inputs
        inputs = super()._prepare_inputs(generation_batch)
        if self.model.training and self._buffered_inputs is not before:
            scored = [bool(batch[SCORED].any()) for batch in self._buffered_inputs]
            local = torch.tensor([[len(scored), sum(scored)]], device=self.accelerator.device)
            counts = self.accelerator.gather(local).sum(dim=0)
            self._batches_per_scored = float(counts[0]) / max(float(counts[1]), 1.0)
        return inputs

    def _generate_single_turn(self, *asked: Any, **others: Any) -> Any:
        if isinstance(getattr(self, "vllm_generation", None), ProbedGeneration):
            self.vllm_generation.at(self.state.global_step)
        return super()._generate_single_turn(*asked, **others)

    def _generate(self, prompts: list[Any]) -> Any:
        if self._ready is not None:
            ready, self._ready = self._ready, None
            return ready
        with self._generating():
            found = super()._generate(prompts)
            if self._ahead is not None and self.model.training:
                self._begin_next(self._ahead)
        return found

    def _begin_next(self, ahead: OneAhead) -> None:
        """Has the server draw the next batch; this one is there, and its steps begin."""
        batches = self.args.steps_per_generation * self.num_iterations // self.args.gradient_accumulation_steps
        step = self.state.global_step + batches
        first = step // batches * self._batch_groups
        is_short = self._walk is None and first + self._batch_groups > len(self.train_dataset)
        if step >= self.state.max_steps or is_short:
            return
        places = [] if self._walk is None else self._walk.choose(self._batch_groups)
        source, at = (self._pool, places) if places else (self.train_dataset, range(first, first + self._batch_groups))
        ids, *_ = self._tokenize_prompts([row["prompt"] for row in self._rows(source, at)])
        ahead.begin(ids, self.num_generations, step, places)

    @contextmanager
    def _generating(self) -> Iterator[None]:
        started = time.perf_counter()
        try:
            yield
        finally:
            self._generating_s += time.perf_counter() - started

    def _tokenize_prompts(self, prompts: list[Any]) -> Any:
        if isinstance(prompts[0], str):
            return [prompt_ids(self.processing_class, prompt, chat=False) for prompt in prompts], None, {}
        return super()._tokenize_prompts(prompts)

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Adds what was rolled out since the last log."""
        if self.model.training:
            logs.update(self.tally.shares(self._logged))
            logs.update(self._times(self.tally.tokens - self._logged.tokens))
            self._logged = dataclasses.replace(self.tally)
            logs.update(self._engine_figures())
        super().log(logs, start_time)

    def _times(self, tokens: int) -> dict[str, float]:
        """Where the seconds of a step went since the last log, on this rank, and the tokens of all ranks a second."""
        steps = self._metrics["train"].get("step_time", [])
        if not steps:
            return {}
        spent = {"generation": self._generating_s, "reward": self._verified.seconds - self._judged_s}
        spent["update"] = max(0.0, sum(steps) - sum(spent.values()))
        self._generating_s, self._judged_s = 0.0, self._verified.seconds
        rate = {"tokens/per_second": tokens / spent["generation"]} if spent["generation"] else {}
        return {f"time/{part}": seconds / len(steps) for part, seconds in spent.items()} | rate

    def _engine_figures(self) -> dict[str, float]:
        """Findings of the syncs since the last log."""
        generation = getattr(self, "vllm_generation", None)
        return generation.figures() if isinstance(generation, ProbedGeneration) else {}

    def _compared(self, output: dict[str, Any]) -> dict[str, Any]:
        """Notes how far the engine that rolled out is from the trainer."""
        if "importance_sampling_ratio" in output:
            sums = self.accelerator.gather(mismatch(output, self.args)).view(-1, 4).sum(dim=0)
            for name, share in shares(sums).items():
                self._metrics["train"][name].append(share)
        return output

    def _chosen(self, walk: PromptWalk, count: int, taken: Sequence[int] = ()) -> list[Row]:
        """This rank's part of the rows of `count` groups: all ranks walk alike."""
        return self._rows(self._pool, walk.choose(count, taken))

    def _rows(self, source: Sequence[Row], places: Iterable[int]) -> list[Row]:
        """This rank's part of the rows of some groups, which may span two ranks."""
        rows = [place for place in places for _ in range(self.num_generations)]
        return [dict(source[place]) for place in rows[self._own(len(rows))]]

    def _own(self, total: int) -> slice:
        size = total // self.accelerator.num_processes
        return slice(self.accelerator.process_index * size, (self.accelerator.process_index + 1) * size)

    def _topped_up(self, walk: PromptWalk) -> list[Row]:
        """Rolls out a batch and, in the places of groups without variance, others; hands all over to TRL's flow."""
        begun = [] if self._ahead is None else self._ahead.take_places()
        rows = self._rows(self._pool, begun) if begun else self._chosen(walk, self._batch_groups)
        batch, fields, groups = self._roll_out(rows)
        everything = list(groups)
        unit = self.accelerator.num_processes
        plan = TopUp([group.teaches for group in groups], self._most_further, unit)
        while count := plan.next_count():
            further = self._chosen(walk, count, [group.prompt for group in everything])
            rolled, _, new = self._roll_out(further)
            self._replace(batch, rolled, plan.place([group.teaches for group in new]))
            everything += new
        if self._ahead is not None:
            self._begin_next(self._ahead)
        self.tally.add(everything)
        self._ready = tuple(
            [rollout.fields[place] for rollout in batch] if _one_a_row(field, len(rows)) else field
            for place, field in enumerate(fields)
        )
        self._verified.handed_over = [rollout.reward for rollout in batch]
        return [rollout.row for rollout in batch]

    def _roll_out(self, rows: list[Row]) -> tuple[list[Rolled], tuple[Any, ...], list[Group]]:
        """Completes and judges this rank's rows; its rollouts, TRL's fields of them, and the groups of all ranks."""
        with self._generating():
            fields = super()._generate([row["prompt"] for row in rows])
        _, completion_ids, _, completions, *_ = fields
        rewards = asyncio.run(self._verified.judge(completions, completion_ids, rows, self.state.global_step))
        rolled = [
            Rolled(row, tuple(field[at] if _one_a_row(field, len(rows)) else None for field in fields), rewards[at])
            for at, row in enumerate(rows)
        ]
        learned = [not self._is_left_out(ids) for ids in completion_ids]
        return rolled, fields, self._gathered(rows, rewards, [len(ids) for ids in completion_ids], learned)

    def _is_left_out(self, ids: Sequence[int]) -> bool:
        """Whether TRL masks a completion, since it was cut."""
        return self.mask_truncated_completions and ids[-1] not in (*self.eos_token_ids, self._tokenizer.pad_token_id)

    def _replace(self, batch: list[Rolled], rolled: list[Rolled], swaps: Sequence[tuple[int, int]]) -> None:
        """Puts further groups into their places, which may be on another rank than the one that rolled them out."""
        everywhere: list[Rolled] = gather_object(rolled)
        first = self.accelerator.process_index * len(batch)
        for place, number in swaps:
            for rollout in range(self.num_generations):
                at = place * self.num_generations + rollout - first
                if 0 <= at < len(batch):
                    batch[at] = everywhere[number * self.num_generations + rollout]

    def _gathered(
        self, rows: Sequence[Row], rewards: Sequence[Reward], lengths: Sequence[int], learned: Sequence[bool]
    ) -> list[Group]:
        """The groups of all ranks, in order; `learned` says whose tokens TRL leaves in the loss."""
        known = [float("nan") if reward is None else reward for reward in rewards]
        columns = [[float(row["row"]) for row in rows], known, [float(n) for n in lengths], [float(x) for x in learned]]
        table = self.accelerator.gather(torch.tensor(columns, device=self.accelerator.device).T.contiguous()).tolist()
        groups = [table[at : at + self.num_generations] for at in range(0, len(table), self.num_generations)]
        return [
            Group(
                int(group[0][0]),
                tuple(reward for _, reward, _, _ in group if not math.isnan(reward)),
                int(sum(length for _, _, length, _ in group)),
                tuple((reward, int(length)) for _, reward, length, kept in group if kept and not math.isnan(reward)),
            )
            for group in groups
        ]

    def _masked(self, output: dict[str, Any]) -> dict[str, Any]:
        """Takes the tokens of rollouts without a reward out of the loss and of its normaliser."""
        scored = [reward is not None for reward in self._verified.given]
        mask = output["completion_mask"]
        output[SCORED] = torch.tensor(scored, device=mask.device)
        output["completion_mask"] = mask * output[SCORED].unsqueeze(1).to(mask.dtype)
        learned = output["completion_mask"] * output.get("tool_mask", 1)
        output["num_items_in_batch"] = self.accelerator.gather(learned.sum()).sum()
        counts = self.accelerator.gather(torch.tensor([[len(scored), sum(scored)]], device=mask.device)).sum(dim=0)
        self._rows_per_scored = float(counts[0]) / max(float(counts[1]), 1.0)
        return output


def _one_a_row(field: Any, rows: int) -> bool:
    return isinstance(field, list) and len(field) == rows
