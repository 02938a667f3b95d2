"""Alarms: each one is one function of a run's metrics that gives a sentence, or nothing.

Trends compare the median over the last `window` steps of a stage with that over its first, or, for the entropy, with
that over the first of all rounds, so that one odd step says nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from statistics import mean, median

from selfplay.config.tracking import AlarmName, Alarms
from selfplay.run.plan import Kind, stage_name
from selfplay.tracking.metric_log import ROUND_REWARD, MetricLine

REWARD_RISE = 0.02
"""Smallest rise of the mean reward that counts as one."""
OF_TABLES = "rollouts/"
OF_WEIGHTS = ("loss", "grad_norm")
"""Metrics of a training that are finite as long as its weights are."""
LABELLINGS = (Kind.LABELLING, Kind.RELABELLING)


@dataclass(frozen=True, slots=True)
class Raised:
    """An alarm, once for a stage."""

    stage: str
    text: str
    """One plain sentence."""


class Curves:
    """The metrics of a run by stage and name; of a step taken twice, the last attempt counts."""

    def __init__(self, lines: Iterable[MetricLine] = ()) -> None:
        self._values: dict[str, dict[str, dict[int, float]]] = {}
        self._not_finite: dict[str, dict[str, set[int | None]]] = {}
        self._places: dict[str, tuple[str, int]] = {}
        for line in lines:
            self.add(line)

    def add(self, line: MetricLine) -> None:
        """Takes in one line."""
        self._places[line.stage] = (line.kind, line.round)
        names = self._values.setdefault(line.stage, {})
        lost = self._not_finite.setdefault(line.stage, {})
        for name in line.not_finite:
            lost.setdefault(name, set()).add(line.step)
        for name, value in line.metrics.items():
            if name in lost:
                lost[name].discard(line.step)
            curve = names.setdefault(name, {})
            step = len(curve) if line.step is None else line.step
            late = bool(curve) and step not in curve and step < next(reversed(curve))
            curve[step] = value
            if late:
                # Kept in order, since alarms look at whole curves after every step.
                names[name] = dict(sorted(curve.items()))

    def stages(self, *kinds: str) -> list[str]:
        """Stages of some kinds, in the order in which they began."""
        return [stage for stage in self._values if self._places[stage][0] in kinds]

    def round_of(self, stage: str) -> int:
        """The round that a stage belongs to."""
        return self._places[stage][1]

    def not_finite(self) -> Iterator[tuple[str, str, int]]:
        """(stage, metric, first step) of each metric that was no finite number at some step."""
        for stage, names in self._not_finite.items():
            for name, known in names.items():
                steps = [step for step in known if step is not None]
                if steps:
                    yield stage, name, min(steps)

    def named(self, stage: str, prefix: str) -> dict[str, list[float]]:
        """The curves of a stage whose names begin so, by what follows."""
        names = self._values.get(stage, {})
        return {n.removeprefix(prefix): self.of(stage, n) for n in names if n.startswith(prefix)}

    def of(self, stage: str, metric: str) -> list[float]:
        """One curve, in the order of its steps; empty where there is none."""
        return list(self._values.get(stage, {}).get(metric, {}).values())


def diverged(curves: Curves, settings: Alarms) -> Raised | None:
    """A training's loss or gradient is no number any more: its weights are ruined, or about to be."""
    found = [place for place in curves.not_finite() if place[1].rpartition("/")[2] in OF_WEIGHTS]
    if not found:
        return None
    stage, metric, step = found[-1]
    return Raised(
        stage,
        f"In {stage}, {metric} was no finite number at step {step}: the weights are likely ruined; lower the learning "
        "rate or max_grad_norm, or train in bfloat16 or float32 where it was float16.",
    )


