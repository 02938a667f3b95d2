"""What hostile bytes meet first: readers of answers and of written tests, and the decoders of the result channel.

Each target takes any bytes and raises when a promise is broken; `run.py` drives them by coverage, and the tests run
them on the inputs that are kept in `corpus/`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from sandbox.inside.plain import NotPlainData, encode
from sandbox.model import Execution, Status
from sandbox.warm.outcome import Reply, read_reply
from sandbox.warm.returned_values import decode, decoded, read_records
from selfplay.labelling.unit_test_answers import read_unit_test
from tests.fuzz.file_targets import FILE_TARGETS
from verifiers.extraction import boxed_answer, boxes, choice_letter, code_block, final_text, last_value, math_answer
from verifiers.mathematics.comparing.compare import same
from verifiers.mathematics.reading.forms import form_of

_MAX_BYTES = 20_000


def _text(data: bytes) -> str:
    return data[:_MAX_BYTES].decode("utf-8", "surrogatepass" if data[:1] == b"\x00" else "replace")


def extractor(data: bytes) -> None:
    """Extraction never raises, gives what stands in the text, and the last box of all is the answer."""
    try:
        text = _text(data)
    except UnicodeDecodeError:
        return
    for source in ("python", "cpp"):
        block = code_block(text, source)
        assert (block.text is None) == bool(block.reason)
    said = final_text(text)
    assert said is None or "</think>" not in said
    spans = boxes(text)
    assert all(start < end <= len(text) for start, end, _ in spans)
    assert [start for start, *_ in spans] == sorted(start for start, *_ in spans)
    assert all(content in text for *_, content in spans)
    for found in (boxed_answer(text), last_value(text)):
        assert found is None or len(found) < 3 * len(text) + 100
    letter = choice_letter(text)
    assert letter is None or letter in "ABCDEFGHIJ"
    answer = math_answer(text)
    assert (answer.text is None) == bool(answer.reason)
    boxed = final_text(text + "</think>\n\n\\boxed{7391}\n")
    assert boxed is not None
    assert math_answer(boxed).text == "7391"


def answers(data: bytes) -> None:
    """Reading an answer never raises; a pair compares the same in either order, and an answer with itself."""
    try:
        first, _, second = _text(data).partition("\n")
    except UnicodeDecodeError:
        return
    forms = form_of(first), form_of(second)
    assert same(*forms) == same(*reversed(forms))
    itself = same(forms[0], form_of(first))
    assert itself is not False or forms[0].undefined or not forms[0].text.strip(' \\".{}\x04')


def decoder(data: bytes) -> None:
    """Text that a program wrote decodes to plain data, and back, or is refused."""
    try:
        text = data.decode("utf-8", "surrogatepass")
        value = decode(text)
    except (UnicodeDecodeError, NotPlainData):
        return
    again = decode(encode(value))
    assert repr(again) == repr(value) or _has_set(value)


def _has_set(value: Any) -> bool:
    if isinstance(value, dict):
        return any(_has_set(item) for pair in value.items() for item in pair)
    return isinstance(value, set) or (isinstance(value, list | tuple) and any(map(_has_set, value)))


def channel(data: bytes) -> None:
    """A reply of the fork server, and the records of returned values, are read or refused."""
    reply = read_reply(data)
    assert reply is None or isinstance(reply, Reply)
    if reply is not None:
        assert all(math.isfinite(number) and number >= 0 for number in (reply.cpu_s, reply.wall_s, reply.peak_bytes))
        assert reply.exit_code is None or reply.exit_code >= 0
    for kind, body in read_records(data):
        execution = decoded(Execution(Status.OK, exit_code=0), kind, body)
        assert execution.status in {Status.OK, Status.RUNTIME_ERROR}
        assert kind == b"V" or execution.status is Status.RUNTIME_ERROR


def written_tests(data: bytes) -> None:
    """A test that a model wrote is read or refused."""
    try:
        text = _text(data)
    except UnicodeDecodeError:
        return
    found = read_unit_test(text)
    assert bool(found.fault) != bool(found.output.strip())
    found.input.encode("utf-8")


TARGETS: dict[str, Callable[[bytes], None]] = {
    "extractor": extractor,
    "answers": answers,
    "decoder": decoder,
    "channel": channel,
    "written_tests": written_tests,
} | FILE_TARGETS
