"""Judges: models score each prompt over a rubric, and all together, or their weighted mean, decide."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence

from selfplay.config.curation import Judging
from selfplay.curation.rubric import RubricQuestion, question_of
from selfplay.engines.base import Missing, OnProgress, Sample
from selfplay.run.records import Judgement, Prompt
from selfplay.run.seeding import content_id
from selfplay.stage.context import Context
from selfplay.stage.open_engine import OpenedEngine, answers_of
from verifiers.judge.prompt import ReplyUnreadable, scores_of
from verifiers.voting import reaches

SILENT = "no judge's answer can be read"


def judge_prompts(context: Context, judging: Judging, prompts: Sequence[Prompt]) -> list[Judgement]:
    """One judgement a judge and prompt, prompt after prompt.

    Raises:
        BudgetSpent, EndpointError: an endpoint gives nothing more now; what was finished is kept.
    """
    by_judge = []
    for name, judge in judging.judges.items():
        with context.open_engine(judge.engine, f"curation.judging.judges.{name}") as engine:
            by_judge.append(
                one_judge(
                    judging,
                    name,
                    engine,
                    prompts,
                    functools.partial(context.seed, "curation", "judge", name),
                    functools.partial(context.listener.begin, f"judging: {name}"),
                    context.listener.advance,
                )
            )
    return [judgement for row in zip(*by_judge, strict=True) for judgement in row]


def one_judge(
    judging: Judging,
    name: str,
    engine: OpenedEngine,
    prompts: Sequence[Prompt],
    seed_of: Callable[[int], int],
    begin: Callable[[int], None],
    advance: OnProgress,
) -> list[Judgement]:
    """One judgement a prompt.

    Args:
        judging: the rubric, and the judge by its name.
        prompts: what it is asked about.
        seed_of: the seed of an attempt, from 0.
        begin: is told how many will be asked, before each attempt.
        advance: is told as answers come.

    Raises:
        BudgetSpent, EndpointError: an endpoint gives nothing more now; what was finished is kept.
    """
    found: dict[int, Judgement] = {}
    for attempt in range(judging.attempts):
        left = [place for place in range(len(prompts)) if place not in found or found[place].fault]
        if not left:
            break
        seed = seed_of(attempt)
        questions = [question_of(prompts[place], judging, seed) for place in left]
        begin(len(questions))
        asked = [question.text for question in questions]
        answers = answers_of(engine, asked, judging.judges[name].sampling, seed, advance)
        for place, question, answer in zip(left, questions, answers, strict=True):
            found[place] = _judgement(judging, name, engine.model.fingerprint, prompts[place], question, answer)
    return [found[place] for place in range(len(prompts))]


def _judgement(
    judging: Judging, name: str, model: str, prompt: Prompt, question: RubricQuestion, answer: Sample | Missing
) -> Judgement:
    scores: tuple[int, ...] = ()
    reason = fault = ""
    if isinstance(answer, Missing):
        fault = answer.reason
    elif not answer.complete:
        fault = "it was cut at the token limit"
    else:
        try:
            scores, reason = scores_of(answer.text, question.ticket, judging.criteria, judging.levels)
        except ReplyUnreadable as error:
            fault = str(error)
    return Judgement(
        id=content_id("judgement", name, prompt.id),
        prompt_id=prompt.id,
        judge=name,
        model=model,
        criteria=judging.criteria,
        scores=scores,
        reason=reason,
        fault=fault,
    )


def rejection(judging: Judging, judgements: Sequence[Judgement]) -> str:
    """Why a prompt's judgements reject it; empty where they do not.

    Under `unanimous` every judge must be heard, and give every criterion the threshold or more; under `weighted` the
    mean over the judges that were heard, by their weights, must reach it.
    """
    heard = [judgement for judgement in judgements if not judgement.fault]
    silent = [judgement.judge for judgement in judgements if judgement.fault]
    if not heard or (silent and judging.rule == "unanimous"):
        return f"judged: {SILENT} ({', '.join(silent)})"
    for place, criterion in enumerate(judging.criteria):
        scores = {judgement.judge: judgement.scores[place] for judgement in heard}
        if not reaches(_score(judging, scores), judging.threshold):
            worst = min(heard, key=lambda judgement: judgement.scores[place])
            said = f": {worst.reason}" if worst.reason else ""
            kind = "level mismatch" if criterion == "difficulty" else f"judged: {criterion}"
            return f"{kind} ({worst.judge} gives {worst.scores[place]} of {judging.levels}{said})"
    return ""


def _score(judging: Judging, scores: Mapping[str, int]) -> float:
    if judging.rule == "unanimous":
        return min(scores.values())
    weights = {name: judging.judges[name].weight for name in scores}
    return sum(weights[name] * score for name, score in scores.items()) / sum(weights.values())
