"""The recipe's settings of annotators: who turns seed problems into triples. Importing it loads no heavy library."""

from __future__ import annotations

import re
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from selfplay.config.section import NamedModel, SamplingSettings, Section
from selfplay.config.values.places import ModelName, Wording
from verifiers.endpoint.settings import checked_address

_VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]{0,127}")


class Budget(Section):
    """Where spending stops. What requests under way still cost comes on top."""

    tokens: Annotated[int | None, Field(ge=1)] = None
    """Most tokens, of prompts and completions together; none sets no limit."""
    cost: Annotated[float | None, Field(gt=0)] = None
    """Most money, in the currency of the prices; none sets no limit."""


class Prices(Section):
    """Prices of an endpoint, in any one currency."""

    prompt: Annotated[float, Field(ge=0)] = 0.0
    """Price of a million prompt tokens."""
    completion: Annotated[float, Field(ge=0)] = 0.0
    """Price of a million completion tokens."""


class Endpoint(Section):
    """Where an OpenAI-compatible server is, and how it is asked. Nothing here changes what a model would answer."""

    base_url: str
    """Address up to where `/chat/completions` begins, such as `http://127.0.0.1:8000/v1`."""
    api_key_env: str | None = None
    """Name of the environment variable that holds the key; the key itself never stands in a recipe."""
    concurrency: Annotated[int, Field(ge=1, le=1024)] = 8
    """Most requests under way at a time."""
    timeout_s: Annotated[float, Field(gt=0, le=86400)] = 600.0
    """Longest time of one try, from the connection to the last byte, in seconds."""
    attempts: Annotated[int, Field(ge=1, le=100)] = 6
    """Tries of one request that meets a lost connection, a timeout, a 408, 409, 425 or 429, or a 5xx."""
    pause_s: Annotated[float, Field(ge=0, le=3600)] = 1.0
    """Pause before the second try, in seconds; it doubles with each further one, and is spread by chance."""
    longest_pause_s: Annotated[float, Field(ge=0, le=86400)] = 60.0
    """Longest pause between two tries, in seconds, also where the server asks for a longer one."""
    max_reply_bytes: Annotated[int, Field(ge=1024, le=1 << 30)] = 1 << 24
    """Largest answer that is read, in bytes."""

    @field_validator("base_url")
    @classmethod
    def _is_an_address(cls, value: str) -> str:
        return checked_address(value)

    @field_validator("api_key_env")
    @classmethod
    def _is_a_variable(cls, value: str | None) -> str | None:
        # Somebody may have put the key itself here, so the message must not repeat it.
        if value is not None and not _VARIABLE.fullmatch(value):
            raise ValueError(
                "must be the name of an environment variable, in capitals, as in TEACHER_KEY, and never the key itself"
            )
        return value


class OpenAIEngine(Section):
    """A model behind any OpenAI-compatible endpoint: a vLLM server, or a hosted teacher."""

    changes_no_result: ClassVar[tuple[str, ...]] = ("endpoint", "prices", "budget")
    """Settings that may change while a run goes on."""

    kind: Literal["openai"]
    model: Annotated[str, Field(min_length=1)]
    """Name of the model, as the endpoint knows it."""
    prompt_style: Literal["chat", "raw"] = "chat"
    """`chat` asks `/chat/completions`, `raw` asks `/completions`."""
    tokenizer: ModelName | None = None
    """Hub name or folder of the model's tokenizer: scoring needs it; raw prompts are sent as its token ids."""
    extra_body: dict[str, Any] = {}
    """Further fields of each request, such as `{reasoning_effort: low}`; null leaves out one of ours, as `seed`."""
    keep_thinking: bool = False
    """Whether thinking that the server gives apart from the answer (`reasoning_content`) stays, as a think block."""
    length_field: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    """The endpoint's name for the token limit of a completion."""
    endpoint: Endpoint
    """Where the server is."""
    prices: Prices = Prices()
    """Prices of tokens."""
    budget: Budget = Budget()
    """Where spending at this endpoint stops."""

    @model_validator(mode="after")
    def _has_prices(self) -> OpenAIEngine:
        _demand_prices("budget.cost", self.budget, [self.prices])
        return self


class LocalEngine(NamedModel):
    """A model on this machine, over the run's workers, by the run's own `engine`."""

    kind: Literal["local"]


AnnotatorEngine = Annotated[LocalEngine | OpenAIEngine, Field(discriminator="kind")]


