"""Turns a GGUF file, the format of llama.cpp, into a folder with safetensors that this project can train."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Literal

from selfplay.config.errors import UserError
from selfplay.engines.model_files import UNTRUSTED, ModelError, demand_all, told_as
from verifiers.untrusted.files import open_file

MAGIC = b"GGUF"


class GgufError(UserError):
    """A file that cannot be turned into a model folder; the message names it and the remedy."""


def import_gguf(file: Path, folder: Path, dtype: Literal["bfloat16", "float32", "float16"] = "bfloat16") -> Path:
    """Writes the weights, the tokenizer and the chat template of a GGUF file as a new folder.

    Quantised weights are expanded; what quantisation lost stays lost. The folder is there only once it is whole.

    Args:
        file: the GGUF file, of an architecture that `transformers` reads.
        folder: where the model goes; it must not exist yet.
        dtype: number format of the weights.

    Returns:
        The folder.

    Raises:
        GgufError: the file is missing or no GGUF, the folder is there already, or this version of transformers
            needs the extra `gguf` for it.
    """
    _check(file, folder)
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    source, name = str(file.parent), file.name
    try:
        # Without `dequantize` the weights would count as quantised, which nothing can save or train.
        with told_as(str(file), "take a model in safetensors"):
            network, found = AutoModelForCausalLM.from_pretrained(
                source,
                gguf_file=name,
                dtype=getattr(torch, dtype),
                quantization_config=GgufConfig(dequantize=True),
                output_loading_info=True,
                ignore_mismatched_sizes=True,
                **UNTRUSTED,
            )
            demand_all(str(file), found)
            tokenizer = AutoTokenizer.from_pretrained(source, gguf_file=name, **UNTRUSTED)
    except ImportError as error:  # newer versions of transformers read GGUF by themselves
        raise GgufError(f"{file}: reading it needs one more package: pip install 'promptcot[gguf]'") from error
    except ModelError as error:
        raise GgufError(str(error)) from error
    unfinished = folder.with_name(folder.name + ".unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    network.save_pretrained(unfinished)
    tokenizer.save_pretrained(unfinished)
    unfinished.rename(folder)
    return folder


def _check(file: Path, folder: Path) -> None:
    with open_file(file, GgufError, "name a .gguf file") as opened:
        if opened.read(len(MAGIC)) != MAGIC:
            raise GgufError(f"{file}: is not a GGUF file; a wheel or an archive must be unpacked first")
    if folder.exists():
        raise GgufError(f"{folder}: is there already; name a new folder")
