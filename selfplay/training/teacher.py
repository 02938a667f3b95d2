"""SFT from a teacher (paper section 4.2): its traces of the run's prompts, or of files, filtered, as examples.

The paper keeps a trace that has a boxed answer or a code block and is not too long, one a prompt, and verifies nothing.
Here answers may also be verified: by a vote of the teacher's own traces, or by the run's labels.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext

from selfplay.config.section import ScratchModel
from selfplay.config.teacher import SFTRule, Teacher
from selfplay.engines.base import Missing
from selfplay.run.records import Example, LabelledTask, Trace
from selfplay.run.seeding import content_id
from selfplay.stage.open_engine import OpenedEngine, answers_of
from selfplay.training.rules import Counts, Round
from selfplay.training.traces import FoundTrace, converted, file_traces, trace_fault
from selfplay.training.verified_rollouts import solver_prompt
from selfplay.trl_trainers.sft import CountJob, NothingToLearn, count_tokens
from verifiers.mathematics import MathVerifier
from verifiers.voting import vote

TEACHER, FILES = "teacher", "files"
OWNER = "training.sft.teacher.engine"


def learn_from_teacher(this: Round) -> Counts:
    """Writes `traces`, each with the filter that dropped it where one did, and trains on those that are left.

    Raises:
        NothingToLearn: no trace is left.
        SeedError: a file of traces has a bad row.
        BudgetSpent, EndpointError: the teacher gives nothing more now; what was finished is kept.
    """
    settings = this.context.recipe.training.sft
    traces = [*_asked(this, settings), *_read(this, settings)]
    traces = _measured(this, traces, settings)
    traces = _first_of_each(traces, settings.traces_per_prompt)
    this.stage.write("traces", Trace, traces)
    kept = [trace for trace in traces if not trace.dropped]
    lost = dict(Counter(trace.dropped for trace in traces if trace.dropped))
    if not kept:
        raise NothingToLearn(f"no trace of the teacher is left ({lost}): loosen the filters of training.sft")
    this.fit([Example(trace.prompt, (trace.completion,)) for trace in kept])
    tokens = [trace.tokens for trace in kept if trace.tokens is not None]
    mean = {"mean_tokens": round(sum(tokens) / len(tokens), 1)} if tokens else {}
    return {"traces": len(traces), "samples": len(kept), "lost": lost} | mean


def _asked(this: Round, settings: SFTRule) -> list[Trace]:
    """The teacher's traces of this round's prompts, verified as the recipe says."""
    teacher = settings.teacher
    if teacher is None:
        return []
    repeated = [(task, index) for task in this.tasks for index in range(teacher.traces)]
    prompts = [solver_prompt(this.context, task) for task, _ in repeated]
    this.context.listener.begin(f"round {this.number}: traces of the teacher", len(prompts))
    seed = this.context.seed("selfplay", this.number, TEACHER)
    with _engine(this, teacher) as engine:
        # The same prompt asked twice with one seed would give an endpoint's same answer twice.
        found = answers_of(engine, prompts, teacher.sampling, seed, this.context.listener.advance)
        name = engine.model.path
    traces = []
    for (task, index), prompt, sample in zip(repeated, prompts, found, strict=True):
        text = "" if isinstance(sample, Missing) else converted(sample.text)
        if isinstance(sample, Missing):
            fault = "the endpoint refused it"
        else:
            fault = "" if sample.complete else "cut at the token limit"
        asked = FoundTrace(name, task.domain, prompt, task.task.language, text)
        traces.append(_trace(this, asked, TEACHER, fault, task.id, index))
    return _verified(this, settings, traces)


def _engine(this: Round, teacher: Teacher) -> AbstractContextManager[OpenedEngine]:
    if not isinstance(teacher.engine, ScratchModel):
        return this.context.open_engine(teacher.engine, OWNER)
    if this.teacher is None:
        raise ValueError("a teacher from scratch is trained in a stage before the rounds")
    return nullcontext(this.context.engine(this.teacher))


def _read(this: Round, settings: SFTRule) -> list[Trace]:
    if settings.files is None:
        return []
    rows = file_traces(this.context.recipe, settings.files)
    return [
        _trace(this, row._replace(text=converted(row.text)), FILES, "", content_id("trace prompt", row.prompt), place)
        for place, row in enumerate(rows)
    ]


def _trace(this: Round, found: FoundTrace, source: str, fault: str, task_id: str, index: int) -> Trace:
    verifier = this.context.recipe.domains[found.domain].verifier
    return Trace(
        id=content_id("trace", this.number, source, task_id, index),
        task_id=task_id,
        domain=found.domain,
        prompt=found.prompt,
        completion=found.text,
        source=source,
        origin=found.where,
        index=index,
        tokens=None,
        dropped=fault or trace_fault(found.text, verifier, found.language),
    )


def _verified(this: Round, settings: SFTRule, traces: list[Trace]) -> list[Trace]:
    if settings.answers == "unverified":
        return traces
    tasks = {task.id: task for task in this.tasks}
    if settings.answers == "labels":
        return _by_labels(this, tasks, traces)
    groups: dict[str, list[Trace]] = {}
    for trace in traces:
        groups.setdefault(trace.task_id, []).append(trace)
    return [one for key, group in groups.items() for one in _by_vote(this, tasks[key], group, settings.min_agreement)]


def _by_labels(this: Round, tasks: dict[str, LabelledTask], traces: list[Trace]) -> list[Trace]:
    """Drops what fails the label of its prompt, or could not be checked against it."""
    left = [trace for trace in traces if not trace.dropped]
    items = [(trace.domain, tasks[trace.task_id].task, trace.completion) for trace in left]
    reasons = {True: "", False: "fails the label", None: "not checked"}
    found = {t.id: reasons[v.passed] for t, v in zip(left, this.context.judge.judge(items), strict=True)}
    return [dataclasses.replace(trace, dropped=trace.dropped or found[trace.id]) for trace in traces]


def _by_vote(this: Round, task: LabelledTask, group: Sequence[Trace], least: float) -> list[Trace]:
    """Drops what disagrees with the majority of the prompt's traces, those without an answer counted."""
    verifier = this.context.judge.verifiers[task.domain]
    if not isinstance(verifier, MathVerifier):
        raise ValueError(f"training.sft.answers: vote needs the math verifier, which domain {task.domain} has not")
    answers = [None if trace.dropped else verifier.extract(trace.completion) for trace in group]
    outcome = vote(answers, verifier.equal, min_agreement=least, canonical=verifier.canonical)
    winner = outcome.answer

    def fault(answer: str | None) -> str:
        if winner is None:
            return "no majority"
        return "" if answer is not None and verifier.equal(answer, winner) else "disagrees with the majority"

    return [
        dataclasses.replace(trace, dropped=trace.dropped or fault(answer))
        for trace, answer in zip(group, answers, strict=True)
    ]


