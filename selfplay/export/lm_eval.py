"""An evaluation as the files that lm-evaluation-harness writes, so that tools that read those read ours.

A folder a model, with `results_DATE.json` and a `samples_SUITE_DATE.jsonl` for each suite. Metrics bear our names:
`avg@4` is no `exact_match`, since a verifier judges and not a comparison of texts. DATE is that of the figures, so that
the same evaluation gives the same files.
"""

from __future__ import annotations

import hashlib
import json
import math
import statistics
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from selfplay.evaluation.evaluation_folder import FIGURES, FILE, EvaluationFolder
from selfplay.evaluation.figures import SuiteOutcome
from selfplay.evaluation.measuring import MeasuredProblem
from selfplay.run.files import RunError, whole_file, write_json
from selfplay.run.place import inside
from selfplay.run.tables import plain_row, read_rows

FILTER = "none"
BETTER = {"avg@": True, "pass@": True, "maj@": True, "cut share": False, "not checked": False, "tokens": False}
"""The beginnings of the metrics that are written, and whether more is better."""


def export_lm_eval(evaluation: Path, to: Path) -> list[Path]:
    """Writes an evaluation in the layout of lm-evaluation-harness.

    Args:
        to: a folder that is new or empty.

    Returns:
        The files of results, one a model.

    Raises:
        RunError: it is no evaluation or has no figures yet, or the folder is in use.
        RecordError: a table is damaged.
    """
    if not (evaluation / FIGURES).exists():
        raise RunError(
            f"{evaluation}: has no {FIGURES}; give a folder that `selfplay evaluate` made, and let it end first"
        )
    if to.exists() and (not to.is_dir() or any(to.iterdir())):
        raise RunError(f"{to}: is in use; give a folder that is new or empty")
    folder = EvaluationFolder(evaluation)
    known = folder.about
    made = datetime.fromtimestamp((evaluation / FIGURES).stat().st_mtime, UTC)
    date = made.replace(tzinfo=None).isoformat().replace(":", "-")
    found = []
    for model, outcomes in folder.outcomes().items():
        if not outcomes:
            continue
        own = inside(to, model)
        for suite in outcomes:
            _write_samples(own / f"samples_{suite}_{date}.jsonl", folder.table(model, suite), outcomes[suite], known)
        found.append(own / f"results_{date}.json")
        write_json(found[-1], _results(model, outcomes, known) | {"date": made.timestamp()})
    if not found:
        raise RunError(f"{evaluation / FILE}: names no model with a whole table; let `selfplay evaluate` end first")
    return found


def _results(model: str, outcomes: Mapping[str, SuiteOutcome], known: Mapping[str, Any]) -> dict[str, Any]:
    settings, suites = known["settings"], known["suites"]
    return {
        "results": {suite: {"alias": suite} | dict(_figures(outcome)) for suite, outcome in outcomes.items()},
        "group_subtasks": {suite: [] for suite in outcomes},
        "configs": {suite: _config(suite, suites[suite], settings) for suite in outcomes},
        # The content of a suite is what tells two versions of it apart.
        "versions": {suite: suites[suite]["content"][:12] for suite in outcomes},
        "n-shot": dict.fromkeys(outcomes, 0),
        "higher_is_better": {
            suite: {name: BETTER[_kind(name)] for name in _metrics(of)} for suite, of in outcomes.items()
        },
        "n-samples": {
            suite: {"original": suites[suite]["problems"], "effective": len(outcome.headline)}
            for suite, outcome in outcomes.items()
        },
        "config": {
            "model": settings["engine"]["kind"],
            "model_args": {"pretrained": model, "identity": known["models"][model]["identity"]},
            "gen_kwargs": settings["sampling"] | {"num_return_sequences": settings["samples"]},
            "random_seed": settings["seed"],
        },
        "model_source": "selfplay",
        "model_name": model,
        "versions_of_libraries": known["versions"],
    }


def _figures(outcome: SuiteOutcome) -> Iterator[tuple[str, float | str]]:
    """Each metric with the standard error of its mean over problems."""
    for metric in _metrics(outcome):
        values = [value for value in outcome.values[metric].values() if value is not None]
        yield f"{metric},{FILTER}", statistics.fmean(values) if values else "N/A"
        error = statistics.stdev(values) / math.sqrt(len(values)) if len(values) > 1 else "N/A"
        yield f"{metric}_stderr,{FILTER}", error


def _metrics(outcome: SuiteOutcome) -> list[str]:
    return [name for name in outcome.values if name.startswith(tuple(BETTER))]


def _kind(metric: str) -> str:
    return next(kind for kind in BETTER if metric.startswith(kind))


def _config(suite: str, facts: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "task": suite,
        "dataset_path": facts["source"],
        "doc_to_text": facts["asked"]["solver_template"],
        "output_type": "generate_until",
        "generation_kwargs": settings["sampling"],
        "repeats": settings["samples"],
        "num_fewshot": 0,
        "metadata": {"content": facts["content"], "licence": facts["licence"], "note": facts["note"]},
    }


def _write_samples(file: Path, table: Path, outcome: SuiteOutcome, known: Mapping[str, Any]) -> None:
    with whole_file(file) as written:
        for number, row in enumerate(read_rows(table, MeasuredProblem)):
            line = json.dumps(_sample(number, row, outcome, known), ensure_ascii=False)
            written.write(line.encode("utf-8", "replace") + b"\n")


def _sample(number: int, row: MeasuredProblem, outcome: SuiteOutcome, known: Mapping[str, Any]) -> dict[str, Any]:
    values = plain_row(row)
    metrics = {name: outcome.values[name].get(row.id) for name in _metrics(outcome)}
    settings = known["settings"]
    return {
        "doc_id": number,
        "doc": {"id": row.published, "problem": row.problem, "answer": row.label},
        "target": row.label,
        "arguments": {"gen_args_0": {"arg_0": row.prompt, "arg_1": settings["sampling"]}},
        "resps": [list(row.completions)],
        "filtered_resps": [answer or "" for answer in row.answers],
        "filter": FILTER,
        "metrics": list(metrics),
        "doc_hash": _hash(row.problem),
        "prompt_hash": _hash(row.prompt),
        "target_hash": _hash(row.label),
        **metrics,
        **{name: values[name] for name in ("passed", "statuses", "reasons", "cut", "tokens")},
    }


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()
