"""The report: whole, honest about what is missing, and deaf to whatever the models wrote."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import json
from collections.abc import Callable
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from selfplay.report import write_report
from selfplay.report.changes import EACH, changed_problems
from selfplay.report.funnel import prompt_funnel
from selfplay.report.run_tables import RunTables
from selfplay.run.files import RunError, write_json
from selfplay.run.records import LabelledTask, Prompt, Rollout
from selfplay.run.tables import RecordError, plain_row, read_table, schema_of, write_arrow, write_table
from tests.selfplay.plans import put_plan
from verifiers.model import Task, Test

MAKE = Callable[..., Path]
LARGEST = 1_000_000
"""Bytes. The quickstart's page has as many samples, and more steps: it stays below two million."""
HOSTILE = (
    "<script>alert(1)</script></script><img src=x onerror=alert(1)></pre></title><!-- \u202egnp.exe\u2066 "
    "{{ 7*7 }} ]]> '\"`\x1b[2J\x00 javascript:alert(1)"
)
ALLOWED_TAGS = {
    *(
        "html",
        "head",
        "meta",
        "title",
        "style",
        "body",
        "header",
        "main",
        "section",
        "footer",
        "nav",
        "noscript",
    ),
    *("div", "span", "p", "a", "b", "h1", "h2", "h3", "h4", "table", "thead", "tbody", "tr", "th", "td"),
    *("details", "summary", "pre", "code", "figure", "figcaption", "script", "label", "input"),
}