def _measured(this: Round, traces: list[Trace], settings: SFTRule) -> list[Trace]:
    """Counts tokens as the policy will read them, and drops what is too long."""
    left = [trace for trace in traces if not trace.dropped]
    job = CountJob(this.policy, [Example(trace.prompt, (trace.completion,)) for trace in left])
    [counts] = this.context.workers.map(count_tokens, [job]) if left else [[]]
    lengths = dict(zip((trace.id for trace in left), counts, strict=True))

    def look(trace: Trace) -> Trace:
        tokens = lengths.get(trace.id)
        long = tokens is not None and settings.max_tokens is not None and tokens > settings.max_tokens
        return dataclasses.replace(trace, tokens=tokens, dropped="longer than max_tokens" if long else trace.dropped)

    return [look(trace) for trace in traces]


def _first_of_each(traces: Sequence[Trace], most: int) -> list[Trace]:
    """Keeps the first traces of each prompt; one that says the same again is none."""
    seen: dict[str, set[str]] = {}
    out = []
    for trace in traces:
        fault = trace.dropped
        texts = seen.setdefault(trace.prompt, set())
        if not fault and (trace.completion in texts or len(texts) >= most):
            fault = "prompt has enough traces"
        if not fault:
            texts.add(trace.completion)
        out.append(dataclasses.replace(trace, dropped=fault))
    return out
