"""TRL's AsyncGRPOTrainer, which nothing else here imports: it is experimental, and changes between versions.

It loads a model by its name and takes no other, and so it is told of the one that the run has loaded, masters and all.
"""

from __future__ import annotations

import dataclasses
import inspect
import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from selfplay.config.errors import UserError

HOME = "trl.experimental.async_grpo"
FIELD = "training.grpo.trainer"
OTHERWISE = "set it to grpo, which draws one batch ahead by max_staleness: 1"
EXPERTS = "whose sync of experts to vLLM no test has run"
KERNELS = "kernels"
"""The package by which TRL fetches FlashAttention's kernel."""
PROTOCOL = ("rollout_worker", "weight_transfer")
"""Arguments by which the trainer takes rollouts and a sync that are not TRL's own."""


class NoAsyncTrainer(UserError):
    """TRL's asynchronous trainer is not there, or cannot be used on this machine; one sentence with the remedy."""


def config_class() -> Any:
    """TRL's AsyncGRPOConfig. Raises NoAsyncTrainer."""
    return _part("async_grpo_config", "AsyncGRPOConfig")


def trainer_class() -> Any:
    """TRL's AsyncGRPOTrainer. Raises NoAsyncTrainer, also where it takes no rollouts but its own."""
    found = _part("async_grpo_trainer", "AsyncGRPOTrainer")
    if lacking := [name for name in PROTOCOL if name not in inspect.signature(found.__init__).parameters]:
        raise NoAsyncTrainer(
            f"{FIELD}: is async_grpo, but the AsyncGRPOTrainer of this TRL takes no {lacking[0]}; install TRL 1.16, or "
            f"{OTHERWISE}"
        )
    return found


def _part(module: str, name: str) -> Any:
    # TRL would warn of what the field and its documentation say.
    os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")
    try:
        return getattr(import_module(f"{HOME}.{module}"), name)
    except (ImportError, AttributeError) as error:
        raise NoAsyncTrainer(
            f"{FIELD}: is async_grpo, but this TRL has no {name} that can be imported ({error}); install TRL 1.16, or "
            f"{OTHERWISE}"
        ) from error


def sample(**fields: Any) -> Any:
    """One completion as TRL's trainer takes it from a worker; fields that this version does not have are left out."""
    cls = _part("async_rollout_worker", "RolloutSample")
    known = {field.name for field in dataclasses.fields(cls)}
    return cls(**{name: value for name, value in fields.items() if name in known})


def demand_kernel() -> None:
    """Fetches the attention that the trainer computes with.

    Raises:
        NoAsyncTrainer: it cannot be had.
    """
    flash_attention = _part("packing", "_flash_attn")
    try:
        flash_attention()
    except Exception as error:  # what it raises is the hub's, the package's or the linker's
        raise NoAsyncTrainer(
            f"{FIELD}: is async_grpo, which computes with FlashAttention's kernel, and that cannot be had here "
            f"({type(error).__name__}: {error}); `pip install {KERNELS}` and let it reach the hub once, or {OTHERWISE}"
        ) from error


@contextmanager
def taking(network: Any) -> Iterator[None]:
    """Within this an AsyncGRPOTrainer that is made trains a network that is loaded, also one with an adapter.

    Raises:
        NoAsyncTrainer: the network has experts.
    """
    if found := next((name for name, _ in network.named_parameters() if ".experts" in name), ""):
        raise NoAsyncTrainer(f"{FIELD}: is async_grpo, {EXPERTS}, and the model has {found}; {OTHERWISE}")
    from selfplay.trl_trainers.vllm_rollouts.process_state import in_place

    module = import_module(f"{HOME}.async_grpo_trainer")
    add_head = module.add_fused_lm_head

    def take(_: str, *, attn_implementation: str, **__: Any) -> Any:
        base_of(network).set_attn_implementation(attn_implementation)
        return network

    def add(model: Any, **how: Any) -> None:
        add_head(base_of(model), **how)

    with in_place(module, "create_model_from_path", take), in_place(module, "add_fused_lm_head", add):
        yield


@contextmanager
def plain_attention(network: Any) -> Iterator[None]:
    """Within this a network reads sequences one by one, as outside of the trainer, and not as a packed tree."""
    base = base_of(network)
    before = base.config._attn_implementation
    base.set_attn_implementation("sdpa")
    try:
        yield
    finally:
        base.set_attn_implementation(before)


def base_of(network: Any) -> Any:
    """A network without the wrapper of its adapter."""
    return network.get_base_model() if hasattr(network, "get_base_model") else network
