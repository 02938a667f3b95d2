"""Shared by all groups of settings. Importing this module loads no heavy library."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class Section(BaseModel):
    """A group of settings; an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, hide_input_in_errors=True)


Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
"""A name that may become that of a file or a folder."""
TrainerArguments = dict[str, Any]


class SamplingSettings(Section):
    """How completions are drawn."""

    temperature: Annotated[float, Field(ge=0, le=5)] = 1.0
    """Softmax temperature; 0 is greedy."""
    top_p: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Nucleus mass."""
    max_new_tokens: Annotated[int, Field(ge=1, le=131072)] = 4096
    """Longest completion, in tokens."""


class PretrainedModel(Section):
    """A base model by its hub name or local folder, in safetensors."""

    kind: Literal["pretrained"]
    name: str
    """Hub name such as `Qwen/Qwen3-4B`, or a folder."""
    revision: str | None = None
    """Branch, tag or commit on the hub."""
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "bfloat16"
    """Number format of the weights."""
    prompt_style: Literal["chat", "raw"] = "chat"
    """Whether the solver's prompts go through the model's chat template."""


class ScratchModel(Section):
    """A tiny Qwen3 made and trained by the run itself from the seeds' worked solutions."""

    kind: Literal["scratch"]
    hidden_size: Annotated[int, Field(ge=32, le=1024)] = 128
    """Width of the model."""
    layers: Annotated[int, Field(ge=1, le=24)] = 2
    """Number of transformer layers."""
    vocabulary: Annotated[int, Field(ge=300, le=32000)] = 640
    """Size of the byte-level BPE vocabulary, special tokens left out."""
    args: TrainerArguments = {}
    """Arguments of TRL's SFTConfig for the base training."""

    @property
    def prompt_style(self) -> Literal["chat", "raw"]:
        """A model trained from scratch has no chat template."""
        return "raw"
