"""Verifiers made of verifiers: a weighted sum, a product that acts as a gate, a threshold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from verifiers.model import Task, Verdict, Verifier


class CompositeVerifier:
    """Combines the rewards of named components; each component's verdict stays in `details["components"]`.

    `sum`: the mean of the rewards by weight. `product`: their product, so that a zero closes the gate. When
    any component could not check, neither can the whole. It passes when the reward reaches `threshold`.
    """

    def __init__(
        self,
        components: Mapping[str, Verifier],
        *,
        weights: Mapping[str, float] | None = None,
        combine: Literal["sum", "product"] = "sum",
        threshold: float = 1.0,
        binary: bool = False,
        name: str = "composite",
    ) -> None:
        """`weights` (default 1 each) are for the sum only; `binary` makes the reward 1 or 0 by the
        threshold."""
        if not components:
            raise ValueError("a composite needs at least one component")
        if combine not in ("sum", "product"):
            raise ValueError(f"combine must be sum or product, not {combine!r}")
        unknown = set(weights or {}) - set(components)
        if unknown:
            raise ValueError(f"weights name unknown components: {', '.join(sorted(unknown))}")
        self.name = name
        self._components = dict(components)
        self._weights = {key: float((weights or {}).get(key, 1.0)) for key in components}
        if min(self._weights.values()) < 0 or sum(self._weights.values()) <= 0:
            raise ValueError("weights must not be negative, and not all zero")
        self._product = combine == "product"
        self._threshold = threshold
        self._binary = binary
        parts = ",".join(
            f"{key}={getattr(part, 'fingerprint', part.name)}*{self._weights[key]:g}"
            for key, part in components.items()
        )
        self.fingerprint = f"{combine}/{threshold:g}/{binary:d}({parts})"

    def verify(self, task: Task, completion: str) -> Verdict:
        """Judges one completion by every component."""
        return self._combined({key: part.verify(task, completion) for key, part in self._components.items()})

    def verify_many(self, items: Sequence[tuple[Task, str]]) -> list[Verdict]:
        """Judges many, component by component."""
        columns = {key: part.verify_many(items) for key, part in self._components.items()}
        return [self._combined({key: column[at] for key, column in columns.items()}) for at in range(len(items))]

    def close(self) -> None:
        """Closes every component."""
        for part in self._components.values():
            part.close()

    def _combined(self, verdicts: Mapping[str, Verdict]) -> Verdict:
        seconds = sum(verdict.seconds for verdict in verdicts.values())
        details = {
            "components": {
                key: {"reward": verdict.reward, "status": verdict.status, "reason": verdict.reason}
                for key, verdict in verdicts.items()
            }
        }
        rewards: dict[str, float] = {}
        for key, verdict in verdicts.items():
            if verdict.reward is None:
                return Verdict(
                    None, None, "not_checked", f"{key}: {verdict.reason or verdict.status}", details, seconds
                )
            rewards[key] = verdict.reward
        reward = self._reward(rewards)
        passed = reward >= self._threshold - 1e-12
        if self._binary:
            reward = float(passed)
        return Verdict(passed, reward, "correct" if passed else "wrong", "", details, seconds)

    def _reward(self, rewards: Mapping[str, float]) -> float:
        if self._product:
            product = 1.0
            for reward in rewards.values():
                product *= reward
            return product
        total = sum(self._weights.values())
        return min(1.0, max(0.0, sum(rewards[key] * self._weights[key] for key in rewards) / total))
