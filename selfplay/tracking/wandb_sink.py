"""The copy in Weights & Biases: one run, whatever sessions it takes, in which nothing is twice and nothing is missing.

W&B's own step of a line is its number in `metrics.jsonl`. A server says, when a run is resumed, which step it has last;
copying goes on after it, however the session before ended. Tables and artifacts travel apart from the history: those of
a session that did not see its end are sent again, which costs little, since W&B knows equal content by its hash.
"""

from __future__ import annotations

import itertools
import os
import re
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from selfplay.run.files import RunError, read_json, write_json, write_text
from selfplay.run.place import inside
from selfplay.tracking import artifacts
from selfplay.tracking.metric_log import METRICS_FILE, TABLES_FOLDER, Follower, MetricLine, values_of
from selfplay.tracking.surroundings import surroundings
from verifiers.untrusted.files import json_rows, read_text

INIT_TIMEOUT_S = 15.0
FINISH_TIMEOUT_S = 30.0
TABLE_ROWS = 2000
"""Most rows of a table that go to W&B; the local copy has them all."""


class WandbSink:
    """A W&B run that continues the one of earlier sessions.

    Args:
        recipe: the resolved recipe, which becomes the run's config.
        mode: `online` or `offline`.
        lines_before: lines of `metrics.jsonl` when this session began, where one did.
        init_timeout_s: seconds to wait for the server.
    """

    def __init__(
        self,
        run_path: Path,
        recipe: Mapping[str, Any],
        mode: Literal["online", "offline"],
        lines_before: int | None = None,
        init_timeout_s: float = INIT_TIMEOUT_S,
    ) -> None:
        self._run_path = run_path
        self._recipe = recipe
        self._settings = recipe["tracking"]["wandb"]
        self._mode = mode
        self._init_timeout_s = init_timeout_s
        self._run: Any = None
        self._staged: set[str] = set()
        self._file = run_path / "wandb" / "mirror.json"
        self._state = _read_state(self._file)
        self._sent: set[int] = set()
        self._count = 0
        """Lines that were given so far."""
        self._shift = int(self._state["shift"])
        self._lines_before = lines_before

    def has_all(self, count: int) -> bool:
        """Whether that was noted: offline as it is copied, online once a session has ended well."""
        return int(self._state["offline_lines" if self._mode == "offline" else "online_lines"]) >= count

    def start(self) -> int:
        """Opens or resumes the run.

        Raises:
            RuntimeError: there is no key.
        """
        keep_files_in(self._run_path.resolve() / "wandb")
        import wandb

        online = self._mode == "online"
        if online and not has_key(wandb):
            raise RuntimeError("there is no API key (run `wandb login`, or set tracking.wandb.mode=offline)")
        self._run = wandb.init(
            id=_run_id(self._run_path),
            name=self._recipe["name"],
            dir=str(self._run_path),
            mode=self._mode,
            project=self._settings["project"],
            entity=self._settings["entity"],
            # Offline runs have nothing to resume from; runs of one id are joined when they are synced.
            resume="allow" if online else None,
            group=self._settings.get("group"),
            tags=self._settings.get("tags") or None,
            config=dict(self._recipe) | ({"made_with": surroundings()} if self._settings.get("system") else {}),
            allow_val_change=True,
            settings=plain_settings(wandb, self._init_timeout_s, bool(self._settings.get("system"))),
        )
        for kind in ("em", "evaluation"):
            self._run.define_metric(f"{kind}/*", step_metric=f"{kind}/round")
        if not online:
            return int(self._state["offline_lines"])
        first = int(self._run.starting_step)
        if self._lines_before is not None and first - self._shift > self._lines_before:
            # A power cut took lines from the disk that the server has: new ones must not be taken for those.
            self._shift = self._state["shift"] = first - self._lines_before
            write_json(self._file, self._state)
        self._send_again(first)
        return max(0, first - self._shift)

    def _send_again(self, first: int) -> None:
        """Sends the tables and artifacts before step `first` of which nobody knows that they arrived."""
        lines = Follower(self._run_path / METRICS_FILE).new()
        for number, row in itertools.islice(lines, first - self._shift):
            if not isinstance(row, dict) or number in self._state["arrived"]:
                continue
            if "table" in row:
                file = inside(self._run_path, TABLES_FOLDER, f"{row['table']}.jsonl")
                # Of a series the last one stays, since all go to one step now.
                self._log(self._table(file, row.get("series") or row["table"]), first - self._shift, commit=False)
                self._sent.add(number)
            elif "done" in row:
                self._artifacts(row["stage"], row["done"])
                self._sent.add(number)

    def metrics(self, number: int, line: MetricLine, histograms: Mapping[str, Any]) -> None:
        """Logs numbers and histograms under the stage's name, over its own steps where it has any, and over rounds."""
        import wandb

        if not (line.metrics or histograms):
            return
        values = values_of(number, line)
        for name, shape in histograms.items():
            pair = (list(shape["counts"]), list(shape["edges"]))
            values[f"{line.stage}/{name}"] = wandb.Histogram(np_histogram=pair)
        if line.step is not None and line.stage not in self._staged:
            self._staged.add(line.stage)
            self._run.define_metric(f"{line.stage}/step", hidden=True)
            self._run.define_metric(f"{line.stage}/*", step_metric=f"{line.stage}/step")
        self._log(values, number)

    def table(self, number: int, name: str, file: Path) -> None:
        """Logs a table's first rows."""
        self._log(self._table(file, name), number)
        self._sent.add(number)

    def done(self, number: int, stage: str, done: Mapping[str, Any]) -> None:
        """Logs a stage's counts, and its tables and models as artifacts."""
        figures = {"seconds": done["seconds"]} | funnel_counts(done["counts"])
        self._log({f"done/{stage}/{name}": value for name, value in figures.items()}, number)
        self._artifacts(stage, done)
        self._sent.add(number)

    def alarm(self, number: int, name: str, text: str) -> None:
        """Sends an alert."""
        self._log({f"alarms/{name}": 1}, number)
        self._run.alert(title=name.replace("_", " "), text=text, level="WARN")

    def summary(self, number: int, summary: Mapping[str, Any]) -> None:
        """Puts the closing figures into the run's summary."""
        self._run.summary.update(_flat(summary))

    def flush(self, count: int) -> None:
        """Notes how far an offline copy is."""
        self._count = count
        if self._mode == "offline" and count > self._state["offline_lines"]:
            self._state["offline_lines"] = count
            write_json(self._file, self._state)

    def finish(self, failed: bool) -> None:
        """Ends the run, and notes what has arrived.

        Raises:
            TimeoutError: the server did not take everything in time.
        """
        self._run.finish(exit_code=1 if failed else 0)
        if self._mode == "online":
            self._state["arrived"] = sorted({*self._state["arrived"], *self._sent})
            self._state["online_lines"] = self._count
            write_json(self._file, self._state)

    def _log(self, values: dict[str, Any], number: int, commit: bool = True) -> None:
        if values:
            self._run.log(values, step=number + self._shift, commit=commit)

    def _table(self, file: Path, name: str) -> dict[str, Any]:
        import wandb

        if not file.exists():
            return {}
        rows = [row for _, row in itertools.islice(json_rows(file, RunError), TABLE_ROWS)]
        columns = list(dict.fromkeys(key for row in rows for key in row))
        data = [[row.get(column) for column in columns] for row in rows]
        # Mixed columns are common (an answer may be absent), and wandb refuses them unless told so.
        return {name: wandb.Table(columns=columns, data=data, allow_mixed_types=True)}

    def _artifacts(self, stage: str, done: Mapping[str, Any]) -> None:
        for wanted in artifacts.of_stage(self._run_path, stage, done["kind"], self._recipe, done["counts"]):
            import wandb

            artifact = wandb.Artifact(wanted.name, type=wanted.kind, metadata=wanted.metadata)
            for name, file in wanted.files:
                # What a stage has made does not change any more: no copy of it is needed.
                artifact.add_file(str(file), name=name, policy="immutable", skip_cache=True)
            if wanted.is_input and self._mode == "online":
                self._run.use_artifact(artifact)
            else:
                self._run.log_artifact(artifact, aliases=[stage])


