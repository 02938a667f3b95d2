"""Figures of an evaluation on the terminal, as rich renders them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table

from selfplay.evaluation.contest_rating import RatingReport
from selfplay.suites.catalogue import PAPER_SUITES, PUBLISHED, PUBLISHED_RATINGS
from selfplay.watching.terminal import plain, table_of
from verifiers.untrusted.shown import shown as shown_text

Row = Mapping[str, Any]
SHARES = ("avg@", "pass@", "maj@", "cut share", "not checked")
FEW_TOKENS = 2
"""Fewer a completion on average hold no answer worth the name: one of them is the end."""
MOSTLY = 0.5


def figures_view(rows: Sequence[Row]) -> RenderableType:
    """A table of all models on all suites, with the settings of the sampling below it."""
    metrics = list(dict.fromkeys(row["metric"] for row in rows if _is_shown(row)))
    table = table_of("model", "suite", "problems", *metrics, left=2)
    found: dict[tuple[str, str], dict[str, Row]] = {}
    for row in rows:
        found.setdefault((row["model"], row["suite"]), {})[row["metric"]] = row
    for (model, suite), own in found.items():
        cells = [shown(own[metric]) if metric in own else "" for metric in metrics]
        problems = str(max(row["n"] for row in own.values()))
        table.add_row(plain(model), plain(suite), problems, *cells)
    notes = dict.fromkeys([*(f"{row['suite']}: {row['note']}" for row in rows if row.get("note")), *_doubts(rows)])
    published = [_published()] if set(PAPER_SUITES) <= {row["suite"] for row in rows} else []
    settings = plain(settings_line(rows[0]["settings"]), "dim")
    return Group(table, *published, settings, *prompt_lines(rows), *(plain(note, "yellow") for note in notes))


def _doubts(rows: Sequence[Row]) -> Iterator[str]:
    """Reasons to think that a figure is one of the settings rather than of the model."""
    for row in rows:
        told = f"{row['model']} on {row['suite']}"
        if row["metric"] == "tokens" and row["value"] < FEW_TOKENS:
            yield f"{told}: {row['value']:.1f} tokens a completion; does --prompt-style (or --template) fit the model?"
        if row["metric"] == "cut share" and row["value"] > MOSTLY:
            cut, most = row["value"], row["settings"]["sampling"]["max_new_tokens"]
            yield f"{told}: {cut:.0%} were cut at {most:,} tokens, and so failed; raise sampling.max_new_tokens"


def prompt_lines(rows: Sequence[Row]) -> list[RenderableType]:
    """By which prompt the problems were put to the models, and whose it is: a line a prompt."""
    suites: dict[tuple[str, str], dict[str, None]] = {}
    for row in rows:
        prompt = row.get("prompt") or {"by": "", "templates": []}
        for template in prompt["templates"]:
            suites.setdefault((template, prompt["by"]), {})[row["suite"]] = None
    said = {f'"{shown_text(text)}" ({by})': ", ".join(names) for (text, by), names in suites.items()}
    return [
        plain(f"prompt of {names}: {it}" if len(said) > 1 else f"prompt: {it}", "dim") for it, names in said.items()
    ]


def _published() -> Table:
    """The paper's figures on the same suites, of its own models and prompts; it gives no intervals."""
    table = table_of("model", *PAPER_SUITES, "Codeforces rating", title="as the paper has it", title_justify="left")
    for model, values in PUBLISHED.items():
        table.add_row(plain(model), *(f"{value:.1f}" for value in values), str(PUBLISHED_RATINGS[model]))
    return table


def shown(row: Row) -> str:
    """A figure, that of avg@k with its interval; shares in percent."""
    if row["value"] is None or row["value"] != row["value"]:
        return "-"
    if not row["metric"].startswith(SHARES):
        return f"{row['value']:,.0f}"
    value = f"{row['value'] * 100:.1f}"
    return f"{value} [{row['low'] * 100:.1f}, {row['high'] * 100:.1f}]" if row["metric"].startswith("avg@") else value


def settings_line(settings: Mapping[str, Any]) -> str:
    """How the completions were drawn, on one line."""
    sampling = settings["sampling"]
    parts = [f"{settings['samples']} completions a problem", f"T {sampling['temperature']:g}"]
    parts += [f"{name} {sampling[name]:g}" for name in ("top_p", "top_k", "min_p") if sampling[name] not in (0, 1)]
    parts += [f"at most {sampling['max_new_tokens']:,} tokens", f"seed {settings['seed']}", settings["engine"]["kind"]]
    parts += [f"YaRN x{settings['yarn']:g}"] if "yarn" in settings else []
    parts += ["a system prompt"] if sampling["system_prompt"] else []
    return "percent, with 95% intervals over problems; " + ", ".join(parts)


def _is_shown(row: Row) -> bool:
    """Of pass@k only that of all samples: the others are in `figures.json`."""
    if row["metric"].startswith("pass@"):
        return bool(row["metric"] == f"pass@{row['settings']['samples']}")
    return row["metric"] not in ("prompt tokens", "seconds of judging") and (
        row["metric"] != "not checked" or bool(row["value"])
    )


def rating_view(model: str, report: RatingReport, of_paper: bool) -> RenderableType:
    """A model's rating, and the contests of which it is made; below it the paper's, where the problems are its."""
    mean, pooled, count = report.mean, report.pooled, len(report.contests)
    lines = [
        plain(f"{model}: {mean.value:.0f} [{mean.low:.0f}, {mean.high:.0f}], the mean over {count} contests", "bold"),
        plain(f"pooled over them: {pooled.value:.0f} [{pooled.low:.0f}, {pooled.high:.0f}]"),
    ]
    table = table_of("contest", "rating", "rank", "people", "solved", "problems", "not tried", left=0)
    for one in report.contests:
        counts = (one.people, one.solved, one.problems, one.missing)
        table.add_row(plain(one.contest), f"{one.rating:.0f}", f"{one.rank:g}", *map(str, counts))
    ratings = ", ".join(f"{name} {rating}" for name, rating in PUBLISHED_RATINGS.items())
    published = [plain(f"as the paper has it, the mean over contests: {ratings}", "dim")] if of_paper else []
    failed = [plain(f"not rated: {contest}: {why}", "yellow") for contest, why in report.failed.items()]
    return Group(*lines, table, *published, *failed)
