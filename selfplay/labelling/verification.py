"""A second look at answers: a model says of a solution of each class whether it is right, and votes are reweighed."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from selfplay import formats
from selfplay.config.labelling import Verification
from selfplay.engines.base import Sample
from selfplay.labelling.votes import WeighedCompletion
from selfplay.run.records import LabelledTask, Vote
from selfplay.stage.context import Context
from selfplay.stage.open_engine import OpenedEngine, samples_of
from verifiers.answers import answer_reader
from verifiers.extraction import final_text
from verifiers.patterns import linear
from verifiers.voting import classes, vote

LONGEST_SOLUTION = 40_000
"""Characters of a solution that are shown."""

_VERDICT = linear.compile(r"^[\s*_`#>-]{0,20}(RIGHT|WRONG)[\s*_`.!]{0,20}$")


@dataclass(frozen=True, slots=True)
class _Class:
    """A class of equal answers of one prompt."""

    place: int
    """Of the prompt."""
    answers: frozenset[str]
    solution: str
    """One completion that ends in one of them."""


def opinion(sample: Sample) -> bool | None:
    """The last line of an answer: RIGHT (True) or WRONG (False); None for anything else."""
    text = final_text(sample.text) if sample.complete else None
    lines = text.strip().splitlines() if text else []
    found = _VERDICT.match(lines[-1]) if lines else None
    return found.group(1) == "RIGHT" if found else None


def credence(opinions: Sequence[bool | None]) -> float:
    """The chance that a class is right, (right + 1) / (heard + 2): a half where nobody was heard, and never 0 or 1."""
    heard = [said for said in opinions if said is not None]
    return (sum(heard) + 1) / (len(heard) + 2)


def reweighed(
    context: Context,
    engine: OpenedEngine,
    tasks: Sequence[LabelledTask],
    completions: Sequence[Sequence[WeighedCompletion]],
    votes: Sequence[Sequence[Vote]],
    *seeds: str | int,
) -> list[list[Vote]]:
    """The votes of each prompt, their weights times twice the credence of what each votes for.

    A vote for a class that was not looked at counts as if all had said WRONG; one without an answer keeps its weight.
    Prompts whose answers are programs keep theirs, too: their tests are a second look already.

    Raises:
        BudgetSpent, EndpointError: an endpoint gives nothing more now; what was finished is kept.
    """
    settings = context.recipe.labelling.verification
    assert settings is not None
    looked_at = [
        found
        for place, task in enumerate(tasks)
        for found in _largest(context, place, task, completions[place], votes[place], settings)
    ]
    texts = [
        formats.fill(settings.template, problem=tasks[each.place].problem, solution=each.solution[:LONGEST_SOLUTION])
        for each in looked_at
        for _ in range(settings.samples)
    ]
    context.listener.begin("labelling: second look", len(texts))
    seed = context.seed(*seeds, "verification")
    samples = samples_of(engine, texts, settings.sampling, seed, context.listener.advance)
    factors: list[dict[str, float]] = [{} for _ in tasks]
    for number, each in enumerate(looked_at):
        said = [opinion(s) for s in samples[number * settings.samples : (number + 1) * settings.samples]]
        factors[each.place] |= dict.fromkeys(each.answers, 2 * credence(said))
    doubt = 2 * credence([False] * settings.samples)
    return [[_weighed(vote, known, doubt) for vote in given] for given, known in zip(votes, factors, strict=True)]


def _weighed(vote: Vote, factors: Mapping[str, float], doubt: float) -> Vote:
    answer = vote.answer or ""
    if not factors or not answer.strip():
        return vote
    return dataclasses.replace(vote, weight=vote.weight * factors.get(answer, doubt))


def _largest(
    context: Context,
    place: int,
    task: LabelledTask,
    completions: Sequence[WeighedCompletion],
    votes: Sequence[Vote],
    settings: Verification,
) -> list[_Class]:
    """The largest classes of a prompt; none where all votes are for one class, which no opinion could change."""
    reader = answer_reader(context.judge.verifiers[task.domain])
    if reader is None:
        return []
    answers = [vote.answer for vote in votes]
    known = [answer for answer in answers if answer is not None and answer.strip()]
    groups = [frozenset(group) for group in classes(known, reader.equal, reader.canonical)]
    if len(groups) < 2:
        return []
    weights = [vote.weight for vote in votes]
    sizes = vote(answers, reader.equal, canonical=reader.canonical, weights=weights).counts
    found = []
    for speaker in list(sizes)[: settings.classes]:
        group = next(group for group in groups if speaker in group)
        first = next(n for n, answer in enumerate(answers) if answer in group)
        found.append(_Class(place, group, completions[first].completion.text))
    return found
