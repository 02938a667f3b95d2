"""`selfplay track sync`: uploads to W&B what a run's copy lacks, from the run's own files."""

from pathlib import Path
from typing import Any

from selfplay.config.errors import FAILED, UserError
from selfplay.run.directory import read_run
from selfplay.run.place import refuse_ways_out
from selfplay.tracking import wandb_sink
from selfplay.tracking.mirror import copy_once


class SyncError(UserError):
    """The upload did not come to its end; the message says why."""

    exit_code = FAILED


def sync(
    run_path: Path, project: str | None = None, entity: str | None = None, init_timeout_s: float | None = None
) -> int:
    """Uploads what is missing, whatever the recipe's mode; returns the number of lines that were.

    Args:
        project: another project than the recipe's.
        entity: another user or team.
        init_timeout_s: seconds to wait for the server.

    Raises:
        RunError: the folder holds no run, or a link in it leads elsewhere, to what is not the run's to upload.
        SyncError: the server cannot be reached, has refused, or did not take everything; what it took is kept there.
    """
    refuse_ways_out(run_path)
    recipe: dict[str, Any] = read_run(run_path)
    given = {"project": project, "entity": entity}
    settings = recipe["tracking"]["wandb"] | {name: value for name, value in given.items() if value is not None}
    recipe["tracking"] = recipe["tracking"] | {"wandb": settings}
    timeout = init_timeout_s or wandb_sink.INIT_TIMEOUT_S
    try:
        return copy_once(run_path, "wandb", wandb_sink.WandbSink(run_path, recipe, "online", init_timeout_s=timeout))
    except Exception as error:
        reason = f"{type(error).__name__}: {error}".splitlines()[0][:300]
        raise SyncError(f"wandb: {reason}; the same command goes on from there") from error
