"""`reference/tables.md`: the tables of a run with their columns, from the records that are written there."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path
from types import ModuleType
from typing import Any

import pyarrow as pa

from handbook.markdown import code, page, table
from selfplay.evaluation import suites_of_run
from selfplay.run import records
from selfplay.run.tables import schema_of

PRODUCT = Path(records.__file__).parents[1]
PLAIN = {"string": "text", "int64": "whole number", "double": "number", "bool": "true, false"}
COMMON = {
    "id": "A hash of the row's content.",
    "index": "Its place among those of the same prompt or pair, from 0.",
    "domain": "One of the recipe's domains.",
    "concepts": "What the problem is about.",
    "level": "How hard it is meant to be.",
    "rationale": "The thinking that led its designer to it.",
    "problem": "Its text.",
    "prompt": "What the model read.",
    "prompt_id": "Of the prompt in `prompts`.",
    "task_id": "Of the task that was solved.",
    "seed_id": "Of the seed problem.",
    "candidate_id": "Of the candidate in `candidates`.",
    "source": "Where it came from.",
    "task": "The problem with its label ([rows of tasks](tasks.md)).",
    "completion": "What the model wrote.",
    "completions": "What the model wrote.",
    "token_ids": "The sampled tokens, less the end of the sequence.",
    "model": "The model that wrote it.",
    "round": "The round that it was made for.",
    "seed": "Of the sampling.",
    "temperature": "Of the sampling.",
    "passed": "The verdict; none where it could not be checked.",
    "reward": "The verdict as a number in [0, 1]; none likewise.",
    "status": "A short name of the verdict, such as `correct`.",
    "statuses": "A short name of each verdict.",
    "reason": "The verdict for a person.",
    "reasons": "The verdicts for a person.",
    "rejected": "The wrong completion.",
    "weight": "Its share.",
    "copies": "How often the new q learns from it.",
    "judge": "The judge's name in the recipe.",
    "criteria": "The points that were asked for, in order.",
    "input": "Of the test.",
    "suite": "The suite's name.",
    "dropped": "Why it was left out; empty where it stays.",
    "prompt_tokens": "Tokens that were read.",
    "completion_tokens": "Tokens that were written.",
    "cost": "In the currency of the recipe's prices.",
    "split": "train, dev or heldout.",
    "chosen": "The right completion, or whether this one was chosen.",
}
"""Of columns that many tables have."""
INTRODUCTION = """Each stage leaves its tables as Parquet in `RUN/stages/STAGE/NAME.parquet`. Any library reads them. In
Python `open_run("RUN").table("selfplay_1", "rollouts", ["task_id", "reward"])` gives an Arrow table
([from Python](python.md)). Every row has a stable id, and the ids of the rows that it was made from. Stages of later
rounds have the round's number."""


def tables_page() -> str:
    """The page, in the order of `selfplay/run/records.py`."""
    written = _written()
    shown = [_section(record, sorted(written[record.__name__])) for record in _records() if record.__name__ in written]
    return page("Tables of a run", "`selfplay/run/records.py`", INTRODUCTION, *shown)


def _records() -> list[Any]:
    modules = (records, suites_of_run)
    found = {name: of for module in modules for name, of in vars(module).items() if inspect.isclass(of)}
    return [of for of in found.values() if hasattr(of, "version") and hasattr(of, "__dataclass_fields__")]


def _written() -> dict[str, set[str]]:
    """The names of tables by record, from every `write(NAME, RECORD, ...)` of the product."""
    found: dict[str, set[str]] = {}
    for file in PRODUCT.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "write" and len(node.args) > 2:
                name, record = node.args[:2]
                if isinstance(record, ast.Name) and _name(name):
                    found.setdefault(record.id, set()).add(_name(name))
    return found


def _name(node: ast.expr) -> str:
    if isinstance(node, ast.Constant):
        return str(node.value)
    parts = node.values if isinstance(node, ast.JoinedStr) else []
    return "".join(map(_part, parts)).replace("TABLE", suites_of_run.TABLE)


def _part(part: ast.expr) -> str:
    """A piece of a name; what is filled in stands in capitals."""
    if isinstance(part, ast.FormattedValue):
        return ast.unparse(part.value).rpartition(".")[2].upper()
    return str(part.value) if isinstance(part, ast.Constant) else ""


def _section(record: Any, written: list[str]) -> str:
    about = (record.__doc__ or "").split("\n\n")[0]
    docs = _docs_of_fields(record)
    rows = [
        (code(field.name), _type(field.type), docs.get(field.name) or COMMON.get(field.name, ""))
        for field in schema_of(record)
    ]
    names = ", ".join(code(f"{name}.parquet") for name in written)
    return f"## {record.__name__}\n\n{about} In {names}.\n\n" + table(("column", "type", "meaning"), rows)


def _type(kind: Any) -> str:
    if pa.types.is_list(kind):
        return f"list of {_type(kind.value_type)}"
    if pa.types.is_struct(kind):
        return "struct of " + ", ".join(code(kind.field(i).name) for i in range(kind.num_fields))
    return {"string": "text", "int64": "whole number", "double": "number", "bool": "true, false"}.get(
        str(kind), str(kind)
    )


def _docs_of_fields(record: Any) -> dict[str, str]:
    """The texts under the fields of a class."""
    module: ModuleType | None = inspect.getmodule(record)
    assert module is not None
    [node] = [n for n in ast.walk(ast.parse(inspect.getsource(record))) if isinstance(n, ast.ClassDef)][:1]
    found = {}
    for field, after in zip(node.body, node.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant):
            found[ast.unparse(field.target)] = inspect.cleandoc(str(after.value.value))
    return found
