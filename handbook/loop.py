"""The method as a picture, `docs/assets/loop.svg`, readable on light and on dark pages."""

from __future__ import annotations

from html import escape
from typing import NamedTuple

WIDTH, HEIGHT = 960, 330
BOX_WIDTH, BOX_HEIGHT = 140, 52
STYLE = """
  text { font: 14px system-ui, sans-serif; fill: #1f2328; text-anchor: middle }
  .small { font-size: 12px; fill: #59636e }
  rect { fill: #f6f8fa; stroke: #8c959f }
  .model { fill: #ddf4ff; stroke: #0969da }
  path { fill: none; stroke: #59636e; stroke-width: 1.5; marker-end: url(#head) }
  marker path { fill: #59636e; stroke: none; marker-end: none }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 } .small { fill: #9198a1 } rect { fill: #151b23; stroke: #656c76 }
    .model { fill: #0c2d4d; stroke: #4493f8 } path { stroke: #9198a1 } marker path { fill: #9198a1 }
  }
"""


class Box(NamedTuple):
    """A thing of the loop: its middle in pixels, its name, a word below, and whether it is a model."""

    x: int
    y: int
    name: str
    note: str = ""
    model: bool = False


class Arrow(NamedTuple):
    """A line through places in pixels, with a word beside it."""

    path: str
    note: str = ""
    x: int = 0
    y: int = 0


BOXES = (
    Box(90, 60, "concepts", "drawn together"),
    Box(285, 60, "prompt model p", "writes", model=True),
    Box(480, 60, "problem", "with its rationale"),
    Box(675, 60, "gates", "duplicates, leaks"),
    Box(870, 60, "labels", "by votes"),
    Box(90, 260, "seeds", "your problems"),
    Box(285, 260, "rationale model q", "explains", model=True),
    Box(480, 260, "update", "GRPO, DPO or rft"),
    Box(675, 260, "verdicts", "by machine"),
    Box(870, 260, "policy", "rolls out", model=True),
)
ARROWS = (
    Arrow("M160 60 H215"),
    Arrow("M355 60 H410"),
    Arrow("M550 60 H605"),
    Arrow("M745 60 H800"),
    Arrow("M890 86 V232", "tasks", 912, 164),
    Arrow("M850 234 V88", "votes", 828, 164),
    Arrow("M800 260 H747", "rollouts", 773, 250),
    Arrow("M605 260 H552", "rewards", 578, 250),
    Arrow("M480 286 V312 H870 V288", "new weights", 675, 306),
    Arrow("M90 234 V88"),
    Arrow("M160 260 H213", "cold start", 187, 228),
    Arrow("M275 234 V88", "M: p learns from them", 200, 166),
    Arrow("M295 86 V232", "E: p picks the best of K", 372, 166),
)


def loop_picture() -> str:
    """The picture as SVG."""
    head = '<marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" orient="auto">'
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-labelledby="title">',
        '<title id="title">Concepts become problems, problems tasks, and verdicts new weights of the policy</title>',
        f"<style>{STYLE}</style>",
        f'<defs>{head}<path d="M0 0 L8 4 L0 8 Z"/></marker></defs>',
        *(line for arrow in ARROWS for line in _arrow(arrow)),
        *(line for box in BOXES for line in _box(box)),
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def _arrow(arrow: Arrow) -> list[str]:
    drawn = [f'<path d="{arrow.path}"/>']
    if arrow.note:
        drawn.append(f'<text class="small" x="{arrow.x}" y="{arrow.y}">{escape(arrow.note)}</text>')
    return drawn


def _box(box: Box) -> list[str]:
    kind = ' class="model"' if box.model else ""
    left, top = box.x - BOX_WIDTH // 2, box.y - BOX_HEIGHT // 2
    return [
        f'<rect{kind} x="{left}" y="{top}" width="{BOX_WIDTH}" height="{BOX_HEIGHT}" rx="6"/>',
        f'<text x="{box.x}" y="{box.y - 2}">{escape(box.name)}</text>',
        f'<text class="small" x="{box.x}" y="{box.y + 16}">{escape(box.note)}</text>',
    ]
