"""Puts the report's page together. Its script is named by its hash; a browser runs no other."""

from __future__ import annotations

import base64
import hashlib
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from selfplay.config.values.secrets import struck
from selfplay.report import charts, funnel, samples, training_charts
from selfplay.report.changes import changed_problems
from selfplay.report.run_tables import RunTables
from selfplay.run.analysis import read_analysis
from selfplay.run.directory import read_run
from selfplay.run.files import whole_file
from selfplay.run.place import inside
from selfplay.run.plan import Kind, Plan, PlannedStage, manifest_of, read_plan
from selfplay.run.records import LabelledTask
from selfplay.run.shapes import Summary, read_as
from selfplay.tracking.digest import MetricDigest
from selfplay.watching.rollouts import how_judged, test_text
from selfplay.watching.terminal import duration

AGREEMENT_BINS = 20
HEADLINE = "avg@"
LONGEST_SETTING = 1000

Manifests = Mapping[PlannedStage, Mapping[str, Any]]


def write_report(run_path: Path) -> Path:
    """Writes `report.html` of a run, finished or not; what the run has not made yet is said to be missing.

    Raises:
        RunError: the folder holds no run, or a damaged one, or `report.html` leads elsewhere.
        RecordError: one of its tables is damaged.
    """
    target, page = inside(run_path, "report.html"), render(run_path).encode("utf-8")
    with whole_file(target) as file:
        file.write(page)
    return target


def render(run_path: Path) -> str:
    """The page as text."""
    return rendered("report.html.j2", facts(run_path))


def write_comparison(target: Path, shown: Mapping[str, Any], sizes: Sequence[Mapping[str, Any]] = ()) -> None:
    """Writes a page on several models, with a chart a suite where some were measured round by round, or by size.

    Args:
        target: the file.
        shown: as `selfplay.evaluation.comparison.facts` has it; `rows` are those of the charts.
        sizes: rows of accuracies by the number of training prompts, which are drawn instead.
    """
    drawn = charts.size_charts(sizes) if sizes else charts.accuracy_charts(shown["rows"], "accuracy")
    over = "Over the number of training prompts" if sizes else "Over the rounds"
    page = rendered("comparison.html.j2", dict(shown) | {"charts": drawn, "over": over})
    with whole_file(target) as file:
        file.write(page.encode("utf-8"))


