"""A run whose policy is a real tiny model, or answers as a test says."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from selfplay.config.recipe import Recipe
from selfplay.engines.base import ModelRef, Sample, Sampling
from selfplay.rollouts.judge import Judge
from selfplay.run.directory import RunDirectory
from selfplay.run.records import Prompt, Seed
from selfplay.run.seeding import derive
from selfplay.stage.context import Context
from tests.selfplay.in_process import InProcess
from verifiers.model import Task, Test

MakeContext = Callable[..., Context]

SEEDS = {"math": {"seeds": {"kind": "quickstart", "grammar": "math"}}}
CODE = {"code": {"seeds": {"kind": "quickstart", "grammar": "code"}, "verifier": "code"}}


@pytest.fixture
def make_context(tmp_path: Path, in_process: InProcess) -> Iterator[MakeContext]:
    """Makes a context over workers in this process, from settings of labelling."""
    judges = []

    def make(
        labelling: dict[str, Any],
        code: bool = False,
        name: str = "run",
        verifier: dict[str, Any] | None = None,
        training: dict[str, Any] | None = None,
    ) -> Context:
        raw = {"solver_template": "{problem}"} | (verifier or {})
        domains = {key: domain | raw for key, domain in (SEEDS | (CODE if code else {})).items()}
        settings = {"name": "r", "model": {"kind": "scratch"}, "domains": domains, "labelling": labelling}
        recipe = Recipe.model_validate(settings | {"sandbox": {"workers": 1}, "training": training or {}})
        run = RunDirectory(tmp_path / name, recipe)
        judges.append(Judge(recipe, run.store_folder, workers=1))
        heard: Any = SimpleNamespace(begin=lambda *_: None, advance=lambda _: None, log=lambda *_: None)
        workers: Any = in_process
        return Context(run, workers, judges[-1], heard, SimpleNamespace())  # type: ignore[arg-type]

    yield make
    for judge in judges:
        judge.close()


class ScriptedPolicy:
    """Answers the n-th sample of a prompt as a function of both says; counts what it was asked.

    A draw that is made twice, of a real model, would bring the same completions again.
    """

    model = ModelRef("scripted", "scripted")

    def __init__(self, answer: Callable[[str, int], str]) -> None:
        self.answer = answer
        self.asked: list[str] = []
        self._draws: set[tuple[tuple[str, ...], int]] = set()

    def stream(
        self, prompts: Sequence[str], sampling: Sampling, seed: int, on_progress: Any = None
    ) -> Iterator[list[Sample]]:
        assert (tuple(prompts), seed) not in self._draws
        self._draws.add((tuple(prompts), seed))
        for prompt in prompts:
            text = self.answer(prompt, self.asked.count(prompt))
            self.asked.append(prompt)
            yield [Sample(text, (), complete=True)]


def script(context: Context, answer: Callable[[str, int], str]) -> ScriptedPolicy:
    """Gives a context a scripted policy."""
    policy = ScriptedPolicy(answer)
    context.engine = lambda model: policy  # type: ignore[assignment, return-value, method-assign]
    return policy


def prompt(identifier: str, problem: str, domain: str = "math") -> Prompt:
    return Prompt(identifier, domain, ("c",), "easy", "z", problem, "", "", "m", 1.0, 0)


def seed(number: int, *inputs: str) -> Seed:
    tests = tuple(Test(text, "0") for text in inputs)
    return Seed(str(derive(number)), "code", "train", "s", (), "easy", "", Task("p", tests=tests), "", None)
