"""The rows of each layout, one at a time. `sft`, `pairs` and `grpo` load into TRL as they are.

prompts     every prompt that curation left, as a task with its label where there is one; a file of seeds, too
generator   prompt/completion: what the prompt model reads and writes, in the released generator's format
sft         prompt/completion: what the policy reads, and a completion that was found right
pairs       prompt/chosen/rejected/source: right and wrong completions of the rounds, under whichever rule
grpo        prompt/answer/tests and the rest of the label: what the policy reads, and what judges it
dropped     prompts that were lost, with the reason

and those of other trainers, `verl`, `openrlhf` and `openrlhf_pairs` (`selfplay.export.trainers`).

All are over the rounds whose curation has ended, and of several labels of a prompt the newest counts.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, get_args

import pyarrow as pa

from selfplay import formats
from selfplay.config.recipe import Recipe
from selfplay.export import trainers
from selfplay.export.rollout_pairs import round_pairs
from selfplay.run.plan import Kind, read_plan
from selfplay.run.records import LabelledTask, Prompt, Rollout
from selfplay.run.tables import plain_row, schema_of
from selfplay.watching.rounds import PromptRound, prompt_rounds, table_file, table_rows
from verifiers.model import Task

Layout = Literal["prompts", "generator", "sft", "pairs", "grpo", "verl", "openrlhf", "openrlhf_pairs", "dropped"]
LAYOUTS: tuple[Layout, ...] = get_args(Layout)
DEFAULT_LAYOUTS: tuple[Layout, ...] = ("prompts", "generator", "sft", "pairs")
OF_ROUNDS: frozenset[Layout] = frozenset({"pairs", "openrlhf_pairs"})
"""Made of rollouts alone, so that a run on given problems has them, too."""
Ending = Literal["parquet", "jsonl"]
ENDINGS: dict[Layout, Ending] = {"verl": "parquet", "openrlhf": "jsonl", "openrlhf_pairs": "jsonl"}
"""Of layouts whose readers take one format only."""

Row = dict[str, Any]

_TEXT = pa.string()
_PROMPT, _LABELLED = schema_of(Prompt), schema_of(LabelledTask)
_FIRST = ("id", "parents", "domain", "concepts", "level", "rationale")
"""Fields of a prompt that come before those of its task, which are as in the format of seeds."""
_DROPPED = [
    *((name, _TEXT) for name in ("id", "domain", "stage", "reason", "problem", "completion")),
    ("round", pa.int64()),
]
_PROMPTS = [
    *map(_PROMPT.field, _FIRST),
    *_LABELLED.field("task").type,
    *map(_LABELLED.field, ("agreement", "pass_rate")),
    ("unlabelled", _TEXT),
    ("round", pa.int64()),
    *map(_PROMPT.field, ("model", "temperature", "seed")),
]


@dataclass(frozen=True)
class RowSource:
    """A run whose curation has ended."""

    run: Path
    recipe: Recipe
    chat: bool
    """Whether prompts and completions are lists of messages rather than texts."""
    number: int | None = None
    """Only prompts that were made for this round, and what came of them; None for all."""

    def rows(self, layout: Layout) -> Iterator[Row]:
        """The rows of a layout.

        Raises:
            RecordError: a table is damaged.
        """
        return {
            "prompts": self._prompts,
            "generator": self._generator,
            "sft": self._sft,
            "pairs": self._pairs,
            "grpo": self._grpo,
            "verl": lambda: trainers.verl_rows(self.recipe, self.labelled()),
            "openrlhf": lambda: trainers.openrlhf_rows(self.recipe, self.labelled()),
            "openrlhf_pairs": lambda: trainers.openrlhf_pairs(round_pairs(self.run, self.recipe, self.number)),
            "dropped": self._dropped,
        }[layout]()

    def schema(self, layout: Layout) -> pa.Schema:
        """The columns of a layout."""
        said = pa.list_(pa.struct([("role", _TEXT), ("content", _TEXT)])) if self.chat else _TEXT
        columns = {
            "prompts": _PROMPTS,
            "generator": [("prompt", _TEXT), ("completion", _TEXT)],
            "sft": [("prompt", said), ("completion", said)],
            "pairs": [("prompt", said), ("chosen", said), ("rejected", said), ("source", _TEXT)],
            "grpo": [("prompt", said), *trainers.LABEL, ("id", _TEXT), ("domain", _TEXT)],
            "verl": trainers.VERL,
            "openrlhf": [("prompt", _TEXT), ("label", _TEXT), ("datasource", _TEXT)],
            "openrlhf_pairs": [("prompt", _TEXT), ("chosen", _TEXT), ("rejected", _TEXT)],
            "dropped": _DROPPED,
        }
        return pa.schema(columns[layout])

    @cached_property
    def rounds(self) -> list[PromptRound]:
        """The rounds that are exported: those whose curation has ended."""
        stages = self.run / "stages"
        found = prompt_rounds(self.run, self.number)
        return [own for own in found if (stages / own.curation / "manifest.json").exists()]

    @cached_property
    def tasks(self) -> dict[str, LabelledTask]:
        """The tasks as they were labelled last, by the id of their prompt; none before labelling has ended."""
        newest = [own.labelled for own in self.rounds if own.labelled]
        return {task.prompt_id: task for stage in newest for task in self._all(stage, "tasks", LabelledTask)}

    def _curated(self) -> Iterator[tuple[int, Prompt]]:
        """The prompts that curation left, with the round that each was made for."""
        for own in self.rounds:
            for prompt in self._all(own.curation, "prompts", Prompt, only_kept=True):
                yield own.number, prompt

    def _prompts(self) -> Iterator[Row]:
        for number, prompt in self._curated():
            task = self.tasks.get(prompt.id)
            label = task if task is not None and not task.dropped else None
            row = plain_row(prompt)
            yield {
                **{name: row[name] for name in _FIRST},
                **plain_row(label.task if label else Task()),
                "problem": prompt.problem,
                "agreement": task.agreement if task else None,
                "pass_rate": task.pass_rate if task else None,
                "unlabelled": "not labelled" if task is None else task.dropped,
                "round": number,
                "model": base_name(prompt.model),
                "temperature": prompt.temperature,
                "seed": prompt.seed,
            }

    def _generator(self) -> Iterator[Row]:
        for _, prompt in self._curated():
            domain = self.recipe.domains[prompt.domain]
            written = formats.rationale_block(prompt.rationale) if prompt.rationale else ""
            yield {
                "prompt": formats.prompt_input(domain, prompt.concepts, prompt.level),
                "completion": written + formats.problem_block(prompt.problem),
            }

    def _sft(self) -> Iterator[Row]:
        """One completion a task: the one given most often among those that passed, or else agreed with the label."""
        tasks = {task.id: task for task in self.tasks.values() if not task.dropped}
        votes = [(stage, "completions") for own in self.rounds for stage in own.labellings]
        # The same for both passes, also where a round ends between them.
        places = [*votes, *((stage, "rollouts") for stage in self._updates("rollouts"))]
        # Counted by their hashes: all that a long run found right does not fit into memory.
        counts: dict[str, Counter[bytes]] = {}
        for task_id, text in self._right(places, tasks):
            counts.setdefault(task_id, Counter())[_digest(text)] += 1
        most = {task_id: max(given.values()) for task_id, given in counts.items()}
        best: dict[str, str] = {}
        for task_id, text in self._right(places, tasks):
            if counts[task_id][_digest(text)] == most[task_id]:
                best[task_id] = min(text, best.get(task_id, text))
        for task_id in counts:
            task = tasks[task_id]
            prompt = formats.solver_input(self.recipe.domains[task.domain], task.task)
            yield {"prompt": self._said("user", prompt), "completion": self._said("assistant", best[task_id])}

    def _right(self, places: Sequence[tuple[str, str]], tasks: Container[str]) -> Iterator[tuple[str, str]]:
        """(task, completion) of all votes that agreed with their label and of all rollouts that passed."""
        for stage, table in places:
            for row in self._all(stage, table, Rollout):
                if row.passed and row.task_id in tasks and row.completion.strip():
                    yield row.task_id, row.completion

    def labelled(self) -> Iterator[LabelledTask]:
        """The tasks that have a label and may be trained on, in the order of their prompts."""
        for _, prompt in self._curated():
            task = self.tasks.get(prompt.id)
            if task is not None and not task.dropped and task.has_label:
                yield task

    def _grpo(self) -> Iterator[Row]:
        for task in self.labelled():
            label = plain_row(task.task)
            prompt = self._said("user", formats.solver_input(self.recipe.domains[task.domain], task.task))
            yield {"prompt": prompt} | {name: label[name] for name in trainers.LABELS} | trainers.origin(task)

    def _pairs(self) -> Iterator[Row]:
        for pair, source in round_pairs(self.run, self.recipe, self.number):
            yield {
                "prompt": self._said("user", pair.prompt),
                "chosen": self._said("assistant", pair.chosen),
                "rejected": self._said("assistant", pair.rejected),
                "source": source,
            }

    def _dropped(self) -> Iterator[Row]:
        for own in self.rounds:
            for stage in (own.synthesis, own.curation):
                for prompt in self._all(stage, "prompts", Prompt):
                    if prompt.dropped:
                        yield {
                            "id": prompt.id,
                            "domain": prompt.domain,
                            "stage": stage,
                            "reason": prompt.dropped,
                            "problem": prompt.problem,
                            "completion": prompt.completion if stage == own.synthesis else "",
                            "round": own.number,
                        }

    def _said(self, role: str, text: str) -> Any:
        return [{"role": role, "content": text}] if self.chat else text

    def _updates(self, table: str) -> list[str]:
        """The rounds of self-play that have a table, in order."""
        names = [stage.name for stage in read_plan(self.run).of_kind(Kind.SELFPLAY)]
        return [name for name in names if table_file(self.run, name, table).exists()]

    def _all(self, stage: str, table: str, record: type[Any], only_kept: bool = False) -> Iterator[Any]:
        return table_rows(table_file(self.run, stage, table), record, only_kept)


def ending_of(layout: Layout, wanted: Ending) -> Ending:
    """The ending of a layout's files."""
    return ENDINGS.get(layout, wanted)


def _digest(text: str) -> bytes:
    return hashlib.blake2b(text.encode(), digest_size=16).digest()


def base_name(model: str) -> str:
    """A model's fingerprint without the folders of this machine."""
    return model.rpartition("/")[2] if model.startswith("/") else model
