"""The typed tables of a run. Every row has a stable id, and the ids of the rows it was made from."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import itertools
import os
import types
import typing
from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, ClassVar, TypeVar

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

ROWS_AT_ONCE = 8192
"""Most rows of a table that are held in memory by what reads or writes it in a stream."""


class RecordError(ValueError):
    """A table on disk is not what its name promises; the message names the file and the remedy."""


@dataclass(frozen=True, slots=True)
class TestCase:
    """Text on standard input, and the text that a right program prints."""

    __test__ = False  # keeps pytest from collecting it

    input: str
    output: str


@dataclass(frozen=True, slots=True)
class Seed:
    """A problem that a run starts from, with what its designer thought."""

    version: ClassVar[int] = 1
    id: str
    domain: str
    split: str
    """train, dev or heldout."""
    source: str
    concepts: tuple[str, ...]
    level: str
    rationale: str
    problem: str
    answer: str | None
    tests: tuple[TestCase, ...]
    solution: str
    """A worked completion, empty where the source has none."""
    solution_is_right: bool | None
    """Whether the solution is known to be right or wrong; None where there is none."""


@dataclass(frozen=True, slots=True)
class AnnotatorAnswer:
    """One answer of an annotator about one problem, or its failure to give any."""

    annotator: str
    model: str
    asked_for: str
    """`concepts` or `rationale`."""
    attempt: int
    """0 for the first answer of this annotator to this question."""
    seed: int
    """What the sample was drawn with."""
    temperature: float
    fault: str
    """Why it could not be used; empty where it was."""
    excerpt: str
    """The beginning of an answer that could not be used."""
    prompt_tokens: int
    completion_tokens: int
    cost: float
    """In the currency of the annotator's prices."""


@dataclass(frozen=True, slots=True)
class Annotation:
    """How a seed problem came to its concepts and its rationale."""

    version: ClassVar[int] = 1
    id: str
    seed_id: str
    domain: str
    split: str
    concepts_by: str
    """The annotator, `seed` where the problem carried them, or empty where nobody found them."""
    rationale_by: str
    """Likewise; empty too where none was needed, as for held-out problems."""
    attempts: int
    """Answers that were asked for."""
    prompt_tokens: int
    completion_tokens: int
    cost: float
    dropped: str
    """Empty for a triple, else why the problem became none."""
    log_p_rationale: float | None
    """log p(z|c), nats, under the recipe's scorer; None without one."""
    log_p_problem: float | None
    """log p(x|z,c), nats, under the recipe's scorer; None without one."""
    answers: tuple[AnnotatorAnswer, ...]
    """In the order in which they were asked for."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """One of the K rationales that the E-step weighs for a pair (concepts, problem)."""

    version: ClassVar[int] = 1
    id: str
    seed_id: str
    round: int
    index: int
    rationale: str
    token_ids: tuple[int, ...]
    complete: bool
    """False when the rationale was cut at the token limit; such a candidate is never chosen."""
    log_p_rationale: float
    """log p(z|c), nats, summed over tokens."""
    log_p_problem: float
    """log p(x|z,c), nats, summed over tokens."""
    reward: float
    chosen: bool


@dataclass(frozen=True, slots=True)
class CandidateWeight:
    """What soft EM made of a candidate: its share of the pair's importance weights, and how often q learns from it."""

    version: ClassVar[int] = 1
    candidate_id: str
    log_q: float
    """log q(z|c,x), nats, of the sampled token ids."""
    weight: float
    """Normalised over the pair's candidates; 0 for one that cannot be chosen."""
    copies: int


@dataclass(frozen=True, slots=True)
class Prompt:
    """A synthesised problem, or a completion that failed to be one (`dropped` says why)."""

    version: ClassVar[int] = 1
    id: str
    domain: str
    concepts: tuple[str, ...]
    level: str
    rationale: str
    problem: str
    completion: str
    dropped: str
    """Empty when kept, else stage and reason, such as `parse: no problem block`."""
    model: str
    temperature: float
    seed: int


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a judge said of a prompt."""

    version: ClassVar[int] = 1
    id: str
    prompt_id: str
    judge: str
    model: str
    criteria: tuple[str, ...]
    scores: tuple[int, ...]
    """A score a criterion; none where the judge was not understood."""
    reason: str
    fault: str
    """Why the judge counts as silent; empty where it was understood."""


@dataclass(frozen=True, slots=True)
class LabelledTask:
    """A prompt with the answer or the tests that a vote gave it."""

    version: ClassVar[int] = 2
    id: str
    prompt_id: str
    domain: str
    problem: str
    answer: str | None
    tests: tuple[TestCase, ...]
    agreement: float
    """Share of all votes that the winning answer got."""
    pass_rate: float
    """Share of the completions counted in `tried` that agree with the label."""
    dropped: str
    label_is_right: bool | None
    """Measured against an exact solver where the source has one; never used to train. None: not measurable."""
    tried: int = 0
    """Completions behind the pass rate: rollouts of the policy where it was measured by itself, else the votes."""
    pass_rate_low: float | None = None
    """Lower end of the pass rate's Wilson interval; None where nothing was tried."""
    pass_rate_high: float | None = None
    """Its upper end."""
    weight: float = 1.0
    """How often the prompt is drawn for training, relative to the others."""
    kill_rate: float | None = None
    """Share of one-token mutants of an accepted program that the tests reject; None where that was not checked."""
    flag: str = ""
    """What a later policy found: that it contradicts the label, and what became of it; empty where nothing."""


