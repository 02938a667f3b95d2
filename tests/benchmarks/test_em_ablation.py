"""Comparisons of EM arms: what is run and reused, what the figures say, and the curves."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any, ClassVar
from xml.etree import ElementTree

import pytest

from benchmarks._em_arms import CONVERGENCE, REWARDS, Arm, ArmError, arm_of, arm_recipe, run_arms, seeds_of
from benchmarks._em_figures import NLLS, closing_view, figures, gain_of, order, spread
from benchmarks._em_plot import draw_curves, draw_ends
from selfplay.config.load import RecipeError, load_recipe
from selfplay.config.recipe import Recipe
from selfplay.run.files import write_json

RECIPE = """\
name: small
model: {kind: scratch}
domains:
  math:
    seeds: {kind: quickstart, grammar: math}
em: {rounds: 2}
training: {rounds: 0}
"""


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    file = tmp_path / "small.yaml"
    file.write_text(RECIPE)
    return file


class Runs:
    """Stands for the runs: writes what a run's stages would leave, with likelihoods that depend on arm and seed."""

    LEVELS: ClassVar[dict[str, float]] = {"e_step": 10.0, "frozen": 11.0, "with_z": 13.0, "without_z": 12.0}

    def __init__(self) -> None:
        self.started: list[tuple[str, Path | None, str | None]] = []

    def __call__(self, recipe: Recipe, folder: Path, reuse: Path | None, until: str | None) -> None:
        self.started.append((f"{folder.parent.name}/{folder.name}", reuse, until))
        write_json(folder / "stages" / "base" / "manifest.json", {"counts": {}, "seconds": 1.0})
        for number, stage in enumerate(["cold_start", "em_1", "em_2"]):
            nll = self.LEVELS.get(folder.name, 14.0) - number + recipe.seed / 10
            row = dict.fromkeys(NLLS, nll) | {"round": number, "length": 6.0, "copy_rate": None, "bound": math.inf}
            write_json(folder / "stages" / stage / "manifest.json", {"counts": {"row": row}, "seconds": 2.0})
            log = folder / "stages" / stage / "prompt-model-training" / "log.jsonl"
            log.parent.mkdir(parents=True)
            log.write_text('{"step": 10, "of": 30}\n{"step": 30, "of": 30}\n')


def run(recipe: Path, out: Path, runs: Runs, seeds: list[int], arms: Any = CONVERGENCE) -> list[str]:
    said: list[str] = []
    run_arms(recipe, [], arms, seeds, out, False, runs, said.append)
    return said


def test_every_arm_of_every_seed_is_run_once_and_shares_the_first_ones_beginning(recipe: Path, tmp_path: Path) -> None:
    runs = Runs()
    run(recipe, tmp_path / "out", runs, [0, 1])
    assert [name for name, _, _ in runs.started] == [f"seed-{s}/{arm.name}" for s in (0, 1) for arm in CONVERGENCE]
    assert {until for _, _, until in runs.started} == {"em_2"}
    first = tmp_path / "out" / "seed-1" / "e_step"
    assert [reuse for _, reuse, _ in runs.started[4:]] == [None, first, first, first]
    again = Runs()
    said = run(recipe, tmp_path / "out", again, [0, 1])
    assert again.started == []
    assert all("already done" in line for line in said)


def test_what_was_cut_off_or_changed_is_run_again(recipe: Path, tmp_path: Path) -> None:
    def cut(loaded: Recipe, folder: Path, reuse: Path | None, until: str | None) -> None:
        if folder.name == "with_z":
            raise SystemExit(130)
        Runs()(loaded, folder, reuse, until)

    with pytest.raises(SystemExit):
        run(recipe, tmp_path / "out", cut, [0])  # type: ignore[arg-type]
    runs = Runs()
    run(recipe, tmp_path / "out", runs, [0])
    assert [name for name, _, _ in runs.started] == ["seed-0/with_z", "seed-0/without_z"]
    recipe.write_text(RECIPE.replace("rounds: 2", "rounds: 2, candidates: 3"))
    changed = Runs()
    with pytest.raises(FileExistsError):
        run(recipe, tmp_path / "out", changed, [0])
    assert changed.started[0][0] == "seed-0/e_step"


def test_the_rewards_take_over_the_arms_of_the_same_name_and_go_further(recipe: Path, tmp_path: Path) -> None:
    run(recipe, tmp_path / "out", Runs(), [0])
    started: list[tuple[str, str | None]] = []

    def further(loaded: Recipe, folder: Path, reuse: Path | None, until: str | None) -> None:
        started.append((folder.name, until))

    run_arms(recipe, [], REWARDS, [0], tmp_path / "out", True, further, lambda text: None)
    assert started == [(arm.name, "labelling") for arm in REWARDS]


