"""Estimates of each prompt's pass rate: a Beta posterior that forgets, and the chance that a group has variance."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

PRIOR_STRENGTH = 2.0
"""Rollouts that a domain's mean pass rate counts as, in the posterior of each of its prompts."""
KEPT_AT_A_VISIT = 0.5
"""Part of what was seen of a prompt that still counts once it was rolled out again: learning from a prompt moves its
own pass rate more than that of others."""


def chance_of_variance(passes: float, fails: float, group: int) -> float:
    """Probability that `group` rollouts neither all pass nor all fail, for a pass rate ~ Beta(passes, fails).

    1 - E[p^G] - E[(1-p)^G], and E[p^G] is the product of (a+i)/(a+b+i) over i < G: the beta-binomial's two ends.
    """
    all_pass = all_fail = 1.0
    for seen in range(group):
        total = passes + fails + seen
        all_pass *= (passes + seen) / total
        all_fail *= (fails + seen) / total
    return 1.0 - all_pass - all_fail


class PassRates:
    """Posteriors of the pass rates of all prompts under the policy as it is now.

    A prompt's pass rate is Beta-distributed (as in Qu et al. 2025, arXiv 2507.04632, section 3.2): a prior of
    `PRIOR_STRENGTH` rollouts at the running mean of its domain, and what was seen of the prompt itself. What was seen
    counts half after `half_life` generation batches, since the policy moves on, and `KEPT_AT_A_VISIT` of it once the
    prompt is rolled out again. A reward between 0 and 1 counts as that part of a pass.
    """

    def __init__(self, domains: Sequence[str], half_life: float) -> None:
        """
        Args:
            domains: the domain of each prompt.
            half_life: in generation batches.
        """
        self._domains = list(domains)
        self._half_life = half_life
        self._seen: dict[int, list[float]] = {}
        self._of_domain: dict[str, list[float]] = {}

    def observe(self, prompt: int, rewards: Sequence[float], batch: int, weight: float = 1.0) -> None:
        """Adds rollouts of a prompt, drawn for generation batch `batch`; rewards in [0, 1]. None tell nothing."""
        if not rewards:
            return
        passes = weight * sum(rewards)
        fails = weight * len(rewards) - passes
        domain = self._domains[prompt]
        old = self._faded(self._seen.get(prompt), batch)
        self._seen[prompt] = [old[0] * KEPT_AT_A_VISIT + passes, old[1] * KEPT_AT_A_VISIT + fails, float(batch)]
        old = self._faded(self._of_domain.get(domain), batch)
        self._of_domain[domain] = [old[0] + passes, old[1] + fails, float(batch)]

    def posterior(self, prompt: int, batch: int) -> tuple[float, float]:
        """The parameters (a, b) of a prompt's Beta distribution before generation batch `batch`."""
        passes, fails = self._faded(self._seen.get(prompt), batch)
        of_domain = self._faded(self._of_domain.get(self._domains[prompt]), batch)
        mean = (of_domain[0] + 1.0) / (sum(of_domain) + 2.0)
        return passes + PRIOR_STRENGTH * mean, fails + PRIOR_STRENGTH * (1.0 - mean)

    def _faded(self, entry: Sequence[float] | None, batch: int) -> tuple[float, float]:
        if entry is None:
            return 0.0, 0.0
        kept = 0.5 ** ((batch - entry[2]) / self._half_life)
        return entry[0] * kept, entry[1] * kept

    def state(self) -> dict[str, Any]:
        """All that was observed, for `restore`; plain JSON."""
        return {
            "prompts": {str(prompt): entry for prompt, entry in self._seen.items()},
            "domains": dict(self._of_domain),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Goes on from a state."""
        self._seen = {int(prompt): list(entry) for prompt, entry in state["prompts"].items()}
        self._of_domain = {domain: list(entry) for domain, entry in state["domains"].items()}
