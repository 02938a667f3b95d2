"""SFT from a teacher (paper section 4.2): its traces of the run's prompts, or of files, filtered, as examples.

The paper keeps a trace that has a boxed answer or a code block and is not too long, one a prompt, and verifies nothing.
Here answers may also be verified: by a vote of the teacher's own traces, or by the run's labels.
"""

from __future__ import annotations

import dataclasses
import itertools
import operator
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext

from selfplay.config.section import ScratchModel
from selfplay.config.teacher import SFTRule, Teacher
from selfplay.rollouts.completions import Completion, Origin, complete
from selfplay.run.records import Example, LabelledTask, Trace
from selfplay.run.seeding import content_id
from selfplay.stage.open_engine import OpenedEngine
from selfplay.training.rules import Counts, Round
from selfplay.training.traces import FoundTrace, converted, file_traces, trace_fault
from selfplay.trl_trainers.sft import CountJob, NothingToLearn, count_tokens
from verifiers.answers import answer_reader
from verifiers.voting import vote

TEACHER, FILES = "teacher", "files"
OWNER = "training.sft.teacher.engine"
JUDGED_AT_ONCE = 256
COUNTED_AT_ONCE = 2048
"""Traces whose tokens a worker counts together."""


def learn_from_teacher(this: Round) -> Counts:
    """Writes `traces`, each with the filter that dropped it where one did, and trains on those that are left.

    Raises:
        NothingToLearn: no trace is left.
        SeedError: a file of traces has a bad row.
        BudgetSpent, EndpointError: the teacher gives nothing more now; what was finished is kept.
    """
    settings = this.context.recipe.training.sft
    this.stage.write("traces", Trace, itertools.chain(_asked(this, settings), _read(this, settings)))
    # Read while it is written anew: the table takes its name only when it is whole.
    count = this.stage.write("traces", Trace, _first_of_each(_measured(this, settings), settings.traces_per_prompt))
    lost, lengths, samples = Counter[str](), Counter[str](), 0
    for dropped, tokens in this.stage.columns("traces", Trace, ("dropped", "tokens")):
        if dropped:
            lost[dropped.partition(" (")[0]] += 1
            continue
        samples += 1
        if tokens is not None:
            lengths.update(tokens=tokens, traces=1)
    if not samples:
        raise NothingToLearn(f"no trace of the teacher is left ({dict(lost)}): loosen the filters of training.sft")
    kept = this.stage.stream("traces", Trace, only_kept=True)
    this.fit(Example(trace.prompt, (trace.completion,)) for trace in kept)
    mean = {"mean_tokens": round(lengths["tokens"] / lengths["traces"], 1)} if lengths else {}
    return {"traces": count, "samples": samples, "lost": dict(lost)} | mean


def _asked(this: Round, settings: SFTRule) -> Iterator[Trace]:
    """The teacher's traces of this round's prompts, verified as the recipe says."""
    teacher = settings.teacher
    if teacher is None:
        return
    this.context.listener.begin(f"round {this.number}: traces of the teacher", len(this.tasks) * teacher.traces)
    with _engine(this, teacher) as engine:
        batches = complete(
            engine,
            this.tasks,
            teacher.sampling,
            teacher.traces,
            this.context.seed("selfplay", this.number, TEACHER),
            domains=this.context.recipe.domains,
            origin=Origin(("trace", this.number, TEACHER), this.number, f"T={teacher.sampling.temperature}"),
            on_progress=this.context.listener.advance,
        )
        name = engine.model.path
        yield from _verified(this, settings, (_told(this, one, name) for batch in batches for one in batch))


def _told(this: Round, one: Completion, model: str) -> Trace:
    fault = "the endpoint refused it" if one.refusal else "" if one.sample.complete else "cut at the token limit"
    task = one.task
    found = FoundTrace(model, task.domain, one.prompt, task.problem, task.task.language, one.text)
    return _trace(this, found, TEACHER, fault, task.id, one.index)


def _engine(this: Round, teacher: Teacher) -> AbstractContextManager[OpenedEngine]:
    if not isinstance(teacher.engine, ScratchModel):
        return this.context.open_engine(teacher.engine, OWNER)
    if this.teacher is None:
        raise ValueError("a teacher from scratch is trained in a stage before the rounds")
    return nullcontext(this.context.engine(this.teacher))


