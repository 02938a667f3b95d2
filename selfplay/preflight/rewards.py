"""Checks of a recipe's seeds and rewards before anything expensive: verifiers must judge known answers rightly."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice

from sandbox.languages import find_language
from selfplay import formats
from selfplay.config.recipe import Recipe
from selfplay.config.section import ScratchModel
from selfplay.preflight.recipe import Finding, PreflightError
from selfplay.quickstart.seed_problem import Split
from selfplay.rollouts.judge import Item, load_verifier
from selfplay.run.records import Seed
from selfplay.seeds.stage import SPLITS, external_problems, load_seeds, may_lack
from verifiers.answers import is_shipped, judges_programs, part_that_reads
from verifiers.model import Task, Verifier
from verifiers.registry import UnknownVerifier

SHOWN = 3
BEFORE_ANSWER = "####"
"""Stands before the answer in the solutions of GSM8K."""
UNREADABLE = "gold_unparsable"
"""Status of verdicts where the task's own answer cannot be read."""
NONSENSE = ("", "no answer", "word " * 300)
"""Completions that answer no problem."""


def check_rewards(recipe: Recipe, limit: int | None = None) -> list[Finding]:
    """Every known-right answer of seeds and external prompts must pass its verifier, every known-wrong one must fail.

    Args:
        limit: most problems of a domain and split; None takes all.

    Raises:
        PreflightError: names the domain and the first offenders.
    """
    findings, train = [], []
    for name, settings in recipe.domains.items():
        verifier = _verifier(recipe, name)
        try:
            lacking = may_lack(recipe)
            splits = {split: load_seeds(recipe.seed, name, settings, split, lacking) for split in SPLITS}
            _demand_splits(recipe, name, splits)
            train += splits["train"]
            _demand_answers(recipe, name, verifier)
            _demand_labels(recipe, name, [seed for split in splits.values() for seed in split])
            known = [*splits.values(), _external(recipe, name)]
            seeds = [seed for part in known for seed in islice(part, limit)]
            # A box shows what a part of ours that reads answers says; the form that other parts want is not known.
            reader = part_that_reads(verifier)
            reader = reader if reader is not None and is_shipped(reader) else None
            if reader:
                _demand_answers_alone(name, seeds)
            answers = list(_known_answers(name, seeds)) if reader else []
            _demand(name, answers, reader or verifier)
            _demand_calls(name, seeds[:SHOWN], verifier)
            completions = list(_known_completions(name, seeds))
            _demand(name, completions, verifier)
        finally:
            verifier.close()
        told = _tried(answers + completions, verifier) + _from_where(recipe.domains[name].verifier)
        findings.append(Finding(f"rewards: {name}", told))
        findings.append(Finding(f"problems: {name}", _counted(recipe, splits)))
    _demand_solutions(recipe, train)
    return findings


def _verifier(recipe: Recipe, name: str) -> Verifier:
    try:
        return load_verifier(recipe, name, recipe.sandbox.workers)
    except UnknownVerifier as error:
        raise PreflightError(f"domains.{name}.verifier: {error}") from error


def _tried(known: Sequence[tuple[Item, bool]], verifier: Verifier) -> str:
    if not known:
        return f"nothing tried, since no seed tells what {verifier.name!r} should pass or fail"
    wrong = sum(not right for _, right in known)
    return f"{len(known) - wrong} right answers pass, {wrong} wrong ones fail"


def _from_where(verifier: str) -> str:
    """The file of a verifier that is named by its module: another of that name may lie elsewhere."""
    module, _, attribute = verifier.partition(":")
    found = sys.modules.get(module) if attribute else None
    return f"; by {found.__file__}" if found is not None and found.__file__ else ""


def _counted(recipe: Recipe, splits: Mapping[Split, Sequence[Seed]]) -> str:
    told = ", ".join(f"{len(seeds)} {split}" for split, seeds in splits.items())
    held, wanted, split = len(splits[recipe.evaluation.split]), recipe.evaluation.problems, recipe.evaluation.split
    if held >= wanted:
        return told
    return f"{told}; so few {split} problems measure little: evaluation.problems asks for {wanted}"


