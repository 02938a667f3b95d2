"""Mixtures of experts: routers that a training leaves as they are, and a configuration that comes out as it went in.

A router decides which experts see a token. Small steps of it send tokens elsewhere at once, and an engine that rounds
otherwise sends some of them elsewhere than the trainer, so that both disagree on what a completion was worth. Where
routers are frozen, TRL's loss for balancing them is 0, too, unless a recipe says another weight.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

ROUTERS = frozenset({"gate", "router"})
"""Names of the modules that are routers; the gate of a dense block is `gate_proj`."""
BALANCE = "router_aux_loss_coef"
"""TRL's argument: the weight of the loss that has all experts asked equally often."""
SET_BY_TRL = ("output_router_logits", BALANCE)
"""Settings of a model's configuration that TRL's trainers overwrite."""


def is_router(name: str) -> bool:
    """Whether a parameter is a router's, or of an adapter on one."""
    return not ROUTERS.isdisjoint(name.split("."))


def with_balance(args: Mapping[str, Any], frozen: bool) -> dict[str, Any]:
    """Arguments of a trainer by which nothing pulls at frozen routers, unless they say so.

    Args:
        args: what a recipe says.
        frozen: whether routers stay as they are; else the loss has the weight that the model's configuration says.
    """
    return ({BALANCE: 0.0} if frozen else {}) | dict(args)


def freeze_routers(network: Any) -> int:
    """Has a training leave the routers of a network as they are; says how many tensors that concerns.

    An adapter on a router, as peft's `all-linear` makes one, stays at zero.
    """
    frozen = [parameter for name, parameter in network.named_parameters() if is_router(name)]
    for parameter in frozen:
        parameter.requires_grad_(False)
    return len(frozen)


def restore_routing(config: Any, before: Mapping[str, Any]) -> None:
    """Gives a trained model's configuration the settings of routing that it was loaded with.

    Args:
        config: the network's.
        before: that of the model that the training started from.
    """
    for name in SET_BY_TRL:
        if name in before:
            setattr(config, name, before[name])
