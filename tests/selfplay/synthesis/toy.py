"""A toy language whose rationales can all be enumerated: a real tiny Qwen3 that writes it, and a run to use it in.

A pair is one of a few letters as concept, and a problem of two letters. A whole rationale that fits into the token
limit of `LIMIT` is one letter between its markers, so log p(x|c) is a sum over the letters.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from selfplay.config.recipe import Recipe
from selfplay.engines.base import ModelRef
from selfplay.formats import MARKERS, problem_block, rationale_block
from selfplay.pipeline.main_loop import run_pipeline
from selfplay.pipeline.stage_runner import Reached
from selfplay.pipeline.stages import stage_table
from selfplay.pipeline.work import prompt_models
from selfplay.run.directory import RunDirectory
from selfplay.run.plan import Kind
from selfplay.run.records import Seed
from selfplay.run.results import ScratchResult, SeedsResult
from selfplay.run.seeding import content_id
from selfplay.stage.context import Context
from selfplay.stage.spec import StageWork
from selfplay.synthesis.cold_start import ModelPair
from selfplay.synthesis.likelihood import for_prompt_model, for_rationale_model
from selfplay.trl_trainers.model_folder import write_fingerprint
from tests.selfplay.in_process import InProcess
from verifiers.model import Task

LETTERS = "abcdefgh"
LIMIT = 4
"""Tokens of a rationale: the opening marker, one letter, the closing marker, the end."""


def recipe(**em: Any) -> Recipe:
    """A recipe over the toy language; `em` are settings of that section."""
    em = {"sampling": {"max_new_tokens": LIMIT}, "heldout_pairs": 8, "bound_samples": 16, "candidates": 4} | em
    step = {"max_steps": 1, "per_device_train_batch_size": 4, "learning_rate": 1e-4}
    settings: dict[str, Any] = {
        "name": "toy",
        "model": {"kind": "scratch"},
        "domains": {
            "toy": {
                "seeds": {"kind": "quickstart", "grammar": "math", "dev": 4},
                "prompt_template": "{concepts}\n{level}\n",
                "rationale_template": "{concepts}\n{level}\n{problem}\n",
            }
        },
        "cold_start": {"prompt_model_args": step, "rationale_model_args": step},
        "em": {"e_step_args": step, "m_step_args": step} | em,
        "synthesis": {"sampling": {"max_new_tokens": 10, "temperature": 1.0}},
        "tracking": {"wandb": {"mode": "disabled"}},
    }
    return Recipe.model_validate(settings)


def seed(concept: str, rationale: str, problem: str, split: str = "train") -> Seed:
    """A pair of the toy language."""
    name = content_id("seed", "toy", concept + problem)
    return Seed(name, "toy", split, "toy", (concept,), "1", rationale, Task(problem, "1"), "", None)


def seeds() -> list[Seed]:
    """Concept a letter, problem its letter and another one; the annotated rationale is that other letter."""
    return [seed(first, second, first + second) for first in LETTERS[:4] for second in LETTERS if first != second]


def tokenizer() -> Any:
    """One token a character or marker."""
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    vocabulary = {name: place for place, name in enumerate(["<pad>", "<eos>", "?", *LETTERS, *"0123456789. \n"])}
    made = Tokenizer(models.WordLevel(vocabulary, unk_token="?"))
    made.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), behavior="isolated")
    made.decoder = decoders.Fuse()
    made.add_tokens([AddedToken(marker, normalized=False, special=False) for marker in MARKERS])
    return PreTrainedTokenizerFast(
        tokenizer_object=made,
        pad_token="<pad>",
        eos_token="<eos>",
        clean_up_tokenization_spaces=False,
        padding_side="left",
    )


def fitted_model(folder: Path, steps: int = 60) -> ModelRef:
    """One model that has learnt a little of both tasks, c -> z, x and c, x -> z, as base of p and q alike."""
    import torch

    from selfplay.quickstart import tiny_model

    own, settings = tokenizer(), recipe()
    network = tiny_model.build_model(own, 0, hidden=32, layers=1, heads=2)
    texts = []
    for pair in seeds():
        z, x = rationale_block(pair.rationale), problem_block(pair.problem)
        texts += [for_prompt_model(settings, pair) + z + x, for_rationale_model(settings, pair) + z]
    encoded = [own(text, add_special_tokens=False)["input_ids"] + [own.eos_token_id] for text in texts]
    longest = max(map(len, encoded))
    ids = torch.tensor([row + [own.pad_token_id] * (longest - len(row)) for row in encoded])
    labels = ids.masked_fill(ids == own.pad_token_id, -100)
    optimiser = torch.optim.Adam(network.parameters(), 1e-2)
    for _ in range(steps):
        optimiser.zero_grad()
        network(input_ids=ids, attention_mask=(labels >= 0).long(), labels=labels).loss.backward()
        optimiser.step()
    tiny_model.save(own, network, folder)
    return ModelRef.local(folder, f"toy-{steps}", "float32", chat=False)


class Quiet:
    """Hears everything and keeps the notes."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)

    def stage(self, *_: Any) -> None:
        pass

    begin = advance = log = stage


class NoClock:
    """A clock that nobody reads."""

    def skip(self) -> None:
        pass

    def mark(self, name: str) -> None:
        pass

    def wait_for_verdicts(self, seconds: float) -> None:
        pass


@contextlib.contextmanager
def context(folder: Path, settings: Recipe) -> Iterator[Context]:
    """The means of a run in a folder, in this process."""
    with RunDirectory.open(folder, settings) as run:
        yield Context(run, InProcess(), None, Quiet(), NoClock())  # type: ignore[arg-type]


def run_em(own: Context, model: ModelRef, train: Sequence[Seed], measured: Sequence[Seed]) -> ModelPair:
    """Runs the cold start and all rounds of EM from a model; returns the models that are kept."""
    table, [domain] = stage_table(own.recipe), own.recipe.domains
    done, first = own.run.stage("seeds"), own.run.stage("base")
    if not done.done:
        for split, rows in (("train", train), ("dev", measured), ("heldout", measured)):
            done.write(f"{domain}-{split}", Seed, rows)
        shutil.copytree(model.path, first.folder / "model")
        write_fingerprint(first.folder / "model", "float32")
        for stage, result in ((done, SeedsResult(problems={})), (first, ScratchResult(trained=0))):
            stage.finish(0.0, stage.name, "", result)
    last = [name for name, spec in table.items() if spec.kind is Kind.EM][-1]
    with contextlib.suppress(Reached):
        run_pipeline(own, table, until=last)
    spec = table["synthesis"]
    inputs = {name: own.run.stage(name) for name in spec.inputs if own.run.stage(name).done}
    return prompt_models(StageWork(spec, own.run.stage(spec.name), own, inputs), 1)
