"""The rows of each layout, one at a time. `sft` and `pairs` load into TRL as they are.

prompts     every prompt that curation left, with its label where there is one
generator   prompt/completion: what the prompt model reads and writes, in the released generator's format
sft         prompt/completion: what the policy reads, and a completion that was found right
pairs       prompt/chosen/rejected/source: right and wrong completions, where a round of DPO made them
dropped     prompts that were lost, with the reason
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, get_args

import pyarrow as pa

from selfplay import formats
from selfplay.config import Recipe
from selfplay.records import LabelledTask, Pair, Prompt, Rollout, read_batches, schema_of

Layout = Literal["prompts", "generator", "sft", "pairs", "dropped"]
LAYOUTS: tuple[Layout, ...] = get_args(Layout)
DEFAULT_LAYOUTS: tuple[Layout, ...] = ("prompts", "generator", "sft", "pairs")

Row = dict[str, Any]

_TEXT = pa.string()
_TESTS = schema_of(LabelledTask).field("tests").type
_PROMPTS = [
    *((name, _TEXT) for name in ("id", "domain")),
    ("concepts", pa.list_(_TEXT)),
    *((name, _TEXT) for name in ("level", "rationale", "problem", "answer")),
    ("tests", _TESTS),
    ("agreement", pa.float64()),
    ("pass_rate", pa.float64()),
    ("unlabelled", _TEXT),
    ("model", _TEXT),
    ("temperature", pa.float64()),
    ("seed", pa.int64()),
]


@dataclass(frozen=True)
class Source:
    """A run whose curation has ended."""

    run: Path
    recipe: Recipe
    chat: bool
    """Whether prompts and completions are lists of messages rather than texts."""

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
            "dropped": [(name, _TEXT) for name in ("id", "domain", "stage", "reason", "problem", "completion")],
        }
        return pa.schema(columns[layout])

    @cached_property
    def tasks(self) -> dict[str, LabelledTask]:
        """The labelled tasks by the id of their prompt; none before labelling has ended."""
        return {task.prompt_id: task for task in self._all("labelling", "tasks", LabelledTask)}

    def _prompts(self) -> Iterator[Row]:
        for prompt in self._all("curation", "prompts", Prompt, only_kept=True):
            task = self.tasks.get(prompt.id)
            label = task if task is not None and not task.dropped else None
            yield {
                "id": prompt.id,
                "domain": prompt.domain,
                "concepts": list(prompt.concepts),
                "level": prompt.level,
                "rationale": prompt.rationale,
                "problem": prompt.problem,
                "answer": label.answer if label else None,
                "tests": [asdict(test) for test in label.tests] if label else [],
                "agreement": task.agreement if task else None,
                "pass_rate": task.pass_rate if task else None,
                "unlabelled": "not labelled" if task is None else task.dropped,
                "model": base_name(prompt.model),
                "temperature": prompt.temperature,
                "seed": prompt.seed,
            }

    def _generator(self) -> Iterator[Row]:
        for prompt in self._all("curation", "prompts", Prompt, only_kept=True):
            domain = self.recipe.domains[prompt.domain]
            written = formats.rationale_block(prompt.rationale) if prompt.rationale else ""
            yield {
                "prompt": formats.prompt_input(domain, prompt.concepts, prompt.level),
                "completion": written + formats.problem_block(prompt.problem),
            }

    def _sft(self) -> Iterator[Row]:
        """One completion a task: the one given most often among those that passed, or else agreed with the label."""
        tasks = {task.id: task for task in self.tasks.values() if not task.dropped}
        counts: dict[str, dict[str, int]] = {}
        sources = [("labelling", "completions"), *((stage, "rollouts") for stage in self._rounds("rollouts"))]
        for stage, table in sources:
            for row in self._all(stage, table, Rollout):
                if row.passed and row.task_id in tasks and row.completion.strip():
                    given = counts.setdefault(row.task_id, {})
                    given[row.completion] = given.get(row.completion, 0) + 1
        for task_id, given in counts.items():
            task = tasks[task_id]
            best = min(given, key=lambda text: (-given[text], text))
            prompt = formats.solver_input(self.recipe.domains[task.domain], task.problem)
            yield {"prompt": self._said("user", prompt), "completion": self._said("assistant", best)}

    def _pairs(self) -> Iterator[Row]:
        for stage in self._rounds("pairs"):
            for pair in self._all(stage, "pairs", Pair):
                yield {
                    "prompt": self._said("user", pair.prompt),
                    "chosen": self._said("assistant", pair.chosen),
                    "rejected": self._said("assistant", pair.rejected),
                    "source": stage,
                }

    def _dropped(self) -> Iterator[Row]:
        for stage in ("synthesis", "curation"):
            for prompt in self._all(stage, "prompts", Prompt):
                if prompt.dropped:
                    yield {
                        "id": prompt.id,
                        "domain": prompt.domain,
                        "stage": stage,
                        "reason": prompt.dropped,
                        "problem": prompt.problem,
                        "completion": prompt.completion if stage == "synthesis" else "",
                    }

    def _said(self, role: str, text: str) -> Any:
        return [{"role": role, "content": text}] if self.chat else text

    def _rounds(self, table: str) -> list[str]:
        """The rounds of self-play that have a table, in order."""
        found = self.run.glob(f"stages/selfplay_*/{table}.parquet")
        return sorted((file.parent.name for file in found), key=lambda name: int(name.partition("_")[2]))

    def _all(self, stage: str, table: str, record: type[Any], only_kept: bool = False) -> Iterator[Any]:
        file = self.run / "stages" / stage / f"{table}.parquet"
        if file.exists():
            for batch in read_batches(file, record, only_kept):
                yield from batch


def base_name(model: str) -> str:
    """A model's fingerprint without the folders of this machine."""
    return model.rpartition("/")[2] if model.startswith("/") else model
