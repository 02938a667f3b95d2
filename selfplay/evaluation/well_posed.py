"""A judge of whether problems are well posed, asked outside of any run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from selfplay.config.annotation import Endpoint, LocalEngine, OpenAIEngine
from selfplay.config.curation import Criterion, Judging, PromptJudge
from selfplay.config.errors import UserError
from selfplay.curation.judges import one_judge
from selfplay.engines.sharded import ShardedEngine
from selfplay.evaluation.solvability import SolvedProblem
from selfplay.run.records import Prompt
from selfplay.run.seeding import derive
from selfplay.stage.open_engine import open_engine

CRITERIA: tuple[Criterion, ...] = ("format", "accuracy", "solvability")
"""Those of curation's rubric that need no concepts and no level."""
LEVELS = 5
OWNER = "--judge"


def judge_at(address: str, model: str, api_key_env: str | None) -> OpenAIEngine:
    """The model of an endpoint.

    Raises:
        UserError: it is no address.
    """
    try:
        endpoint = Endpoint(base_url=address, api_key_env=api_key_env)
        return OpenAIEngine(kind="openai", model=model, prompt_style="chat", endpoint=endpoint)
    except ValueError as error:
        raise UserError(f"{OWNER} {address}: is no address of an endpoint, such as http://127.0.0.1:8000/v1") from error


def with_scores(
    problems: Sequence[SolvedProblem],
    judge: OpenAIEngine,
    store: Path,
    begin: Callable[[int], None],
    advance: Callable[[int], None],
) -> list[SolvedProblem]:
    """The problems with the judge's least score of each, from 0 to 5; without one where its answer cannot be read.

    Args:
        problems: what it is asked about.
        judge: a model at an endpoint.
        store: of its answers, so that the same question is asked once.
        begin: is told how many will be asked.
        advance: is told as answers come.

    Raises:
        EndpointError: the endpoint gives nothing more now; what was answered is kept.
    """
    judging = Judging(judges={"judge": PromptJudge(engine=judge)}, criteria=CRITERIA, levels=LEVELS)
    asked = [_prompt(one) for one in problems]
    with open_engine(judge, OWNER, _no_local_model, store) as engine:
        found = one_judge(
            judging, "judge", engine, asked, lambda attempt: derive(0, "well posed", attempt), begin, advance
        )
    return [
        one if judgement.fault else replace(one, score=min(judgement.scores))
        for one, judgement in zip(problems, found, strict=True)
    ]


def _prompt(one: SolvedProblem) -> Prompt:
    return Prompt(
        id=one.id,
        domain=one.suite,
        concepts=(),
        level="",
        rationale="",
        problem=one.problem,
        completion="",
        dropped="",
        model="",
        temperature=0.0,
        seed=0,
    )


def _no_local_model(model: LocalEngine) -> ShardedEngine:
    raise AssertionError(f"{model.name} is at an endpoint")
