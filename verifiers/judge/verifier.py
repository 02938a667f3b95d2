"""The LLM judge: a model behind any OpenAI-compatible endpoint says whether an answer is right.

A judge is a weak verifier: it can be talked into things. What can be enforced, is: the completion reaches it as
delimited data (see `prompt`), its answer is read strictly, and whatever the endpoint does wrong is a verdict
without a reward, never a pass and never a fail.
"""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass, replace
from hashlib import sha256
from typing import Any, Literal

from verifiers.cache import BoundedCache
from verifiers.endpoint.client import EndpointClient, EndpointError, EndpointRefused
from verifiers.endpoint.reply import EndpointReply, read_reply
from verifiers.endpoint.settings import EndpointSettings
from verifiers.judge.prompt import RIGHT_OR_WRONG, ReplyUnreadable, question_of, score_of
from verifiers.model import Task, Verdict, Verifier
from verifiers.pool.pool import WorkerOutcome
from verifiers.pool.readers import TextReader

ResponseFormat = Literal["none", "json_object"]
_READINGS = 2
_ANSWERS = TextReader("verifiers.judge.prompt:answer_in")


@dataclass(frozen=True, slots=True)
class JudgeUsage:
    """The cost of a judge so far: requests that were answered, attempts, tokens, verdicts from the cache."""

    requests: int = 0
    attempts: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached: int = 0


