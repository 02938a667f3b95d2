"""Models with random weights, as large as real ones, made once: speed and memory need no trained ones, and no hub."""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from benchmarks._memory_works import SIZES, make_model
from selfplay.engines.base import ModelRef
from selfplay.quickstart import seeds

END, PAD, UNKNOWN = "</s>", "<pad>", "<unk>"
PROBLEMS = 512


def random_model(size: str, dtype: str, models: Path) -> ModelRef:
    """A random Qwen3 of a size of `_memory_works`, whose tokenizer has a word for each row of its embedding.

    Args:
        size: its name.
        dtype: in which engines open it; its files are in float32.
        models: the folder of all such models.
    """
    folder = models / size
    if not folder.is_dir():
        making = models / f".{size}"
        shutil.rmtree(making, ignore_errors=True)
        texts = (f"{p.problem} {p.solution}" for p in seeds.generate("math", PROBLEMS, 0))
        make_model(SIZES[size].model, making, word_tokenizer(texts, SIZES[size].model.vocabulary))
        making.rename(folder)
    return ModelRef(str(folder), size, dtype=dtype)


def word_tokenizer(texts: Iterable[str], size: int) -> Any:
    """A tokenizer of so many words: those of the texts, and made-up ones; so every id of a random model is a word."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    splitter = pre_tokenizers.Whitespace()
    known = dict.fromkeys([UNKNOWN, PAD, END])
    for text in texts:
        known |= dict.fromkeys(word for word, _ in splitter.pre_tokenize_str(text))
    words = [*known, *(f"w{number}" for number in range(size))][:size]
    tokenizer = Tokenizer(models.WordLevel({word: place for place, word in enumerate(words)}, unk_token=UNKNOWN))
    tokenizer.pre_tokenizer = splitter
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, unk_token=UNKNOWN, pad_token=PAD, eos_token=END, padding_side="left"
    )


def prompts(count: int, tokens: int, vocabulary: int) -> list[str]:
    """Texts of so many made-up words each, all different."""
    rng = random.Random(0)
    words = range(vocabulary // 2)
    return [" ".join(f"w{rng.choice(words)}" for _ in range(tokens)) for _ in range(count)]