class Annotator(Section):
    """A model that names the concepts of a problem, and writes the rationale that leads to it."""

    engine: AnnotatorEngine
    """The model that answers."""
    sampling: SamplingSettings = SamplingSettings(temperature=0.7, max_new_tokens=4096)
    """How its answers are drawn."""
    share: Annotated[float, Field(gt=0, le=1e6)] = 1.0
    """How many problems it gets, relative to the shares of the others."""


class AnnotationSettings(Section):
    """How problems become triples of concepts, rationale and problem (paper section 2.2)."""

    may_change: ClassVar[tuple[str, ...]] = ("budget", "unfinished")
    """Settings that may change while a run goes on."""

    concepts: Annotated[int, Field(ge=1, le=32)] = 5
    """Concepts asked for, and the most that are taken."""
    fewest_concepts: Annotated[int | None, Field(ge=1, le=32)] = None
    """Fewest concepts that are taken; none takes exactly as many as were asked for."""
    attempts: Annotated[int, Field(ge=1, le=64)] = 3
    """Answers to one question that an annotator gets wrong before the next annotator is asked."""
    pause_s: Annotated[float, Field(ge=0, le=3600)] = 1.0
    """Pause before an endpoint is asked again where its answer could not be used, in seconds; it doubles each time."""
    budget: Budget = Budget()
    """Where spending on all annotators together stops; the same command goes on once it is raised."""
    unfinished: Literal["stop", "drop"] = "stop"
    """When a budget is spent or an endpoint out of reach: stop, to go on later, or go on without what is left."""
    scorer: AnnotatorEngine | None = None
    """A model that scores each triple, log p(z|c) and log p(x|z,c), for the annotations table; none leaves it out."""

    @model_validator(mode="after")
    def _fewest_below_most(self) -> AnnotationSettings:
        if self.fewest_concepts is not None and self.fewest_concepts > self.concepts:
            raise ValueError(
                f"fewest_concepts is {self.fewest_concepts}, more than the {self.concepts} that are asked for"
            )
        if isinstance(self.scorer, OpenAIEngine) and self.scorer.tokenizer is None:
            raise ValueError("scorer.tokenizer is missing: scoring needs the model's tokenizer, by folder or hub name")
        return self

    @property
    def concept_bounds(self) -> tuple[int, int]:
        """Fewest and most concepts of a problem."""
        return self.fewest_concepts or self.concepts, self.concepts


class AnnotationTemplates(Section):
    """Texts that annotators read for a domain's problems. `{…}` fields are filled in."""

    templates = {"concepts": ("problem", "count"), "rationale": ("concepts", "level", "problem")}

    concepts: Wording = (
        "Here is a problem.\n\n<problem>\n{problem}\n</problem>\n\n"
        "Name the {count} concepts of its field that one has to command in order to solve it: each a precise term of "
        "at most six words that other problems could share, and none that gives away what is particular to this "
        "problem.\n\n"
        'End with a JSON list of {count} texts, as in ["first concept", "second concept"], and write no other list.'
    )
    """Asks for the concepts; fields: problem, count."""
    rationale: Wording = (
        "An expert who sets problems was given these concepts and this level of difficulty, and nothing else:\n\n"
        "<concepts>\n{concepts}\n</concepts>\n<level>{level}</level>\n\n"
        "This is the problem the expert arrived at:\n\n<problem>\n{problem}\n</problem>\n\n"
        "Write down what the expert thought on the way: how the concepts were brought together, which choices were "
        "made and why, and what makes the problem fit the level. A second expert who has the concepts and the level "
        "and follows these thoughts must end up at the same problem. The thoughts must sound as if the problem did "
        "not exist yet: do not refer to it as given, and do not solve it.\n\n"
        "Write nothing but the thoughts, between these two marks:\n"
        "<!-- BEGIN RATIONALE -->\n<!-- END RATIONALE -->"
    )
    """Asks for the rationale; fields: concepts, level, problem."""


def check_budget(budget: Budget, annotators: dict[str, Annotator]) -> None:
    """Refuses a limit of cost that nothing could ever reach. Raises ValueError."""
    engines = [annotator.engine for annotator in annotators.values()]
    _demand_prices(
        "annotation.budget.cost", budget, [engine.prices for engine in engines if isinstance(engine, OpenAIEngine)]
    )


def _demand_prices(field: str, budget: Budget, prices: list[Prices]) -> None:
    if budget.cost is not None and not any(price.prompt or price.completion for price in prices):
        raise ValueError(f"{field} is {budget.cost:g}, but no prices are set: nothing would ever cost anything")
