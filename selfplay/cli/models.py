"""`selfplay import-gguf`: weights of llama.cpp as a model folder."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Dtype(StrEnum):
    """Number formats of weights."""

    bfloat16 = "bfloat16"
    float32 = "float32"
    float16 = "float16"


def import_gguf(
    file: Annotated[Path, typer.Argument(metavar="FILE.gguf", help="Weights in the format of llama.cpp.")],
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="A new folder, for `model.name` in a recipe.")],
    dtype: Annotated[Dtype, typer.Option(help="Number format of the weights.")] = Dtype.bfloat16,
) -> None:
    """Turn a GGUF file into a model folder with safetensors, which can be trained."""
    from selfplay.engines.gguf_import import import_gguf as write_folder

    typer.echo(str(write_folder(file, folder, dtype.value)))
