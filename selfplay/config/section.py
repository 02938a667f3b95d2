"""What all groups of settings share. Importing this module loads no heavy library."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field


class Section(BaseModel):
    """A group of settings; an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


TrainerArguments = dict[str, Any]


class SamplingSettings(Section):
    """How completions are drawn."""

    temperature: Annotated[float, Field(ge=0, le=5)] = 1.0
    """Softmax temperature; 0 is greedy."""
    top_p: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Nucleus mass."""
    max_new_tokens: Annotated[int, Field(ge=1, le=131072)] = 4096
    """Longest completion, in tokens."""