def reward_hacking(curves: Curves, settings: Alarms) -> Raised | None:
    """The reward of a round rose while held-out accuracy fell: what is rewarded is not what is wanted."""
    evaluations = curves.stages(Kind.EVALUATION)
    if len(evaluations) < 2:
        return None
    before, after = (_heldout(curves, stage) for stage in evaluations[-2:])
    shared = before.keys() & after.keys()
    if not shared:
        return None
    fall = sum(before[name] - after[name] for name in shared) / len(shared)
    number = curves.round_of(evaluations[-1])
    rise = _reward_rise(curves, stage_name(Kind.SELFPLAY, number), settings.window)
    if rise is None or rise < REWARD_RISE or fall <= settings.heldout_drop:
        return None
    return Raised(
        evaluations[-1],
        f"In round {number} the reward rose by {rise:.3f} while held-out accuracy fell by {fall * 100:.1f} points: "
        "the policy may be learning to please the verifier; read rewarded completions with `selfplay rollouts`.",
    )


def one_answer(curves: Curves, settings: Alarms) -> Raised | None:
    """One answer is the label of most prompts of a domain, or one wrong answer is what the policy gives to most."""
    newest = curves.stages(*LABELLINGS)[-1:] + curves.stages(Kind.SELFPLAY)[-1:]
    for stage in reversed([stage for stage in curves.stages(Kind.SELFPLAY, *LABELLINGS) if stage in newest]):
        found = _one_label(curves, stage, settings) or _one_wrong_answer(curves, stage, settings)
        if found is not None:
            return found
    return None


def _one_label(curves: Curves, stage: str, settings: Alarms) -> Raised | None:
    for domain, shares in curves.named(stage, "top_answer_share/").items():
        if shares[-1] > settings.answer_share:
            return Raised(
                stage,
                f"In {stage}, {shares[-1]:.0%} of the labels of {domain} are one and the same answer: the policy "
                "may be voting for a favourite instead of solving; look at the labels before you train on them.",
            )
    return None


def _one_wrong_answer(curves: Curves, stage: str, settings: Alarms) -> Raised | None:
    for domain, share in _recent(curves, stage, "one_wrong_answer", settings.window):
        if share > settings.answer_share:
            return Raised(
                stage,
                f"In {stage}, {share:.0%} of the completions of {domain} give one and the same wrong answer: the "
                "policy may be collapsing onto it; read them with `selfplay rollouts --failed`, and lower the learning "
                "rate or go back to the policy before.",
            )
    return None


def length_explosion(curves: Curves, settings: Alarms) -> Raised | None:
    """Completions became much longer in the training of the round that began last."""
    for stage in reversed(curves.stages(Kind.SELFPLAY)):
        ends = _ends(curves.of(stage, "completions/mean_length"), settings.window)
        if ends is None:
            continue
        first, last = ends
        if last <= settings.length_factor * first:
            return None
        return Raised(
            stage,
            f"In {stage}, completions grew from {first:.0f} to {last:.0f} tokens: the policy may be rambling; look at "
            "what is cut off, and consider masking or penalising it.",
        )
    return None


def entropy_collapse(curves: Curves, settings: Alarms) -> Raised | None:
    """The policy became nearly certain of every token, in one round or little by little: it explores no more."""
    window = settings.window
    known = {stage: curves.of(stage, "entropy") for stage in curves.stages(Kind.SELFPLAY)}
    stages = [stage for stage, values in known.items() if len(values) >= window]
    if not stages or (len(stages) == 1 and len(known[stages[0]]) < 2 * window):
        return None
    before, after = median(known[stages[0]][:window]), median(known[stages[-1]][-window:])
    if after >= settings.entropy_share * before:
        return None
    since = f"In {stages[-1]}" if len(stages) == 1 else f"From {stages[0]} to {stages[-1]}"
    return Raised(
        stages[-1],
        f"{since}, the policy's entropy fell from {before:.3g} to {after:.3g} nats a token: its completions hardly "
        "vary any more, and little is left to learn from; lower the learning rate or raise the KL or entropy term.",
    )


def groups_alike(curves: Curves, settings: Alarms) -> Raised | None:
    """Most groups of the GRPO that began last have one reward for all their completions: there is little to learn."""
    for stage in reversed(curves.stages(Kind.SELFPLAY)):
        shares = curves.of(stage, "frac_reward_zero_std")[-settings.window :]
        if len(shares) == settings.window:
            return _alike(stage, mean(shares), curves.of(stage, "reward")[-settings.window :], settings)
    return None


