"""What TRL's AsyncGRPOTrainer has of a GPU, for a CPU: FlashAttention, and the speed of the card."""

from __future__ import annotations

import types
from typing import Any

import pytest
import torch
from torch.nn.functional import scaled_dot_product_attention
from trl.experimental.async_grpo import async_grpo_trainer

from selfplay.trl_trainers.asynchronous import library

__all__ = ["flash_stub"]


def varlen(query: Any, key: Any, value: Any, starts: Any, ends: Any, *_: Any, softmax_scale: Any, **__: Any) -> Any:
    """Segment by segment; the last token of each sees all of its keys, as the kernel has it."""
    parts = []
    for segment in range(len(starts) - 1):
        own = slice(int(starts[segment]), int(starts[segment + 1]))
        seen = slice(int(ends[segment]), int(ends[segment + 1]))
        q, k, v = (part.transpose(0, 1)[None] for part in (query[own], key[seen], value[seen]))
        n, m = q.shape[2], k.shape[2]
        mask = torch.ones(n, m, dtype=torch.bool).tril(m - n)
        found = scaled_dot_product_attention(q, k, v, mask, scale=softmax_scale, enable_gqa=True)
        parts.append(found[0].transpose(0, 1))
    return torch.cat(parts)


def install(patch: pytest.MonkeyPatch) -> None:
    """Puts both in their places."""
    patch.setattr(library, "kernel", lambda: types.SimpleNamespace(flash_attn_varlen_func=varlen))
    patch.setattr(async_grpo_trainer, "get_peak_flops_per_device", lambda accelerator, dtype: None)


@pytest.fixture
def flash_stub(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stands in FlashAttention's place."""
    install(monkeypatch)
