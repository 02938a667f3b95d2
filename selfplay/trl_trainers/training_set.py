"""A table as the data set of a trainer: made batch by batch, kept on disk, and mapped into memory from there."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from filelock import FileLock

from selfplay.run.files import whole_file
from selfplay.run.store import content_key
from selfplay.run.tables import Record, RecordError, read_batches
from verifiers.untrusted.files import add_file

if TYPE_CHECKING:
    from datasets import Dataset

FOLDER = "data"
"""Within a trainer's folder; it may be deleted once the training is over."""

Columns = dict[str, list[Any]]


def training_set(
    table: Path,
    record: type[Record],
    encode: Callable[[Sequence[Record]], Columns],
    schema: pa.Schema,
    work: Path,
    *known: Any,
) -> Dataset:
    """The rows of a table, encoded, in their order; memory holds only what is read of them.

    The first rank that comes makes the file; the others, and a training that goes on, find it.

    Args:
        table: whose rows are encoded.
        record: what its rows are.
        encode: from some rows to as many values of each column.
        schema: of the columns.
        work: the trainer's folder.
        known: all that the encoding depends on besides the table, as plain JSON.

    Raises:
        RecordError: the table is damaged, or holds something else.
    """
    from datasets import Dataset

    key = content_key("training set", _digest(table), str(schema), *known)
    file = work / FOLDER / f"{key}.arrow"
    file.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(file.with_suffix(".lock")):
        if not file.exists():
            with whole_file(file) as opened, pa.ipc.new_stream(opened, schema) as writer:
                for rows in read_batches(table, record):
                    writer.write_batch(pa.record_batch(encode(rows), schema=schema))
    return Dataset.from_file(str(file))


def _digest(file: Path) -> str:
    digest = hashlib.sha256()
    add_file(digest, file, RecordError)
    return digest.hexdigest()