def _alike(stage: str, share: float, rewards: Sequence[float], settings: Alarms) -> Raised | None:
    if share <= settings.alike_share:
        return None
    told = f" (mean reward {mean(rewards):.2f})" if rewards else ""
    return Raised(
        stage,
        f"In {stage}, {share:.0%} of the groups have one reward for all their completions{told}, and teach nothing. "
        "If nearly all fail, take easier problems, and see with `selfplay rollouts --failed` whether right answers are "
        "refused; if nearly all pass, take harder ones. `labelling.band` or `training.grpo.top_up` leave such groups "
        "out.",
    )


def verifier_errors(curves: Curves, settings: Alarms) -> Raised | None:
    """The verifier reaches no verdict on many completions of the round or evaluation that began last."""
    for stage in curves.stages(Kind.SELFPLAY, Kind.EVALUATION)[-1:]:
        for domain, rate in _recent(curves, stage, "not_checked", settings.window):
            if rate > settings.error_rate:
                return Raised(
                    stage,
                    f"In {stage}, the verifier of {domain} reached no verdict on {rate:.0%} of the completions; "
                    "they teach nothing: see why with `selfplay rollouts --failed`, and mend the verifier.",
                )
    return None


def falling_agreement(curves: Curves, settings: Alarms) -> Raised | None:
    """Later policies agree less on the labels than the first one did."""
    stages = curves.stages(*LABELLINGS)
    if len(stages) < 2:
        return None
    first, last = (curves.named(stage, "agreement/") for stage in (stages[0], stages[-1]))
    for domain in first.keys() & last.keys():
        before, after = first[domain][-1], last[domain][-1]
        if before - after > settings.agreement_drop:
            return Raised(
                stages[-1],
                f"From {stages[0]} to {stages[-1]}, the mean agreement of the votes on {domain} fell from {before:.0%} "
                f"to {after:.0%}: the labels get worse, and with them the rewards; raise min_agreement or stop.",
            )
    return None


ALARMS: dict[AlarmName, Callable[[Curves, Alarms], Raised | None]] = {
    "diverged": diverged,
    "reward_hacking": reward_hacking,
    "one_answer": one_answer,
    "length_explosion": length_explosion,
    "entropy_collapse": entropy_collapse,
    "groups_alike": groups_alike,
    "verifier_errors": verifier_errors,
    "falling_agreement": falling_agreement,
}


def raised(curves: Curves, settings: Alarms) -> dict[AlarmName, Raised]:
    """All alarms that are to be raised now, by name."""
    found = {name: alarm(curves, settings) for name, alarm in ALARMS.items() if name not in settings.off}
    return {name: alarm for name, alarm in found.items() if alarm is not None}


def _recent(curves: Curves, stage: str, share: str, window: int) -> Iterator[tuple[str, float]]:
    """The mean of a share over the last steps, by domain; or that of rollouts which were all drawn before training."""
    for prefix, steps in ((f"{share}/", window), (f"rollouts/{share}/", 1)):
        for domain, shares in curves.named(stage, prefix).items():
            recent = shares[-steps:]
            if len(recent) == steps:
                yield domain, sum(recent) / steps


def _ends(values: Sequence[float], window: int) -> tuple[float, float] | None:
    if len(values) < 2 * window:
        return None
    return median(values[:window]), median(values[-window:])


def _reward_rise(curves: Curves, stage: str, window: int) -> float | None:
    # A training of fewer steps than two windows is compared by its halves.
    ends = _ends(curves.of(stage, "reward"), min(window, max(1, len(curves.of(stage, "reward")) // 2)))
    if ends is not None:
        return ends[1] - ends[0]
    # Rules that draw all rollouts first have one reward a round.
    rounds = [values[-1] for s in curves.stages(Kind.SELFPLAY) if (values := curves.of(s, ROUND_REWARD))]
    return rounds[-1] - rounds[-2] if len(rounds) > 1 and curves.of(stage, ROUND_REWARD) else None


def _heldout(curves: Curves, stage: str) -> dict[str, float]:
    """The last values of all accuracies but pass@k, which rises where a policy only becomes more random.

    What the stage's tables say, such as how many groups are alike, is no accuracy; suites are other problems.
    """
    names = curves.named(stage, "").items()
    others = (*OF_TABLES, "suite/")
    return {name: values[-1] for name, values in names if "pass@" not in name and not name.startswith(others)}
