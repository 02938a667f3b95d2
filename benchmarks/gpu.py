"""A battery of measurements for a borrowed GPU: forty minutes in calls of eight, each of which goes on with the last.

Parts: the doctor's page; vLLM beside transformers; a GRPO step's seconds by what they went into; the plan's memory
beside measured peaks; training of a random model of Qwen3-0.6B's sizes; FSDP2 over all GPUs; a whole quickstart; GRPO
of SmolLM2. Each step is a process with a time limit. DIR gets `battery.json`, `battery.md`, `battery.html`, and
`rates.yaml` for `selfplay plan --rates`. docs/how-to/gpu-battery.md says more.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks._gpu.page import pages, rates
from benchmarks._gpu.parts import battery, dry, on_gpus
from benchmarks._gpu.steps import Part, Results, collected, run_parts
from selfplay.preflight.doctor.hardware import gpus
from selfplay.run.files import write_json, write_text

LARGE = ("completions", "logprobs")
"""Figures that stay in the steps' own files."""


def run(arguments: Sequence[str]) -> dict[str, Any]:
    """Goes on with the battery for some minutes, and returns all that is known.

    Raises:
        SystemExit: there is no GPU, or no such part; in one sentence.
    """
    parser = argparse.ArgumentParser(prog="gpu", description=__doc__)
    parser.add_argument("--minutes", type=float, default=8.0, help="most minutes of this call")
    parser.add_argument("--dry", action="store_true", help="run everything on this CPU, at sizes that say nothing")
    parser.add_argument("--parts", help="some of them, as in engines,grpo; of these, failed steps are tried again")
    parser.add_argument("--out", type=Path, help="the folder of results; gpu-battery by default")
    smollm2 = Path("models/smollm2-135m-instruct")
    parser.add_argument("--smollm2", type=Path, default=smollm2, metavar="DIR", help=f"its weights; {smollm2}")
    given = parser.parse_args(arguments)
    found, _ = ([], []) if given.dry else gpus(os.environ)
    if not given.dry and not found:
        raise SystemExit("there is no GPU here; --dry runs the battery on this CPU, at sizes that say nothing")
    seen = _visible(len(found))
    all_parts = battery(dry(given.smollm2) if given.dry else on_gpus(seen, given.smollm2))
    out = given.out or Path("gpu-battery-dry" if given.dry else "gpu-battery")
    machine = "dry" if given.dry else f"{seen} of {', '.join(sorted(gpu.name for gpu in found))}"
    results = Results(out, machine)
    # So that what a step has started ends with it, too.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(143))

    def say(text: str) -> None:
        print(text, file=sys.stderr, flush=True)
        write_pages(all_parts, results, machine)

    run_parts(_wanted(all_parts, given.parts), results, given.minutes * 60, given.parts is not None, say)
    return write_pages(all_parts, results, machine)


def _visible(count: int) -> int:
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    return count if chosen is None else len([name for name in chosen.split(",") if name])


def _wanted(parts: list[Part], names: str | None) -> list[Part]:
    if names is None:
        return parts
    known = {part.name: part for part in parts}
    unknown = [name for name in names.split(",") if name not in known]
    if unknown:
        raise SystemExit(f"--parts: there is no part {unknown[0]!r}; there are {', '.join(known)}")
    return [known[name] for name in names.split(",")]


def write_pages(parts: Sequence[Part], results: Results, machine: str) -> dict[str, Any]:
    """Writes the page in its forms, and returns all that is known."""
    found = collected(parts, results)
    if (text := rates(found)) is not None:
        write_text(results.folder / "rates.yaml", text)
    for part in found.values():
        for step in part["steps"].values():
            for name in LARGE:
                step.get("figures", {}).pop(name, None)
    known = {"machine": machine, "parts": found}
    write_json(results.folder / "battery.json", known)
    command = "gpu --dry" if machine == "dry" else "gpu"
    title = "A dry run of the battery: no figure means anything" if machine == "dry" else f"Battery: {machine}"
    for name, text in pages(found, title, f"{command} --out {results.folder}").items():
        write_text(results.folder / name, text)
    return known
