"""What each part of the battery says: figures of its steps side by side, as sentences and a table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from benchmarks._gpu.engine_arm import compared
from benchmarks._gpu.steps import Figures, Told
from benchmarks.plan_memory import beside_plan

Done = Mapping[str, Figures]
"""The figures of the steps that are done, by name."""
SPLIT = {
    "whole_s": "whole step",
    "generation_s": "generation, with sync and probe",
    "sampling/sync_s": "of it sync",
    "sampling/probe_s": "of it probe",
    "reward_s": "reward",
    "update_s": "update",
}


def of_machine(done: Done) -> Told:
    """The doctor's findings, and two rates."""
    found = done["doctor"]
    rows = [(one["state"], one["subject"], one["detail"]) for one in found["findings"]]
    rates = [f"{name} {value / 1e12:.3g}e12 operations/s" for name, value in found["flops"].items()]
    names = ", ".join(f"{one['name']} ({one['bytes'] / 2**30:.0f} GiB)" for one in found["devices"]) or "no GPU"
    told = [
        f"{names}; torch {found['torch']}.",
        f"{', '.join(rates)}; copies {found['bytes_per_s'] / 1e12:.3g}e12 B/s.",
    ]
    return Told(told, ("state", "subject", "detail"), rows)


def of_engines(done: Done) -> Told:
    """Tokens a second of both engines in each format, and whether they say the same."""
    rows = [
        (*_engine_and_format(name), str(one["at_once"]), f"{one['tokens_per_s']:,.0f}", f"{one['opening_s']:.1f}")
        for name, one in done.items()
    ]
    told = []
    for name, ours in done.items():
        engine, dtype = _engine_and_format(name)
        theirs = done.get(f"transformers-{dtype}")
        if engine == "vllm" and theirs is not None:
            told += _beside(dtype, ours, theirs)
    return Told(told, ("engine", "format", "at once", "tokens/s", "opening s"), rows)


def _engine_and_format(name: str) -> tuple[str, str]:
    engine, _, dtype = name.partition("-")
    return engine, dtype


def _beside(dtype: str, ours: Figures, theirs: Figures) -> list[str]:
    same = compared(ours, theirs)
    ratio = ours["tokens_per_s"] / theirs["tokens_per_s"]
    apart = (
        "" if same["nats_apart_max"] is None else f", where they are {same['nats_apart_max']:.2g} nats apart at most"
    )
    return [
        f"{dtype}: {same['equal']} of {same['completions']} greedy completions are equal; "
        f"{same['tokens_before_they_part']} of {same['tokens']} tokens come before two part{apart}.",
        f"{dtype}: vLLM makes {ratio:.2f} times transformers' tokens a second.",
    ]


def of_grpo(done: Done) -> Told:
    """The seconds of a step by what they went into."""
    rows = [
        (label, *(f"{one[key]:.3f}" if key in one else "" for one in done.values()))
        for key, label in SPLIT.items()
        if any(key in one for one in done.values())
    ]
    rows.append(("peak, MB", *(f"{one['peak_mb']:,}" for one in done.values())))
    told = ["Seconds, medians of all steps but the first; every completion has the same length."]
    if len(done) == 2:
        ours, theirs = done["vllm"], done["transformers"]
        told.append(f"A step by vLLM takes {ours['whole_s'] / theirs['whole_s']:.2f} times one by transformers.")
        share = (ours["sampling/sync_s"] + ours["sampling/probe_s"]) / ours["whole_s"]
        told.append(
            f"Sync and probe are {share:.1%} of it; engine and trainer differ by at most "
            f"{ours['sampling/probe/max']:.2g} nats on the probe."
        )
    return Told(told, ("", *done), rows)


def of_memory(done: Done) -> Told:
    """What `selfplay plan` would say, and what was held."""
    rows, off = [], []
    for name, one in done.items():
        found = beside_plan(one)
        off.append(abs(found["ratio"] - 1))
        figures = (f"{found['measured_mb']:,.0f}", f"{found['predicted_mb']:,.0f}", f"{found['ratio']:.2f}")
        rows.append((name, f"{found['parameters'] / 1e6:,.0f}M", *figures))
    told = [f"The plan is {max(off):.0%} off at most."]
    return Told(told, ("work", "parameters", "measured MB", "planned MB", "planned/measured"), rows)


def of_ranks(done: Done) -> Told:
    """Memory of a rank and speed of a training, whole or spread."""
    rows = []
    for name, one in done.items():
        size = f"{one['sequences']} x {one['tokens']}"
        held = (f"{one[key] / 1e6:,.0f}" for key in ("states", "peak", "predicted"))
        rows.append((name, str(one["ranks"]), size, *held, f"{one['step_s']:.3f}", f"{one['tokens_per_s']:,.0f}"))
    told = []
    if "fsdp2" in done and "none" in done:
        ours, whole = done["fsdp2"], done["none"]
        told.append(
            f"A rank holds {ours['states'] / whole['states']:.3f} of the states that it holds unsharded, and a "
            f"step takes {ours['step_s'] / whole['step_s']:.2f} times as long."
        )
    head = ("", "ranks", "batch", "states MB a rank", "peak MB a rank", "planned MB", "step s", "tokens/s")
    return Told(told, head, rows)


def of_run(done: Done) -> Told:
    """Seconds of a run's stages, and how its accuracy moved."""
    names = dict.fromkeys(stage["name"] for one in done.values() for stage in one["stages"])
    taken = [{stage["name"]: stage["seconds"] for stage in one["stages"]} for one in done.values()]
    rows = [(name, *(f"{own[name]:.1f}" if name in own else "" for own in taken)) for name in names]
    rows.append(("all", *(f"{one['total_s']:.1f}" for one in done.values())))
    told = [sentence for name, one in done.items() for sentence in _gains(name, one["gains"])]
    return Told(["Seconds by stage.", *told], ("stage", *done), rows)


def _gains(step: str, gains: list[dict[str, Any]]) -> list[str]:
    last = max((row["round"] for row in gains), default=0)
    return [
        f"{step}: {row['domain']} {row['metric']} {row['value']:+.3f} [{row['low']:+.3f}, {row['high']:+.3f}] after "
        f"round {last}."
        for row in gains
        if row["round"] == last and row["value"] is not None and "avg" in row["metric"]
    ]
