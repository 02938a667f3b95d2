"""An evaluation in Weights & Biases: a run for each model, with its figures as summary and a table for each suite."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

from selfplay.config.errors import UserError
from selfplay.evaluation.evaluation_folder import FIGURES, EvaluationFolder
from selfplay.evaluation.measuring import SHOWN_COLUMNS, shown_rows
from selfplay.run.files import RunError, read_json
from selfplay.run.place import inside
from selfplay.tracking.wandb_sink import INIT_TIMEOUT_S, has_key, keep_files_in, plain_settings

Mode = Literal["offline", "online"]
FOLDER = "wandb"


def export_to_wandb(evaluation: Path, project: str, entity: str | None, mode: Mode) -> list[str]:
    """Sends an evaluation to W&B, or writes its runs below `EVALUATION/wandb` for `wandb sync`.

    A model has one run however often it is sent: its id comes of the evaluation's name and the model's identity.

    Args:
        evaluation: a folder of `selfplay evaluate` that has ended.
        project: that of W&B.
        entity: a user or team; None for the key's own.
        mode: `offline` reaches for nothing.

    Returns:
        The names of the runs.

    Raises:
        RunError: it is no evaluation, has no figures yet, or a link in it leads elsewhere.
        UserError: there is no key, or the server did not take everything.
        RecordError: a table is damaged.
    """
    if not (evaluation / FIGURES).exists():
        raise RunError(
            f"{evaluation}: has no {FIGURES}; give a folder that `selfplay evaluate` made, and let it end first"
        )
    folder = EvaluationFolder(evaluation)
    known, figures = folder.about, read_json(evaluation / FIGURES)["figures"]
    files = inside(evaluation, FOLDER)
    files.mkdir(exist_ok=True)
    keep_files_in(files.resolve())
    import wandb

    if mode == "online" and not has_key(wandb):
        raise UserError("--mode online: there is no key of W&B; run `wandb login`, or take --mode offline")
    try:
        return [_send(folder, model, figures, project, entity, mode) for model in known["models"]]
    except (wandb.errors.Error, TimeoutError) as error:
        reason = " ".join(str(error).split())[:300]
        raise UserError(f"--mode {mode}: W&B did not take everything ({reason}); try again, or take offline") from error


def _send(
    folder: EvaluationFolder,
    model: str,
    figures: Iterable[Mapping[str, Any]],
    project: str,
    entity: str | None,
    mode: Mode,
) -> str:
    """Makes the run of a model, and returns its name."""
    import wandb

    known, evaluation = folder.about, folder.path.resolve()
    facts = known["models"][model]
    tables = {suite: table for suite in known["suites"] if (table := folder.table(model, suite)).exists()}
    name = f"{evaluation.name}/{model}"
    with wandb.init(
        id=hashlib.sha256(f"{name} {facts['identity']}".encode()).hexdigest()[:16],
        name=name,
        group=evaluation.name,
        job_type="evaluation",
        dir=str(evaluation),
        mode=mode,
        project=project,
        entity=entity,
        resume="allow" if mode == "online" else None,
        config={"model": model, **facts, **known["settings"], "suites": dict(_suites(known["suites"], tables))},
        allow_val_change=True,
        settings=plain_settings(wandb, INIT_TIMEOUT_S, system=False),
    ) as run:
        for suite, table in tables.items():
            rows = [list(row) for row in shown_rows(table)]
            # Mixed columns are common (a problem that could not be checked has no pass rate).
            run.log({suite: wandb.Table(columns=list(SHOWN_COLUMNS), data=rows, allow_mixed_types=True)})
        run.summary.update(_summary(row for row in figures if row["model"] == model))
    return name


def _suites(known: Mapping[str, Any], measured: Iterable[str]) -> Any:
    """Of each suite that was measured, where it is from."""
    for name in measured:
        yield name, {key: known[name][key] for key in ("source", "revision", "problems", "content", "licence", "note")}


def _summary(rows: Iterable[Mapping[str, Any]]) -> dict[str, float]:
    """Figures with the ends of their intervals, `SUITE/METRIC` and `SUITE/METRIC/low`."""
    found: dict[str, Any] = {}
    for row in rows:
        where = f"{row['suite']}/{row['metric']}"
        found |= {where: row["value"], f"{where}/low": row["low"], f"{where}/high": row["high"]}
    return {name: value for name, value in found.items() if value is not None}
