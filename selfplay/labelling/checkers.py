"""Checkers of problems with many right outputs: a program of a model's, and the trial that it must pass to be believed.

A checker is accepted where, in the sandbox,

- it takes every output that enough votes agree on, as far as any is;
- on enough inputs it takes what programs with enough of the votes print, and fails on none of their outputs;
- it refuses enough of the outputs that are made from those by a change.

The votes whose programs pass on all these inputs are then the ones that agree with the label.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sandbox.model import Status
from selfplay.config.labelling import Labelling
from selfplay.labelling.answer_vote import Label
from selfplay.labelling.consensus import GIVEN, NO_OUTPUT, Consensus, Tried, printed
from verifiers.model import Test
from verifiers.programs.checker import checker_input, checker_program, checker_says
from verifiers.programs.runner import ProgramRunner, limits_for
from verifiers.voting import reaches

ACCEPTED = "accepted"
FAILS = "refused: it fails on an output of a program"
CONTRADICTS = "refused: it does not take what programs agree on"
TOO_STRICT = "refused: it takes the outputs of too few programs"
TOO_LAX = "refused: it takes outputs that were changed"
MOST_MUTATED = 8
"""Inputs whose outputs are changed."""
FAR = 10**9 + 7
LONGEST_NUMBER = 400


@dataclass(frozen=True, slots=True)
class CheckerTrial:
    """The outcome of a checker's trial."""

    outcome: str
    """`accepted`, or `refused: ` and why."""
    label: Label
    tried: tuple[Tried, ...] = ()
    share: float = 0.0
    """Of the votes whose programs it takes on all inputs."""
    rejected: float = 0.0
    """Share of the changed outputs that it refuses."""


@dataclass(frozen=True, slots=True)
class _Case:
    """An output of some program, or a changed one, for the input at a place."""

    place: int
    output: str


def try_checker(runner: ProgramRunner, source: str, programs: Consensus, settings: Labelling) -> CheckerTrial:
    """Puts a checker to its trial.

    Args:
        source: the checker (`verifiers.programs.checker`).
        programs: those of a problem's votes, which have run.
        settings: the least agreement and number of tests, and the share of changed outputs that must be refused.
    """
    outputs = {place: outputs_of(programs, place) for place in range(len(programs.inputs))}
    answers = {place: _heaviest(programs, place, own) for place, own in outputs.items() if own}
    cases = [_Case(place, text) for place in answers for text in outputs[place]]
    says = _says(runner, source, programs, answers, cases)
    if any(taken is None for taken in says.values()):
        return CheckerTrial(FAILS, Label(fault=FAILS))
    if any(reaches(share, settings.min_agreement) and not says[case] for case, share in _agreed(programs, cases)):
        return CheckerTrial(CONTRADICTS, Label(fault=CONTRADICTS))
    label, tried = _label(source, programs, answers, says, settings)
    if label.fault:
        return CheckerTrial(TOO_STRICT, label, tried, label.agreement or 0.0)
    right = [case for case in cases if says[case]]
    changed = changes(right, [place for place in answers if says[_Case(place, answers[place])]][:MOST_MUTATED])
    refused = _says(runner, source, programs, answers, changed)
    # One that fails on an output refuses it: what a verifier makes of that is the program's fault, too.
    rejected = sum(taken is not True for taken in refused.values()) / len(changed) if changed else 0.0
    if settings.checkers is not None and rejected < settings.checkers.min_rejected:
        return CheckerTrial(TOO_LAX, label.missing(TOO_LAX), tried, label.agreement or 0.0, rejected)
    return CheckerTrial(ACCEPTED, label, tried, label.agreement or 0.0, rejected)


def outputs_of(programs: Consensus, place: int) -> list[str]:
    """The distinct outputs for an input, as they were written, in the order of the votes."""
    found = dict.fromkeys(_written(programs, program, place) for program in programs.programs)
    return [text for text in found if text]


def _written(programs: Consensus, program: str | None, place: int) -> str | None:
    """The output of a program; empty where it failed or wrote nothing, None where the sandbox failed."""
    result = programs.raw(program, place)
    if result.status == Status.SANDBOX_ERROR:
        return None
    return (result.text or "") if printed(programs.task, result) else ""


def _heaviest(programs: Consensus, place: int, outputs: Sequence[str]) -> str:
    """The output for an input that most weight stands behind, the first among equals."""
    weights = dict.fromkeys(outputs, 0.0)
    for program, weight in zip(programs.programs, programs.weights, strict=True):
        text = _written(programs, program, place)
        if text:
            weights[text] += weight
    return max(outputs, key=lambda text: weights[text])


