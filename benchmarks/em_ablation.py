"""EM beside its controls over several seeds, each arm of each seed an ordinary run; `--rewards`: the other rewards.

`python -m benchmarks em_ablation configs/em-ablation.yaml --seeds 0,1,2`. One that was cut off goes on where it
stopped. Beside the runs it writes its figures as JSON and as a plot. See docs/explanation/method.md.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks._em_arms import CONVERGENCE, REWARDS, Arm, ArmError, arm_of, run_arms, seeds_of
from benchmarks._em_bounds import SIZES, curves_of
from benchmarks._em_figures import Curves, closing_view, figures
from benchmarks._em_plot import draw_curves, draw_ends
from selfplay.cli.run import launch_run
from selfplay.cli.shared import load_recipe_file
from selfplay.config.errors import UNUSABLE
from selfplay.config.load import RecipeError
from selfplay.config.recipe import Recipe
from selfplay.run.files import write_json


def run(arguments: Sequence[str]) -> dict[str, Any]:
    """Runs what is not done yet, and returns the figures of all arms."""
    asked = _parser().parse_intermixed_args(arguments)
    recipe = load_recipe_file(asked.recipe, asked.overrides)
    kind = "em-rewards" if asked.rewards else "em-ablation"
    folder = asked.out or Path("runs") / f"{recipe.name}-{kind}"
    try:
        arms, seeds = [*(REWARDS if asked.rewards else CONVERGENCE), *map(arm_of, asked.arm)], seeds_of(asked.seeds)
        run_arms(asked.recipe, asked.overrides, arms, seeds, folder, asked.rewards, _start, _say)
    except (ArmError, RecipeError) as error:
        _say(str(error))
        raise SystemExit(UNUSABLE) from error
    curves = _curves(folder, arms, seeds, asked) if asked.bound_samples else None
    found = figures(folder, arms, seeds, asked.rewards, curves)
    write_json(folder / f"{kind}.json", found)
    (draw_ends if asked.rewards else draw_curves)(found, folder / f"{kind}.svg", recipe.name)
    Console(stderr=True).print(closing_view(found))
    _say(f"{folder / kind}.json has all figures, {folder / kind}.svg shows them.")
    return found


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks em_ablation", description=__doc__)
    parser.add_argument("recipe", type=Path, help="such as configs/em-ablation.yaml")
    parser.add_argument("overrides", nargs="*", metavar="a.b.c=value", help="settings for all arms")
    parser.add_argument("--seeds", default="0,1,2", help="as in 0,1,2")
    parser.add_argument("--out", type=Path, help="where the runs go; default runs/NAME-em-ablation")
    parser.add_argument("--rewards", action="store_true", help="the alternatives to the summed reward")
    parser.add_argument(
        "--bound-samples",
        type=_sizes,
        default=SIZES,
        metavar="K,K,...",
        help="K of the bound's curve, 8,32,128,512,1024 by default; 0 leaves it at what the runs took",
    )
    parser.add_argument("--bound-pairs", type=int, metavar="N", help="held-out pairs of the curve; default all")
    parser.add_argument("--arm", action="append", default=[], metavar="NAME:a.b=value,...", help="one more arm")
    return parser


def _sizes(text: str) -> tuple[int, ...]:
    sizes = sorted({int(part) for part in text.split(",")} - {0})
    if sizes and sizes[0] < 0:
        raise ValueError("a number of samples is negative")
    return tuple(sizes)


def _curves(folder: Path, arms: Sequence[Arm], seeds: Sequence[int], asked: argparse.Namespace) -> Curves:
    """The bounds of all runs; those of a seed share the rationales that one and the same q has drawn."""
    found: dict[str, list[dict[str, dict[str, float]]]] = {arm.name: [] for arm in arms}
    for seed in seeds:
        for arm in arms:
            _say(f"bounds at K = {max(asked.bound_samples)}: seed {seed}, {arm.name}")
            found[arm.name].append(
                curves_of(folder / f"seed-{seed}" / arm.name, asked.bound_samples, asked.bound_pairs)
            )
    return found


def _start(recipe: Recipe, folder: Path, reuse: Path | None, until: str | None) -> None:
    launch_run(recipe, folder, reuse, until)


def _say(text: str) -> None:
    print(text, file=sys.stderr)
