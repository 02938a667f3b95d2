"""vLLM for the rollouts of a GRPO training: how it is opened, and the prompts by which its weights are probed."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any

from selfplay.config.errors import UserError
from selfplay.config.rules import GRPORule
from selfplay.engines.hf_engine import end_ids, prompt_ids
from selfplay.engines.loading import number_format
from selfplay.engines.vllm_engine import within_reach
from selfplay.trl_trainers.jobs import GRPOJob, Placement
from selfplay.trl_trainers.vllm_rollouts.generation import Opening, rollouts_by_vllm
from selfplay.trl_trainers.vllm_rollouts.probe import Bound, WeightProbe
from selfplay.trl_trainers.vllm_server.served import ServerOpening, rollouts_by_server

MODES = {"vllm": "colocate", "server": "server"}
"""Where vLLM rolls out, in TRL's words, by `training.grpo.rollouts`."""


class PromptTooLong(UserError):
    """A prompt for which vLLM would have no room."""


def arguments_for(rule: GRPORule) -> dict[str, Any]:
    """Arguments of TRL's GRPOConfig that say who rolls out."""
    mode = MODES.get(rule.rollouts)
    return {} if mode is None else {"use_vllm": True, "vllm_mode": mode}


def engine_for(
    job: GRPOJob, place: Placement, network: Any, tokenizer: Any, pool: Any, config: Any
) -> AbstractContextManager[None]:
    """The engine of a trainer that is made within it; where no argument says how long a sequence may be, it is `config`
    that learns it.

    Args:
        job: the training.
        place: where it works.
        network: the model to train.
        tokenizer: its tokenizer.
        pool: rows of the tasks.
        config: TRL's GRPOConfig.

    Raises:
        PromptTooLong: a prompt leaves no token for its completion.
    """
    prompts = prompts_of(job, tokenizer, pool)
    window = config.vllm_max_model_length = window_of(job, prompts, config)
    if job.rule.rollouts == "server":
        return rollouts_by_server(server_opening(job, place, network, tokenizer, prompts, config, window))
    shared = _shared(job, place, network, tokenizer, prompts, config)
    if job.rule.vllm.adapter == "alone":
        # A policy of an earlier round has its adapter merged; what is trained stands beside the base.
        shared |= {"model": job.model.trainable.base or job.model, "lora": job.lora}
    return rollouts_by_vllm(Opening(**shared))


def server_opening(
    job: GRPOJob,
    place: Placement,
    network: Any,
    tokenizer: Any,
    prompts: Sequence[list[int]],
    config: Any,
    window: int,
) -> ServerOpening:
    """All that a server is started with.

    Args:
        job: the training.
        place: where it works.
        network: the model to train.
        tokenizer: its tokenizer.
        prompts: the tokens of all prompts.
        config: TRL's configuration object.
        window: tokens of the longest sequence.
    """
    own: dict[str, Any] = {"gpus": place.spared, "window": window, "limits": job.rule.vllm.supervision}
    shared = _shared(job, place, network, tokenizer, prompts, config)
    return ServerOpening(max_staleness=job.rule.max_staleness, **own, **shared)


def _shared(
    job: GRPOJob, place: Placement, network: Any, tokenizer: Any, prompts: Sequence[list[int]], config: Any
) -> dict[str, Any]:
    """All that engines of both kinds are opened with."""
    settings = job.rule.vllm
    return {
        "model": job.model,
        "device": place.device,
        "seed": place.seed,
        "args": settings.args,
        "ends": tuple(end_ids(network.generation_config, tokenizer)),
        "probe": WeightProbe(prompts, bound_of(job, config)),
        "sync_timeout_s": settings.sync_timeout_s,
    }


def prompts_of(job: GRPOJob, tokenizer: Any, pool: Any) -> list[list[int]]:
    """The tokens of all prompts of a pool of tasks, in order."""
    return [_ids(tokenizer, row["prompt"], job.model.chat) for row in pool.select_columns("prompt")]


def bound_of(job: GRPOJob, config: Any) -> Bound:
    """How far trainer and engine may differ: a cache in another format rounds also where all else is in float32."""
    args = job.rule.vllm.args
    rounds = config.bf16 or config.fp16 or args.get("kv_cache_dtype", "auto") != "auto"
    exact = number_format(job.model) == "float32" and not rounds
    return Bound.between(exact, job.rule.vllm.probe_bound)


def _ids(tokenizer: Any, prompt: str | list[dict[str, str]], chat: bool) -> list[int]:
    return prompt_ids(tokenizer, prompt if isinstance(prompt, str) else prompt[-1]["content"], chat)


def window_of(job: GRPOJob, prompts: Sequence[list[int]], config: Any) -> int:
    """Tokens of the longest sequence: those of an argument, or what the longest prompt and completion take.

    Raises:
        PromptTooLong: a prompt leaves no token for its completion.
    """
    longest = max(map(len, prompts))
    # TRL's asynchronous trainer has no such argument.
    wanted = getattr(config, "vllm_max_model_length", None) or longest + config.max_completion_length
    window = int(within_reach(job.model, dict(job.rule.vllm.args) | {"max_model_len": wanted})["max_model_len"])
    if longest >= window:
        raise PromptTooLong(
            f"training.grpo.args.vllm_max_model_length: is {window}, but a prompt has {longest} tokens, after which "
            "there is no room for a completion; raise it, or take a model that reads more"
        )
    return window
