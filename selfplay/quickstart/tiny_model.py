"""A from-scratch Qwen3 of under a million parameters and its tokenizer: they stand in for a real base model.

The tokenizer is a byte-level BPE, so that it writes any text and reads it back unchanged. Two choices make it
cheap to train on: every number up to `LARGEST_NUMBER_TOKEN` is one token (digit by digit, a model this small
needs about twice the training for the same arithmetic), and a token may span several words of one clause,
since the seeds' sentences and lines of code repeat.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

PAD, EOS = "<|pad|>", "<|eos|>"
MARKERS = (
    "<!-- BEGIN RATIONALE -->",
    "<!-- END RATIONALE -->",
    "<!-- BEGIN PROBLEM -->",
    "<!-- END PROBLEM -->",
)
LARGEST_NUMBER_TOKEN = 60
VOCABULARY = 1280
LONGEST = 512

_PIECES = r"[0-9]+|[^0-9\n.,:?]*[.,:?\n]|[^0-9\n.,:?]+"
"""Numbers, clauses with the mark that ends them, and what is left."""
_NUMBER_WEIGHT = 2000


def build_tokenizer(texts: Iterable[str], vocabulary: int = VOCABULARY) -> Any:
    """Train the tokenizer on texts in the formats that the models will see; returns a transformers tokenizer.

    Save it with `save_pretrained`. The markers are ordinary tokens, not special ones: decoding that skips
    special tokens must keep them.
    """
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_PIECES), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary - len(MARKERS),
        special_tokens=[PAD, EOS],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator([*texts, *_numbers()], trainer)
    tokenizer.add_tokens([AddedToken(marker, normalized=False, special=False) for marker in MARKERS])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=PAD,
        eos_token=EOS,
        clean_up_tokenization_spaces=False,
        model_max_length=LONGEST,
        padding_side="left",
    )


def _numbers() -> list[str]:
    """Each number so often that it is merged into one token, whatever the texts hold."""
    return [str(number) for number in range(10, LARGEST_NUMBER_TOKEN + 1)] * _NUMBER_WEIGHT


def build_model(tokenizer: Any, seed: int, hidden: int = 128, layers: int = 2, heads: int = 4, experts: int = 0) -> Any:
    """A randomly initialised `Qwen3ForCausalLM` for this tokenizer; the same seed gives the same weights.

    With experts it is a `Qwen3MoeForCausalLM`, of which a token passes as many weights of a layer as without.

    Input and output embeddings are untied: engines that take new weights while running may keep an old
    output layer when they are tied.
    """
    import torch
    from transformers import Qwen3Config, Qwen3ForCausalLM, Qwen3MoeConfig, Qwen3MoeForCausalLM

    mixture = {
        "num_experts": experts,
        "num_experts_per_tok": min(2, experts),
        "moe_intermediate_size": hidden,
        "norm_topk_prob": True,
    }
    config = (Qwen3MoeConfig if experts else Qwen3Config)(
        vocab_size=len(tokenizer),
        hidden_size=hidden,
        intermediate_size=2 * hidden,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=heads,
        head_dim=hidden // heads,
        max_position_embeddings=LONGEST,
        tie_word_embeddings=False,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
        bos_token_id=None,
        **(mixture if experts else {}),
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return (Qwen3MoeForCausalLM if experts else Qwen3ForCausalLM)(config)


def save(tokenizer: Any, model: Any, directory: Path) -> None:
    """Write both as a model directory that `from_pretrained` reads."""
    tokenizer.save_pretrained(directory)
    model.save_pretrained(directory)