def _read(this: Round, settings: SFTRule) -> Iterator[Trace]:
    if settings.files is None:
        return
    for place, found in enumerate(file_traces(this.context.recipe, settings.files)):
        leak = this.reserved.leak(found.domain, found.problem) if this.reserved is not None else None
        fault = "" if leak is None else leak.reason
        yield _trace(this, found, FILES, fault, content_id("trace prompt", found.prompt), place)


def _trace(this: Round, found: FoundTrace, source: str, fault: str, task_id: str, index: int) -> Trace:
    verifier, text = this.context.recipe.domains[found.domain].verifier, converted(found.text)
    return Trace(
        id=content_id("trace", this.number, source, task_id, index),
        task_id=task_id,
        domain=found.domain,
        prompt=found.prompt,
        completion=text,
        source=source,
        origin=found.where,
        index=index,
        tokens=None,
        dropped=fault or trace_fault(text, verifier, found.language) or this.form.fault_of(text, found.domain),
    )


def _verified(this: Round, settings: SFTRule, traces: Iterator[Trace]) -> Iterator[Trace]:
    tasks = {task.id: task for task in this.tasks}
    if settings.answers == "unverified":
        yield from traces
    elif settings.answers == "labels":
        while batch := list(itertools.islice(traces, JUDGED_AT_ONCE)):
            yield from _by_labels(this, tasks, batch)
    else:
        for key, group in itertools.groupby(traces, key=operator.attrgetter("task_id")):
            yield from _by_vote(this, tasks[key], list(group), settings.min_agreement)


def _by_labels(this: Round, tasks: dict[str, LabelledTask], traces: Sequence[Trace]) -> list[Trace]:
    """Drops what fails the label of its prompt, or could not be checked against it."""
    left = [trace for trace in traces if not trace.dropped]
    items = [(trace.domain, tasks[trace.task_id].task, trace.completion) for trace in left]
    reasons = {True: "", False: "fails the label", None: "not checked"}
    found = {t.id: reasons[v.passed] for t, v in zip(left, this.context.judge.judge(items), strict=True)}
    return [dataclasses.replace(trace, dropped=trace.dropped or found[trace.id]) for trace in traces]


def _by_vote(this: Round, task: LabelledTask, group: Sequence[Trace], least: float) -> list[Trace]:
    """Drops what disagrees with the majority of the prompt's traces, those without an answer counted."""
    verifier = answer_reader(this.context.judge.verifiers[task.domain])
    if verifier is None:
        raise ValueError(
            "training.sft.answers: vote compares answers, but the verifier of domain "
            f"{task.domain} has no `extract` and `equal`"
        )
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


def _measured(this: Round, settings: SFTRule) -> Iterator[Trace]:
    """The traces of the table, their tokens counted as the policy will read them; drops what is too long."""
    traces = this.stage.stream("traces", Trace)
    while batch := list(itertools.islice(traces, COUNTED_AT_ONCE)):
        left = [trace for trace in batch if not trace.dropped]
        job = CountJob(this.policy, [Example(trace.prompt, (trace.completion,)) for trace in left])
        [counts] = this.context.workers.map(count_tokens, [job]) if left else [[]]
        lengths = dict(zip((trace.id for trace in left), counts, strict=True))
        for trace in batch:
            tokens = lengths.get(trace.id)
            long = tokens is not None and settings.max_tokens is not None and tokens > settings.max_tokens
            yield dataclasses.replace(trace, tokens=tokens, dropped="longer than max_tokens" if long else trace.dropped)


def _first_of_each(traces: Iterable[Trace], most: int) -> Iterator[Trace]:
    """Keeps the first traces of each prompt; one that says the same again is none."""
    seen: dict[str, set[str]] = {}
    for trace in traces:
        fault, text = trace.dropped, content_id(trace.completion)
        texts = seen.setdefault(content_id(trace.prompt), set())
        if not fault and (text in texts or len(texts) >= most):
            fault = "prompt has enough traces"
        if not fault:
            texts.add(text)
        yield dataclasses.replace(trace, dropped=fault)
