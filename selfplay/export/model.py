"""Pushes the policy of a finished run to the hub, its trained weights too, with a card of its origin and figures."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

import selfplay
from selfplay.config.recipe import Recipe
from selfplay.config.section import PretrainedModel
from selfplay.engines.base import MASTERS
from selfplay.engines.model_files import ADAPTER
from selfplay.export.hub import push_folder
from selfplay.run.files import read_json, write_json, write_text

PUSHED = "pushed.json"
OURS = ("fingerprint.json",)
"""Files of a model's folder that mean something in its run only."""
EXACT = (
    f"`{MASTERS}` has the weights as they were trained (in float32, or a LoRA adapter), of which these are rounded: "
    "train on from there."
)


def push_best(run: Path, recipe: Recipe, summary: Mapping[str, Any]) -> str | None:
    """Pushes the best policy where the recipe names a place, unless that has been done; returns its address.

    Nothing goes where the base is the best: it is somebody's own already.

    Raises:
        HubError: the hub did not take it; the run itself is finished all the same.
    """
    name, best = recipe.training.push_to_hub, summary["best"]
    folder = Path(best["place"])
    if name is None or not (folder / OURS[0]).is_file():
        return None
    mark = {"name": name, "model": read_json(folder / OURS[0])["sha256"]}
    done = run / PUSHED
    if done.exists() and mark.items() <= (known := read_json(done)).items():
        return str(known["address"])
    with tempfile.TemporaryDirectory(prefix="selfplay-push-") as scratch:
        _lay_out(folder, Path(scratch))
        card = Path(scratch, "README.md")
        card.unlink(missing_ok=True)
        write_text(card, model_card(recipe, summary, exact=(folder / MASTERS).is_dir()))
        address = push_folder(Path(scratch), name, private=True, kind="model")
    write_json(done, mark | {"address": address})
    return address


def _lay_out(folder: Path, scratch: Path) -> None:
    """The files of an upload: links, since weights are large and need not be copied."""
    for file in sorted((*folder.iterdir(), *folder.glob(f"{MASTERS}/*"))):
        if not file.is_file() or file.name in OURS:
            continue
        link = scratch / file.relative_to(folder)
        link.parent.mkdir(exist_ok=True)
        if file.name == ADAPTER:
            # Folders of this machine stay here.
            known = read_json(file)
            base = Path(str(known.get("base_model_name_or_path")))
            write_json(link, known | ({"base_model_name_or_path": base.name} if base.is_dir() else {}))
        else:
            link.symlink_to(file.resolve())


def model_card(recipe: Recipe, summary: Mapping[str, Any], exact: bool = False) -> str:
    """The card's text, with the run's own figures and no others; `exact` where the masters are there, too."""
    base = recipe.model.name if isinstance(recipe.model, PretrainedModel) else None
    header = {
        "base_model": base,
        "library_name": "transformers",
        "pipeline_tag": "text-generation",
        "tags": ["promptcot", "selfplay", recipe.training.algorithm, *recipe.domains],
    }
    head = yaml.safe_dump({name: value for name, value in header.items() if value}, sort_keys=False, allow_unicode=True)
    number = int(summary["best"]["round"])
    which = f"round {number}" if number else "the base, which no round improved on"
    lines = [
        f"# {recipe.name}",
        f"Trained by `{recipe.training.algorithm}` with promptcot {selfplay.__version__}, seed {recipe.seed}; this is "
        f"{which}, chosen by {summary['best']['chosen_by']}.",
        *([EXACT] if exact else []),
        "Held-out accuracy, with 95% intervals over problems:",
        _figures(summary["evaluation"], number),
    ]
    return f"---\n{head}---\n\n" + "\n\n".join(lines) + "\n"


def _figures(rows: Sequence[Mapping[str, Any]], number: int) -> str:
    table = ["| domain | metric | before | this model | problems |", "|---|---|---|---|---|"]
    found = {(row["round"], row["domain"], row["metric"]): row for row in rows}
    for (at, domain, metric), row in found.items():
        if at == number:
            before = found.get((0, domain, metric), row)
            table.append(f"| {domain} | {metric} | {_range(before)} | {_range(row)} | {row['n']} |")
    return "\n".join(table)


def _range(row: Mapping[str, Any]) -> str:
    value, low, high = (math.nan if row[name] is None else row[name] for name in ("value", "low", "high"))
    return f"{value:.1%} [{low:.1%}, {high:.1%}]" if math.isfinite(value) else "not measured"
