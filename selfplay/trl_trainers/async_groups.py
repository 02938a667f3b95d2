"""Groups of tasks for TRL's AsyncGRPOTrainer: a server writes them, verifiers judge them, the log has all."""

from __future__ import annotations

import asyncio
import dataclasses
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from selfplay.rollouts.judge import Judge
from selfplay.rollouts.mode_collapse import ModeCollapse
from selfplay.rollouts.overlapped import OverlappedJudge
from selfplay.rollouts.reward_function import VerifiedReward
from selfplay.rollouts.rollout_log import RolloutLog
from selfplay.run.seeding import derive
from selfplay.run.store import folder_of_host
from selfplay.trl_trainers.asynchronous.buffer import Flow
from selfplay.trl_trainers.asynchronous.weights import SentWeights
from selfplay.trl_trainers.asynchronous.worker import GroupDrawn, GroupWorker, Metrics, Rollouts
from selfplay.trl_trainers.jobs import GRPOJob, Placement
from selfplay.trl_trainers.prompt_walk import PromptWalk
from selfplay.trl_trainers.rollout_groups import Group, Tally
from selfplay.trl_trainers.vllm_server.client import RolloutClient
from selfplay.trl_trainers.vllm_server.drawing import AT_ONCE, Drawing
from selfplay.trl_trainers.vllm_server.served import ServerOpening, open_server

SAMPLING = ("temperature", "top_p", "top_k", "repetition_penalty")
"""Arguments of TRL's configuration that the server takes by the same names."""


def flow_of(config: Any, ranks: int) -> Flow:
    """How many completions go where, by TRL's AsyncGRPOConfig and the number of ranks."""
    together = config.per_device_train_batch_size * ranks
    step = together * config.gradient_accumulation_steps
    useful = min(step * (config.max_staleness + 1), AT_ONCE)
    most = config.max_inflight_tasks if config.max_inflight_tasks > 0 else useful
    # Accelerate takes a micro-batch ahead where it hands them out to several ranks.
    return Flow(config.num_generations, step, config.max_staleness, most, together if ranks > 1 else 0)


