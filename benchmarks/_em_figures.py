"""The figures of a comparison of EM arms: each measure by arm and round over the seeds, and the order found."""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.table import Table

from benchmarks._em_arms import Arm, rows_of, seconds_of
from benchmarks._over_seeds import over_seeds
from selfplay.config.recipe import Recipe
from selfplay.config.seeds import QuickstartSeeds
from selfplay.quickstart import list_programs, word_problems
from selfplay.run.files import read_json
from selfplay.run.records import LabelledTask, Prompt
from selfplay.run.tables import read_table

NLLS = ("joint_nll", "bound", "nll_given_rationale", "nll_without_rationale")
"""Nats a problem, less is better; docs/explanation/method.md says what none of them shows alone."""
FORMS = ("length", "copy_rate", "distinct_2", "chosen_length", "parse_rate", "repetition")
DOWNSTREAM = ("solvable_share", "kept_share", "pass_rate", "label_accuracy", "gain")
SHOWN = ("joint_nll", "bound", "nll_given_rationale", "nll_without_rationale", "length", "copy_rate")

Figures = dict[str, Any]


Curves = Mapping[str, Sequence[Mapping[str, Mapping[str, float]]]]
"""By arm, for each seed: the bound by K, of the cold start and of the last round (`_em_bounds.curves_of`)."""


def figures(
    out: Path, arms: Sequence[Arm], seeds: Sequence[int], downstream: bool, curves: Curves | None = None
) -> Figures:
    """What the runs of a comparison measured.

    With curves, `bound` is that of the largest K, and is left out of the rounds between, where it was not taken.

    Returns:
        `arms`: for each its label, settings, rounds (mean, least and most over the seeds, and the value of each seed,
        by measure), downstream figures and seconds a seed; with curves `bounds`, by K, with 95% intervals over the
        seeds, and `leads`, how far the first arm is ahead of each other one. `orders`: for each likelihood the arms
        from best to worst after the last round that all have, and for each neighbours' pair on how many seeds the
        first is better.
    """
    runs = {arm.name: [out / f"seed-{seed}" / arm.name for seed in seeds] for arm in arms}
    of_arms: dict[str, Figures] = {}
    for arm in arms:
        rows = [rows_of(folder) for folder in runs[arm.name]]
        of_arms[arm.name] = {
            "label": arm.label,
            "settings": list(arm.overrides),
            "rounds": [_summary_of_round(number, rows) for number in range(max(map(len, rows)))],
            "seconds": [round(seconds_of(folder), 1) for folder in runs[arm.name]],
        }
        if downstream:
            found = [downstream_of(folder) for folder in runs[arm.name]]
            of_arms[arm.name]["downstream"] = {name: spread([row.get(name) for row in found]) for name in DOWNSTREAM}
    found: Figures = {"seeds": list(seeds), "arms": of_arms}
    if curves is not None:
        for name, arm_figures in of_arms.items():
            _with_curves(arm_figures, curves[name])
        found["leads"] = leads(curves)
    return found | {"orders": {name: order(of_arms, name) for name in NLLS}}


def _with_curves(arm: Figures, curves: Sequence[Mapping[str, Mapping[str, float]]]) -> None:
    """Puts the bounds at all K into an arm's figures, and those at the largest K in place of the rounds' own."""
    sizes = list(curves[0]["last"])
    own = {when: {size: [seed[when][size] for seed in curves] for size in sizes} for when in ("cold_start", "last")}
    arm["bounds"] = {
        when: {size: spread(values) | {"interval": over_seeds(values)} for size, values in of_sizes.items()}
        for when, of_sizes in own.items()
    }
    nothing = spread([])
    for row in arm["rounds"]:
        row["bound"] = nothing
    arm["rounds"][0]["bound"] = arm["bounds"]["cold_start"][sizes[-1]]
    arm["rounds"][-1]["bound"] = arm["bounds"]["last"][sizes[-1]]


def leads(curves: Curves) -> Figures:
    """By how many nats the first arm's bound lies below each other arm's, by K: paired over the seeds."""
    first, *others = curves
    ends = {arm: [seed["last"] for seed in of_seeds] for arm, of_seeds in curves.items()}
    return {
        other: {
            size: over_seeds([b[size] - a[size] for a, b in zip(ends[first], ends[other], strict=True)])
            for size in ends[first][0]
        }
        for other in others
    }