def test_the_rewards_go_through_the_rounds_of_self_play_where_the_recipe_has_some(recipe: Path, tmp_path: Path) -> None:
    recipe.write_text(RECIPE.replace("training: {rounds: 0}", "training: {rounds: 1}"))
    started: list[str | None] = []

    def whole(loaded: Recipe, folder: Path, reuse: Path | None, until: str | None) -> None:
        started.append(until)

    run_arms(recipe, [], REWARDS, [0], tmp_path / "out", True, whole, lambda text: None)
    assert started == [None] * len(REWARDS)


def test_the_gain_is_that_of_the_last_round_at_the_first_temperature(recipe: Path, tmp_path: Path) -> None:
    def gain(number: int, domain: str, metric: str, value: float) -> dict[str, Any]:
        return {"round": number, "domain": domain, "metric": metric, "value": value}

    rows = [
        gain(n, d, m, v * n) for d, v in (("math", 0.25), ("code", 0.75)) for m in ("avg@4 T=1", "x") for n in (1, 2)
    ]
    write_json(tmp_path / "summary.json", {"gains": [*rows, gain(2, "math", "x", 9.0)]})
    loaded = load_recipe(recipe, ["training.rounds=2"])
    assert gain_of(tmp_path, loaded) == pytest.approx(1.0)
    assert gain_of(tmp_path, load_recipe(recipe, [])) is None


@pytest.mark.parametrize("arm", [*CONVERGENCE, *REWARDS], ids=lambda arm: arm.name)
def test_every_arm_is_a_valid_recipe(recipe: Path, arm: Arm) -> None:
    loaded = arm_recipe(recipe, [], arm, 3)
    assert loaded.seed == 3
    assert loaded.name == f"small-{arm.name[:20]}-3"


def test_the_arms_are_what_their_names_say(recipe: Path) -> None:
    loaded = {arm.name: arm_recipe(recipe, [], arm, 0).em for arm in (*CONVERGENCE, *REWARDS)}
    assert (loaded["e_step"].e_step, loaded["frozen"].e_step, loaded["with_z"].e_step) == (
        "trained",
        "frozen",
        "annotated",
    )
    assert not loaded["without_z"].rationales
    assert (loaded["soft"].assignment, loaded["soft"].m_step_rationales) == ("soft", "sampled")
    assert (loaded["information_gain"].reward, loaded["information_gain"].min_reward) == ("information_gain", 0)


def test_arms_and_seeds_from_the_command_line() -> None:
    assert arm_of("k_4:em.candidates=4,em.rounds=1") == Arm("k_4", ("em.candidates=4", "em.rounds=1"), "k 4")
    assert arm_of("plain:").overrides == ()
    assert seeds_of("3,1") == [3, 1]
    for text in ("nothing", ":a=b", "a/b:c=d"):
        with pytest.raises(ArmError, match="is not written NAME"):
            arm_of(text)
    for text in ("", "a", "1,1"):
        with pytest.raises(ArmError, match="--seeds"):
            seeds_of(text)


@pytest.mark.parametrize(
    ("arms", "error", "says"),
    [
        ([Arm("a", (), "a"), Arm("a", (), "b")], ArmError, "two arms are called a"),
        ([Arm("a", ("em.rouns=1",), "a")], RecipeError, "did you mean `rounds`"),
        ([Arm("a", ("em.rounds=0",), "a")], ArmError, r"em\.rounds is 0"),
    ],
)
def test_what_cannot_be_compared_is_refused_before_anything_runs(
    recipe: Path, tmp_path: Path, arms: list[Arm], error: type[Exception], says: str
) -> None:
    runs = Runs()
    with pytest.raises(error, match=says):
        run(recipe, tmp_path / "out", runs, [0], arms)
    assert runs.started == []


