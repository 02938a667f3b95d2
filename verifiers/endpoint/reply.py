"""How answers of OpenAI-compatible endpoints are read: trusting nothing. A field of a wrong type is a faulty answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

MOST_TOKENS = 1 << 40


@dataclass(frozen=True, slots=True)
class EndpointReply:
    """One completion as an endpoint gave it."""

    text: str | None
    """None where the model spent all its tokens on thinking that stands apart."""
    thinking: str
    finish_reason: str
    """Empty where the endpoint names none."""
    prompt_tokens: int
    """0 where the endpoint says nothing of tokens."""
    completion_tokens: int


class Answered(BaseModel):
    """A part of an answer; what is not named here may be anything."""

    model_config = ConfigDict(strict=True, extra="ignore", frozen=True)


class _Message(Answered):
    content: str | None
    reasoning_content: str | None = None
    reasoning: str | None = None


class _OneChoice(Answered):
    message: _Message | None = None
    text: str | None = None
    finish_reason: str | None = None


Tokens = Annotated[int, Field(ge=0, lt=MOST_TOKENS)]


class _Usage(Answered):
    prompt_tokens: Tokens | None = None
    completion_tokens: Tokens | None = None


class _Answer(Answered):
    choices: Annotated[list[Any], Field(min_length=1)]
    usage: _Usage | None = None


Part = TypeVar("Part", bound=Answered)


def read_reply(answer: Any) -> EndpointReply:
    """The completion in the JSON of an answer, of a chat or of a plain prompt. Raises ValueError without one."""
    choice = choice_of(answer, _OneChoice)
    message = choice.message
    if message is None and choice.text is None:
        raise ValueError("there is no text")
    thinking = (message.reasoning_content or message.reasoning) if message is not None else None
    text = message.content if message is not None else choice.text
    return EndpointReply(text, thinking or "", choice.finish_reason or "", *tokens_of(answer))


def choice_of(answer: Any, kind: type[Part]) -> Part:
    """The first of an answer's choices. Raises ValueError without one."""
    return _parsed(kind, _parsed(_Answer, answer).choices[0], "choices.0")


def tokens_of(answer: Any) -> tuple[int, int]:
    """Tokens of the prompt and of the completion, 0 where the answer does not say."""
    usage = _parsed(_Answer, answer).usage or _Usage()
    return usage.prompt_tokens or 0, usage.completion_tokens or 0


def _parsed(kind: type[Part], value: Any, at: str = "") -> Part:
    try:
        return kind.model_validate(value)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(part for part in (at, *map(str, first["loc"])) if part)
        raise ValueError(f"{where or 'the whole'}: {first['msg']}") from error