def funnel_counts(counts: Mapping[str, Any]) -> dict[str, float]:
    """A stage's counts as numbers, and how many it lost for each reason."""
    lost = counts.get("lost")
    reasons = lost.items() if isinstance(lost, dict) else ()
    numbers = {name: value for name, value in counts.items() if isinstance(value, int | float)}
    return numbers | {f"lost/{reason}": count for reason, count in reasons}


def _read_state(file: Path) -> dict[str, Any]:
    empty: dict[str, Any] = {"offline_lines": 0, "online_lines": 0, "arrived": [], "shift": 0}
    return empty | (read_json(file) if file.exists() else {})


def keep_files_in(folder: Path) -> None:
    """Has wandb be silent and stage its files in a folder, which it reads from the environment, before its import."""
    os.environ["WANDB_SILENT"] = "true"
    # What began this process may have a service of W&B's own, which holds its runs: one of that name would be in use.
    os.environ.pop("WANDB_SERVICE", None)
    # Tables are staged in the user's home unless told otherwise, and a run writes to its own directory only.
    os.environ["WANDB_DATA_DIR"] = str(folder / "data")
    os.environ["WANDB_CACHE_DIR"] = str(folder / "cache")


def has_key(wandb: Any) -> bool:
    """Whether a key of W&B is here; without one, wandb.init asks for it on the terminal and waits."""
    return bool(wandb.login(prompt=False, verify=False))