@dataclass(frozen=True, slots=True)
class Ballot:
    """One vote on a prompt's label."""

    version: ClassVar[int] = 1
    id: str
    prompt_id: str
    domain: str
    round: int
    """0 for the first labels, else the round before which the policy was asked again."""
    labeller: str
    """Name in the recipe; empty for the policy where nobody is named."""
    index: int
    answer: str | None
    """The final answer, or the program; None where the completion has none."""
    weight: float


@dataclass(frozen=True, slots=True)
class UnitTest:
    """A test of a programming problem, and what became of it."""

    version: ClassVar[int] = 1
    id: str
    prompt_id: str
    kind: str
    """What was asked for, or `seed` where the input is that of a seed problem."""
    input: str
    written: str
    """The output that its writer expected; empty where nobody did."""
    output: str
    """The output by consensus of the programs; empty where there is none."""
    agreement: float
    """Share of the votes whose programs print that."""
    outcome: str
    """`confirmed`, `mended` (the programs agree on something else than its writer), `given` (nobody had expected
    anything), or `dropped: ` and why."""


@dataclass(frozen=True, slots=True)
class Rollout:
    """A completion of a task with its verdict."""

    version: ClassVar[int] = 1
    id: str
    task_id: str
    domain: str
    round: int
    mode: str
    """How it was sampled, such as `T=1.0` or `greedy`."""
    index: int
    completion: str
    passed: bool | None
    reward: float | None
    status: str
    reason: str


@dataclass(frozen=True, slots=True)
class RoundPrompt:
    """A prompt that a round of self-play learnt from, and where it came from."""

    version: ClassVar[int] = 1
    id: str
    task_id: str
    prompt_id: str
    domain: str
    problem: str
    round: int
    source: str
    """`synthesised`, or `given`."""
    origin: str
    """Of a given prompt, the source that its row names; empty for others."""
    made_in: int
    """The round that the prompt was made for."""
    replayed: bool
    """Whether it is here because an earlier round learnt from it."""


@dataclass(frozen=True, slots=True)
class Trace:
    """A teacher's solution of a prompt, for SFT."""

    version: ClassVar[int] = 1
    id: str
    task_id: str
    domain: str
    prompt: str
    """What the policy reads."""
    completion: str
    """`<think>…</think>` and an answer, whatever the teacher's format was."""
    source: str
    """`teacher`, or `files`."""
    origin: str
    """The model that wrote it, or where in a file it stands."""
    index: int
    tokens: int | None
    """Length of prompt and completion by the policy's tokenizer; None where it was not measured."""
    dropped: str
    """Why it is not learnt from; empty where it is."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A right and a wrong completion of one prompt."""

    version: ClassVar[int] = 1
    id: str
    task_id: str
    prompt: str
    chosen: str
    rejected: str
    source: str


Record = TypeVar("Record", bound=Any)


def schema_of(record: type[Any]) -> pa.Schema:
    """The Arrow schema of a record class, with its name and version in the metadata."""
    hints = typing.get_type_hints(record)
    fields = [pa.field(f.name, _arrow_type(hints[f.name])) for f in dataclasses.fields(record)]
    metadata = {"record": record.__name__, "version": str(record.version)}
    return pa.schema(fields, metadata=metadata)


def _arrow_type(hint: Any) -> pa.DataType:
    scalars = {str: pa.string(), int: pa.int64(), float: pa.float64(), bool: pa.bool_()}
    if hint in scalars:
        return scalars[hint]
    arguments = typing.get_args(hint)
    if isinstance(hint, types.UnionType):
        return _arrow_type(next(a for a in arguments if a is not type(None)))
    if typing.get_origin(hint) is tuple:
        return pa.list_(_arrow_type(arguments[0]))
    inner = typing.get_type_hints(hint)
    return pa.struct([pa.field(f.name, _arrow_type(inner[f.name])) for f in dataclasses.fields(hint)])


