"""A comparison on the terminal, as rich renders it."""

from __future__ import annotations

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from selfplay.cli.views import LONGEST, block
from selfplay.evaluation.compared import Compared
from selfplay.evaluation.comparison import Against, Flip, ModelComparison
from selfplay.evaluation.difference import Difference
from selfplay.evaluation.figures import ALL
from selfplay.evaluation.metrics import Estimate
from selfplay.watching.terminal import plain

MOST_SETTINGS = 12
LONGEST_NAME = 24
"""Characters of a model's name that stay on one line, however many suites there are."""


def comparison_view(found: ModelComparison, whole: bool = False) -> RenderableType:
    """Figures, then each model against the first."""
    first, *_ = found.models
    longest = None if whole else LONGEST
    parts: list[RenderableType] = [_figures(found)]
    for one in found.against:
        parts += [Text(), plain(f"{one.name} against {first.name}", "bold"), *_sentences(one), *_settings(one)]
        parts.append(plain(f"Went the other way: {one.won} won, {one.lost} lost", "bold"))
        parts += [_flip(flip, first, one, longest) for flip in one.flips]
    return Group(*parts)


def _figures(found: ModelComparison) -> Table:
    """A row a model, a column a suite, in percent."""
    suites = [
        suite for suite in (*found.suites, ALL) if any((one.name, suite) in found.figures for one in found.models)
    ]
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    # What tells the models apart must be seen; figures may take several lines.
    longest = max(len(model.name) for model in found.models)
    table.add_column("percent", min_width=min(longest, LONGEST_NAME), overflow="fold")
    for suite in suites:
        table.add_column(plain(suite), justify="right")
    for model in found.models:
        cells = [_percent(found.figures.get((model.name, suite))) for suite in suites]
        table.add_row(plain(f"{model.name}{' (best)' if model.best else ''}"), *cells)
    return table


def _percent(one: Estimate | None) -> str:
    if one is None or not one.n:
        return ""
    return f"{one.value * 100:.1f} [{one.low * 100:.1f}, {one.high * 100:.1f}]"


def _sentences(one: Against) -> list[Text]:
    return [plain(f"{suite}: {found.sentence}", _colour(found)) for suite, found in one.differences.items()]


def _colour(found: Difference) -> str:
    if not found.told_apart:
        return ""
    return "green" if found.value > 0 else "red"


def _settings(one: Against) -> list[Text]:
    """Settings that differ; where there are many, the page has all of them."""
    lines = [plain(f"  {line}", "dim") for line in one.settings[:MOST_SETTINGS]]
    left = len(one.settings) - MOST_SETTINGS
    more = [plain(f"  and {left} more, which --html shows", "dim")] if left > 0 else []
    return [plain("Settings that differ:", "dim"), *lines, *more] if lines else []


def _flip(flip: Flip, first: Compared, second: Against, longest: int | None) -> RenderableType:
    """A problem, and a completion of each model that shows the change."""
    title = plain(f"{'won' if flip.won else 'lost'} ", "green" if flip.won else "red")
    title.append_text(plain(f"{flip.suite}: {flip.before:.0%} -> {flip.after:.0%}", "bold"))
    problem = block(flip.first.problem, longest)
    if flip.first.label:
        problem.append("\n").append_text(plain(f"label {flip.first.label}", "bold"))
    table = Table(box=SIMPLE_HEAD, padding=(0, 1), expand=True)
    for name in (first.name, second.name):
        table.add_column(plain(name), ratio=1, overflow="fold")
    sides = (flip.first.one_that(not flip.won), flip.second.one_that(flip.won))
    table.add_row(*(_side(text, reason, longest) for text, reason in sides))
    return Group(title, problem, table)


def _side(text: str, reason: str, longest: int | None) -> Text:
    shown = block(text, longest)
    return shown.append("\n").append_text(plain(reason, "dim")) if reason else shown