def rendered(template: str, shown: Mapping[str, Any]) -> str:
    """A page of this project, whose scripts a browser knows by their hashes.

    Args:
        template: its file in this room.
        shown: what it shows, `charts` included; every text is escaped.
    """
    environment = Environment(
        loader=PackageLoader("selfplay", "report"),
        autoescape=True,
        undefined=StrictUndefined,
        # Each value alone: the page's own scripts are known by their hashes.
        finalize=lambda value: struck(value) if type(value) is str else value,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["visible"] = samples.visible
    environment.filters["percent"] = lambda value: _number(value * 100, ".1f")
    environment.filters["points"] = lambda value: _number(value * 100, "+.1f")
    environment.filters["decimals"] = lambda value: _number(value, ".3f")
    environment.filters["duration"] = duration
    scripts = [_template_text(environment, "charts.js.j2")]
    return environment.get_template(template).render(
        **shown,
        style=Markup(_template_text(environment, "style.css.j2")),
        scripts=[Markup(script) for script in scripts],
        script_hashes=Markup(" ".join(_content_hash(script) for script in scripts)),
    )


def facts(run_path: Path) -> dict[str, Any]:
    """Everything the page shows, read from the run's files."""
    recipe = read_run(run_path)
    summary = _summary(run_path / "summary.json")
    plan, tables = read_plan(run_path), RunTables(run_path)
    manifests = _manifests(run_path, plan)
    digest = MetricDigest(run_path, training_charts.keeps)
    digest.read()
    evaluation = summary.get("evaluation") or []
    em = _em_rows(summary, manifests)
    analysed = {"distribution": None, "difficulty": None} | read_analysis(run_path)
    prompts, shown = funnel.prompt_funnel(tables), samples.problem_samples(tables)
    labelled = bool(plan.of_kind(Kind.LABELLING, Kind.RELABELLING))
    return {
        "name": recipe.get("name", run_path.name),
        "algorithm": (recipe.get("training") or {}).get("algorithm", ""),
        "summary": summary,
        "headline": _headline(summary),
        "evaluation": _accuracy_table(summary),
        "accuracy_so_far": [] if evaluation else _accuracy_so_far(digest),
        "rounds": sorted({int(row["round"]) for row in evaluation}),
        "charts": _charts(evaluation, em, digest, plan, _agreement(tables)) | charts.analysis_charts(analysed),
        "analysed": analysed,
        "em": em,
        "em_columns": _em_columns(em),
        "em_stopped": _em_stopped(manifests),
        "alarms": [alarm.text for alarm in digest.alarms],
        "funnel": prompts,
        "labels": summary.get("labels"),
        "samples": shown,
        # What a run never does, one of given problems say, is no gap in its page.
        "shows": {
            "em": bool(em or plan.of_kind(Kind.EM)),
            "prompts": bool(prompts or plan.of_kind(Kind.SYNTHESIS)),
            "labels": labelled,
            "samples": bool(shown or labelled),
        },
        "changes": changed_problems(run_path),
        "lost": samples.lost_samples(tables),
        "most_tests": samples.TESTS,
        "outcomes": samples.OUTCOMES,
        "how_judged": how_judged,
        "test_text": test_text,
        "stages": _stage_times(summary, manifests),
        "settings": {section: list(flatten(section, value)) for section, value in recipe.items()},
    }


def _charts(
    evaluation: Sequence[charts.Row],
    em: Sequence[charts.Row],
    digest: MetricDigest,
    plan: Plan,
    agreement: Sequence[tuple[float, int, int, int]],
) -> dict[str, charts.Chart]:
    """Those charts that there are figures for."""
    found = charts.accuracy_charts(evaluation) | charts.em_charts(em)
    rounds = plan.of_kind(Kind.SELFPLAY)
    reward = charts.reward_chart(digest, rounds) or charts.round_reward_chart(digest, rounds)
    if reward:
        found["reward"] = reward
    found |= training_charts.training_charts(digest, list(plan)) | training_charts.failure_charts(digest, list(plan))
    if difficulty := training_charts.difficulty_chart(digest, list(plan)):
        found["difficulty"] = difficulty
    if agreement:
        found["agreement"] = charts.agreement_chart(agreement)
    return found


def _manifests(run_path: Path, plan: Plan) -> dict[PlannedStage, dict[str, Any]]:
    """The manifests of the stages that are done, in order."""
    found = {stage: manifest_of(run_path, stage.name) for stage in plan}
    return {stage: manifest for stage, manifest in found.items() if manifest}


def _summary(file: Path) -> dict[str, Any]:
    """The closing table, empty before there is one; figures that JSON cannot hold are null there, and NaN here."""
    if not file.exists():
        return {}
    summary = read_as(file, Summary)
    for row in [*(summary.get("evaluation") or []), *(summary.get("gains") or [])]:
        row.update({name: math.nan for name in ("value", "low", "high") if row.get(name) is None})
    return summary


def _headline(summary: Mapping[str, Any]) -> list[dict[str, Any]]:
    """For each domain, the first sampled accuracy before and after, and the gain."""
    rows = _accuracy_table(summary)
    chosen: dict[str, dict[str, Any]] = {}
    for row in rows:
        if row["metric"].startswith(HEADLINE):
            chosen.setdefault(row["domain"], row)
    return list(chosen.values())


def _accuracy_table(summary: Mapping[str, Any]) -> list[dict[str, Any]]:
    rows: dict[tuple[str, str], dict[int, Any]] = {}
    for row in summary.get("evaluation") or []:
        rows.setdefault((row["domain"], row["metric"]), {})[int(row["round"])] = row
    gains = {(row["domain"], row["metric"], int(row["round"])): row for row in summary.get("gains") or []}
    return [
        {
            "domain": domain,
            "metric": metric,
            "rounds": rounds,
            "before": rounds[min(rounds)],
            "after": rounds[max(rounds)] if max(rounds) else None,
            "gain": gains.get((domain, metric, max(rounds))),
        }
        for (domain, metric), rounds in sorted(rows.items(), key=lambda item: not item[0][1].startswith(HEADLINE))
    ]


def _accuracy_so_far(digest: MetricDigest) -> list[tuple[str, str, float]]:
    """Accuracies that were logged before the run's end, without intervals: (stage, metric, value)."""
    return [(stage, metric, value) for stage, metrics in digest.heldout.items() for metric, value in metrics.items()]


def _em_rows(summary: Mapping[str, Any], manifests: Manifests) -> list[dict[str, Any]]:
    """The summary's rows; before there is a summary, those that the EM stages left in their manifests."""
    if summary.get("em"):
        return list(summary["em"])
    kinds = (Kind.COLD_START, Kind.EM)
    found = [_counts(manifest) for stage, manifest in manifests.items() if stage.kind in kinds]
    return [counts["row"] for counts in found if "row" in counts]


def _em_stopped(manifests: Manifests) -> str:
    """The sentence that ended the EM loop before its last round; empty if nothing did."""
    rounds = [_counts(manifest) for stage, manifest in manifests.items() if stage.kind is Kind.EM]
    return next((str(counts["stopped"]) for counts in rounds if counts.get("stopped")), "")


def _counts(manifest: Mapping[str, Any]) -> dict[str, Any]:
    return dict(manifest.get("counts") or {})


def _em_columns(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    known = [*charts.NLL_CURVES, *charts.EM_CURVES]
    return [name for name in known if any(row.get(name) is not None for row in rows)]


def _agreement(tables: RunTables) -> list[tuple[float, int, int, int]]:
    """(share of the votes, labels that are right, that are wrong, that nobody can tell), over all rounds."""
    counts: Counter[tuple[int, bool | None]] = Counter()
    for own in tables.prompt_rounds():
        if own.labelled:
            table = tables.columns(own.labelled, "tasks", LabelledTask, ["agreement", "label_correct"])
            rows = zip(*(table[name].to_pylist() for name in ("agreement", "label_correct")), strict=True)
            counts.update((round(share * AGREEMENT_BINS), right) for share, right in rows if share is not None)
    bins = sorted({position for position, _ in counts})
    return [(at / AGREEMENT_BINS, counts[at, True], counts[at, False], counts[at, None]) for at in bins]


def _stage_times(summary: Mapping[str, Any], manifests: Manifests) -> list[dict[str, Any]]:
    if summary.get("stages"):
        return list(summary["stages"])
    return [{"name": stage.name, "seconds": manifest["seconds"]} for stage, manifest in manifests.items()]


def flatten(name: str, value: Any) -> Iterator[tuple[str, str]]:
    """Settings as dotted names, the way they are given on the command line."""
    if isinstance(value, Mapping) and value:
        for key, inner in value.items():
            yield from flatten(f"{name}.{key}", inner)
    else:
        yield name, samples.visible("none" if value is None else value, LONGEST_SETTING)


def _number(value: float, form: str) -> str:
    return format(value, form) if math.isfinite(value) else "-"


def _template_text(environment: Environment, name: str) -> str:
    return environment.get_template(name).render()


def _content_hash(script: str) -> str:
    digest = hashlib.sha256(script.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"