def _demand_solutions(recipe: Recipe, train: Sequence[Seed]) -> None:
    """A model from scratch learns to write from worked solutions, before any reward can be earned."""
    if isinstance(recipe.model, ScratchModel) and not any(seed.solution for seed in train):
        raise PreflightError(
            "model.kind: scratch makes a tiny model that learns to write from worked solutions, and no training seed "
            "has one; give a column of them as `solution` (in `fields` of the seeds), or take a model that can write "
            "already (kind: pretrained)"
        )


def _demand_splits(recipe: Recipe, name: str, splits: Mapping[Split, Sequence[Seed]]) -> None:
    """Training and measuring need problems, each of them once, and no problem may be on both sides."""
    where = f"domains.{name}.seeds"
    needed: list[Split] = ["train", recipe.evaluation.split]
    for split in needed:
        if not splits[split]:
            there = sum(len(seeds) for seeds in splits.values())
            divided = f" (it has {there} in all; a part is held back to measure with, at least one)" if there else ""
            raise PreflightError(
                f"{where}.{split}: has no problems{divided}, but training and evaluation need some; add them"
            )
    seen: dict[str, str] = {}
    for split, seeds in splits.items():
        for seed in seeds:
            if seed.id in seen:
                raise PreflightError(
                    f"{where}.{split}: a problem is in {seen[seed.id]} too: {seed.problem[:80]!r}; keep one of them"
                )
            seen[seed.id] = split


def _demand_answers(recipe: Recipe, name: str, verifier: Verifier) -> None:
    """New problems are labelled by votes, for which answers are found and compared, or programs run."""
    labelled = recipe.synthesises and recipe.training.needs_labels
    if labelled and part_that_reads(verifier) is None and not judges_programs(verifier):
        raise PreflightError(
            f"domains.{name}.verifier: {recipe.domains[name].verifier!r} has no `extract` and `equal`, by which votes "
            "label new problems; add both to it (docs/how-to/write-a-verifier.md), or set training.pool.arm "
            "to external, which trains on problems that have their labels"
        )


def _demand_answers_alone(name: str, seeds: Sequence[Seed]) -> None:
    """A whole solution in the place of an answer is one that no completion gives."""
    whole = next((seed for seed in seeds if BEFORE_ANSWER in (seed.task.answer or "")), None)
    if whole is not None:
        raise PreflightError(
            f"domains.{name}.seeds: the answer of {whole.problem[:80]!r} is a whole solution; keep as `answer` only "
            f"what stands behind {BEFORE_ANSWER!r}, and the whole of it in a column `solution`"
        )


def _demand_labels(recipe: Recipe, name: str, seeds: Sequence[Seed]) -> None:
    """New problems get labels of one kind of programs, which must be the kind of the seeds."""
    if not (recipe.synthesises and recipe.training.needs_labels and recipe.domains[name].runs_programs):
        return
    new = recipe.domains[name].new_programs
    kind = (new.language, new.function is not None)
    other = next((s for s in seeds if (s.task.language, s.task.entry_point is not None) != kind), None)
    if other is None:
        return
    where, named = f"domains.{name}.new_programs", other.task.entry_point
    remedy = f"language to {other.task.language}" if named is None else f"function to a name such as {named}"
    asked = formats.asked_for(other.task) or "program in Python"
    raise PreflightError(
        f"domains.{name}.seeds: {other.problem[:80]!r} asks for a {asked}, but {where} has new problems solved by "
        f"{'functions' if new.function else 'programs'} in {find_language(new.language).title}; set its {remedy}, "
        "keep one kind in a domain, or set training.pool.arm to external, which trains on these problems themselves"
    )


def _external(recipe: Recipe, name: str) -> list[Seed]:
    rows = recipe.training.pool.external.get(name)
    return external_problems(name, recipe.domains[name], rows, "optional") if rows else []


