"""Code of people's own in a run: callbacks and stages of a package outside the tree, and what their exceptions cost."""

from __future__ import annotations

import importlib
import json
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pyarrow.parquet as pq
import pytest
import yaml

from selfplay.compute.clock import Clock
from selfplay.config.recipe import Recipe
from selfplay.pipeline.launch import launch
from selfplay.pipeline.main_loop import run_pipeline
from selfplay.pipeline.own import Callers, check_hooks
from selfplay.pipeline.stages import planned, stage_table
from selfplay.report.page import write_report
from selfplay.rollouts.judge import Judge
from selfplay.run.directory import RunDirectory
from selfplay.run.plan import Kind, read_plan
from selfplay.run.records import Prompt
from selfplay.run.tables import write_table
from selfplay.stage.context import Context
from selfplay.stage.hooks import HookFailed, HookMissing, OwnWork, load_callbacks, load_stage
from selfplay.watching.status import run_status
from tests.docs.pages import pages
from tests.selfplay.export.conftest import prompt
from tests.selfplay.in_process import InProcess
from tests.selfplay.pipeline.test_rounds import recipe as external
from tests.selfplay.synthesis.toy import Quiet

SOURCE = """
from selfplay.pipeline import Callbacks

HEARD = []


class Listen(Callbacks):
    def run_begins(self, folder):
        HEARD.append(("run", folder.name))

    def stage_begins(self, stage):
        HEARD.append(("begins", stage.name))

    def stage_ends(self, stage, figures):
        assert (stage.folder / "manifest.json").exists()
        HEARD.append(("ends", stage.name, stage.kind, stage.number))

    def round_ends(self, number, figures):
        HEARD.append(("round", number, "metrics" in figures or len(figures) > 0))


class Failing(Listen):
    def stage_ends(self, stage, figures):
        raise ValueError("no room")  # here


class Misspelt(Callbacks):
    def stage_end(self, stage, figures):
        pass


class Unmade(Callbacks):
    def __init__(self):
        raise ValueError("no key")


def count(work):
    if work.settings.get("fail"):
        raise RuntimeError("half done")  # there
    rows = work.table(work.after, "math-train", ["id"])
    work.write("ids", rows)
    work.log({"rows": len(rows)})
    return {"rows": len(rows), "least": work.settings["least"], "round": work.number, "seed": work.seed}


def wrong(work):
    return {"a": [1]}


def follow(work):
    return {"inputs": ", ".join(sorted(work.inputs))}


WORD = "no function"
"""
LINES = {text.split("# ")[1]: number for number, text in enumerate(SOURCE.splitlines(), 1) if "# " in text}
OFFERS = """
[selfplay.callbacks]
listen = outside_hooks:Listen
[selfplay.stages]
count = outside_hooks:count
"""


