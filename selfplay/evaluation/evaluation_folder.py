"""The folder of an evaluation: what it is of, the tables of each model on each suite, and its figures.

```
DIR/evaluation.json            settings, models, suites and versions
DIR/results/MODEL/SUITE.parquet   a row a problem, and SUITE.json, which says that the table is whole
DIR/figures.json               all figures, with the settings of each
DIR/store/                     finished shards, answers of endpoints and verdicts, by content
```
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from selfplay.config.load import differences
from selfplay.evaluation.figures import Row, SuiteOutcome, outcome_of, overall_rows, suite_rows
from selfplay.evaluation.measuring import MeasuredProblem
from selfplay.run.files import RunError, finite, locked, open_lock, read_json, write_json
from selfplay.run.place import inside, refuse_ways_out
from selfplay.run.tables import write_table
from selfplay.suites.load import Suite

FILE, FIGURES = "evaluation.json", "figures.json"


class EvaluationFolder:
    """An evaluation on disk."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    @contextlib.contextmanager
    def open(cls, path: Path) -> Iterator[EvaluationFolder]:
        """Creates the folder, or goes on with it, and keeps other processes out.

        Raises:
            RunError: another process writes it, it cannot be written, or a link in it leads elsewhere.
        """
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RunError(f"{path}: cannot be written ({error.strerror}); choose another with --out") from error
        refuse_ways_out(path)
        with open_lock(path, os.O_RDWR | os.O_CREAT) as lock:
            if not locked(lock):
                raise RunError(f"{path}: another process writes it; wait for it, or choose another --out")
            yield cls(path)

    @property
    def about(self) -> dict[str, Any]:
        """The content of `evaluation.json`; empty for a new folder. Raises RunError where it is damaged."""
        file = self.path / FILE
        return read_json(file) if file.exists() else {}

    def claim(
        self,
        settings: Mapping[str, Any],
        models: Mapping[str, Any],
        suites: Iterable[Suite],
        versions: Mapping[str, str],
    ) -> None:
        """Makes the folder one of these settings; models and suites come to those that it has measured.

        Raises:
            RunError: it has other settings, another model or another suite of a name.
        """
        # A folder that names no model has measured nothing: what was refused there binds nobody.
        known = self.about if self.about.get("models") else {}
        named = {suite.name: _facts(suite) for suite in suites}
        if changed := differences(known.get("settings", dict(settings)), dict(settings)):
            raise self._refusal(changed)
        for what, new in {"models": models, "suites": named}.items():
            old = known.get(what, {})
            both = sorted(new.keys() & old.keys())
            if changed := [one for name in both for one in differences(_known(old[name]), _known(new[name]), name)]:
                raise self._refusal(changed)
        content = {
            "version": 1,
            "settings": dict(settings),
            "models": known.get("models", {}) | dict(models),
            "suites": known.get("suites", {}) | named,
            "versions": dict(versions),
        }
        write_json(self.path / FILE, content)

    def _refusal(self, changed: list[str]) -> RunError:
        return RunError(
            f"{self.path}: holds an evaluation of something else ({'; '.join(changed)}); give another --out"
        )

    def table(self, model: str, suite: str) -> Path:
        """The table of a model on a suite."""
        return inside(self.path, "results", model, f"{suite}.parquet")

    def is_done(self, model: str, suite: str, key: str) -> bool:
        """Whether that table is whole, and of this key."""
        mark = self.table(model, suite).with_suffix(".json")
        return mark.exists() and self.table(model, suite).exists() and read_json(mark).get("key") == key

    def keep(self, model: str, suite: str, key: str, rows: Iterable[MeasuredProblem]) -> int:
        """Writes a table, and declares it whole; says how many problems it has."""
        count = write_table(self.table(model, suite), MeasuredProblem, rows)
        write_json(self.table(model, suite).with_suffix(".json"), {"key": key, "problems": count})
        return count

    def outcomes(self) -> dict[str, dict[str, SuiteOutcome]]:
        """The outcome of each model on each suite whose table is whole, in the order in which they were named."""
        known = self.about
        return {
            model: {
                suite: outcome_of(self.table(model, suite))
                for suite in known["suites"]
                if self.table(model, suite).with_suffix(".json").exists()
            }
            for model in known["models"]
        }

    def write_figures(self, resamples: int) -> list[Row]:
        """Writes `figures.json` and returns its rows, each with its model, and the settings beside it; None stands for
        what cannot be told, as in the file."""
        known = self.about
        settings, suites = known["settings"], known["suites"]
        rows: list[Row] = []
        for model, outcomes in self.outcomes().items():
            own = [row for name, one in outcomes.items() for row in suite_rows(name, one, resamples, settings["seed"])]
            for row in own + overall_rows(outcomes, resamples, settings["seed"]):
                note = suites.get(row["suite"], {}).get("note", "")
                prompt = suites.get(row["suite"], {}).get("prompt")
                rows.append({"model": model, **row, "note": note, "prompt": prompt, "settings": settings})
        write_json(self.path / FIGURES, {"figures": rows})
        shown: list[Row] = finite(rows)
        return shown


def _known(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Of a model or a suite all that must stay: the hub may have another commit of the same content, and the prompt is
    in `asked`, too."""
    return {name: value for name, value in facts.items() if name not in ("revision", "prompt")}


def _facts(suite: Suite) -> dict[str, Any]:
    """A suite as `evaluation.json` has it: by its content, since its source may hold something else one day."""
    return {
        "source": suite.source,
        "revision": suite.revision,
        "problems": len(suite.problems),
        "content": suite.content,
        "licence": suite.licence,
        "note": suite.note,
        "remark": suite.remark,
        "asked": suite.solving.model_dump(mode="json"),
        "prompt": {"by": suite.wording, "templates": list(suite.prompts)},
    }
