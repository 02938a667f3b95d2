"""Verifiers made of verifiers: a weighted sum, a product that acts as a gate, a threshold."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from verifiers.model import Task, Verdict, Verifier

LoadComponent = Callable[[str, Mapping[str, Any]], Verifier]
_SETTINGS = frozenset(("verifier", "params", "weight", "threshold", "optional"))
_ROUNDING = 1e-12


@dataclass(frozen=True, slots=True)
class Component:
    """One part of a composite.

    `weight` counts in a sum only; with a `threshold`, the part counts as 1 when its reward reaches it and as 0
    otherwise; an `optional` part that could not check is left out instead of leaving the whole unchecked.
    """

    verifier: Verifier
    weight: float = 1.0
    threshold: float | None = None
    optional: bool = False


class CompositeVerifier(Verifier):
    """Combines the rewards of named components; each component's verdict stays in `details["components"]`.

    `sum`: the mean of the rewards by weight. `product`: their product, so that a zero closes the gate. It
    passes when the reward reaches `threshold`. When a component could not check, neither can the whole, unless
    that component is optional, or the whole would be zero whatever it gave. Statuses: correct, wrong, no_answer
    (which a component said of what fails), and, without a reward, not_checked.
    """

    loads_components = True

    def __init__(
        self,
        components: Mapping[str, Verifier | Component | Mapping[str, Any]],
        *,
        weights: Mapping[str, float] | None = None,
        combine: Literal["sum", "product"] = "sum",
        threshold: float = 1.0,
        binary: bool = False,
        stop_at_zero: bool = False,
        name: str = "composite",
        load_component: LoadComponent | None = None,
    ) -> None:
        """Takes verifiers, components, or descriptions such as `{verifier: math, params: {}, weight: 2,
        threshold: 0.5, optional: true}`, by the name under which each is tracked.

        `weights` (default 1 each) are another way to give those of a sum; `binary` makes the reward 1 or 0 by
        the threshold; `stop_at_zero` spares the components after one that closed the gate of a product, so
        that a cheap one can save an expensive one's calls.

        Raises ValueError, and UnknownVerifier for a description whose verifier can't be made.
        """
        if not isinstance(components, Mapping) or not components:
            raise ValueError("components: a composite needs at least one, by name")
        if combine not in ("sum", "product"):
            raise ValueError(f"combine must be sum or product, not {combine!r}")
        if not 0.0 < threshold <= 1.0:
            raise ValueError(f"threshold must lie in (0, 1], not {threshold}")
        if stop_at_zero and combine == "sum":
            raise ValueError("stop_at_zero is for products: in a sum, a zero closes nothing")
        unknown = set(weights or {}) - set(components)
        if unknown:
            raise ValueError(f"weights name unknown components: {', '.join(sorted(unknown))}")
        self.name = name
        self._components: dict[str, Component] = {}
        for key, part in components.items():
            if not key or "/" in key:
                raise ValueError(f"components: {key!r} is no name, since names are joined by / when nested")
            made = _component(key, part, load_component)
            weight = _number(f"weights.{key}", (weights or {}).get(key, made.weight))
            self._components[key] = Component(made.verifier, weight, made.threshold, made.optional)
        if combine == "sum" and sum(part.weight for part in self._components.values()) <= 0:
            raise ValueError("weights must not all be zero")
        self._product = combine == "product"
        self._threshold = threshold
        self._binary = binary
        self._stop_at_zero = stop_at_zero
        forms = [getattr(part.verifier, "judges", "answer") == "form" for part in self._components.values()]
        self.judges = "form" if all(forms) else "answer"
        self.overlaps = all(getattr(part.verifier, "overlaps", False) for part in self._components.values())
        parts = ",".join(f"{key}={_fingerprint(part)}" for key, part in self._components.items())
        self.fingerprint = f"{combine}/3/{threshold:g}/{binary:d}{stop_at_zero:d}({parts})"

    @property
    def verifiers(self) -> list[Verifier]:
        """Those of its components, in order."""
        return [part.verifier for part in self._components.values()]

    def verify_many(self, items: Sequence[tuple[Task, str]]) -> list[Verdict]:
        """Judges many, component by component."""
        found: list[dict[str, Verdict]] = [{} for _ in items]
        open_items = list(range(len(items)))
        for key, part in self._components.items():
            column = part.verifier.verify_many([items[at] for at in open_items])
            for at, verdict in zip(open_items, column, strict=True):
                found[at][key] = verdict
            if self._stop_at_zero:
                open_items = [at for at in open_items if _counted(part, found[at][key]) != 0.0]
        return [self._combined(verdicts) for verdicts in found]

    def close(self) -> None:
        """Closes every component, also when closing one of them fails."""
        faults = []
        for part in self._components.values():
            try:
                part.verifier.close()
            except Exception as error:  # noqa: BLE001 - the others are still to be closed; raised below
                faults.append(error)
        if faults:
            raise faults[0]

    def _combined(self, verdicts: Mapping[str, Verdict]) -> Verdict:
        seconds = sum(verdict.seconds for verdict in verdicts.values())
        shown = {key: _shown(verdicts.get(key)) for key in self._components}
        details = {"components": shown}
        counted = {key: _counted(self._components[key], verdict) for key, verdict in verdicts.items()}
        rewards = {key: reward for key, reward in counted.items() if reward is not None}
        unchecked = [key for key in counted if key not in rewards and not self._components[key].optional]
        # With the most that those could give: where even that is nothing, a wrong answer stays one.
        reward = self._reward(rewards | dict.fromkeys(unchecked, 1.0))
        if unchecked and not self._is_zero(reward):
            first = verdicts[unchecked[0]]
            reason = f"{unchecked[0]}: {first.reason or first.status}"[:500]
            return Verdict(None, None, "not_checked", reason, details, seconds)
        if reward is None:
            return Verdict(None, None, "not_checked", "no component that counts could check", details, seconds)
        passed = reward >= self._threshold - _ROUNDING
        if self._binary:
            reward = float(passed)
        return Verdict(passed, reward, _status(verdicts, passed), _blame(verdicts, passed), details, seconds)

    def _is_zero(self, reward: float | None) -> bool:
        return reward == 0.0 or (self._binary and reward is not None and reward < self._threshold - _ROUNDING)

    def _reward(self, rewards: Mapping[str, float]) -> float | None:
        """Combines the rewards of the components that could check; None when nothing is left that counts."""
        if not rewards:
            return None
        if self._product:
            return math.prod(rewards.values())
        weights = {key: self._components[key].weight for key in rewards}
        total = math.fsum(weights.values())
        if total <= 0.0:
            return None
        return min(1.0, max(0.0, math.fsum(rewards[key] * weights[key] for key in rewards) / total))


def component_rewards(verdict: Verdict) -> dict[str, float | None]:
    """Returns the reward of every component of a composite's verdict, by its name (`outer/inner` when nested);
    None for one that could not check or was spared. Empty for any other verdict."""
    return dict(_walk(verdict.details, ""))


def _walk(details: Mapping[str, Any], above: str) -> Iterator[tuple[str, float | None]]:
    components = details.get("components")
    if not isinstance(components, Mapping):
        return
    for key, shown in components.items():
        yield f"{above}{key}", shown["reward"]
        yield from _walk(shown.get("details", {}), f"{above}{key}/")


def _component(key: str, part: object, load_component: LoadComponent | None) -> Component:
    if isinstance(part, Component):
        made = part
    elif isinstance(part, Verifier):
        made = Component(part)
    elif isinstance(part, Mapping):
        made = _described(key, part, load_component)
    else:
        raise ValueError(f"components.{key}: must be a verifier or a description of one, not {type(part).__name__}")
    threshold = None if made.threshold is None else _number(f"components.{key}.threshold", made.threshold)
    if threshold is not None and not 0.0 < threshold <= 1.0:
        raise ValueError(f"components.{key}.threshold: must lie in (0, 1], not {threshold}")
    return Component(made.verifier, _number(f"components.{key}.weight", made.weight), threshold, bool(made.optional))


def _described(key: str, part: Mapping[str, Any], load_component: LoadComponent | None) -> Component:
    if load_component is None:
        from verifiers.registry import load

        load_component = load
    unknown = sorted(set(part) - _SETTINGS)
    if unknown:
        raise ValueError(f"components.{key}: {unknown[0]} is no setting; there are {', '.join(sorted(_SETTINGS))}")
    if not isinstance(part.get("verifier"), str):
        raise ValueError(f"components.{key}.verifier: must be the name of a verifier, or module:Name")
    settings = {name: part[name] for name in ("weight", "threshold", "optional") if name in part}
    return Component(load_component(part["verifier"], part.get("params") or {}), **settings)


def _number(field: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0.0 <= value < math.inf:
        raise ValueError(f"{field}: must be a number that is not negative, not {value!r}")
    return float(value)


def _counted(part: Component, verdict: Verdict) -> float | None:
    if verdict.reward is None or part.threshold is None:
        return verdict.reward
    return float(verdict.reward >= part.threshold - _ROUNDING)


def _shown(verdict: Verdict | None) -> dict[str, Any]:
    if verdict is None:
        return {"reward": None, "passed": None, "status": "spared", "reason": "the gate was closed before it"}
    shown: dict[str, Any] = {
        "reward": verdict.reward,
        "passed": verdict.passed,
        "status": verdict.status,
        "reason": verdict.reason,
    }
    return shown | ({"details": dict(verdict.details)} if verdict.details else {})


def _status(verdicts: Mapping[str, Verdict], passed: bool) -> str:
    if passed:
        return "correct"
    return "no_answer" if any(verdict.status == "no_answer" for verdict in verdicts.values()) else "wrong"


def _blame(verdicts: Mapping[str, Verdict], passed: bool) -> str:
    if passed:
        return ""
    short = [f"{key}: {v.reason or v.status}" for key, v in verdicts.items() if v.reward is not None and v.reward < 1.0]
    return "; ".join(short)[:500]


def _fingerprint(part: Component) -> str:
    inner = getattr(part.verifier, "fingerprint", part.verifier.name)
    threshold = "" if part.threshold is None else f">={part.threshold:g}"
    return f"{inner}*{part.weight:g}{threshold}{'?' if part.optional else ''}"
