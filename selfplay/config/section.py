"""Shared by all groups of settings. Importing this module loads no heavy library."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from selfplay.config.faults.sentences import HALF_A_CHARACTER
from selfplay.config.values.places import ModelName, flat


class Section(BaseModel):
    """A group of settings; an unknown key is an error."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False, hide_input_in_errors=True
    )
    templates: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    """Texts of this group that are filled in, each with the fields that it must have."""

    @model_validator(mode="after")
    def _templates_have_their_fields(self) -> Self:
        for name, fields in self.templates.items():
            for field in fields:
                if f"{{{field}}}" not in getattr(self, name):
                    raise ValueError(f"{name} lacks the field {{{field}}}")
        return self

    @model_validator(mode="before")
    @classmethod
    def _can_be_used(cls, settings: Any) -> Any:
        """No file, prompt or trainer can use what is refused here; further sections look at their own settings."""
        for name, value in settings.items() if isinstance(settings, dict) else ():
            sections, number = _kinds(cls, name) if name in cls.model_fields else (False, False)
            for leaf in () if sections and isinstance(value, dict | list | tuple) else _leaves(value):
                if fault := _fault(leaf, number):
                    raise PydanticCustomError("setting", "{fault}", {"setting": name, "fault": fault})
        return settings


LARGEST_NUMBER = 1e15


@functools.cache
def _kinds(section: type[BaseModel], name: str) -> tuple[bool, bool]:
    """Whether a setting is made of further sections, and whether of numbers."""
    kinds = list(flat(section.model_fields[name].annotation))
    sections = any(isinstance(kind, type) and issubclass(kind, BaseModel) for kind in kinds)
    return sections, (int in kinds or float in kinds) and bool not in kinds


def _leaves(value: Any) -> Iterator[Any]:
    """Texts and numbers of a setting, with the names of a mapping."""
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            waiting += [*one, *one.values()]
        elif isinstance(one, list | tuple):
            waiting += one
        else:
            yield one


def _fault(leaf: Any, number: bool) -> str:
    """The fault of a text or a number, as the end of a sentence; empty where there is none."""
    if isinstance(leaf, str) and "\0" in leaf:
        return "holds a NUL; remove it"
    if isinstance(leaf, str) and not leaf.isascii() and any("\ud800" <= character <= "\udfff" for character in leaf):
        return HALF_A_CHARACTER
    if isinstance(leaf, bool) and number:
        return f"is {str(leaf).lower()}, but must be a number"
    if isinstance(leaf, int | float) and not abs(leaf) <= LARGEST_NUMBER:
        # Python writes no integer of more than 4,300 digits.
        shown = f"an integer of {leaf.bit_length()} bits" if isinstance(leaf, int) else str(leaf)
        return f"holds {shown}, but numbers lie within {LARGEST_NUMBER:g}"
    return ""


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
    top_k: Annotated[int, Field(ge=0, le=1_000_000)] = 0
    """Likeliest tokens among which each is drawn; 0 takes all."""
    min_p: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Least probability of a token, relative to the likeliest one; 0 takes all."""


class MeasuredSampling(SamplingSettings):
    """How completions are drawn where a model is measured as its authors say that it be used."""

    temperature: Annotated[float, Field(ge=0, le=5)] = 0.6
    """Softmax temperature; 0 is greedy. The paper's, as is the nucleus mass."""
    top_p: Annotated[float, Field(gt=0, le=1)] = 0.95
    """Nucleus mass."""
    max_new_tokens: Annotated[int, Field(ge=1, le=131072)] = 32768
    """Longest completion, in tokens."""
    system_prompt: str = ""
    """Text of the system's turn, where prompts go through a chat template; empty leaves it out."""


class NamedModel(Section):
    """A model by its hub name or local folder, in safetensors."""

    name: ModelName
    """Hub name such as `Qwen/Qwen3-4B`, or a folder, relative to the recipe."""
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
    experts: Annotated[int, Field(ge=0, le=64)] = 0
    """Experts of each layer, of which two answer a token (Qwen3-MoE); 0 makes a dense model."""
    args: TrainerArguments = {}
    """Arguments of TRL's SFTConfig for the base training."""

    @property
    def prompt_style(self) -> Literal["chat", "raw"]:
        """A model trained from scratch has no chat template."""
        return "raw"


class Supervision(Section):
    """How a process is watched in which vLLM runs: a child of each worker, or a server."""

    silence_s: Annotated[float, Field(ge=1, le=86400)] = 300.0
    """Longest time without a step of the engine, in seconds; then it is ended and another one started."""
    opening_s: Annotated[float, Field(ge=1, le=86400)] = 1800.0
    """Longest opening of a model, in seconds; then the same."""
    restarts: Annotated[int, Field(ge=0, le=1000)] = 3
    """Restarts in a row after which no further prompt was finished; one failure more ends the run."""


def refuse_pickles(args: Mapping[str, Any]) -> None:
    """Refuses arguments by which vLLM would read weights from other files than safetensors.

    Raises:
        ValueError: names the argument.
    """
    form = args.get("load_format")
    if form in ("auto", "hf", "pt", "npcache", "dummy"):
        raise ValueError(f"args.load_format is {form}, which unpickles or makes weights up; drop it for safetensors")
