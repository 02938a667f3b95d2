"""Sharded trainings: weights, gradients and optimiser states are spread over the ranks by FSDP2, through accelerate.

accelerate shards GPU groups alone: on CPUs it would train whole copies, as plain data parallelism, and say nothing. So
CPU groups are told to be sharded, and every training looks whether its parameters really are shards before its first
step. A trained model is gathered by all ranks, and kept by the first as any other.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from transformers import TrainerCallback

from selfplay.config.errors import UserError
from selfplay.trl_trainers.sharded.checkpoint import WEIGHT, counted

ARGUMENTS = {
    "fsdp": True,
    "fsdp_config": {
        "version": 2,
        "auto_wrap_policy": "TRANSFORMER_BASED_WRAP",
        "reshard_after_forward": True,
        "state_dict_type": "FULL_STATE_DICT",
    },
}
"""Arguments of transformers' TrainingArguments."""


class NotSharded(UserError):
    """A training that was to be sharded has whole parameters on its ranks."""


def shard_on_cpus() -> None:
    """Has accelerate shard groups on CPUs, too, in this process, from now on."""
    from accelerate.state import AcceleratorState, PartialState
    from accelerate.utils import DistributedType

    if hasattr(AcceleratorState, "_selfplay_shards"):
        return
    begin = AcceleratorState.__init__

    def begin_sharded(self: Any, *args: Any, fsdp_plugin: Any = None, **others: Any) -> None:
        begin(self, *args, fsdp_plugin=fsdp_plugin, **others)
        if fsdp_plugin is not None and self.distributed_type == DistributedType.MULTI_CPU:
            self.fsdp_plugin = fsdp_plugin
            self.distributed_type = PartialState._shared_state["distributed_type"] = DistributedType.FSDP

    AcceleratorState.__init__ = begin_sharded
    AcceleratorState._selfplay_shards = True


def _not_sharded(whole: int, count: int) -> NotSharded:
    return NotSharded(
        f"compute.sharding is fsdp2, but {whole} of {count} parameters are whole on every rank: this version of "
        "accelerate does not shard here; set compute.sharding to none"
    )


def spread_from_first(trainer: Any) -> None:
    """Has the first rank's weights be cut and sent, parameter by parameter, to the others, which have none so far.

    accelerate's own word for it would have transformers leave a reference model empty, too, which TRL does not fill.

    Raises:
        NotSharded: accelerate would train whole copies.
    """
    from accelerate.utils import DistributedType

    state = trainer.accelerator.state
    if state.distributed_type != DistributedType.FSDP:
        count = len(list(trainer.model.parameters()))
        raise _not_sharded(count, count)
    state.fsdp_plugin.cpu_ram_efficient_loading = True


@contextmanager
def reference_from_first(of_trainer: Any, empty: Callable[[], Any]) -> Iterator[None]:
    """Has a trainer that is made meanwhile cut its reference as its policy, of which the first rank alone loads either.

    TRL would have each rank load the whole reference, and gather it whole at each pass.

    Args:
        of_trainer: the module of TRL's trainer, whose names for both are set meanwhile.
        empty: makes a network of the reference's shape without its weights.
    """
    load, cut = of_trainer.create_model_from_path, of_trainer.prepare_fsdp

    def load_on_first(name: str, **how: Any) -> Any:
        if os.environ.get("RANK") == "0":
            return load(name, **how)
        network = empty()
        network.set_attn_implementation(how["attn_implementation"])
        return network

    of_trainer.create_model_from_path, of_trainer.prepare_fsdp = load_on_first, _cut_reference
    try:
        yield
    finally:
        of_trainer.create_model_from_path, of_trainer.prepare_fsdp = load, cut


def _cut_reference(network: Any, accelerator: Any) -> Any:
    """Sends parts of the first rank's weights."""
    from accelerate.utils.fsdp_utils import fsdp2_prepare_model

    accelerator.state.fsdp_plugin.cpu_ram_efficient_loading = True
    return fsdp2_prepare_model(accelerator, network.requires_grad_(False)).eval()


class DemandShards(TrainerCallback):
    """Ends a training before its first step where its parameters are whole."""

    def on_train_begin(self, args: Any, state: Any, control: Any, model: Any = None, **_: Any) -> None:
        """Looks at the parameters of the model as it was prepared.

        Raises:
            NotSharded: says how many are whole.
        """
        from torch.distributed.tensor import DTensor

        parameters = list(model.parameters())
        whole = sum(not isinstance(parameter, DTensor) for parameter in parameters)
        if whole:
            raise _not_sharded(whole, len(parameters))


def gathered(network: Any) -> dict[str, Any]:
    """The whole state of a sharded network, on the CPU of the first rank; all ranks must call this."""
    from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict

    options = StateDictOptions(full_state_dict=True, cpu_offload=True)
    return dict(get_model_state_dict(network, options=options))


class FSDPShards:
    """See `checkpoint.Shards`."""

    def __init__(self, network: Any, optimizer: Any) -> None:
        """
        Args:
            network: as FSDP2 cut it.
            optimizer: torch's, of its parameters.
        """
        self._network, self._optimizer = network, optimizer

    def trained(self) -> Iterator[tuple[str, Any]]:
        """The parameters that are trained, by name."""
        return ((name, value) for name, value in self._network.named_parameters() if value.requires_grad)

    def whole(self, parameter: Any) -> dict[str, Any]:
        """A parameter in float32 as `weight`, and the optimiser's states of it."""
        from torch.distributed.tensor import DTensor

        found = {WEIGHT: parameter} | self._optimizer.state.get(parameter, {})
        tensors = {key: value for key, value in found.items() if hasattr(value, "dim")}
        return {key: value.full_tensor() if isinstance(value, DTensor) else value for key, value in tensors.items()}

    def put(self, parameter: Any, values: dict[str, Any]) -> None:
        """Takes this rank's part of what `whole` gave."""
        from torch.distributed.tensor import distribute_tensor

        def cut(value: Any) -> Any:
            # All ranks have read the same, so that none need send it.
            placed = value.to(parameter.device)
            return distribute_tensor(placed, parameter.device_mesh, parameter.placements, src_data_rank=None)

        parameter.to_local().detach().copy_(cut(values[WEIGHT]).to_local())
        self._optimizer.state[parameter] = {
            key: cut(value) if value.dim() else counted(self._optimizer, value, parameter.device)
            for key, value in values.items()
            if key != WEIGHT
        }