def _agreed(programs: Consensus, cases: Sequence[_Case]) -> list[tuple[_Case, float]]:
    """Each output with the share of the votes behind it."""

    def share(case: _Case) -> float:
        seen = (_written(programs, program, case.place) for program in programs.programs)
        return programs.share([None if text is None else text.split() == case.output.split() for text in seen])

    return [(case, share(case)) for case in cases]


def _says(
    runner: ProgramRunner, source: str, programs: Consensus, answers: Mapping[int, str], cases: Sequence[_Case]
) -> dict[_Case, bool | None]:
    """The checker's word on each output; None where it fails."""
    if not cases:
        return {}
    program = checker_program(source)
    packed = [checker_input(programs.inputs[case.place], case.output.encode(), answers[case.place]) for case in cases]
    limits = limits_for(max(programs.task.time_limit_s, 5.0), max(programs.task.memory_mb, 512))
    found = runner.submit(lambda sandbox: sandbox.run(program, packed, limits)).result()
    return {case: checker_says(found[at]) if at < len(found) else None for at, case in enumerate(cases)}


def _label(
    source: str,
    programs: Consensus,
    answers: Mapping[int, str],
    says: Mapping[_Case, bool | None],
    settings: Labelling,
) -> tuple[Label, tuple[Tried, ...]]:
    """The tests on whose inputs enough votes have an output that the checker takes."""

    def outcome(program: str | None, place: int) -> bool | None:
        text = _written(programs, program, place)
        return None if text is None else bool(text) and says[_Case(place, text)] is True

    shares = {
        place: programs.share([outcome(program, place) for program in programs.programs])
        for place, answer in answers.items()
        if says[_Case(place, answer)]
    }
    kept = [place for place, share in shares.items() if reaches(share, settings.min_agreement)]
    tried = _tried(programs, answers, shares, kept)
    if len(kept) < settings.min_tests:
        return Label(agreement=min(shares.values(), default=None), fault=TOO_STRICT), tried
    agrees = tuple(_all([outcome(program, place) for place in kept]) for program in programs.programs)
    agreement = programs.share(agrees)
    tests = tuple(Test(programs.inputs[place], answers[place]) for place in kept)
    if not reaches(agreement, settings.min_agreement):
        return Label(agreement=agreement, fault=TOO_STRICT), tried
    return Label(None, tests, agreement, agrees, checker=source), tried


def _all(outcomes: Sequence[bool | None]) -> bool | None:
    if any(one is False for one in outcomes):
        return False
    return None if any(one is None for one in outcomes) else True


def _tried(
    programs: Consensus, answers: Mapping[int, str], shares: Mapping[int, float], kept: Sequence[int]
) -> tuple[Tried, ...]:
    run = [trial for trial in programs.trials if not trial.fault]
    known = {id(trial): place for place, trial in enumerate(run)}
    return tuple(
        Tried(trial, outcome=f"dropped: {trial.fault}")
        if trial.fault
        else Tried(trial, answers[place], shares[place], GIVEN, place)
        if (place := known[id(trial)]) in kept
        else Tried(trial, outcome=NO_OUTPUT)
        for trial in programs.trials
    )


def changes(right: Sequence[_Case], places: Sequence[int]) -> list[_Case]:
    """Outputs made from right ones by a change: emptied, shorter, longer, with other words or for another input."""
    taken = {(case.place, *case.output.split()) for case in right}
    found: dict[tuple[object, ...], _Case] = {}
    for place in places:
        output = next(case.output for case in right if case.place == place)
        others = [case.output for case in right if case.place != place]
        for text in (*_changed(output), *others[:1]):
            key = (place, *text.split())
            if key not in taken:
                found.setdefault(key, _Case(place, text))
    return list(found.values())


def _changed(output: str) -> list[str]:
    """Changes of one output that keep the lines of what they leave."""
    (start, end), (last, stop) = _first_and_last_word(output)
    shorter = output[:last].rstrip() + output[stop:]
    longer = f"{output[:stop]} {output[last:]}"
    first = [output[:start] + word + output[end:] for word in _instead(output[start:end])]
    return [
        "",
        shorter,
        longer,
        *first,
        *(output[:last] + word + output[stop:] for word in _instead(output[last:stop])),
    ]


def _first_and_last_word(output: str) -> tuple[tuple[int, int], tuple[int, int]]:
    words = output.split()
    start, last = output.index(words[0]), output.rindex(words[-1])
    return (start, start + len(words[0])), (last, last + len(words[-1]))


def _instead(word: str) -> list[str]:
    digits = word.removeprefix("-")
    if not (digits.isascii() and digits.isdigit() and len(digits) < LONGEST_NUMBER):
        return ["?"]
    return ["?", str(int(word) + 1), str(int(word) + FAR)]
