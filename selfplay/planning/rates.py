"""How fast cards compute, and how much of it a run gets: the assumptions behind every hour of a plan.

Nothing here was measured by this project unless a row of `measured` says so. Peak figures are those of the makers' data
sheets; the shares of them that a run gets are guesses, and `selfplay plan --rates FILE` takes better ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError

from selfplay.config.errors import UserError
from selfplay.config.section import Section
from verifiers.untrusted.files import read_text
from verifiers.untrusted.shown import shown
from verifiers.untrusted.yaml_text import UnusableYaml, parse_yaml

Share = Annotated[float, Field(gt=0, le=1)]
LARGEST = 1 << 16
"""Most bytes of a file of rates."""


@dataclass(frozen=True, slots=True)
class Card:
    """A GPU, by its maker's data sheet: dense bfloat16 operations and bytes of memory traffic a second."""

    name: str
    gib: int
    flops: float
    bandwidth: float


CARDS = (
    Card("A10", 24, 125e12, 0.60e12),
    Card("RTX 4090", 24, 165e12, 1.01e12),
    Card("A100-40", 40, 312e12, 1.56e12),
    Card("L40S", 48, 362e12, 0.86e12),
    Card("A100", 80, 312e12, 2.04e12),
    Card("H100", 80, 989e12, 3.35e12),
    Card("H200", 141, 989e12, 4.80e12),
    Card("B200", 180, 2250e12, 8.00e12),
)
CPU = Card("CPU", 0, 5e10, 2e10)
"""One core of a server, float32."""


class MeasuredRate(Section):
    """Tokens a second that somebody measured, of one card with one model."""

    gpu: Annotated[str, Field(min_length=1)]
    """The card's name, as in the table of cards."""
    model: Annotated[str, Field(min_length=1)]
    """The model's name, as in the recipe."""
    work: Literal["generate", "train", "score"]
    """Which work was measured."""
    tokens_per_s: Annotated[float, Field(gt=0)]
    """Tokens a second of one card."""


class Rates(Section):
    """Assumptions of a plan where nothing was measured."""

    train_share: Share = 0.35
    """Of a card's peak operations, what a training gets."""
    generate_share: Share = 0.5
    """Of a card's peak memory traffic, what vLLM gets while it decodes."""
    step_s: Annotated[float, Field(gt=0, le=10)] = 0.03
    """Least time of one decoding step of the transformers engine, in seconds, however small the model."""
    served_step_s: Annotated[float, Field(gt=0, le=10)] = 0.008
    """The same of vLLM."""
    prompt_tokens: Annotated[int, Field(ge=1)] = 512
    """Tokens of the longest prompt, its template included."""
    completion_share: Share = 0.5
    """Mean length of completions, as a share of the longest that the recipe allows."""
    curated_share: Share = 0.7
    """Of new prompts, those that curation keeps."""
    labelled_share: Share = 0.6
    """Of these, those that get a label and pass the filters by difficulty."""
    pairs_share: Share = 0.5
    """Of a prompt's possible pairs or samples, those that its rollouts give."""
    seeds: Annotated[int, Field(ge=1)] = 10000
    """Training seeds a domain, where they are rows of a hub's data set, which is not read."""
    measured: tuple[MeasuredRate, ...] = ()
    """Rates that come before all that."""

    def of(self, card: Card, model: str, work: str) -> float | None:
        """The measured rate of one card; None where there is none."""
        found = (row for row in self.measured if (row.gpu, row.model, row.work) == (card.name, model, work))
        return next((row.tokens_per_s for row in found), None)


class UnusableRates(UserError):
    """A file of rates that cannot be used; the message names the file, the field and the remedy."""


def read_rates(file: Path | None) -> Rates:
    """The rates of a YAML file, which says only what it changes; the defaults without one.

    Raises:
        UnusableRates: names the file and the field.
    """
    if file is None:
        return Rates()
    text = read_text(file, UnusableRates, "name a YAML file of rates (docs/how-to/plan.md)", most=LARGEST)
    try:
        value, _ = parse_yaml(text)
        return Rates.model_validate({} if value is None else value)
    except UnusableYaml as error:
        raise UnusableRates(f"{file}: {error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "the file"
        raise UnusableRates(f"{file}: {shown(place)}: {first['msg']}; docs/how-to/plan.md lists the fields") from error
