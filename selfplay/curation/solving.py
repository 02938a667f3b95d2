"""Solvability and difficulty by solvers: a problem stays whose solvers agree on an answer, but not always."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from selfplay import formats
from selfplay.config.curation import PromptSolver, Solving
from selfplay.rollouts.completions import Completion, Origin, complete
from selfplay.rollouts.rollout import agreement
from selfplay.run.records import LabelledTask, Prompt, Rollout
from selfplay.stage.context import Context
from verifiers.answers import AnswerReader, answer_reader
from verifiers.voting import vote


@dataclass(frozen=True, slots=True)
class Solved:
    """The solvers' answers to a prompt."""

    rows: tuple[Rollout, ...]
    reason: str
    """Why it is dropped; empty where it stays."""


def solve_prompts(context: Context, solving: Solving, prompts: Sequence[Prompt]) -> dict[str, Solved]:
    """The solvers' answers to each prompt of a domain whose answers can be compared, by its id.

    Raises:
        BudgetSpent, EndpointError: an endpoint gives nothing more now; what was finished is kept.
    """
    readers = {name: answer_reader(verifier) for name, verifier in context.judge.verifiers.items()}
    comparable = [prompt for prompt in prompts if readers[prompt.domain] is not None]
    written: dict[str, list[Completion]] = {prompt.id: [] for prompt in comparable}
    for name, solver in solving.solvers.items():
        for batch in _completions(context, name, solver, comparable):
            for completion in batch:
                written[completion.task.id].append(completion.whole())
    found = {}
    for prompt in comparable:
        reader = readers[prompt.domain]
        assert reader is not None
        found[prompt.id] = _solved(written[prompt.id], reader, solving)
    return found


def _completions(
    context: Context, name: str, solver: PromptSolver, prompts: Sequence[Prompt]
) -> Iterator[list[Completion]]:
    context.listener.begin(f"solving: {name}", len(prompts) * solver.samples)
    with context.open_engine(solver.engine, f"curation.solving.solvers.{name}") as engine:
        yield from complete(
            engine,
            [_task(context, prompt) for prompt in prompts],
            solver.sampling,
            solver.samples,
            context.seed("curation", "solver", name),
            domains=context.recipe.domains,
            origin=Origin(("solved",), 0, name),
            on_progress=context.listener.advance,
        )


def _task(context: Context, prompt: Prompt) -> LabelledTask:
    return LabelledTask.unlabelled(prompt, formats.new_task(context.recipe.domains[prompt.domain], prompt.problem))


def _solved(written: Sequence[Completion], verifier: AnswerReader, solving: Solving) -> Solved:
    answers = [verifier.extract(one.text) for one in written]
    result = vote(answers, verifier.equal, ties="drop", canonical=verifier.canonical)
    winner = result.answer
    agrees = [winner is not None and answer is not None and verifier.equal(answer, winner) for answer in answers]
    solvers = {one.origin.mode for one, right in zip(written, agrees, strict=True) if right}
    reason = _reason(winner, sum(agrees) / len(agrees), len(solvers), answers, solving)
    numbered = (dataclasses.replace(one, index=place) for place, one in enumerate(written))
    rows = tuple(
        one.judged(agreement(None if winner is None else right, reason))
        for one, right in zip(numbered, agrees, strict=True)
    )
    return Solved(rows, reason)


def _reason(winner: str | None, agreement: float, solvers: int, answers: Sequence[str | None], solving: Solving) -> str:
    if not any(answers):
        return "solvers: no answer"
    if winner is None:
        return "solvers: tie"
    if agreement < solving.min_agreement:
        return f"solvers: agreement too low ({agreement:.0%})"
    if solvers < solving.min_solvers:
        return f"solvers: too few agree ({solvers} of {len(solving.solvers)})"
    if agreement > solving.max_pass_rate:
        return f"solvers: too easy ({agreement:.0%})"
    return ""
