"""Float32 weights as numbers of a shorter format: to the nearest, or up or down by chance."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from selfplay.run.seeding import derive

if TYPE_CHECKING:
    import torch

Rounding = Literal["nearest", "stochastic"]
BLOCK = 1 << 22
"""Weights that are rounded at a time: what bounds the memory that it takes beside them."""


def round_weights(network: Any, dtype: torch.dtype, rounding: Rounding, seed: int) -> None:
    """Makes each float32 tensor of a network's state a number of a shorter format, still held in float32.

    What computes with the network now sees what engines will see; casting it to the format changes no number more.

    Args:
        network: a torch module; tensors in other formats than float32 stay as they are.
        dtype: bfloat16 or float16; with float32 nothing changes.
        rounding: `nearest`; or `stochastic`, with the chance in proportion to the distance, so that the mean is kept.
        seed: of the chance; each tensor derives its own by its name.
    """
    import torch

    if dtype is torch.float32:
        return
    with torch.no_grad():
        # One that has two names is rounded twice, which changes nothing the second time.
        for name, tensor in network.state_dict().items():
            if tensor.dtype is not torch.float32:
                continue
            if rounding == "nearest":
                tensor.copy_(tensor.to(dtype))
                continue
            generator = torch.Generator().manual_seed(derive(seed, "rounding", name))
            flat = tensor.reshape(-1)
            for start in range(0, flat.numel(), BLOCK):
                part = flat[start : start + BLOCK]
                part.copy_(stochastically(part, dtype, generator))
            tensor.copy_(flat.view_as(tensor))


def stochastically(values: torch.Tensor, dtype: torch.dtype, generator: torch.Generator) -> torch.Tensor:
    """Float32 values as numbers of a 16-bit format, in float32: one of the two neighbours, by chance.

    The next number above or below in magnitude is the next integer of the same bits, also across exponents. A value
    beyond the largest number stays at that, as does what is no number.

    Args:
        values: any shape, float32.
        dtype: bfloat16 or float16.
        generator: on the CPU, so that every device rounds alike.
    """
    import torch

    nearest = values.to(dtype)
    back = nearest.float()
    error = values - back
    bits = nearest.view(torch.int16)
    # At zero the neighbour is the smallest number with the sign of the error.
    smallest = torch.where(error < 0, -(2**15) + 1, 1).to(torch.int16)
    # By their signs, since the product of tiny numbers is 0.
    outward = torch.where(back == 0, error != 0, (error != 0) & (torch.signbit(error) == torch.signbit(back)))
    step = torch.where(outward, bits + 1, bits - 1).to(torch.int16)
    other = torch.where(back == 0, smallest, step).view(dtype).float()
    chance = (error / (other - back)).nan_to_num(0.0)
    drawn = torch.rand(values.shape, generator=generator).to(values.device)
    return torch.where((drawn < chance) & other.isfinite() & back.isfinite(), other, back)
