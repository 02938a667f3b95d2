"""A model whose completions end with another token than the tokenizer's end, as those of Gemma and Phi do."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from selfplay.config.labelling import Labeller
from selfplay.engines.base import ModelRef, ScoringRequest
from selfplay.engines.loading import load_tokenizer
from selfplay.engines.sharded import ShardedEngine
from selfplay.labelling.votes import open_voters
from selfplay.run.records import LabelledTask
from tests.selfplay.labelling.conftest import MakeContext, prompt
from verifiers.model import Task


@pytest.fixture
def other_end(tiny_model: ModelRef, tmp_path: Path) -> tuple[ModelRef, set[int]]:
    """The tiny model with half of its tokens as ends, and these."""
    folder = tmp_path / "ends"
    shutil.copytree(tiny_model.path, folder)
    tokenizer = load_tokenizer(tiny_model)
    ends = set(range(0, len(tokenizer), 2)) - {tokenizer.eos_token_id}
    file = folder / "generation_config.json"
    settings = json.loads(file.read_text()) if file.exists() else {}
    file.write_text(json.dumps(settings | {"eos_token_id": sorted(ends)}))
    return ModelRef.local(folder, "ends", "float32", chat=False), ends


def test_a_vote_weighs_the_end_that_the_model_wrote(
    make_context: MakeContext, other_end: tuple[ModelRef, set[int]]
) -> None:
    model, ends = other_end
    context = make_context({"votes": "likelihood", "samples": 8})
    labeller = Labeller.model_validate({"samples": 8, "sampling": {"temperature": 1.0, "max_new_tokens": 6}})
    with open_voters(context, {"": labeller}, model) as voters:
        [drawn] = voters.draw(
            [LabelledTask.unlabelled(prompt("p1", "Tom has 5 plums."), Task("Tom has 5 plums."))],
            "test",
            0,
            "labelling",
        )
    engine = context.engine(model)
    assert isinstance(engine, ShardedEngine)
    written = [one.completion.sample for one in drawn if one.completion.sample.complete]
    assert {sample.end for sample in written} <= ends
    assert len({sample.end for sample in written}) > 1
    for one in drawn:
        sample = one.completion.sample
        if sample.complete:
            ids = (*sample.token_ids, sample.end or 0)
            [[(total, count)]] = engine.score_with_lengths([ScoringRequest(one.completion.prompt, (ids,), ends=False)])
            assert (one.mean, count) == (pytest.approx(total / count), len(sample.token_ids) + 1)
