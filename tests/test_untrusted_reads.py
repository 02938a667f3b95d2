"""Files and JSON from outside are read in one place, `verifiers.untrusted`; the few others are listed with why."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
HOME = ROOT / "verifiers" / "untrusted"
READING = {"read_text", "read_bytes"}
UNBOUNDED = {
    "json": {"load", "loads"},
    "yaml": {"load", "safe_load", "compose", "load_all", "full_load"},
    "pq": {"read_table", "read_schema", "ParquetFile", "ParquetDataset"},
}

OUR_PIPE = "a line between this process and a child of its own"
OUR_DATABASE = "a value of the run's own database"
ALLOWED = {
    "selfplay/preflight/doctor/installation.py": "files of this installation, against its RECORD",
    "selfplay/run/progress.py": "writes over a file where no room is for another",
    "selfplay/run/store.py": OUR_DATABASE + ", and a table, after `demand_file`",
    "selfplay/run/tables.py": "a table, after `demand_file`",
    "selfplay/seeds/row_files.py": "a table, after `demand_file`",
    "selfplay/tracking/mirror_process.py": OUR_PIPE,
    "verifiers/conformance/child.py": OUR_PIPE,
    "verifiers/conformance/subject.py": OUR_PIPE,
    "verifiers/endpoint/client.py": "an answer of `max_reply_bytes`, of which every fault is caught",
    "verifiers/plugins/guard.py": "the source of a plug-in that has been imported",
    "verifiers/plugin_worker.py": "its own command line, and what it has just written",
    "verifiers/pool/reading.py": "its own command line, and " + OUR_PIPE,
    "verifiers/pool/serving.py": OUR_PIPE,
    "verifiers/pool/worker.py": OUR_PIPE,
    "verifiers/programs/comparison.py": "the output of a program, of which every fault is caught",
}
"""Files that read by themselves, and why they may."""


def raw_reads(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """The line and the name of each place that reads a file, or parses a text, without bounds."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            of = node.value.id if isinstance(node.value, ast.Name) else ""
            if node.attr in UNBOUNDED.get(of, ()) or (node.attr in READING and of != "files"):
                yield node.lineno, f"{of}.{node.attr}"
        if isinstance(node, ast.Call) and reads(node, isinstance(node.func, ast.Attribute)):
            yield node.lineno, ast.unparse(node.func)


def reads(call: ast.Call, method: bool) -> bool:
    """Whether a call is an `open` that reads: by its mode, which is the first argument of a path's method."""
    if (call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")) != "open":
        return False
    given = {keyword.arg: keyword.value for keyword in call.keywords}
    place = 0 if method else 1
    mode = given.get("mode", call.args[place] if len(call.args) > place else None)
    if mode is None:
        return not method or "encoding" in given
    return isinstance(mode, ast.Constant) and str(mode.value)[:1] == "r"


def test_files_from_outside_are_read_in_one_place() -> None:
    found: dict[str, list[tuple[int, str]]] = {}
    for package in ("selfplay", "verifiers"):
        for file in sorted((ROOT / package).rglob("*.py")):
            if HOME not in file.parents and (calls := list(raw_reads(ast.parse(file.read_text())))):
                found[str(file.relative_to(ROOT))] = calls
    assert {file: calls for file, calls in found.items() if file not in ALLOWED} == {}
    assert set(ALLOWED) <= set(found), "no longer needed"
