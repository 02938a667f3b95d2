"""Solvability and difficulty by solvers: a problem stays whose solvers agree on an answer, but not always."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from selfplay import formats
from selfplay.config.curation import PromptSolver, Solving
from selfplay.engines.base import Missing
from selfplay.run.records import Prompt, Rollout
from selfplay.run.seeding import content_id
from selfplay.stage.context import Context
from selfplay.stage.open_engine import answers_of
from verifiers.mathematics import MathVerifier
from verifiers.model import Task
from verifiers.voting import vote


@dataclass(frozen=True, slots=True)
class Solved:
    """What the solvers made of a prompt."""

    rows: tuple[Rollout, ...]
    reason: str
    """Why it is dropped; empty where it stays."""


def solve_prompts(context: Context, solving: Solving, prompts: Sequence[Prompt]) -> dict[str, Solved]:
    """What the solvers made of each prompt of a domain whose answers can be compared, by its id.

    Raises:
        BudgetSpent, EndpointError: an endpoint gives nothing more now; what was finished is kept.
    """
    comparable = [prompt for prompt in prompts if isinstance(context.judge.verifiers[prompt.domain], MathVerifier)]
    texts: list[list[tuple[str, str]]] = [[] for _ in comparable]
    for name, solver in solving.solvers.items():
        for place, completion in enumerate(_completions(context, name, solver, comparable)):
            texts[place // solver.samples].append((name, completion))
    found = {}
    for prompt, given in zip(comparable, texts, strict=True):
        verifier = context.judge.verifiers[prompt.domain]
        assert isinstance(verifier, MathVerifier)
        found[prompt.id] = _solved(prompt, given, verifier, solving)
    return found


def _completions(context: Context, name: str, solver: PromptSolver, prompts: Sequence[Prompt]) -> list[str]:
    """`samples` completions a prompt, one after the other; empty where there is none, or it was cut."""
    domains = context.recipe.domains
    inputs = [formats.solver_input(domains[p.domain], Task(p.problem)) for p in prompts for _ in range(solver.samples)]
    context.listener.begin(f"solving: {name}", len(inputs))
    seed = context.seed("curation", "solver", name)
    with context.open_engine(solver.engine, f"curation.solving.solvers.{name}") as engine:
        samples = answers_of(engine, inputs, solver.sampling, seed, context.listener.advance)
    return ["" if isinstance(sample, Missing) or not sample.complete else sample.text for sample in samples]


def _solved(prompt: Prompt, given: Sequence[tuple[str, str]], verifier: MathVerifier, solving: Solving) -> Solved:
    answers = [verifier.extract(text) for _, text in given]
    result = vote(answers, verifier.equal, ties="drop", canonical=verifier.canonical)
    winner = result.answer
    agrees = [winner is not None and answer is not None and verifier.equal(answer, winner) for answer in answers]
    solvers = {name for (name, _), right in zip(given, agrees, strict=True) if right}
    reason = _reason(winner, sum(agrees) / len(agrees), len(solvers), answers, solving)
    rows = tuple(
        Rollout(
            id=content_id("solved", prompt.id, place),
            task_id=prompt.id,
            domain=prompt.domain,
            round=0,
            mode=name,
            index=place,
            completion=text,
            passed=None if winner is None else right,
            reward=None if winner is None else float(right),
            status="no_label" if winner is None else ("agrees" if right else "disagrees"),
            reason=reason,
        )
        for place, ((name, text), right) in enumerate(zip(given, agrees, strict=True))
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