class Page(HTMLParser):
    """What a browser would take for tags, and the text of the scripts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.text: list[str] = []
        self._in_script = False
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._in_script = tag == "script"
        if self._in_script:
            self.scripts.append("")

    def handle_endtag(self, tag: str) -> None:
        self._in_script = False

    def handle_data(self, data: str) -> None:
        if self._in_script:
            self.scripts[-1] += data
        else:
            self.text.append(data)

    @property
    def words(self) -> str:
        return " ".join(" ".join(self.text).split())


def page_of(run_path: Path) -> tuple[str, Page]:
    content = write_report(run_path).read_text(encoding="utf-8")
    return content, Page(content)


def test_a_finished_run_has_everything(fake_run: MAKE) -> None:
    content, page = page_of(fake_run())
    assert len(content.encode()) < LARGEST
    assert [a["class"] for _, a in page.tags if a.get("class") == "missing"] == ["missing"], "only for lack of scripts"
    for words in (
        *(
            "38.0 → 48.0%",
            "+10.0 [+7.9, +12.0] points",
            "a gain: the interval excludes 0",
            "seed 3",
            "3 min 56 s",
        ),
        *("parse: no problem block", "near duplicate", "agreement below 0.5", "87.4% of 71"),
        *("giving away", "Start with a stock", "✓ passed", "✗ failed", "? could not check", "21 is not 22"),
        *("training.algorithm", "2.13.0", "41.000", "1 min 02 s"),
    ):
        assert words in page.words, words
    # A summary has the rounds of EM as floats.
    assert '<tr><td>0</td><td class="number">41.000' in content
    charts = json.loads(page.scripts[0])
    assert set(charts) == {
        *("accuracy-0", "accuracy-1", "reward", "agreement", "difficulty"),
        *("em-nll", "em-reward", "em-length", "em-copy_rate", "em-parse_rate"),
        *("train-loss", "train-entropy", "train-kl", "train-length", "train-clipped", "train-groups"),
        *(
            "train-domains",
            "train-parts-1",
            "train-seconds",
            "train-supervised",
            "failures-selfplay-0",
            "failures-evaluation-0",
        ),
    }
    shown = [attributes["data-chart"] for _, attributes in page.tags if "data-chart" in attributes]
    assert sorted(shown, key=str) == sorted(charts), "each once"
    assert all(set(chart) == {"title", "data", "layout"} for chart in charts.values())
    assert [trace["name"] for trace in charts["em-nll"]["data"]][1] == "importance-weighted bound"
    assert charts["accuracy-0"]["data"][0]["error_y"]["array"] == pytest.approx([0.032] * 3)


def test_curves_of_training_go_through_all_rounds(fake_run: MAKE) -> None:
    charts = json.loads(page_of(fake_run())[1].scripts[0])
    loss, domains, parts = (charts[f"train-{name}"]["data"] for name in ("loss", "domains", "parts-1"))
    assert [(trace["name"], len(trace["x"]), trace["x"][0]) for trace in loss[1::2]] == [
        ("round 1", 60, 0),
        ("round 2", 60, 60),
    ]
    assert [(trace["name"], len(trace["x"]), trace["breaks"]) for trace in domains] == [
        ("code", 120, [0, 60]),
        ("math", 120, [0, 60]),
    ]
    assert [trace["name"] for trace in parts] == ["form", "math"]
    for share in ("clipped", "groups"):
        assert charts[f"train-{share}"]["layout"]["yaxis"]["tickformat"] == ".0%"
    assert [trace["name"] for trace in charts["train-seconds"]["data"]] == ["generation", "reward", "update"]
    assert [trace["name"] for trace in charts["train-supervised"]["data"]] == ["model", "prompt model p"]


def test_failures_are_stacked_by_status_and_difficulty_is_of_the_first_and_the_last(fake_run: MAKE) -> None:
    charts = json.loads(page_of(fake_run())[1].scripts[0])
    bars = charts["failures-selfplay-0"]
    assert bars["layout"]["barmode"] == "stack"
    assert [(trace["name"], trace["x"], trace["y"]) for trace in bars["data"]] == [
        ("s7", [1, 2], [0.07, 0.07]),
        ("s6", [1, 2], [0.06, 0.06]),
        ("s5", [1, 2], [0.05, 0.05]),
        ("s4", [1, 2], [0.04, 0.04]),
        ("s3", [1, 2], [0.03, 0.03]),
        ("others", [1, 2], [0.03, 0.03]),
    ]
    assert [trace["name"] for trace in charts["difficulty"]["data"]] == [
        "held-out, round 0",
        "training, round 1",
        "training, round 2",
        "held-out, round 2",
    ]


def test_the_same_problem_is_shown_for_all_rounds_side_by_side(fake_run: MAKE) -> None:
    run_path = fake_run()
    found = changed_problems(run_path)
    assert [(change.how, [number for number, _ in change.rounds]) for change in found][:4] == [
        *[("solved at last", [0, 1, 2])] * 3,
        ("lost again", [0, 1, 2]),
    ]
    assert {change.how for change in found} == set(EACH)
    assert {row["mode"] for change in found for _, row in change.rounds} == {"greedy"}
    _, page = page_of(run_path)
    for words in ("solved at last math", "before self-play, greedy", "after round 2, greedy", "What is 5 + 1?"):
        assert words in page.words, words
    (run_path / "stages/evaluation_1/rollouts.parquet").unlink()
    assert changed_problems(run_path)[0].rounds[-1][0] == 2
    (run_path / "stages/evaluation_2/rollouts.parquet").unlink()
    assert changed_problems(run_path) == []


def test_samples_are_marked_by_the_verdicts_that_they_have(fake_run: MAKE) -> None:
    _, page = page_of(fake_run())
    marks = [
        (attributes["class"] or "").split()
        for tag, attributes in page.tags
        if tag == "details" and "class" in attributes
    ]
    samples = [mark[1:] for mark in marks if mark[0] == "sample"]
    assert len(samples) == 24
    assert {name for mark in samples for name in mark} == {"passed", "failed", "unchecked"}
    assert any("failed" not in mark for mark in samples)


def test_alarms_are_said_and_stay_text(fake_run: MAKE) -> None:
    run_path = fake_run()
    assert "<i>won" not in page_of(run_path)[0]
    line = {"time": 1.0, "stage": "labelling", "alarm": "one_answer", "text": "One <i>won</i> most votes."}
    with (run_path / "metrics.jsonl").open("a") as file:
        file.write(json.dumps(line) + "\n")
    assert "One &lt;i&gt;won&lt;/i&gt; most votes." in page_of(run_path)[0]


def test_what_ended_em_is_said_and_stays_text(fake_run: MAKE) -> None:
    run_path = fake_run()
    file = run_path / "stages" / "em_2" / "manifest.json"
    manifest = json.loads(file.read_text())
    manifest["counts"]["stopped"] = "EM ended after round 2: <b>rationales shrank</b>; the models of round 1 go on"
    file.write_text(json.dumps(manifest))
    content, page = page_of(run_path)
    assert "EM ended after round 2: <b>rationales shrank</b>; the models of round 1 go on." in page.words
    assert "<b>rationales shrank" not in content


def test_the_page_reaches_for_nothing_outside_itself(fake_run: MAKE) -> None:
    _, page = page_of(fake_run())
    for tag, attributes in page.tags:
        assert tag not in ("link", "iframe", "img", "object", "embed", "base", "form")
        assert not attributes.keys() & {"src", "srcset", "data", "action"}
        assert (attributes.get("href") or "#").startswith("#")
    [policy] = [a["content"] or "" for t, a in page.tags if a.get("http-equiv") == "Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    script_sources = policy.split("script-src")[1].split(";")[0]
    assert "unsafe" not in script_sources
    for script in page.scripts[1:]:
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in script_sources


def assert_harmless(page: Page) -> None:
    assert {tag for tag, _ in page.tags} <= ALLOWED_TAGS
    assert [attributes.get("type") for tag, attributes in page.tags if tag == "script"] == [
        "application/json",
        None,
    ]
    assert not [name for _, attributes in page.tags for name in attributes if name.startswith("on")]


def test_hostile_text_stays_text(fake_run: MAKE) -> None:
    run_path = fake_run(hostile=HOSTILE)
    summary = json.loads((run_path / "summary.json").read_text())
    for row in [*summary["evaluation"], *summary["gains"]]:
        row["domain"] = f"{HOSTILE} {row['domain']}"
        row["metric"] = f"avg@ {HOSTILE} {row['metric']}"
    summary["name"] = summary["algorithm"] = HOSTILE
    summary["versions"][HOSTILE] = HOSTILE
    summary["stages"][0]["name"] = HOSTILE
    write_json(run_path / "summary.json", summary)
    content, page = page_of(run_path)
    assert_harmless(page)
    assert "alert(1)" in page.words
    assert "{{ 7*7 }}" in page.words, "text is data, never a template"
    assert "\u202e" not in content
    assert "\x1b" not in content
    assert "⟨U+202E⟩gnp.exe" in page.words
    assert "<script>alert" not in content.lower()


def test_tests_of_functions_are_shown_as_calls(fake_run: MAKE) -> None:
    file = fake_run() / "stages" / "labelling" / "tasks.parquet"
    call = Task("Do.", tests=(Test(args=([1, 2], "<b>"), expected={"a": None}),), entry_point="plus", memory_mb=64)
    write_table(file, LabelledTask, [dataclasses.replace(row, task=call) for row in read_table(file, LabelledTask)])
    content, page = page_of(file.parents[2])
    assert "function plus; 5 s, 64 MB" in page.words
    assert 'plus([1,2], "<b>") → {"a":null}' in " ".join(page.words.split())
    assert "<b>&#34;)" not in content


def test_a_huge_problem_is_cut(fake_run: MAKE) -> None:
    content, page = page_of(fake_run(hostile="</script>" + "x" * 1_000_000, prompts=20))
    assert_harmless(page)
    assert len(content.encode()) < LARGEST
    assert "more characters)" in page.words


@pytest.mark.parametrize(
    ("until", "missing", "present"),
    [
        ("seeds", ["synthesis has not ended", "labelling has not ended", "no self-play round"], ["seeds"]),
        ("synthesis", ["Later steps are missing", "no task has been labelled"], ["parse: no problem block"]),
        (
            "labelling",
            ["Accuracy with intervals is missing", "no self-play round"],
            ["Votes of labelling", "✓ agrees with the label", "always solved"],
        ),
        (
            "selfplay_1",
            ["Accuracy with intervals is missing", "Label accuracy is missing"],
            ["Rollouts of selfplay_1", "math/greedy 41.3"],
        ),
    ],
)
def test_a_partial_run_says_what_is_missing(fake_run: MAKE, until: str, missing: list[str], present: list[str]) -> None:
    _, page = page_of(fake_run(until=until))
    for words in ["This run has not ended", "Versions are missing", *missing, *present]:
        assert words in page.words, words


def test_a_run_of_given_problems_says_nothing_of_what_it_never_does(fake_run: MAKE) -> None:
    run_path = fake_run(until="base")
    put_plan(run_path, ("seeds", "base", "evaluation_0", "selfplay_1", "evaluation_1"))
    content, page = page_of(run_path)
    for section in ("em", "prompts", "labels", "samples"):
        assert f'id="{section}"' not in content
        assert f'href="#{section}"' not in content
    for words in ("synthesis has not ended", "labelling has not ended", "EM figures"):
        assert words not in page.words
    assert "no self-play round" in page.words


def test_a_run_that_has_just_begun(fake_run: MAKE) -> None:
    run_path = fake_run(until="seeds")
    (run_path / "stages" / "seeds" / "manifest.json").unlink()
    assert "Times are missing" in page_of(run_path)[1].words


def test_em_figures_of_an_unfinished_run_come_from_the_manifests(fake_run: MAKE) -> None:
    run_path = fake_run(until="em_2")
    for round_, name in enumerate(("cold_start", "em_1", "em_2")):
        counts = {"row": {"round": round_, "joint_nll": 40.25 - round_, "bound": float("inf")}}
        write_json(run_path / "stages" / name / "manifest.json", {"stage": name, "seconds": 1.0, "counts": counts})
    _, page = page_of(run_path)
    assert "38.250" in page.words
    assert set(json.loads(page.scripts[0])) == {"em-nll", "train-supervised"}


def test_rounds_that_draw_all_rollouts_first_have_a_reward_each(fake_run: MAKE) -> None:
    run_path = fake_run()
    lines = [
        {
            "time": 1.0,
            "stage": f"selfplay_{number}",
            "step": None,
            "metrics": {"rollouts/reward": 0.3 * number},
        }
        for number in (1, 2)
    ]
    (run_path / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    chart = json.loads(page_of(run_path)[1].scripts[0])["reward"]
    assert (chart["data"][0]["x"], chart["data"][0]["y"]) == ([1, 2], [0.3, 0.6])


def test_figures_that_are_no_numbers_are_shown_as_missing(fake_run: MAKE) -> None:
    run_path = fake_run()
    summary = json.loads((run_path / "summary.json").read_text())
    for row in [*summary["evaluation"], *summary["gains"]]:
        row.update(value=float("nan"), low=float("nan"), high=float("nan"))
    write_json(run_path / "summary.json", summary)
    _, page = page_of(run_path)
    assert "NaN" not in page.scripts[0]
    assert "nan" not in page.words.split()


def test_what_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="is not a run directory"):
        write_report(tmp_path)
    assert not (tmp_path / "report.html").exists()


def test_a_damaged_table_is_named(fake_run: MAKE) -> None:
    run_path = fake_run()
    (run_path / "stages" / "curation" / "prompts.parquet").write_bytes(b"PAR1 but not really")
    with pytest.raises(RecordError, match=r"curation/prompts\.parquet: not a readable table"):
        write_report(run_path)


def test_the_funnel_adds_up(fake_run: MAKE) -> None:
    steps = prompt_funnel(RunTables(fake_run()))
    assert [step.name for step in steps] == ["made", "parsed", "kept by curation", "labelled"]
    for before, after in pairwise(steps):
        assert before.total - sum(after.lost.values()) == after.total


def test_the_funnel_owns_up_to_rows_it_cannot_find(fake_run: MAKE) -> None:
    run_path = fake_run(prompts=60)
    write_arrow(run_path / "stages" / "labelling" / "tasks.parquet", schema_of(LabelledTask).empty_table())
    assert prompt_funnel(RunTables(run_path))[-1].lost == {"no row in the next table": 40}


def of_round(run_path: Path, number: int, until: str) -> None:
    """Copies the prompts of the first round, under other ids, into a later round that has come to a stage."""
    stages = run_path / "stages"
    tables: list[tuple[str, str, type[Any]]] = [
        ("synthesis", "prompts", Prompt),
        ("curation", "prompts", Prompt),
        ("labelling", "tasks", LabelledTask),
        ("labelling", "completions", Rollout),
    ]
    for stage, table, record in tables[: 1 + max(place for place, one in enumerate(tables) if one[0] == until)]:
        named = {"id", "prompt_id", "task_id"} & set(schema_of(record).names)
        rows = read_table(stages / stage / f"{table}.parquet", record)
        later = [dataclasses.replace(row, **{name: f"later {getattr(row, name)}" for name in named}) for row in rows]
        write_table(stages / f"{stage}_{number}" / f"{table}.parquet", record, later)


def test_the_funnel_is_over_all_rounds(fake_run: MAKE) -> None:
    run_path = fake_run(prompts=60)
    first = prompt_funnel(RunTables(run_path))
    of_round(run_path, 2, "labelling")
    both = prompt_funnel(RunTables(run_path))
    assert [step.total for step in both] == [2 * step.total for step in first]
    assert [step.lost for step in both] == [{why: 2 * n for why, n in step.lost.items()} for step in first]
    of_round(run_path, 3, "synthesis")
    three = prompt_funnel(RunTables(run_path))
    assert [step.total for step in three] == [3 * first[0].total, 3 * first[1].total, both[2].total, both[3].total]
    assert three[2].lost["not there yet"] == first[1].total
    assert "not there yet" not in three[3].lost
    for before, after in pairwise(three):
        assert before.total - sum(after.lost.values()) == after.total


def test_samples_and_agreement_are_of_all_rounds(fake_run: MAKE) -> None:
    run_path = fake_run(prompts=60)
    once = json.loads(page_of(run_path)[1].scripts[0])["agreement"]["data"]
    of_round(run_path, 2, "labelling")
    _, page = page_of(run_path)
    assert "made for round 1" in page.words
    assert "made for round 2" in page.words
    assert "Rollouts of selfplay_2" in page.words
    assert "Votes of labelling_2" in page.words, "each problem has its own rollouts, where there are any"
    twice = json.loads(page.scripts[0])["agreement"]["data"]
    assert [trace["y"] for trace in twice] == [[2 * count for count in trace["y"]] for trace in once]


def test_problems_that_were_labelled_again_count_once(fake_run: MAKE) -> None:
    run_path = fake_run(prompts=60)
    first = prompt_funnel(RunTables(run_path))
    tasks = read_table(run_path / "stages/labelling/tasks.parquet", LabelledTask)
    again = [dataclasses.replace(task, dropped="label: tie") for task in tasks]
    write_table(run_path / "stages/relabelling_2/tasks.parquet", LabelledTask, again)
    funnel = prompt_funnel(RunTables(run_path))
    assert funnel[:-1] == first[:-1]
    assert (funnel[-1].total, funnel[-1].lost) == (0, {"label: tie": len(tasks)})


def test_many_reasons_are_summed(fake_run: MAKE) -> None:
    run_path = fake_run(until="seeds")
    rows = [f"reason {index}" for index in range(40) for _ in range(index + 1)]
    write_prompts(run_path / "stages" / "synthesis" / "prompts.parquet", rows)
    lost = prompt_funnel(RunTables(run_path))[1].lost
    assert len(lost) == 31
    assert next(iter(lost.items())) == ("reason 39", 40)
    assert sum(lost.values()) == len(rows)


def test_large_tables_are_sampled(fake_run: MAKE) -> None:
    run_path = fake_run(until="labelling", prompts=20)
    rows = 100_000
    stages = run_path / "stages"
    task = plain_row(Task("some text " * 8, "1"))
    dropped = ["parse: nothing" if index % 2 else "" for index in range(rows)]
    write_prompts(stages / "synthesis" / "prompts.parquet", dropped)
    write_prompts(stages / "curation" / "prompts.parquet", [""] * (rows // 2))
    write_columns(
        stages / "labelling" / "tasks.parquet",
        LabelledTask,
        rows // 2,
        {
            "prompt_id": lambda i: f"row{i}",
            "task": lambda i: task,
            "agreement": lambda i: i % 1000 / 1000,
            "dropped": lambda i: "",
        },
    )
    write_columns(stages / "labelling" / "completions.parquet", Rollout, rows, {"task_id": lambda i: f"row{i // 2}"})
    content, page = page_of(run_path)
    assert len(content.encode()) < LARGEST
    assert "100000" in page.words
    assert len(json.loads(page.scripts[0])["agreement"]["data"][0]["x"]) == 21


def write_prompts(file: Path, dropped: list[str]) -> None:
    write_columns(file, Prompt, len(dropped), {"dropped": lambda index: dropped[index]})


def write_columns(file: Path, record: type[Any], rows: int, given: dict[str, Callable[[int], Any]]) -> None:
    """A table of many rows, made column by column; what is not given is filler."""
    fillers = {pa.string(): "some text " * 8, pa.int64(): 1, pa.float64(): 0.5, pa.bool_(): True}
    makers = {"id": lambda i: f"row{i}", "domain": lambda i: "math"} | given
    schema = schema_of(record)
    columns = [
        [makers[field.name](i) for i in range(rows)] if field.name in makers else [fillers.get(field.type, [])] * rows
        for field in schema
    ]
    write_arrow(
        file,
        pa.Table.from_arrays([pa.array(c, f.type) for c, f in zip(columns, schema, strict=True)], schema=schema),
    )