class ModelJudge(Verifier):
    """Asks a model whether the text after the thinking answers `task.problem` as `task.answer` does.

    Statuses: correct, wrong, no_answer (nothing follows the thinking), too_long, and, without a reward:
    gold_unparsable (the task has neither a problem nor an answer) and not_checked (the endpoint failed, or the
    judge's answer could not be read). `details` has the score, attempts, tokens, and whether the verdict was in
    the cache. Only verdicts that were reached are kept there.
    """

    name = "judge"
    overlaps = True

    def __init__(
        self,
        *,
        base_url: str,
        model: str,
        api_key_env: str | None = None,
        criteria: str = RIGHT_OR_WRONG,
        levels: int = 1,
        threshold: float = 1.0,
        temperature: float = 0.0,
        max_tokens: int = 1024,
        response_format: ResponseFormat = "none",
        extra_body: Mapping[str, Any] | None = None,
        timeout_s: float = 60.0,
        attempts: int = 4,
        pause_s: float = 1.0,
        concurrency: int = 8,
        max_reply_bytes: int = 1 << 20,
        max_answer_chars: int = 50_000,
        cache_size: int = 50_000,
        prompt_price: float = 0.0,
        completion_price: float = 0.0,
    ) -> None:
        """`base_url` ends where /chat/completions begins; `api_key_env` names the environment variable that
        holds the key (the key itself never stands in a recipe). The judge scores from 0 to `levels` by
        `criteria`; the reward is score / levels, and it passes from `threshold` on. `timeout_s` bounds one
        attempt of `attempts`, `pause_s` is the first pause between them; `extra_body` is sent along. Prices are
        those of a million tokens, for the cost in `details`.

        Raises ValueError for settings out of range, and when the variable is not set.
        """
        _check(levels=levels, attempts=attempts, concurrency=concurrency, max_tokens=max_tokens)
        _check(timeout_s=timeout_s, max_reply_bytes=max_reply_bytes, max_answer_chars=max_answer_chars)
        if not 0.0 < threshold <= 1.0:
            raise ValueError(f"threshold must lie in (0, 1], not {threshold}")
        if response_format not in ("none", "json_object"):
            raise ValueError(f"response_format must be none or json_object, not {response_format!r}")
        try:
            limits = EndpointSettings(
                base_url,
                api_key_env,
                concurrency,
                timeout_s,
                attempts,
                pause_s,
                max_reply_bytes=max_reply_bytes,
            )
            self._endpoint = EndpointClient(limits, "the judge")
        except (ValueError, EndpointRefused) as error:
            raise ValueError(f"base_url, api_key_env: {error}") from error
        self._criteria, self._levels, self._threshold = criteria, levels, threshold
        self._max_answer_chars = max_answer_chars
        self._prices = prompt_price / 1e6, completion_price / 1e6
        asked: dict[str, Any] = {"model": model, "temperature": temperature, "max_tokens": max_tokens}
        if response_format != "none":
            asked["response_format"] = {"type": response_format}
        self._body = _sendable(asked | dict(extra_body or {}))
        self._cache: BoundedCache[str, Verdict] = BoundedCache(cache_size)
        self._usage = JudgeUsage()
        self._lock = threading.Lock()
        told = sorted((key, repr(value)) for key, value in self._body.items())
        wording = sha256(repr((criteria, told)).encode("utf-8", "replace")).hexdigest()[:16]
        self.fingerprint = f"judge/1/{base_url}/{model}/{levels}/{threshold:g}/{max_answer_chars}/{wording}"

    def verify_many(self, items: Sequence[tuple[Task, str]]) -> list[Verdict]:
        """Judges many, in order, with at most `concurrency` requests under way; equal items are asked once."""
        found: dict[str, Verdict] = {}
        unread: dict[str, tuple[Task, str]] = {}
        keys = []
        for task, completion in items:
            key = _key(task, completion)
            keys.append(key)
            if key not in found and key not in unread:
                known = self._without_reading(key, task)
                if known is None:
                    unread[key] = (task, completion)
                else:
                    found[key] = known
        answers = _ANSWERS.read([(completion, self._max_answer_chars) for _, completion in unread.values()])
        missing: dict[str, tuple[Task, str]] = {}
        for (key, (task, _)), answer in zip(unread.items(), answers, strict=True):
            fault = self._fault(answer)
            if fault is None:
                missing[key] = (task, answer.value)
            else:
                found[key] = fault
        found |= dict(zip(missing, self._ask_all(list(missing.values())), strict=True))
        for key in missing:
            if found[key].passed is not None:
                self._cache.put(key, found[key])
        return [found[key] for key in keys]

    def usage(self) -> JudgeUsage:
        """Returns what was spent so far."""
        with self._lock:
            return self._usage

    def close(self) -> None:
        """Ends what is under way, and the thread of the requests."""
        self._endpoint.close()

    def _without_reading(self, key: str, task: Task) -> Verdict | None:
        if not task.problem and task.answer is None:
            return Verdict(None, None, "gold_unparsable", "the task has neither a problem nor an answer")
        known = self._cache.get(key)
        if known is None:
            return None
        self._count(JudgeUsage(cached=1))
        return replace(known, details={**known.details, "cached": True, "attempts": 0}, seconds=0.0)

    def _fault(self, answer: WorkerOutcome) -> Verdict | None:
        """The verdict where there is nothing to ask about."""
        if answer.status != "ok":
            reason = f"the completion could not be read: {answer.reason}"
            if answer.overspent:
                return Verdict(False, 0.0, "no_answer", reason, seconds=answer.seconds)
            return _unchecked(reason, {}, answer.seconds)
        if answer.value is None:
            return Verdict(False, 0.0, "no_answer", "the thinking never ends")
        if isinstance(answer.value, int):
            reason = f"the answer has {answer.value} characters, where {self._max_answer_chars} are the most"
            return Verdict(False, 0.0, "too_long", reason)
        return None if answer.value.strip() else Verdict(False, 0.0, "no_answer", "nothing follows the thinking")

    def _ask_all(self, items: Sequence[tuple[Task, str]]) -> list[Verdict]:
        if not items:
            return []

        async def all_of_them() -> list[Verdict]:
            return await asyncio.gather(*(self._ask(task, answer) for task, answer in items))

        try:
            return self._endpoint.run(all_of_them())
        except EndpointError as error:
            return [_unchecked(str(error), {}, 0.0)] * len(items)

    async def _ask(self, task: Task, answer: str) -> Verdict:
        """Asks, and once more when the judge's answer can't be read."""
        begun = time.perf_counter()
        spent = JudgeUsage()
        fault = ""
        for _ in range(_READINGS):
            question = question_of(task, answer, self._criteria, self._levels)
            messages = [{"role": "system", "content": question.system}, {"role": "user", "content": question.user}]
            try:
                body = {**self._body, "messages": messages}
                reply, attempts = await self._endpoint.ask("/chat/completions", body, _with_text)
            except EndpointError as error:
                return _unchecked(str(error), self._details(spent), time.perf_counter() - begun)
            more = JudgeUsage(1, attempts, reply.prompt_tokens, reply.completion_tokens)
            self._count(more)
            spent = _sum(spent, more)
            try:
                score, reason = score_of(reply.text or "", question.ticket, self._levels)
            except ReplyUnreadable as error:
                fault = f"{error}, since it was cut at max_tokens" if reply.finish_reason == "length" else str(error)
                continue
            reward = score / self._levels
            passed = reward >= self._threshold
            status = "correct" if passed else "wrong"
            details = {**self._details(spent), "score": score}
            return Verdict(passed, reward, status, reason, details, time.perf_counter() - begun)
        reason = f"the judge's answer can't be read: {fault}"
        return _unchecked(reason, self._details(spent), time.perf_counter() - begun)

    def _details(self, spent: JudgeUsage) -> dict[str, Any]:
        details: dict[str, Any] = {
            "cached": False,
            "attempts": spent.attempts,
            "prompt_tokens": spent.prompt_tokens,
            "completion_tokens": spent.completion_tokens,
        }
        if any(self._prices):
            details["cost"] = spent.prompt_tokens * self._prices[0] + spent.completion_tokens * self._prices[1]
        return details

    def _count(self, more: JudgeUsage) -> None:
        with self._lock:
            self._usage = _sum(self._usage, more)


def _with_text(answer: Any) -> EndpointReply:
    reply = read_reply(answer)
    if reply.text is None:
        raise ValueError("it holds no text")
    return reply


def _sum(first: JudgeUsage, second: JudgeUsage) -> JudgeUsage:
    return JudgeUsage(*(a + b for a, b in zip(astuple(first), astuple(second), strict=True)))


def _key(task: Task, completion: str) -> str:
    parts = (task.problem, task.answer, completion)
    return sha256(repr(parts).encode("utf-8", "backslashreplace")).hexdigest()


def _unchecked(reason: str, details: Mapping[str, Any], seconds: float) -> Verdict:
    return Verdict(None, None, "not_checked", reason[:500], details, seconds)


def _sendable(body: dict[str, Any]) -> dict[str, Any]:
    """The fields of every request, if they can be sent. Raises ValueError."""
    try:
        json.dumps(body, allow_nan=False).encode()
    except (TypeError, ValueError) as error:
        raise ValueError(f"model, extra_body: can't be sent as JSON: {error}") from error
    return body


def _check(**settings: float) -> None:
    for name, value in settings.items():
        if not value > 0:
            raise ValueError(f"{name} must be more than 0, not {value}")