def _demand_calls(name: str, seeds: Sequence[Seed], verifier: Verifier) -> None:
    """A verifier of somebody's own that fails on every call would leave a run without rewards, and one that passes
    whatever it is shown with rewards that teach nothing."""
    inner = getattr(verifier, "inner", verifier)
    if is_shipped(inner):
        return
    verdicts = [verifier.verify(seed.task, seed.solution or seed.task.answer or "none") for seed in seeds]
    if verdicts and all(verdict.passed is None for verdict in verdicts):
        raise PreflightError(
            f"domains.{name}.verifier: {verifier.name!r} could judge none of {len(verdicts)} completions "
            f"({verdicts[0].reason}); mend it"
        )
    if not seeds or _judges(verifier) == "form":
        return
    nonsense = verifier.verify_many([(seed.task, text) for seed in seeds for text in NONSENSE])
    if all(verdict.passed for verdict in nonsense):
        raise PreflightError(
            f"domains.{name}.verifier: {verifier.name!r} passes whatever it is shown, an empty completion and nonsense "
            'too, so that no reward could teach anything; mend it, or set `judges = "form"` on it, where a pass is to '
            "say nothing about the answer"
        )


def _judges(verifier: Verifier) -> str:
    """`answer`, or `form` where a pass says nothing about the answer."""
    return str(getattr(verifier, "judges", "answer"))


def _known_answers(name: str, seeds: Sequence[Seed]) -> Iterator[tuple[Item, bool]]:
    for seed in seeds:
        if seed.task.answer is not None:
            yield (name, seed.task, f"\\boxed{{{seed.task.answer}}}"), True
            yield (name, seed.task, "\\boxed{\\text{no such answer}}"), False


def _known_completions(name: str, seeds: Sequence[Seed]) -> Iterator[tuple[Item, bool]]:
    for seed in seeds:
        if _needs_output(seed.task):
            empty = find_language(seed.task.language).empty
            yield (name, seed.task, f"```{seed.task.language}\n{empty}\n```"), False
        if seed.solution and seed.solution_is_right is not None:
            yield (name, seed.task, seed.solution), seed.solution_is_right


def _needs_output(task: Task) -> bool:
    """Whether a program that does nothing is surely wrong; what a checker takes is not known."""
    if task.entry_point is not None:
        return bool(task.tests)
    return task.checker is None and any(test.output.strip() for test in task.tests)


def _demand(name: str, known: Sequence[tuple[Item, bool]], verifier: Verifier) -> None:
    verdicts = verifier.verify_many([(task, completion) for (_, task, completion), _ in known])
    judged = list(zip(known, verdicts, strict=True))
    # Where the judge itself failed, on a machine that is too busy for its workers, say, nobody's answer is at fault.
    unjudged = [(task, verdict) for ((_, task, _), _), verdict in judged if verdict.passed is None]
    faults = [
        f"a {'right' if right else 'wrong'} answer is judged {verdict.status} ({verdict.reason}): {completion[:80]!r}"
        f"{_gold(task)}, of the problem {task.problem[:60]!r}"
        for ((_, task, completion), right), verdict in judged
        if verdict.passed is (not right)
    ]
    if faults:
        more = f"; and {len(faults) - SHOWN} more" if len(faults) > SHOWN else ""
        raise PreflightError(
            f"domains.{name}: the verifier {verifier.name!r} is wrong on {len(faults)} of {len(known)} known answers: "
            + "; ".join(faults[:SHOWN])
            + more
            + "; mend the seeds, the verifier or its parameters"
        )
    if unread := {task.problem: task for task, verdict in unjudged if verdict.status == UNREADABLE}:
        shown = [f"{task.answer!r:.80}, of the problem {task.problem[:60]!r}" for task in list(unread.values())[:SHOWN]]
        more = f"; and {len(unread) - SHOWN} more" if len(unread) > SHOWN else ""
        raise PreflightError(
            f"domains.{name}: the verifier {verifier.name!r} cannot read {len(unread)} of the answers: "
            + "; ".join(shown)
            + f"{more}; write each as the answer alone, or leave the problem out"
        )
    if unjudged:
        first = unjudged[0][1]
        raise PreflightError(
            f"domains.{name}: the verifier {verifier.name!r} could not judge {len(unjudged)} of {len(known)} known "
            f"answers: {first.status} ({first.reason}); mend what the reason names, or try again on a less busy machine"
        )


def _gold(task: Task) -> str:
    return "" if task.answer is None else f", where the answer is {task.answer[:60]!r}"
