"""Mutation testing: `python -m tests.mutation.run [FOLDER ...] [--each N] [--seed N] [--again RESULTS]`.

Needs mutmut (the extra `mutants`), which is set up in pyproject.toml: it copies the tree to `mutants/`, finds out which
tests run which function, and runs those against each mutant in a fork of a process that has loaded the libraries. Here
a seeded sample is drawn, and the verdicts become `mutants/results.json` and a table. Mutants that change nothing are
listed in equivalent.yaml, each with its reason.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import yaml

from tests.mutation.sample import FOLDERS, Mutant, mutants, sample

RESULTS, LOG = Path("mutants/results.json"), Path("mutants/mutmut.log")
EQUIVALENT = Path(__file__).with_name("equivalent.yaml")
LEAST_KILLED = 0.85
KILLED = ("killed", "timeout", "segfault")


def main() -> int:
    """Runs a sample and tells of it; returns 1 where too few mutants were killed."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutation.run", description=__doc__)
    parser.add_argument("folders", nargs="*", help=f"of {', '.join(FOLDERS)}; all by default")
    parser.add_argument("--each", type=int, default=60, help="mutants of each folder, at most")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--again", type=Path, help="results of before: run only what survived then")
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    arguments = parser.parse_args()
    unknown = [name for name in arguments.folders if name not in FOLDERS]
    if unknown:
        parser.error(f"no folder {unknown[0]!r}; there are: {', '.join(FOLDERS)}")
    chosen = [
        mutant
        for folder in arguments.folders or FOLDERS
        for mutant in sample(mutants(folder), arguments.each, arguments.seed)
    ]
    if arguments.again:
        chosen = survivors_of(chosen, json.loads(arguments.again.read_text()))
    rows = [asdict(mutant) | {"status": status} for mutant, status in _run(chosen, arguments.processes)]
    rows = mark_equivalent(rows, yaml.safe_load(EQUIVALENT.read_text()))
    RESULTS.write_text(json.dumps(rows, indent=1, ensure_ascii=False) + "\n")
    return told(rows)


def _run(chosen: Sequence[Mutant], processes: int) -> list[tuple[Mutant, str]]:
    """Each mutant with mutmut's word for what became of it."""
    from mutmut.mutation.data import SourceFileMutationData
    from mutmut.stats import status_by_exit_code

    command = [str(Path(sys.executable).with_name("mutmut")), "run", "--max-children", str(processes)]
    # The mutated tree alone, also in processes that tests start.
    environment = os.environ | {"PYTHONPATH": str(LOG.parent.resolve())}
    print(f"running {len(chosen)} mutants; {LOG} tells how far it is", flush=True)
    LOG.parent.mkdir(exist_ok=True)
    with LOG.open("w") as log:
        done = subprocess.run(
            [*command, *(m.name for m in chosen)], check=False, env=environment, stdout=log, stderr=log
        )
    if done.returncode:
        raise SystemExit(f"mutmut could not run; see the end of {LOG}")
    exits: dict[str, int | None] = {}
    for file in {file for folder in FOLDERS.values() for file in Path().glob(folder)}:
        data = SourceFileMutationData(path=file)
        data.load()
        exits |= data.exit_code_by_key
    return [(mutant, status_by_exit_code[exits[mutant.name]]) for mutant in chosen]


def survivors_of(chosen: Sequence[Mutant], rows: Sequence[dict[str, Any]]) -> list[Mutant]:
    """The mutants that no test noticed before; their numbers may have changed since, their text has not."""
    text = ("function", "old", "new")
    missed = [[row[key] for key in text] for row in rows if row["status"] not in (*KILLED, "equivalent")]
    return [mutant for mutant in chosen if [getattr(mutant, key) for key in text] in missed]


def mark_equivalent(rows: Sequence[dict[str, Any]], listed: Sequence[dict[str, str]]) -> list[dict[str, Any]]:
    """The rows, those that survived for a listed reason marked `equivalent`."""
    reasons = {(entry["function"], entry["old"], entry["new"]): entry["why"] for entry in listed}
    found = []
    for row in rows:
        why = reasons.get((row["function"], row["old"], row["new"]))
        survived = row["status"] not in KILLED and why is not None
        found.append(row | ({"status": "equivalent", "why": why} if survived else {}))
    return found


def told(rows: Sequence[dict[str, Any]]) -> int:
    """Prints what survived, and a line for each folder and for all; returns 1 below the least share."""
    for row in rows:
        if row["status"] not in (*KILLED, "equivalent"):
            sides = [f"  {sign} {line}" for sign, key in (("-", "old"), ("+", "new")) for line in row[key].splitlines()]
            print("\n".join([f"{row['function']}: {row['status']}", *sides, ""]))
    folders = dict.fromkeys(row["folder"] for row in rows)
    for name in [*folders, "all"]:
        statuses = [row["status"] for row in rows if name in (row["folder"], "all")]
        print(f"{name:14} {share_killed(statuses):6.1%} of {len(statuses)} killed", end="")
        print(f" ({statuses.count('equivalent')} equivalent, {statuses.count('timeout')} by the time limit)")
    return int(share_killed([row["status"] for row in rows]) < LEAST_KILLED)


def share_killed(statuses: Sequence[str]) -> float:
    """Killed mutants over those that are not equivalent; 1 where there is none."""
    counted = [status for status in statuses if status != "equivalent"]
    return sum(status in KILLED for status in counted) / len(counted) if counted else 1.0


if __name__ == "__main__":
    raise SystemExit(main())