def write_table(path: Path, record: type[Record], rows: Iterable[Record]) -> None:
    """Writes the rows as Parquet: to a temporary name first, so that `path` is whole or absent.

    The rows may come from a generator: only `ROWS_AT_ONCE` of them are held.
    """
    schema = schema_of(record)
    with _partial(path) as file, _writer(file, schema) as writer:
        waiting = iter(rows)
        while batch := list(itertools.islice(waiting, ROWS_AT_ONCE)):
            writer.write_table(pa.Table.from_pylist([dataclasses.asdict(row) for row in batch], schema=schema))


def write_arrow(path: Path, table: pa.Table) -> None:
    """Writes an Arrow table as Parquet, durably and atomically."""
    with _partial(path) as file:
        pq.write_table(table, file, compression="zstd", write_page_checksum=True)


def _writer(file: BinaryIO, schema: pa.Schema) -> pq.ParquetWriter:
    return pq.ParquetWriter(file, schema, compression="zstd", write_page_checksum=True)


@contextlib.contextmanager
def _partial(path: Path) -> Iterator[BinaryIO]:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with partial.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except BaseException:
        # On a disk that is full, what is left of it must not take the room.
        partial.unlink(missing_ok=True)
        raise


def read_table(path: Path, record: type[Record]) -> list[Record]:
    """Reads rows back.

    Raises:
        RecordError: the file is damaged, or holds another record or another version of it.
    """
    return [row for batch in read_batches(path, record) for row in batch]


def read_batches(path: Path, record: type[Record], only_kept: bool = False) -> Iterator[list[Record]]:
    """Reads rows back, `ROWS_AT_ONCE` or fewer at a time.

    Args:
        path: the table.
        record: what its rows are.
        only_kept: leaves out the rows whose `dropped` says why.

    Raises:
        RecordError: as for `read_table`.
    """
    for batch in read_columns(path, record):
        kept = batch.filter(pc.equal(batch["dropped"], "")) if only_kept else batch
        yield [_from_plain(record, row) for row in kept.to_pylist()]


def read_columns(path: Path, record: type[Any], names: Sequence[str] | None = None) -> Iterator[pa.Table]:
    """Reads some columns, or all, as Arrow tables of `ROWS_AT_ONCE` or fewer rows.

    Raises:
        RecordError: as for `read_table`.
    """
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            _demand(path, record, file.schema_arrow)
            missing = file.metadata.num_rows
            for batch in file.iter_batches(ROWS_AT_ONCE, columns=None if names is None else list(names)):
                missing -= batch.num_rows
                yield pa.Table.from_batches([batch])
            # Heads of pages have no checksum: damage there may hide rows.
            if missing:
                raise OSError(f"{missing} rows are missing")
    except (OSError, pa.ArrowException, UnicodeDecodeError) as error:
        raise RecordError(f"{path}: not a readable table ({error}); delete it and run again") from error


def _demand(path: Path, record: type[Any], schema: pa.Schema) -> None:
    metadata = {k.decode(errors="replace"): v.decode(errors="replace") for k, v in (schema.metadata or {}).items()}
    found = (metadata.get("record"), metadata.get("version"))
    if found != (record.__name__, str(record.version)):
        raise RecordError(
            f"{path}: holds {found[0]} version {found[1]}, but this code reads {record.__name__} version "
            f"{record.version}; start a new run directory or use the code version that wrote it"
        )
    # The file's own description has no checksum: damage there may rename a column, or change its type.
    if not schema.equals(schema_of(record)):
        raise RecordError(
            f"{path}: not a readable table (its columns are not those of {found[0]}); delete it and run again"
        )


@functools.cache
def _hints(record: Hashable) -> dict[str, Any]:
    return typing.get_type_hints(record)


def _from_plain(record: type[Record], row: dict[str, Any]) -> Record:
    hints = _hints(typing.cast(Any, record))
    made: Record = record(**{name: _value(hints[name], value) for name, value in row.items()})
    return made


def _value(hint: Any, value: Any) -> Any:
    if value is None or not isinstance(value, list | dict):
        return value
    if isinstance(value, list):
        inner = typing.get_args(hint)[0]
        return tuple(_value(inner, item) for item in value)
    return _from_plain(hint, value)


def by_id(rows: Sequence[Record]) -> dict[str, Record]:
    """The rows keyed by their id."""
    return {row.id: row for row in rows}