def test_figures_hold_each_seed_and_the_order_that_was_found(recipe: Path, tmp_path: Path) -> None:
    run(recipe, tmp_path / "out", Runs(), [0, 1, 2])
    found = figures(tmp_path / "out", CONVERGENCE, [0, 1, 2], downstream=False)
    last = found["arms"]["frozen"]["rounds"][2]
    assert last["steps"] == 90
    assert last["joint_nll"] == {
        "mean": pytest.approx(9.1),
        "low": pytest.approx(9.0),
        "high": pytest.approx(9.2),
        "seeds": pytest.approx([9.0, 9.1, 9.2]),
    }
    assert found["orders"]["joint_nll"]["best_first"] == ["e_step", "frozen", "without_z", "with_z"]
    margin = found["orders"]["joint_nll"]["margins"][0]
    assert (margin["better"], margin["worse"], margin["on_seeds"], margin["of_seeds"]) == ("e_step", "frozen", 3, 3)
    assert found["orders"]["bound"]["best_first"] == []
    assert found["arms"]["e_step"]["seconds"] == [6.0, 6.0, 6.0]
    json.dumps(found, allow_nan=True)


def test_curves_of_the_bound_take_the_place_of_the_rounds_own(recipe: Path, tmp_path: Path) -> None:
    run(recipe, tmp_path / "out", Runs(), [0, 1])
    levels = {"e_step": 10.0, "frozen": 11.0, "with_z": 10.5, "without_z": 8.0}
    curves = {
        arm: [
            {when: {"8": level + seed, "512": level + seed / 2 - 1} for when in ("cold_start", "last")}
            for seed in (0, 1)
        ]
        for arm, level in levels.items()
    }
    found = figures(tmp_path / "out", CONVERGENCE, [0, 1], downstream=False, curves=curves)
    frozen = found["arms"]["frozen"]
    assert [row["bound"]["mean"] for row in frozen["rounds"]] == [10.25, None, 10.25]
    assert frozen["bounds"]["last"]["8"]["mean"] == 11.5
    assert frozen["bounds"]["last"]["512"]["interval"]["low"] < 10.0
    assert found["leads"]["with_z"]["512"]["mean"] == 0.5
    assert found["orders"]["bound"]["best_first"] == ["without_z", "e_step", "with_z", "frozen"]
    draw_curves(found, tmp_path / "curves.svg", "small")
    words = "".join(ElementTree.parse(tmp_path / "curves.svg").getroot().itertext())
    assert "K, samples a problem" in words
    assert "512" in words


def test_margins_count_seeds_and_not_means() -> None:
    arms = {
        "a": {"rounds": [{"joint_nll": spread([1.0, 5.0, 5.0])}]},
        "b": {"rounds": [{"joint_nll": spread([8.0, 4.0, None])}]},
    }
    found = order(arms, "joint_nll")
    assert found["best_first"] == ["a", "b"]
    assert found["margins"][0]["on_seeds"] == 1


def test_an_arm_that_ended_early_is_compared_at_the_last_round_of_all() -> None:
    long = {"rounds": [{"joint_nll": spread([value])} for value in (9.0, 5.0, 1.0)]}
    short = {"rounds": [{"joint_nll": spread([value])} for value in (9.0, 4.0)]}
    found = order({"long": long, "short": short}, "joint_nll")
    assert (found["round"], found["best_first"]) == (1, ["short", "long"])


@pytest.mark.parametrize(
    ("draw", "says"), [(draw_curves, "mean of 2 seeds"), (draw_ends, "dots are the 2 seeds")], ids=["curves", "ends"]
)
def test_a_plot_is_one_file_that_is_the_same_for_the_same_figures(
    recipe: Path, tmp_path: Path, draw: Any, says: str
) -> None:
    run(recipe, tmp_path / "out", Runs(), [0, 1])
    found = figures(tmp_path / "out", CONVERGENCE, [0, 1], downstream=False)
    for name in ("a.svg", "b.svg"):
        draw(found, tmp_path / name, "small <b> & co")
    text = (tmp_path / "a.svg").read_text()
    assert text == (tmp_path / "b.svg").read_text()
    assert "http" not in text.replace("http://www.w3.org", "").replace("http://purl.org", "").replace(
        "http://creativecommons.org", ""
    ).replace("https://matplotlib.org", "")
    words = "".join(ElementTree.fromstring(text).itertext())
    assert all(arm.label in words for arm in CONVERGENCE)
    assert says in words


def test_the_closing_table_has_a_row_for_each_arm(recipe: Path, tmp_path: Path) -> None:
    from rich.console import Console

    run(recipe, tmp_path / "out", Runs(), [0])
    console = Console(width=200, record=True, file=(tmp_path / "screen.txt").open("w"))
    console.print(closing_view(figures(tmp_path / "out", CONVERGENCE, [0], downstream=False)))
    screen = console.export_text()
    assert "8 [8, 8]" in screen
    assert "cold start without z" in screen
