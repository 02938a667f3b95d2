"""The client alone: which faults are tried again, what it refuses at once, and how answers are read.

What it does under load, with keys, budgets and slow servers is tested by those who use it: `test_api_engine.py` and
`test_model_judge.py`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.selfplay.engines.openai_server import OpenAIServer, openai_server
from verifiers.endpoint.client import EndpointClient, EndpointClosed, EndpointRefused, PassingFault, RequestRefused
from verifiers.endpoint.reply import EndpointReply, read_reply
from verifiers.endpoint.settings import EndpointSettings, checked_address

BODY = {"model": "m", "seed": 0, "messages": [{"role": "user", "content": "p"}]}


@pytest.fixture
def server() -> Iterator[OpenAIServer]:
    with openai_server() as running:
        yield running


@pytest.fixture
def client(server: OpenAIServer) -> Iterator[EndpointClient]:
    made = EndpointClient(EndpointSettings(server.url, attempts=3, pause_s=0.0, timeout_s=10.0), "the judge")
    yield made
    made.close()


def ask(client: EndpointClient) -> tuple[EndpointReply, int]:
    return client.run(client.ask("/chat/completions", BODY, read_reply))


@pytest.mark.parametrize("fault", ["409", "425", "429 0", "503", "garbage", "empty"])
def test_a_passing_fault_is_tried_again_and_tries_are_told(
    server: OpenAIServer, client: EndpointClient, fault: str
) -> None:
    assert ask(client)[1] == 1
    server.faults = deque([fault, fault])
    assert ask(client)[1] == 3
    server.faults = deque([fault] * 3)
    with pytest.raises(PassingFault):
        ask(client)


def test_what_stays_is_not_tried_again(server: OpenAIServer, client: EndpointClient) -> None:
    server.faults = deque(["400", "404"])
    for fault in (RequestRefused, EndpointRefused):
        with pytest.raises(fault):
            ask(client)
    assert len(server.requests) == 2


def test_a_request_that_cannot_be_sent_costs_itself_alone(client: EndpointClient) -> None:
    with pytest.raises(RequestRefused, match="the request failed: ValueError"):
        client.run(client.ask("/chat/completions", {"x": float("nan")}, read_reply))
    assert ask(client)[1] == 1


def test_a_closed_client_is_named(client: EndpointClient) -> None:
    client.close()
    with pytest.raises(EndpointClosed, match=r"^the judge was closed$"):
        ask(client)


@pytest.mark.parametrize("url", ["http://x\x00", "http://x/\x7f"])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(EndpointRefused, match=r"the judge: .* is no address"):
        EndpointClient(EndpointSettings(url), "the judge")


@pytest.mark.parametrize("url", ["ftp://x", "127.0.0.1:80", "http://", "http://x:0", "http://x:99999999", "http://a@x"])
def test_settings_take_addresses_alone(url: str) -> None:
    with pytest.raises(ValueError, match=r"must|[Pp]ort"):
        checked_address(url)
    with pytest.raises(ValueError, match=r"must|[Pp]ort"):
        EndpointSettings(url)
    assert checked_address("https://host:1/v1/") == "https://host:1/v1"


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ({"message": {"content": "4"}, "finish_reason": "stop"}, EndpointReply("4", "", "stop", 7, 0)),
        ({"message": {"content": None, "reasoning": "hm"}}, EndpointReply(None, "hm", "", 7, 0)),
        (
            {"message": {"content": "4", "reasoning_content": "a", "reasoning": "b"}},
            EndpointReply("4", "a", "", 7, 0),
        ),
        ({"text": "4", "finish_reason": "length"}, EndpointReply("4", "", "length", 7, 0)),
    ],
)
def test_replies_of_chats_and_of_plain_prompts_are_read(choice: dict[str, Any], expected: EndpointReply) -> None:
    usage = {"prompt_tokens": 7, "completion_tokens": None}
    assert read_reply({"choices": [choice], "usage": usage}) == expected


NESTED = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(st.sampled_from(["choices", "message", "content", "text", "usage", "reasoning"]), inner)
    ),
)


@given(NESTED)
def test_whatever_comes_is_a_reply_or_a_value_error(answer: Any) -> None:
    try:
        reply = read_reply(answer)
    except ValueError:
        return
    assert isinstance(reply.text, str | None)
    assert isinstance(reply.thinking, str)