class VerifiedGroups:
    """Groups of a pool of tasks, in the order of a walk, that a server writes and verifiers judge."""

    def __init__(
        self,
        pool: Sequence[dict[str, Any]],
        prompts: Sequence[list[int]],
        walk: PromptWalk,
        config: Any,
        tokenizer: Any,
        reward: VerifiedReward,
        tally: Tally,
    ) -> None:
        """
        Args:
            pool: rows of the tasks.
            prompts: their tokens.
            walk: through their places.
            config: TRL's AsyncGRPOConfig.
            tokenizer: the model's.
            reward: judges and logs.
            tally: counts on.
        """
        self._pool, self._prompts, self._walk, self._config = pool, prompts, walk, config
        self._tokenizer, self._reward, self._tally = tokenizer, reward, tally
        self._figured = dataclasses.replace(tally)
        self._client: RolloutClient | None = None
        self._asked: dict[str, Any] = {}
        self._seed, self._window = 0, 0
        self._step: Callable[[], int] = lambda: 0

    def asks(self, client: RolloutClient, opening: ServerOpening) -> None:
        """Takes the client of a server that was opened so."""
        config, self._client = self._config, client
        self._seed, self._window = derive(opening.seed, "rollouts", 0), opening.window
        self._asked = {name: getattr(config, name) for name in SAMPLING}
        self._asked |= {"model": client.model, "n": 1, "logprobs": 0, "stop_token_ids": list(opening.ends)}
        self._asked |= {"return_token_ids": True, "return_tokens_as_token_ids": True}
        if config.min_p is not None:
            self._asked["min_p"] = config.min_p

    def follow(self, step: Callable[[], int]) -> None:
        """Takes what says at which step the training is."""
        self._step = step

    def begin(self, number: int, version: int) -> GroupDrawn:
        """The next group of the walk; each completion has a seed of its own."""
        [place] = self._walk.choose(1)
        prompt, step = self._prompts[place], self._step()
        # A prompt may fill so much of the window that a whole completion has no room.
        most = min(self._config.max_completion_length, self._window - len(prompt))
        shared = self._asked | {"prompt": prompt, "max_tokens": most}
        seeds = [derive(self._seed, step, number, rollout) for rollout in range(self._config.num_generations)]
        return GroupDrawn(number, place, version, prompt, Drawing(step, [shared | {"seed": seed} for seed in seeds]))

    def draw(self, group: GroupDrawn) -> None:
        """Asks the server for what is missing. Raises ServerGone."""
        assert self._client is not None
        self._client.draw(group.drawing)

    def judge(self, groups: Sequence[GroupDrawn]) -> Metrics:
        """Has the verifiers judge all of them together, and logs every completion."""
        size = self._config.num_generations
        ids = [one for group in groups for one in group.token_ids()]
        texts = self._tokenizer.batch_decode(ids, skip_special_tokens=True)
        rows = [self._pool[group.place] for group in groups for _ in range(size)]
        rewards = iter(asyncio.run(self._reward.judge(texts, ids, rows, self._step())))
        for group in groups:
            group.rewards = [next(rewards) for _ in range(size)]
        told = [_told(group) for group in groups]
        self._tally.add(told)
        return self._metrics(ids, told)

    def end(self) -> None:
        """Ends the server, and with it all that it is asked."""
        assert self._client is not None
        self._client.end()

    def figures(self) -> dict[str, float]:
        """Shares of what was rolled out since the last time."""
        found = self._tally.shares(self._figured)
        self._figured = dataclasses.replace(self._tally)
        return found

    def _metrics(self, written: Sequence[Sequence[int]], told: Sequence[Group]) -> Metrics:
        """As sums and counts, so that a mean over several calls is one over all of their completions."""
        values = defaultdict[str, list[float]](list)
        for name, value in self._reward.take_metrics():
            values[name].append(value)
        lengths = values["completions/mean_length"] = [float(len(ids)) for ids in written]
        ends = self._asked["stop_token_ids"]
        values["completions/clipped_ratio"] = [float(not ids or ids[-1] not in ends) for ids in written]
        values["frac_reward_zero_std"] = [float(not group.teaches) for group in told]
        found: dict[str, float | tuple[float, float]] = {"completions/min_length": min(lengths)}
        found["completions/max_length"] = max(lengths)
        return found | {name: (sum(some), float(len(some))) for name, some in values.items()}


def _told(group: GroupDrawn) -> Group:
    """A group as it is counted."""
    pairs = list(zip(group.rewards, map(len, group.token_ids()), strict=True))
    learned = tuple((reward, length) for reward, length in pairs if reward is not None)
    return Group(group.place, tuple(reward for reward, _ in learned), sum(length for _, length in pairs), learned)


@contextmanager
def rolling_out(groups: VerifiedGroups, opening: ServerOpening, config: Any, flow: Flow) -> Iterator[Rollouts]:
    """A server that is open, and the worker that has it write groups.

    Args:
        groups: what is written and judged.
        opening: all that the server is started with.
        config: TRL's AsyncGRPOConfig.
        flow: how much may be under way.
    """
    server = open_server(opening)
    try:
        client = RolloutClient(server, config.device, opening.seed, opening.ends, opening.sync_timeout_s)
        groups.asks(client, opening)
        sent = SentWeights(client, opening.probe, opening.sync_timeout_s)
        yield Rollouts(GroupWorker(groups, flow, sent.revive), sent, groups)
    finally:
        server.close()


@contextmanager
def verdicts_of(job: GRPOJob, place: Placement, end: int) -> Iterator[VerifiedReward]:
    """The verifiers of a training, and its log.

    Args:
        job: the training.
        place: where it works.
        end: the token that ends completions.
    """
    verdicts = Judge(job, folder_of_host(job.store), workers=1)
    judge = OverlappedJudge(verdicts, job.rule.reward_threads, job.rule.reward_timeout_s)
    log = RolloutLog(place.work / "rollouts-0.jsonl", 0, end)
    try:
        yield VerifiedReward(judge, log, 0, place.seed, job.shuffled, ModeCollapse(verdicts.verifiers))
    finally:
        judge.close()
