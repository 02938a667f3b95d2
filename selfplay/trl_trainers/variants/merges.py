"""Adapters that are merged into their base for a sync, and taken out so that the base is what it was.

peft adds an adapter's part to the base in the base's own format, and subtracts it again. In float32 that is nearly
nothing. A base in bfloat16 is rounded twice at each sync, so that it walks away from the base on which the adapter is
kept: what is trained, and what writes completions, would be another policy than the one that a run keeps. No probe sees
that, since the engine is sent the base as it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

ROUNDED = ("torch.bfloat16", "torch.float16")


def keep_base(network: Any) -> None:
    """Has a network's adapter be taken out of the base without a trace.

    While it is merged, a second copy of the weights that it changes is held beside them.

    Args:
        network: any; one without an adapter stays as it is, and so does a base in float32 or in 4 bits.
    """
    if not hasattr(network, "merge_adapter"):
        return
    merge, unmerge = network.merge_adapter, network.unmerge_adapter
    before: list[tuple[Any, Any]] = []

    def merge_into_copy(*given: Any, **how: Any) -> None:
        for parameter in _changed(network):
            before.append((parameter, parameter.data))
            parameter.data = parameter.data.clone()
        merge(*given, **how)

    def put_back() -> None:
        unmerge()
        # Of one that two layers share the first copy is the last to be put back.
        for parameter, values in reversed(before):
            parameter.data = values
        before.clear()

    network.merge_adapter, network.unmerge_adapter = merge_into_copy, put_back


def _changed(network: Any) -> Iterator[Any]:
    """The base's parameters to which an adapter adds, where that rounds them."""
    from peft.tuners.tuners_utils import BaseTunerLayer

    for layer in network.modules():
        if isinstance(layer, BaseTunerLayer):
            found = layer.get_base_layer().parameters(recurse=False)
            yield from (parameter for parameter in found if str(parameter.dtype) in ROUNDED)
