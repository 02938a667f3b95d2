"""Problems that nothing may be trained on, and what is trained on without them: seeds, given prompts, traces."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from selfplay.config.curation import Curation
from selfplay.curation.benchmarks import benchmark_problems
from selfplay.curation.decontamination import Leak, LeakIndex, Problems, leak_index
from selfplay.quickstart.seed_problem import Split
from selfplay.run.records import Seed

HELD_OUT = "held-out problems"
"""Development problems among them."""
SETTINGS = tuple(
    f"curation.{name}" for name in Curation.model_fields if name == "benchmarks" or name.startswith("decontamination_")
)
"""Settings that an outcome depends on, for the table of stages."""


class Reserved:
    """The held-out problems of each domain, and the named benchmarks; an index for each domain, made when needed."""

    def __init__(
        self, settings: Curation, heldout: Iterable[Seed], seeds: Iterable[Seed], benchmarks: bool = True
    ) -> None:
        """Takes the settings, problems that must stay unseen, and training problems, whose wording may be common.

        Args:
            heldout: problems that must stay unseen.
            seeds: training problems, whose wording is no evidence where the recipe says so.
            benchmarks: whether those that the recipe names must, too.

        Raises:
            SeedError: a benchmark cannot be read.
        """
        self._settings = settings
        self._heldout, self._seeds = list(heldout), list(seeds)
        self._named: Problems = benchmark_problems(settings) if benchmarks and settings.decontamination_ngram else {}
        self._indices: dict[str, LeakIndex | None] = {}

    def index(self, domain: str) -> LeakIndex | None:
        """The index for the texts of a domain; None where decontamination is off."""
        if domain not in self._indices:
            held = {seed.id: seed.problem for seed in self._heldout if seed.domain == domain}
            common = (seed.problem for seed in self._seeds if seed.domain == domain)
            self._indices[domain] = leak_index(self._settings, {HELD_OUT: held} | dict(self._named), common)
        return self._indices[domain]

    def leak(self, domain: str, text: str) -> Leak | None:
        """The problem that a text holds."""
        index = self.index(domain)
        return None if index is None else index.find(text)


def without_leaks(settings: Curation, splits: Mapping[Split, Sequence[Seed]]) -> dict[Split, list[Seed]]:
    """A domain's seed problems, those left out that hold one of a split that must stay unseen.

    Training problems may hold no held-out, development or benchmark problem; development problems no held-out one.

    Args:
        splits: the problems of `train`, `dev` and `heldout`.

    Raises:
        SeedError: a benchmark cannot be read.
    """
    heldout, dev, train = splits["heldout"], splits["dev"], splits["train"]
    of_train = Reserved(settings, [*heldout, *dev], train)
    of_dev = Reserved(settings, heldout, train, benchmarks=False)
    return {
        "train": [seed for seed in train if of_train.leak(seed.domain, seed.problem) is None],
        "dev": [seed for seed in dev if of_dev.leak(seed.domain, seed.problem) is None],
        "heldout": list(heldout),
    }
