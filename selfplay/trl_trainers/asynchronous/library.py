"""TRL's AsyncGRPOTrainer, which nothing else here imports: it is experimental, and changes between versions.

It loads a model by its name and takes no other, and so it is told of the one that the run has loaded, masters and all.
"""

from __future__ import annotations

import dataclasses
import inspect
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib import import_module
from typing import Any

from selfplay.config.errors import UserError

HOME = "trl.experimental.async_grpo"
FIELD = "training.grpo.trainer"
OTHERWISE = "set it to grpo, which draws one batch ahead by max_staleness: 1"
EXPERTS = "whose sync of experts to vLLM no test has run"
KERNELS = ("flash_attn_interface", "flash_attn")
"""Packages of FlashAttention 3 and 2, whose function of packed sequences takes the same."""
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


def kernel() -> Any:
    """FlashAttention, of a package that is installed; TRL itself would fetch a program of the hub.

    Raises:
        NoAsyncTrainer: there is none that can be imported.
    """
    for package in KERNELS:
        try:
            found = import_module(package)
            _ = found.flash_attn_varlen_func
        except ModuleNotFoundError as error:
            if error.name != package:
                raise _broken(package, error) from error
        except (ImportError, OSError, AttributeError) as error:
            raise _broken(package, error) from error
        else:
            return found
    raise NoAsyncTrainer(
        f"{FIELD}: is async_grpo, which computes with FlashAttention, and neither {' nor '.join(KERNELS)} is installed "
        f"here; `pip install flash-attn`, or {OTHERWISE}"
    )


def _broken(package: str, error: Exception) -> NoAsyncTrainer:
    return NoAsyncTrainer(
        f"{FIELD}: is async_grpo, which computes with FlashAttention, and {package} cannot be used here "
        f"({type(error).__name__}: {error}); install it anew, or {OTHERWISE}"
    )


@contextmanager
def taking(network: Any) -> Iterator[None]:
    """Within this an AsyncGRPOTrainer is made, and trains a network that is loaded, also one with an adapter.

    Raises:
        NoAsyncTrainer: the network has experts, or there is no FlashAttention.
    """
    if found := next((name for name, _ in network.named_parameters() if ".experts" in name), ""):
        raise NoAsyncTrainer(f"{FIELD}: is async_grpo, {EXPERTS}, and the model has {found}; {OTHERWISE}")
    from selfplay.trl_trainers.vllm_rollouts.process_state import in_place

    flash_attention = kernel()
    module = import_module(f"{HOME}.async_grpo_trainer")
    add_head = module.add_fused_lm_head

    def take(_: str, *, attn_implementation: str, **__: Any) -> Any:
        base_of(network).set_attn_implementation(attn_implementation)
        return network

    def add(model: Any, **how: Any) -> None:
        add_head(base_of(model), **how)

    with ExitStack() as stack:
        stack.enter_context(in_place(module, "create_model_from_path", take))
        stack.enter_context(in_place(module, "add_fused_lm_head", add))
        stack.enter_context(in_place(import_module(f"{HOME}.packing"), "_flash_attn", lambda: flash_attention))
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
