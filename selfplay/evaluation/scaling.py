"""How accuracy grows with the number of training prompts: runs of one recipe on nested subsets, side by side.

A round takes the first prompts of one order, which the seed fixes, so that the prompts of a smaller size are among
those of a larger one. What differs between two sizes is then the size, and not which prompts came by chance.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from selfplay.config.errors import UserError
from selfplay.config.recipe import Recipe
from selfplay.evaluation.compared import Compared, read_compared
from selfplay.evaluation.comparison import ModelComparison, compare, facts
from selfplay.report.page import write_comparison
from selfplay.run.files import RunError, write_json
from selfplay.run.plan import Kind, manifest_of, read_plan
from selfplay.run.shapes import Summary, read_as

FIGURES, PAGE = "scaling.json", "scaling.html"

LoadRecipe = Callable[[str], Recipe]
"""The recipe with one more override."""


class NotScalable(UserError):
    """Sizes, or a recipe, of which no curve can be made; the message names the remedy."""


@dataclass(frozen=True, slots=True)
class SizedRun:
    """A run that has ended, and the number of prompts a round that it was to train on."""

    size: int
    path: Path

    @property
    def prompts(self) -> list[int]:
        """The prompts that each round had; fewer than asked for where the run had no more."""
        rounds = read_plan(self.path).of_kind(Kind.SELFPLAY)
        found = [manifest_of(self.path, stage.name).get("counts", {}) for stage in rounds]
        return [int(counts["prompts"]) for counts in found if "prompts" in counts]


@dataclass(frozen=True, slots=True)
class ScalingCurve:
    """The policies that runs of several sizes ended with, each against the base that they share."""

    runs: Sequence[SizedRun]
    comparison: ModelComparison
    """The base first, then a model a size."""

    @property
    def rows(self) -> list[dict[str, Any]]:
        """A row a size and suite, the base as size 0: accuracy with its interval."""
        sizes = [0, *(run.size for run in self.runs)]
        found = self.comparison.figures
        return [
            {"suite": suite, "size": size} | asdict(found[model.name, suite])
            for suite in self.comparison.suites
            for size, model in zip(sizes, self.comparison.models, strict=True)
            if (model.name, suite) in found
        ]

    def facts(self) -> dict[str, Any]:
        """The curve as `scaling.json` has it."""
        gains = [
            {"size": run.size, "suite": suite} | asdict(found) | {"sentence": found.sentence}
            for run, against in zip(self.runs, self.comparison.against, strict=True)
            for suite, found in against.differences.items()
        ]
        runs = [{"size": run.size, "run": str(run.path), "prompts": run.prompts} for run in self.runs]
        return {"runs": runs, "accuracy": self.rows, "against_base": gains}


def parsed_sizes(text: str) -> list[int]:
    """Sizes such as `100,300,1000`, the smallest first.

    Raises:
        NotScalable: they are no positive numbers, fewer than two, or one stands twice.
    """
    parts = [part.strip() for part in text.split(",")]
    sizes = [int(part) if part.isascii() and part.isdigit() and len(part) < 10 else 0 for part in parts]
    if min(sizes) < 1 or len(set(sizes)) < len(sizes) or len(sizes) < 2:
        raise NotScalable(f"--sizes {text}: is written as in 100,300,1000: two or more different numbers of prompts")
    return sorted(sizes)


def size_override(recipe: Recipe, size: int) -> str:
    """The setting by which a round of the recipe trains on so many prompts.

    Raises:
        NotScalable: its rule trains on something else than prompts of the run, or on no round.
    """
    training = recipe.training
    if not training.needs_prompts or training.algorithm == "continued_sft" or not training.rounds:
        raise NotScalable(
            f"--sizes: the recipe's training ({training.algorithm}, {training.rounds} rounds) draws no prompts, of "
            "which there could be more or fewer; take grpo, dpo, rft, or sft with a teacher, and a round or more"
        )
    return f"training.{training.algorithm}.prompts={size}"


def scaling_curve(runs: Sequence[SizedRun], flips: int = 0) -> ScalingCurve:
    """The curve of runs that have ended, of different sizes.

    Args:
        runs: by size; each was measured on the same problems, the base included.
        flips: most problems of each kind to show for a size.

    Raises:
        RunError: a run has not ended, or has no evaluation.
    """
    models: list[Compared] = []
    for run in runs:
        measured = {one.round: one for one in read_compared([run.path])}
        best = _best_round(run.path)
        if best not in measured or 0 not in measured:
            raise RunError(f"{run.path}: has no evaluation of its base and of round {best}; let it end first")
        if not models:
            models.append(replace(measured[0], name="base"))
        models.append(replace(measured[best], name=f"{run.size:,} prompts"))
    return ScalingCurve(runs, compare(models, flips))


def sized_runs(
    load: LoadRecipe, recipe: Recipe, sizes: Sequence[int], folder: Path
) -> Iterator[tuple[SizedRun, Recipe]]:
    """The runs of some sizes, the smallest first, with the recipe of each.

    Raises:
        NotScalable: the recipe trains on no prompts of the run.
    """
    for size in sizes:
        yield SizedRun(size, folder / f"{recipe.name}-{size}"), load(size_override(recipe, size))


def write_curve(runs: Sequence[SizedRun], folder: Path, flips: int) -> ScalingCurve:
    """Writes `scaling.json` and the page `scaling.html`, and returns the curve.

    Args:
        runs: have ended.
        folder: holds them.
        flips: most problems of each kind to show for a size.

    Raises:
        RunError: a run has not ended.
    """
    curve = scaling_curve(runs, flips)
    write_json(folder / FIGURES, curve.facts())
    write_comparison(folder / PAGE, facts(curve.comparison), curve.rows)
    return curve


def _best_round(run: Path) -> int:
    """The round whose policy is the run's."""
    file = run / "summary.json"
    best: Mapping[str, Any] | None = read_as(file, Summary).get("best") if file.exists() else None
    if best is None:
        raise RunError(f"{run}: has not ended; the same command goes on with it")
    return int(best["round"])
