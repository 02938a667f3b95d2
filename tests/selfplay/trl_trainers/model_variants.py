"""Models whose weights an engine can easily miss: with tied heads, and with packed experts."""

from __future__ import annotations

from pathlib import Path

import torch

from selfplay.engines.base import ModelRef
from selfplay.engines.loading import load_for_training


def tied(model: ModelRef, folder: Path) -> ModelRef:
    network, tokenizer = load_for_training(model, False)
    network.config.tie_word_embeddings = True
    network.tie_weights()
    network.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return ModelRef.local(folder, "tied", "float32", chat=False)


def mixture(model: ModelRef, folder: Path) -> ModelRef:
    """A tiny Qwen3 whose layer has eight experts, of which two answer; they lie packed in one tensor."""
    from transformers import AutoTokenizer, Qwen3MoeConfig, Qwen3MoeForCausalLM

    tokenizer = AutoTokenizer.from_pretrained(model.path)
    torch.manual_seed(0)
    config = Qwen3MoeConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        moe_intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=2,
        head_dim=32,
        num_experts=8,
        num_experts_per_tok=2,
        tie_word_embeddings=False,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    Qwen3MoeForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return ModelRef.local(folder, "experts", "float32", chat=False)
