"""A sandbox that runs nothing: it plays back executions, or fails as told."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sandbox.model import Execution, Limits, Program, Status, Stop


class FakeSandbox:
    """Answers each input with the execution that stands for it, and keeps what it was asked."""

    def __init__(self, answers: Sequence[Execution | Exception]) -> None:
        self.answers = list(answers)
        self.asked: list[Any] = []
        self.closed = False

    def run(
        self, program: Program, inputs: Sequence[bytes], limits: Limits, stop: Stop | None = None
    ) -> list[Execution]:
        return self._play([program.source, *inputs], len(inputs), stop)

    def call(
        self,
        program: Program,
        entry_point: str,
        arguments: Sequence[Sequence[Any]],
        limits: Limits,
        stop: Stop | None = None,
    ) -> list[Execution]:
        return self._play([program.source, entry_point, *arguments], len(arguments), stop)

    def call_together(
        self, program: Program, entry_point: str, arguments: Sequence[Sequence[Any]], limits: Limits
    ) -> list[Execution]:
        return []

    def close(self) -> None:
        self.closed = True

    def _play(self, asked: list[Any], count: int, stop: Stop | None) -> list[Execution]:
        self.asked.append(asked)
        done: list[Execution] = []
        for index in range(count):
            answer = self.answers.pop(0)
            if isinstance(answer, Exception):
                raise answer
            done.append(answer)
            if (stop and stop(index, answer)) or answer.status is Status.COMPILE_ERROR:
                break
        return done
