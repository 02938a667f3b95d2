"""The page of a battery, as Markdown and as HTML, and the rates that `selfplay plan` can be given."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import yaml
from jinja2 import Environment, StrictUndefined

from benchmarks._gpu.steps import Figures
from selfplay.planning.rates import CARDS

MODEL = "Qwen/Qwen3-0.6B"
"""Whose sizes the random model has."""
HTML = """\
<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{{ title }}</title>
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<style>body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}
table{border-collapse:collapse}td,th{border-bottom:1px solid #ccc;padding:.2rem .8rem .2rem 0;text-align:left}
.not-done{color:#a33}</style></head><body>
<h1>{{ title }}</h1><p>{{ counts }} <code>python -m benchmarks {{ command }}</code> goes on with what waits.</p>
{% for part in parts.values() %}<h2>{{ part.title }}</h2>
{% for sentence in part.sentences %}<p>{{ sentence }}</p>
{% endfor %}{% if part.table.rows %}<table><tr>{% for name in part.table.head %}<th>{{ name }}</th>{% endfor %}</tr>
{% for row in part.table.rows %}<tr>{% for value in row %}<td>{{ value }}</td>{% endfor %}</tr>
{% endfor %}</table>{% endif %}
{% for name, step in part.steps.items() if step.state != "done" %}
<p class="not-done">{{ name }}: {{ step.state }}{% if "sentence" in step %}: {{ step.sentence }}{% endif %}</p>
{% endfor %}{% endfor %}</body></html>
"""


def pages(parts: Figures, title: str, command: str) -> dict[str, str]:
    """The page's two forms by file name.

    Args:
        parts: as `steps.collected` has them.
        title: of the page.
        command: that goes on with the battery.
    """
    states = Counter(step["state"] for part in parts.values() for step in part["steps"].values())
    counts = ", ".join(f"{count} {state}" for state, count in sorted(states.items()))
    said = f"Steps: {counts}."
    page = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True).from_string(HTML)
    return {
        "battery.md": _markdown(parts, title, command, said),
        "battery.html": page.render(parts=parts, title=title, command=command, counts=said),
    }


def _markdown(parts: Figures, title: str, command: str, counts: str) -> str:
    lines = [f"# {_cell(title)}", "", f"{counts} `python -m benchmarks {command}` goes on with what waits.", ""]
    for part in parts.values():
        lines += [f"## {part['title']}", ""]
        for sentence in part["sentences"]:
            lines += [_cell(sentence), ""]
        head, rows = part["table"]["head"], part["table"]["rows"]
        if rows:
            lines += [_line(head), _line(["---"] * len(head)), *map(_line, rows), ""]
        late = [(name, step) for name, step in part["steps"].items() if step["state"] != "done"]
        said = [
            f"{name}: {step['state']}{': ' * ('sentence' in step)}{step.get('sentence', '')}" for name, step in late
        ]
        lines += [*(f"- {_cell(text)}" for text in said), *[""] * bool(said)]
    return "\n".join(lines)


def _line(cells: Sequence[object]) -> str:
    return f"| {' | '.join(map(_cell, cells))} |"


def _cell(text: object) -> str:
    """A text within a line of Markdown: no bars, no marks of HTML, no line of its own."""
    plain = " ".join(str(text).split())
    return plain.replace("|", "\\|").replace("<", "&lt;")


def rates(parts: Figures) -> str | None:
    """A file for `selfplay plan --rates`: tokens a second of the random model; None where none were measured."""
    devices = _figures(parts, "machine", "doctor").get("devices") or [{"name": ""}]
    name = devices[0]["name"].lower()
    card = next((one.name for one in CARDS if one.name.lower() in name), None)
    found = {
        "generate": _figures(parts, "engines", "vllm-bfloat16").get("tokens_per_s"),
        "train": _figures(parts, "training", "sft").get("tokens_per_s"),
    }
    if card is None or not any(found.values()):
        return None
    measured = [
        {"gpu": card, "model": MODEL, "work": work, "tokens_per_s": round(value)}
        for work, value in found.items()
        if value
    ]
    return yaml.safe_dump({"measured": measured}, sort_keys=False)


def _figures(parts: Figures, part: str, step: str) -> Figures:
    found: Figures = parts.get(part, {}).get("steps", {}).get(step, {}).get("figures") or {}
    return found
