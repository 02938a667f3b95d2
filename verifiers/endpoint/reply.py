"""How answers of OpenAI-compatible endpoints are read: trusting nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

MOST_TOKENS = 1 << 40


@dataclass(frozen=True, slots=True)
class EndpointReply:
    """One completion as an endpoint gave it."""

    text: str | None
    """None where the model spent all its tokens on thinking that stands apart."""
    thinking: str
    finish_reason: str
    prompt_tokens: int
    """0 where the endpoint says nothing of tokens."""
    completion_tokens: int


def read_reply(answer: Any) -> EndpointReply:
    """The completion in the JSON of an answer, of a chat or of a plain prompt. Raises ValueError without one."""
    choice = choice_of(answer)
    message = choice.get("message", choice)
    content = "content" if "message" in choice else "text"
    if not isinstance(message, dict) or content not in message:
        raise ValueError(f"there is no {content}")
    text, thinking = message[content], message.get("reasoning_content") or message.get("reasoning")
    if not isinstance(text, str) and (text is not None or content == "text"):
        raise ValueError("there is no text")
    return EndpointReply(
        text,
        thinking if isinstance(thinking, str) else "",
        str(choice.get("finish_reason")),
        *tokens_of(answer),
    )


def choice_of(answer: Any) -> dict[str, Any]:
    """The first of an answer's choices. Raises ValueError without one."""
    choices = answer.get("choices") if isinstance(answer, dict) else None
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        raise ValueError("there are no choices")
    return choices[0]


def tokens_of(answer: dict[str, Any]) -> tuple[int, int]:
    """Tokens of the prompt and of the completion, 0 where the answer does not say."""
    usage = answer.get("usage")
    counts = usage if isinstance(usage, dict) else {}
    prompt, completion = (
        value if type(value := counts.get(name)) is int and 0 <= value < MOST_TOKENS else 0
        for name in ("prompt_tokens", "completion_tokens")
    )
    return prompt, completion
