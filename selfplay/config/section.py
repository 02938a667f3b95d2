"""Shared by all groups of settings. Importing this module loads no heavy library."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


class Section(BaseModel):
    """A group of settings; an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)
    templates: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    """Texts of this group that are filled in, each with the fields that it must have."""

    @model_validator(mode="after")
    def _templates_have_their_fields(self) -> Self:
        for name, fields in self.templates.items():
            for field in fields:
                if f"{{{field}}}" not in getattr(self, name):
                    raise ValueError(f"{name} lacks the field {{{field}}}")
        return self


TrainerArguments = dict[str, Any]


class SamplingSettings(Section):
    """How completions are drawn."""

    temperature: Annotated[float, Field(ge=0, le=5)] = 1.0
    """Softmax temperature; 0 is greedy."""
    top_p: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Nucleus mass."""
    max_new_tokens: Annotated[int, Field(ge=1, le=131072)] = 4096
    """Longest completion, in tokens."""


class NamedModel(Section):
    """A model by its hub name or local folder, in safetensors."""

    name: Annotated[str, Field(min_length=1)]
    """Hub name such as `Qwen/Qwen3-4B`, or a folder."""
    revision: str | None = None
    """Branch, tag or commit on the hub."""
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "bfloat16"
    """Number format of the weights."""
    prompt_style: Literal["chat", "raw"] = "chat"
    """Whether prompts go through the model's chat template."""


class PretrainedModel(NamedModel):
    """A base model."""

    kind: Literal["pretrained"]


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
