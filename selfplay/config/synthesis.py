"""The recipe's settings of new prompts: which concepts, how many completions. Importing it loads no heavy library."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from selfplay.config.annotation import AnnotatorEngine
from selfplay.config.labelling import Band
from selfplay.config.section import SamplingSettings, Section
from selfplay.config.values.places import ConceptsFile, RunFolder, SentenceModelName


class ConceptChoice(Section):
    """The concepts of one domain's combinations, where they are not just those of its seeds."""

    file: ConceptsFile | None = None
    """A list of concepts, relative to the recipe; none takes the concepts of the seeds."""
    size: Annotated[int | None, Field(ge=1, le=64)] = None
    """Concepts of a combination; none takes as many as the seeds have, in their proportions."""
    levels: tuple[Annotated[str, Field(min_length=1)], ...] = ()
    """Difficulty levels, drawn uniformly; none takes those of the seeds, in their proportions."""


OWN_BASE = "policy"
"""Stands for the run's own base where a model is named."""


class ConceptEmbeddings(Section):
    """A model whose mean hidden state is a concept's vector."""

    model: SentenceModelName
    """Hub name or folder of a sentence model in safetensors, or `policy` for the run's own base."""
    revision: str | None = None
    """Branch, tag or commit on the hub."""


class Coverage(Section):
    """Steers the sampler by what was made of each concept so far."""

    prefer: Literal["rare", "yield", "both"] = "rare"
    """`rare`: concepts used little; `yield`: those whose prompts survived curation and labelling; or their product."""
    strength: Annotated[float, Field(gt=0, le=10)] = 1.0
    """Exponent of the preference: 0 would be none, 1 is in proportion."""
    runs: tuple[RunFolder, ...] = ()
    """Earlier run directories, relative to the recipe: their prompts count, their combinations are not drawn again."""

    @model_validator(mode="after")
    def _yield_is_known(self) -> Coverage:
        if self.prefer != "rare" and not self.runs:
            raise ValueError(f"prefer: {self.prefer} needs to know what became of earlier prompts; name runs")
        return self


class Feedback(Band):
    """Prompts that the policy finds learnable become observed pairs of one more round of EM, before new prompts."""

    low: Annotated[float, Field(ge=0, le=1)] = 0.2
    """Least pass rate of the last round's rollouts that counts as learnable."""
    high: Annotated[float, Field(ge=0, le=1)] = 0.8
    """Greatest pass rate that counts as learnable."""
    prompts: Annotated[int, Field(ge=1)] = 200
    """Most prompts of a domain that are fed back after a round; the em section says how p and q learn from them."""
    choice: Literal["learnable", "any"] = "learnable"
    """`any` takes as many prompts whatever their pass rate: the control."""


class Synthesis(Section):
    """New prompts from the prompt model (paper section 3)."""

    prompts: Annotated[int, Field(ge=1)] | dict[str, Annotated[int, Field(ge=1)]] = 1000
    """Completions sampled for each domain in each pass: one number, or a number for each by its name."""
    passes: Annotated[int, Field(ge=1, le=4096)] = 1
    """Passes over the same combinations of concepts, each with a seed of its own (paper: 64)."""
    generator: AnnotatorEngine | None = None
    """A prompt model that writes in place of the run's own, such as a released one behind an endpoint."""
    sampling: SamplingSettings = SamplingSettings(temperature=0.8)
    """How they are drawn."""
    concept_temperature: Annotated[float, Field(gt=0)] = 1.0
    """Softmax temperature of the concept sampler."""
    concepts: dict[str, ConceptChoice] = {}
    """Own concepts, sizes and levels, by domain; none takes all three from the seeds."""
    embeddings: ConceptEmbeddings | None = None
    """Embeddings by which concepts are compared; none compares what they occur together with."""
    coverage: Coverage | None = None
    """Steers towards concepts that were used little or did well; none leaves all as frequent as they are."""
    feedback: Feedback | None = None
    """Learnable prompts go back to p and q between rounds; none keeps them as EM left them."""

    def prompts_of(self, domain: str) -> int:
        """Completions sampled for one domain in each pass."""
        return self.prompts[domain] if isinstance(self.prompts, dict) else self.prompts