@pytest.fixture
def outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A package as pip would have installed it, in a folder of its own."""
    site = tmp_path / "site"
    about = site / "outside_hooks-1.0.dist-info"
    about.mkdir(parents=True)
    (site / "outside_hooks.py").write_text(SOURCE)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: outside-hooks\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(OFFERS)
    monkeypatch.syspath_prepend(site)
    monkeypatch.delitem(sys.modules, "outside_hooks", raising=False)
    return importlib.import_module("outside_hooks")


def recipe(callbacks: list[str], stages: dict[str, Any] | None = None) -> Recipe:
    made = external(rounds=0).model_dump(mode="json")
    made |= {"hooks": {"callbacks": callbacks, "stages": stages or {}}, "tracking": {"wandb": {"mode": "disabled"}}}
    return Recipe.model_validate(made)


def counting(**settings: Any) -> dict[str, Any]:
    return {"tally": {"run": "count", "after": "seeds", "settings": {"least": 3} | settings}}


def test_a_package_outside_the_tree_hears_of_a_run_and_has_a_stage_in_it(outside: ModuleType, tmp_path: Path) -> None:
    settings, run = recipe(["listen"], counting()), tmp_path / "run"
    assert [finding.name for finding in check_hooks(settings)] == ["hooks.callbacks.0", "hooks.stages.tally"]
    assert launch(settings, run, until="tally_0") is None
    assert outside.HEARD == [
        ("run", "run"),
        ("begins", "seeds"),
        ("ends", "seeds", "seeds", 0),
        ("begins", "tally_0"),
        ("ends", "tally_0", "own", 0),
    ]
    counts = json.loads((run / "stages/tally_0/manifest.json").read_text())["counts"]
    figures = counts["figures"]
    assert figures == {"rows": 24, "least": 3, "round": 0, "seed": figures["seed"]}
    assert pq.read_table(run / "stages/tally_0/ids.parquet").num_rows == 24
    logged = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert {"rows": 24} in [row.get("metrics") for row in logged if row["stage"] == "tally_0"]
    [own] = read_plan(run).of_kind(Kind.OWN)
    assert (own.name, own.line) == ("tally_0", "count, after seeds")
    # What is done is not told again, other callbacks change nothing, and other settings make the stage again, alone.
    outside.HEARD.clear()
    launch(settings, run, until="tally_0")
    assert outside.HEARD == [("run", "run")]
    launch(recipe([], counting(least=4)), run, until="tally_0")
    counts = json.loads((run / "stages/tally_0/manifest.json").read_text())["counts"]
    assert counts["figures"]["least"] == 4
    assert outside.HEARD == [("run", "run")]


@pytest.mark.usefixtures("outside")
def test_an_exception_is_one_sentence_and_costs_no_finished_work(tmp_path: Path) -> None:
    run, file = tmp_path / "run", tmp_path / "site" / "outside_hooks.py"
    with pytest.raises(HookFailed) as caught:
        launch(recipe(["outside_hooks:Failing"]), run, until="seeds")
    assert str(caught.value) == (
        f"hooks.callbacks.0: Failing.stage_ends raised ValueError: no room ({file}, line {LINES['here']}); mend it, "
        "and the same command goes on"
    )
    assert (run / "stages/seeds/manifest.json").exists()
    before = (run / "stages/seeds/manifest.json").stat().st_mtime_ns
    with pytest.raises(
        HookFailed, match=rf"hooks\.stages\.tally: count raised RuntimeError: half done .*line {LINES['there']}"
    ):
        launch(recipe([], counting(fail=True)), run, until="tally_0")
    assert not (run / "stages/tally_0/manifest.json").exists()
    launch(recipe([], counting()), run, until="tally_0")
    assert (run / "stages/tally_0/manifest.json").exists()
    assert (run / "stages/seeds/manifest.json").stat().st_mtime_ns == before
    with pytest.raises(HookFailed, match="returned 'a', which is neither a finite number nor a short text"):
        launch(recipe([], {"bad": {"run": "outside_hooks:wrong", "after": "seeds"}}), run, until="bad_0")


@pytest.mark.usefixtures("outside")
@pytest.mark.parametrize(
    ("callbacks", "stages", "said"),
    [
        (["listn"], {}, r"hooks.callbacks.0: no entry point of selfplay.callbacks is called listn (there are: listen)"),
        (["nowhere.py:X"], {}, "are found; a module is named without .py: give nowhere:X"),
        (["nowhere:X"], {}, "hooks.callbacks.0: nowhere:X could not be loaded (ModuleNotFoundError"),
        (["outside_hooks:count"], {}, "is no class derived from selfplay.pipeline.Callbacks"),
        (["outside_hooks:Misspelt"], {}, "nobody calls the method stage_end of outside_hooks:Misspelt; there are"),
        (["outside_hooks:Unmade"], {}, "outside_hooks:Unmade raised ValueError: no key"),
        (
            [],
            {"x": {"run": "outside_hooks:count", "after": "curation"}},
            "hooks.stages.x.after: is curation, of which this recipe has no stage, so that outside_hooks:count would",
        ),
        ([], {"x": {"run": "outside_hooks:WORD", "after": "seeds"}}, "hooks.stages.x.run: outside_hooks:WORD is no"),
    ],
)
def test_hooks_that_cannot_be_had_are_refused_before_a_run(
    tmp_path: Path, callbacks: list[str], stages: dict[str, Any], said: str
) -> None:
    with pytest.raises(HookMissing) as caught:
        launch(recipe(callbacks, stages), tmp_path / "run")
    assert said in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_names_of_ours_are_refused() -> None:
    with pytest.raises(ValueError, match="curation is the name of a stage of ours"):
        recipe([], {"curation": {"run": "a:b", "after": "seeds"}})


def test_the_code_of_the_page_is_a_hook(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    blocks = re.findall(r"^```(\w+) file=(\S+)\n(.*?)^```$", pages("how-to/hooks.md"), re.DOTALL | re.MULTILINE)
    files = {name: text for _, name, text in blocks}
    (tmp_path / "my_hooks.py").write_text(files["my_hooks.py"])
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "my_hooks", raising=False)
    named = yaml.safe_load(files["hooked.yaml"])["hooks"]
    settings = recipe(named["callbacks"], named["stages"])
    seeds = {"kind": "quickstart", "grammar": "math"}
    whole = {"name": "whole", "model": {"kind": "scratch"}, "domains": {"math": {"seeds": seeds}}, "hooks": named}
    assert len(check_hooks(Recipe.model_validate(whole))) == 2
    Callers(load_callbacks(settings.hooks), {}).run_begins(tmp_path)
    [(_, announce)] = load_callbacks(settings.hooks)
    announce.round_ends(1, {"problems": 4})
    assert capsys.readouterr().out == "round 1 is measured: {'problems': 4}\n"
    write_table(tmp_path / "curation/prompts.parquet", Prompt, [prompt(1), prompt(2, "near duplicate (of p1)")])
    logged: list[Any] = []
    work = OwnWork(
        tmp_path, 1, "curation", {"longest": 5}, 0, {"curation": tmp_path / "curation"}, logged.append, print
    )
    figures = load_stage(settings.hooks, "lengths")(work)
    assert figures == {"mean": len(prompt(1).problem), "prompts": 1}
    assert logged == [{"problem_length": figures["mean"]}]
    assert pq.read_table(tmp_path / "long.parquet")["id"].to_pylist() == ["p1"]


@pytest.mark.long
def test_rounds_are_told_and_stages_of_ones_own_end_with_them(outside: ModuleType, tmp_path: Path) -> None:
    """The model is too poor for any round to be better, so that selection ends the run after the first."""
    base = external(rounds=3, selection={"problems": 4, "samples": 1, "temperature": 0, "patience": 1})
    own = {"see": {"run": "outside_hooks:follow", "after": "selfplay"}}
    hooks = {"callbacks": ["listen"], "stages": own}
    settings = Recipe.model_validate(base.model_dump(mode="json") | {"hooks": hooks})
    table, folder = stage_table(settings), tmp_path / "run"
    with RunDirectory.open(folder, settings) as run:
        workers: Any = InProcess()
        judge = Judge(settings, run.store_folder, 1)
        context = Context(run, workers, judge, Quiet(), Clock(folder / "clock.json", workers))
        run.claim(planned(table).stages)
        try:
            summary = run_pipeline(context, table, None, Callers(load_callbacks(settings.hooks), table))
        finally:
            judge.close()
    assert [heard for heard in outside.HEARD if heard[0] == "round"] == [("round", 0, True), ("round", 1, True)]
    assert [heard[1] for heard in outside.HEARD if heard[0] == "ends"][-4:] == [
        "selfplay_1",
        "see_1",
        "evaluation_1",
        "selection_1",
    ]
    assert sorted(path.name for path in (folder / "stages").glob("see_*")) == ["see_1"]
    figures = json.loads((folder / "stages/see_1/manifest.json").read_text())["counts"]["figures"]
    assert figures == {"inputs": "base, seeds, selfplay_1"}
    assert "see_1" in [row["name"] for row in summary["stages"]]
    # Those who look at a run take a kind of stage that they don't know.
    assert "see_1" in write_report(folder).read_text()
    assert run_status(folder, read_plan(folder))["stages"]
