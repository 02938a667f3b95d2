"""From requests to tasks, and from verdicts to answers, whatever verifiers put into them."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError
from pydantic_core import from_json

from verifiers.model import Verdict
from verifiers.patterns import linear
from verifiers.service.items import Item, ScoredItem
from verifiers.service.models import CallTest, RewardsRequest, ScoreItem, ScoreRequest, first_fault
from verifiers.service.requests import invalid_request
from verifiers.service.settings import ServiceLimits

_MAX_DETAIL = 4_000
_MAX_DETAILS = 64
_MAX_DEPTH = 6
_TASK_FIELDS = frozenset(ScoreItem.model_fields) - {"verifier", "id", "completion"}
_END_PART = 4_000
"""Characters of an end that are looked at together; no mark has as many."""
_END_MARKS = linear.compile(r"(?:<\|[^|<>\s]{1,30}\|>|</s>|<eos>|<pad>|<end_of_turn>|\s)+$")


def read_score(request: ScoreRequest, served: Sequence[str], limits: ServiceLimits) -> list[ScoredItem]:
    """The samples of a batch."""
    return [_sample(item, item.verifier or served[0], limits) for item in request.items]


def read_rewards(
    request: RewardsRequest, verifier: str, item: type[ScoreItem], limits: ServiceLimits
) -> tuple[list[ScoredItem], list[str]]:
    """The samples of OpenRLHF's lists, and the prompt of each. Raises Refused for lists of unequal length.

    A label that is no answer and no task, a query without its prompt, and a sample beyond the limits are faults of
    that sample alone: what a policy writes must not end a run.
    """
    count = len(request.query)
    for place, entries in (("prompts", request.prompts), ("labels", request.labels)):
        if entries is not None and len(entries) != count:
            raise invalid_request(place, f"has {len(entries)} entries, and query has {count}")
    prompts = request.prompts or [""] * count
    labels: Sequence[Any] = request.labels or [None] * count
    samples = [
        _rollout(item, verifier, query, prompt, label, limits)
        for query, prompt, label in zip(request.query, prompts, labels, strict=True)
    ]
    return samples, prompts


def _sample(item: ScoreItem, name: str, limits: ServiceLimits) -> ScoredItem:
    fault = _fault(item, limits)
    if fault:
        return ScoredItem(item.id, name, fault=_unusable(fault))
    return ScoredItem(item.id, name, item.task(), item.completion)


def _fault(item: ScoreItem, limits: ServiceLimits) -> str:
    """Why no verifier could make sense of an item whose fields are well, each by itself."""
    calls = sum(isinstance(test, CallTest) for test in item.tests)
    if calls and (calls < len(item.tests) or item.entry_point is None):
        return "tests with args need an entry_point, and all tests of an item must be of one kind"
    if len(item.tests) * item.time_limit_s > limits.max_item_s:
        return (
            f"{len(item.tests)} tests of {item.time_limit_s:g} s each, and this service gives the tests of an item "
            f"at most {limits.max_item_s:g} s together"
        )
    return ""


def _unusable(words: str) -> Verdict:
    return Verdict(None, None, "not_checked", words)


def _rollout(
    kind: type[ScoreItem], name: str, query: str, prompt: str, label: Any, limits: ServiceLimits
) -> ScoredItem:
    begin = query.find(prompt)
    if begin < 0:
        return ScoredItem(None, name, fault=_unusable("the query does not hold its prompt"))
    completion = _unmarked(query[begin + len(prompt) :])
    fields = {"problem": prompt} | _task_fields(label) | {"verifier": name, "completion": completion}
    try:
        return _sample(kind.model_validate(fields), name, limits)
    except ValidationError as error:
        place, words = first_fault(error)
        return ScoredItem(None, name, fault=_unusable(f"the label is neither an answer nor a task: {place}: {words}"))


def _task_fields(label: Any) -> dict[str, Any]:
    """A label is an answer, or a task as an object, or as the JSON text of an object with fields of a task."""
    if isinstance(label, dict):
        return dict(label)
    if isinstance(label, str) and label.lstrip().startswith("{"):
        try:
            fields = from_json(label, allow_inf_nan=False)
        except ValueError:
            return {"answer": label}
        if isinstance(fields, dict) and fields and fields.keys() <= _TASK_FIELDS:
            return fields
    return {"answer": label}


def _unmarked(completion: str) -> str:
    """Without the marks that end a turn, which OpenRLHF leaves in its queries."""
    end = len(completion)
    while end:
        begin = max(0, end - _END_PART)
        marks = _END_MARKS.search(completion[begin:end])
        if marks is None:
            break
        end = begin + marks.start()
    return completion[:end]


def filled(rewards: Sequence[float | None], groups: Sequence[str], fill: str) -> list[float]:
    """Rewards with a number in place of each null: 0 (`zero`), or the mean of its group (`group_mean`).

    The mean leaves the group's mean as it is, so that where advantages are taken against it, a sample that could
    not be checked pulls in no direction. A group in which nothing could be checked gets zeros.
    """
    known: dict[str, list[float]] = {}
    for group, reward in zip(groups, rewards, strict=True):
        if reward is not None:
            known.setdefault(group, []).append(reward)
    means = {group: math.fsum(found) / len(found) for group, found in known.items()} if fill == "group_mean" else {}
    return [means.get(group, 0.0) if reward is None else reward for group, reward in zip(groups, rewards, strict=True)]


def score_answer(samples: Sequence[Item], verdicts: Sequence[Verdict]) -> bytes:
    """The body of a ScoreResponse."""
    # One by one: other threads wait while one text is made.
    rows = [json_bytes(_row(sample, verdict)) for sample, verdict in zip(samples, verdicts, strict=True)]
    rewards = json_bytes([None if verdict.reward is None else float(verdict.reward) for verdict in verdicts])
    return b'{"verdicts":[' + b",".join(rows) + b'],"rewards":' + rewards + b"}"


def rewards_answer(groups: Sequence[str], verdicts: Sequence[Verdict], fill: str) -> bytes:
    """The body of a RewardsResponse; samples with one prompt have one text among the `groups`."""
    rewards = [verdict.reward for verdict in verdicts]
    numbers = filled(rewards, groups, fill)
    logs = {
        "not_checked": [float(reward is None) for reward in rewards],
        "passed": [float(verdict.passed is True) for verdict in verdicts],
    }
    return json_bytes({"rewards": numbers, "scores": numbers, "extra_logs": logs})


def _row(sample: Item, verdict: Verdict) -> dict[str, Any]:
    return {
        "id": sample.id,
        "verifier": sample.name,
        "passed": verdict.passed,
        "reward": None if verdict.reward is None else float(verdict.reward),
        "status": _text(verdict.status, 100),
        "reason": _text(verdict.reason, _MAX_DETAIL),
        "details": {_text(key, 100): _plain(value, _MAX_DEPTH) for key, value in _first(verdict.details)},
        "seconds": max(0.0, round(verdict.seconds, 6)) if math.isfinite(verdict.seconds) else 0.0,
    }


def json_bytes(content: Any) -> bytes:
    """The answer's body."""
    return json.dumps(content, ensure_ascii=True, allow_nan=False, separators=(",", ":")).encode()


def _first(details: Mapping[str, Any]) -> list[tuple[str, Any]]:
    return list(details.items())[:_MAX_DETAILS]


def _plain(value: Any, depth: int) -> Any:
    """JSON data of bounded size, whatever a plug-in put into its details."""
    kind = type(value)
    if value is None or kind is bool:
        return value
    if kind is int:
        return value if abs(value) < 2**63 else _text(hex(value), 100)
    if kind is float:
        return value if math.isfinite(value) else str(value)
    if depth and isinstance(value, Mapping):
        return {_text(key, 100): _plain(part, depth - 1) for key, part in _first(value)}
    parts = value[:_MAX_DETAILS] if depth and isinstance(value, list | tuple) else None
    return _text(value, _MAX_DETAIL) if parts is None else [_plain(part, depth - 1) for part in parts]


def _text(value: Any, most: int) -> str:
    """Text that every JSON reader takes: no lone surrogates, bounded."""
    text = value if type(value) is str else f"<{type(value).__name__}>"
    return text[:most].encode("utf-8", "replace").decode()