def plain_settings(wandb: Any, init_timeout_s: float, system: bool) -> Any:
    """Settings of a run of W&B that says nothing on the terminal, and nothing of the machine unless `system` is set."""
    # Neither the user's code nor what the machine is called and prints goes along.
    return wandb.Settings(
        init_timeout=init_timeout_s,
        finish_timeout=FINISH_TIMEOUT_S,
        finish_timeout_raises=True,
        silent=True,
        console="off",
        save_code=False,
        disable_code=True,
        disable_git=True,
        disable_job_creation=True,
        host="",
        program="selfplay",
        x_disable_meta=True,
        x_disable_machine_info=not system,
        x_disable_stats=not system,
        x_save_requirements=False,
    )


def _run_id(run_path: Path) -> str:
    """The run's W&B id. Its random part keeps two directories of one name apart in a shared project."""
    file = run_path / "wandb" / "run_id"
    if not file.exists():
        name = re.sub(r"[^A-Za-z0-9_-]+", "-", run_path.resolve().name)[:64]
        write_text(file, f"{name}-{uuid.uuid4().hex[:8]}\n")
    return read_text(file, RunError).strip()


def _flat(summary: Mapping[str, Any]) -> dict[str, Any]:
    """Rows as scalars, which W&B's summary shows best: `evaluation/<round>/<domain>/<metric>/value`."""
    flat: dict[str, Any] = {}
    for name, value in summary.items():
        if isinstance(value, list):
            flat.update(_flat_rows(name, value))
        else:
            flat[name] = value
    return flat


def _flat_rows(name: str, rows: Sequence[Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for row in rows:
        if not isinstance(row, Mapping):
            continue
        labels = [str(row[key]) for key in ("round", "domain", "metric", "name") if key in row]
        numbers = {k: v for k, v in row.items() if isinstance(v, int | float) and k not in ("round", "n")}
        flat.update({"/".join((name, *labels, k)): v for k, v in numbers.items()})
    return flat