def _summary_of_round(number: int, rows: Sequence[Sequence[Mapping[str, Any]]]) -> Figures:
    present = [row[number] if number < len(row) else {} for row in rows]
    steps = [row["steps"] for row in present if "steps" in row]
    found: Figures = {"round": number, "steps": statistics.fmean(steps)}
    for name in (*NLLS, *FORMS):
        found[name] = spread([row.get(name) for row in present])
    return found


def spread(values: Sequence[float | None]) -> Figures:
    """Mean, least and most of what could be measured, and the values by seed."""
    known = [value for value in values if value is not None and math.isfinite(value)]
    if not known:
        return {"mean": None, "low": None, "high": None, "seeds": list(values)}
    return {"mean": statistics.fmean(known), "low": min(known), "high": max(known), "seeds": list(values)}


def order(of_arms: Mapping[str, Figures], name: str) -> Figures:
    """The arms by a likelihood after the last round that all of them have, best first."""
    last = min(len(arm["rounds"]) for arm in of_arms.values()) - 1
    ends = {arm: found["rounds"][last][name] for arm, found in of_arms.items()}
    measured = {arm: end for arm, end in ends.items() if end["mean"] is not None}
    ranked = sorted(measured, key=lambda arm: measured[arm]["mean"])
    margins = [
        {
            "better": better,
            "worse": worse,
            "mean_difference": measured[worse]["mean"] - measured[better]["mean"],
            "on_seeds": sum(a is not None and b is not None and a < b for a, b in _paired(measured, better, worse)),
            "of_seeds": len(measured[better]["seeds"]),
        }
        for better, worse in itertools.pairwise(ranked)
    ]
    return {"round": last, "best_first": ranked, "margins": margins}


def _paired(ends: Mapping[str, Figures], first: str, second: str) -> list[tuple[float | None, float | None]]:
    return list(zip(ends[first]["seeds"], ends[second]["seeds"], strict=True))


def downstream_of(folder: Path) -> Figures:
    """What became of a run's prompts: the share that can be solved, survived curation, their labels, and the gain.

    What could not be measured is None: `gain` without rounds, the others without an exact solver or without prompts.
    """
    recipe = Recipe.model_validate(read_json(folder / "recipe.json"))
    prompts = read_table(folder / "stages" / "synthesis" / "prompts.parquet", Prompt)
    parsed = [prompt for prompt in prompts if not prompt.dropped]
    tasks = read_table(folder / "stages" / "labelling" / "tasks.parquet", LabelledTask)
    kept = [task for task in tasks if not task.dropped]
    solvable = [known for prompt in parsed if (known := _solvable(recipe, prompt)) is not None]
    tried = [task.pass_rate for task in tasks if task.pass_rate is not None]
    right = [task.label_correct for task in kept if task.label_correct is not None]
    return {
        "solvable_share": sum(solvable) / len(solvable) if solvable else None,
        "kept_share": len(kept) / len(prompts) if prompts else None,
        "pass_rate": statistics.fmean(tried) if tried else None,
        "label_accuracy": sum(right) / len(right) if right else None,
        "gain": gain_of(folder, recipe),
    }


def gain_of(folder: Path, recipe: Recipe) -> float | None:
    """The gain in held-out accuracy of the last round, at the first temperature, as the mean over domains."""
    if not recipe.training.rounds:
        return None
    gains = read_json(folder / "summary.json")["gains"]
    last, first = max(row["round"] for row in gains), gains[0]["metric"]
    return statistics.fmean(row["value"] for row in gains if row["round"] == last and row["metric"] == first)


def _solvable(recipe: Recipe, prompt: Prompt) -> bool | None:
    source = recipe.domains[prompt.domain].seeds
    if not isinstance(source, QuickstartSeeds):
        return None
    grammar = word_problems if source.grammar == "math" else list_programs
    return grammar.solve(prompt.problem) is not None


def closing_view(found: Figures) -> Table:
    """The arms after their last round, as a table: mean over the seeds, and least and most."""
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", title_justify="left")
    table.add_column(f"after the last round, {len(found['seeds'])} seeds")
    extra = DOWNSTREAM if any("downstream" in arm for arm in found["arms"].values()) else ()
    for name in (*SHOWN, *extra):
        table.add_column(name.replace("_", " "), justify="right")
    for arm in found["arms"].values():
        last = arm["rounds"][-1] | arm.get("downstream", {})
        table.add_row(arm["label"], *(_cell(last[name]) for name in (*SHOWN, *extra)))
    return table


def _cell(value: Figures) -> str:
    if value["mean"] is None:
        return "-"
    return f"{value['mean']:.3g} [{value['low']:.3g}, {value['high']:.3g}]"
