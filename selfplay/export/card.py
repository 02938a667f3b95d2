"""The card of an exported data set: how it loads, what is in it, where it comes from, and with which settings."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

import selfplay
from selfplay.config.load import deciding
from selfplay.export.layouts import Ending, Layout, RowSource, base_name, ending_of
from selfplay.report.funnel import prompt_funnel
from selfplay.report.run_tables import RunTables
from selfplay.run.files import write_text

SIZES = [(1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"), (10**7, "1M<n<10M")]
NOT_FOR_OTHERS = ("endpoint", "base_url", "url", "api_key_env", "extra_body", "headers")
"""Settings that may tell of the people who ran it, of their machines, or of their keys."""
ABOUT = {
    "prompts": "problems that curation left, with concepts, rationale, and the label where there is one",
    "generator": "what the prompt model reads and writes: concepts and level to rationale and problem",
    "sft": "what the policy reads, with a completion that agreed with the label or passed its verifier",
    "pairs": "a right and a wrong completion of one prompt",
    "grpo": "what the policy reads, with the whole label, for TRL's GRPOTrainer",
    "verl": "prompts and labels as verl reads them",
    "openrlhf": "prompts and labels as OpenRLHF reads them",
    "openrlhf_pairs": "pairs as OpenRLHF reads them",
    "dropped": "what was lost, with the stage and the reason",
}


def write_card(
    folder: Path,
    source: RowSource,
    recipe: Mapping[str, Any],
    counts: Mapping[Layout, int],
    ending: Ending,
    license_: str,
) -> None:
    """Writes README.md.

    Args:
        ending: of the data files.
        license_: as the hub names it; empty says nothing.
    """
    header = _header(recipe, counts, ending, license_)
    text = yaml.safe_dump(header, sort_keys=False, allow_unicode=True)
    body = "\n\n".join([_title(recipe), _contents(counts), _funnel(source), _provenance(recipe), _settings(recipe)])
    write_text(folder / "README.md", f"---\n{text}---\n\n{body}\n")


def _header(recipe: Mapping[str, Any], counts: Mapping[Layout, int], ending: Ending, license_: str) -> dict[str, Any]:
    total = max(counts.values(), default=0)
    configs = [{"config_name": name, "data_files": f"{name}/*.{ending_of(name, ending)}"} for name in counts]
    if configs:
        configs[0]["default"] = True  # type: ignore[assignment]
    language = recipe["curation"].get("language")
    header = {
        "pretty_name": recipe["name"],
        "license": license_,
        "language": [language] if language else None,
        "task_categories": ["text-generation"],
        "tags": ["synthetic", "promptcot", "selfplay", *recipe["domains"]],
        "size_categories": [next((name for size, name in SIZES if total < size), "10M<n<100M")],
        "configs": configs,
    }
    return {name: value for name, value in header.items() if value}


def _title(recipe: Mapping[str, Any]) -> str:
    domains = ", ".join(recipe["domains"])
    return (
        f"# {recipe['name']}\n\nSynthetic problems ({domains}), made by the run of a recipe of promptcot "
        f"{selfplay.__version__}: concepts are sampled, a prompt model writes a rationale and a problem, gates drop "
        "what is faulty, copied or leaked, and a majority of the policy's own completions gives the label. Labels are "
        "votes: some are wrong."
    )


def _contents(counts: Mapping[Layout, int]) -> str:
    lines = [f"| `{name}` | {count:,} | {ABOUT[name]} |" for name, count in counts.items()]
    return "\n".join(["## Contents", "", "| configuration | rows | what |", "|---|---|---|", *lines])


def _funnel(source: RowSource) -> str:
    lines = ["## What was lost on the way", "", "| step | left | lost |", "|---|---|---|"]
    for step in prompt_funnel(RunTables(source.run), source.rounds):
        lost = "; ".join(f"{reason}: {count:,}" for reason, count in step.lost.items())
        lines.append(f"| {step.name} | {step.total:,} | {lost} |")
    return "\n".join(lines)


def _provenance(recipe: Mapping[str, Any]) -> str:
    model = recipe["model"]
    base = model.get("name") or f"a tiny model from scratch ({model['layers']} layers of {model['hidden_size']})"
    generator = (recipe.get("generator") or {}).get("name")
    written = recipe["synthesis"].get("generator") or {}
    writer = written.get("name") or written.get("model") or generator
    sources = {name: domain["seeds"] for name, domain in recipe["domains"].items()}
    named = {name: one.get("name") or one.get("grammar") or one["kind"] for name, one in sources.items()}
    seeds = ", ".join(f"{name}: {_for_others(what)}" for name, what in named.items())
    lines = [
        f"- base of the policy, which labels: {base_name(str(base))}",
        f"- written by: {base_name(str(writer)) if writer else 'a prompt model that the run trained from the base'}",
        f"- seed problems: {seeds}",
        f"- seed of all chance: {recipe['seed']}; temperature {recipe['synthesis']['sampling']['temperature']}; "
        f"{recipe['synthesis']['passes']} pass(es)",
    ]
    return "\n".join(["## Provenance", "", *lines])


def _settings(recipe: Mapping[str, Any]) -> str:
    text = yaml.safe_dump(_for_others(deciding(dict(recipe))), sort_keys=True, allow_unicode=True)
    summary = "<details><summary>The recipe, without what concerns the machine</summary>"
    return f"## Settings\n\n{summary}\n\n```yaml\n{text}```\n\n</details>"


def _for_others(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _for_others(inner) for name, inner in value.items() if name not in NOT_FOR_OTHERS}
    if isinstance(value, list | tuple):
        return [_for_others(inner) for inner in value]
    return Path(value).name if isinstance(value, str) and value.startswith("/") else value
