"""The vLLM engine against the transformers engine on one model; runs in the environment that `make vllm` makes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks._engine_steps import watched
from benchmarks._one_shard import completed
from selfplay.config.compute import EngineSettings
from selfplay.engines import hf_engine
from selfplay.engines.base import ModelRef, Sampling, ScoringRequest
from selfplay.engines.flow import Feeder, FlowJob, Shard
from selfplay.run.store import ShardStore
from tests.selfplay.engines.shard_jobs import generate_job, score_job

ROOT = Path(__file__).parents[3]
PROMPTS = [f"Write a problem.\nConcepts:\n{n}. adding\nDifficulty Level: {n % 4}\n" for n in range(12)]
REQUESTS = [
    ScoringRequest("Write a problem.\n1. doubling\n", ("Double it.", "Tom has 5 plums. How many?")),
    ScoringRequest("x", ("7",)),
    ScoringRequest("Concepts:\n1. limit\n", ("a" * 90, "b"), ends=False),
    ScoringRequest("prefix ", ((5, 6, 7), "and text")),
]
ARGS = {"max_model_len": 256}
GREEDY = Sampling(0.0, 8)

pytestmark = pytest.mark.long


def generated(engine: Any, model: ModelRef, prompts: list[str], temperature: float) -> list[dict[str, Any]]:
    job = generate_job(model, prompts, Sampling(temperature, 24), 5, kind="vllm", args=ARGS)
    return completed(engine, job)


def scored(engine: Any, model: ModelRef) -> list[list[float]]:
    return [row["sums"] for row in engine.score_shard(score_job(model, REQUESTS, kind="vllm", args=ARGS))]


def other_weights(model: ModelRef, folder: Path, tied: bool = False) -> ModelRef:
    """The same architecture with weights of its own."""
    import torch
    from transformers import AutoModelForCausalLM

    shutil.copytree(model.path, folder)
    network = AutoModelForCausalLM.from_pretrained(folder)
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for weight in network.parameters():
            weight.add_(0.05 * torch.randn(weight.shape, generator=generator))
        if tied:
            network.config.tie_word_embeddings = True
            network.tie_weights()
    network.save_pretrained(folder)
    return ModelRef.local(folder, folder.name, "float32", chat=False)


def test_greedy_completions_are_those_of_transformers(vllm_engine: Any, small_model: ModelRef) -> None:
    ours, theirs = (generated(engine, small_model, PROMPTS, 0.0) for engine in (vllm_engine, hf_engine))
    for row, other in zip(ours, theirs, strict=True):
        assert row.pop("logprobs") == pytest.approx(other.pop("logprobs"), abs=1e-3)
    assert ours == theirs


def test_stretched_positions_are_those_of_transformers(vllm_engine: Any, small_model: ModelRef) -> None:
    stretched = replace(small_model, stretch=4.0)
    ours, theirs = (generated(engine, stretched, PROMPTS, 0.0) for engine in (vllm_engine, hf_engine))
    assert [row["token_ids"] for row in ours] == [row["token_ids"] for row in theirs]
    for row, other in zip(ours, theirs, strict=True):
        assert row["logprobs"] == pytest.approx(other["logprobs"], abs=1e-3)
    assert [row["logprobs"] for row in ours] != [
        row["logprobs"] for row in generated(vllm_engine, small_model, PROMPTS, 0.0)
    ]


def test_log_probabilities_of_samples_are_the_models_own_at_temperature_1(
    vllm_engine: Any, small_model: ModelRef
) -> None:
    rows = generated(vllm_engine, small_model, PROMPTS, 0.7)
    requests = [
        ScoringRequest(prompt, tuple((token,) for token in row["token_ids"]), ends=False)
        for prompt, row in zip(PROMPTS, rows, strict=True)
    ]
    expected = [row["sums"] for row in hf_engine.score_shard(score_job(small_model, requests))]
    for row, sums in zip(rows, expected, strict=True):
        assert row["logprobs"] == pytest.approx(sums, abs=1e-3)


def test_scores_are_those_of_transformers(vllm_engine: Any, small_model: ModelRef) -> None:
    for ours, theirs in zip(scored(vllm_engine, small_model), scored(hf_engine, small_model), strict=True):
        assert ours == pytest.approx(theirs, abs=2e-3, rel=1e-5)


def test_a_completion_depends_on_its_seed_alone(vllm_engine: Any, small_model: ModelRef) -> None:
    together = generated(vllm_engine, small_model, PROMPTS, 1.0)
    assert generated(vllm_engine, small_model, PROMPTS, 1.0) == together
    assert generated(vllm_engine, small_model, PROMPTS[:3], 1.0) == together[:3]
    assert len({row["text"] for row in together}) > 6


def test_sampled_prompts_that_do_not_fit_one_step_together_are_completed(
    vllm_engine: Any, small_model: ModelRef
) -> None:
    """Of a prompt cut in two by the step's limit a token is drawn and taken back, which vLLM cannot on a CPU."""
    few = {"max_model_len": 256, "max_num_batched_tokens": 256}
    job = generate_job(small_model, PROMPTS * 3, Sampling(1.0, 8), 5, kind="vllm", args=few)
    rows = completed(vllm_engine, job)
    assert len(rows) == 3 * len(PROMPTS)


def test_shards_that_flow_have_the_rows_of_shards_that_drain(
    vllm_engine: Any, small_model: ModelRef, tmp_path: Path
) -> None:
    """With fewer slots than a shard has prompts, and lengths of which some are cut."""
    sampling, args = Sampling(1.0, 24), ARGS | {"max_num_seqs": 3}
    parts = [PROMPTS[:5], PROMPTS[5:10], PROMPTS[10:]]
    shards = [Shard(n, f"{n:02d}key", 40 + n, part) for n, part in enumerate(parts)]
    settings = EngineSettings.model_validate({"kind": "vllm", "args": args})
    job = FlowJob(
        model=small_model,
        device="cpu",
        settings=settings,
        sampling=sampling,
        queue=tmp_path / "queue",
        replica="0",
        store=tmp_path / "store",
    )
    Feeder(job.queue, iter(shards), 3).fill()
    assert vllm_engine.flow_shards(job) == len(PROMPTS)
    for shard in shards:
        drained = generate_job(small_model, shard.prompts, sampling, shard.seed, kind="vllm", args=args)
        assert ShardStore(job.store).read(shard.key) == completed(vllm_engine, drained)


LONG_PROMPTS = [f"{n}. " + "Tom has plums. " * 16 for n in range(3)]
BLOCKS: dict[str, Any] = ARGS | {"max_model_len": 512, "block_size": 32}


def sampled(engine: Any, model: ModelRef, **args: Any) -> tuple[list[list[int]], list[int]]:
    """Four completions of each long prompt, as votes are drawn: their ids, and of each prompt's tokens those found."""
    prompts = [prompt for prompt in LONG_PROMPTS for _ in range(4)]
    job = generate_job(model, prompts, Sampling(1.0, 8), 5, kind="vllm", args=BLOCKS | args)
    engine._load(job)
    with watched(engine._open[0].llm) as steps:
        rows = completed(engine, job)
    return [row["token_ids"] for row in rows], [steps.prompt_tokens, steps.cached_tokens]


def test_samples_of_one_prompt_read_it_once(vllm_engine: Any, small_model: ModelRef, tmp_path: Path) -> None:
    """All but the first find every whole block of it; new weights find nothing of the old ones."""
    drawn, (read, found) = sampled(vllm_engine, small_model)
    lengths = [row["prompt_tokens"] for row in completed(hf_engine, generate_job(small_model, LONG_PROMPTS, GREEDY))]
    assert read == 4 * sum(lengths)
    assert found == 3 * sum((length - 1) // 32 * 32 for length in lengths)
    assert found > 0.6 * read
    opened = vllm_engine._open[0].llm
    other = other_weights(small_model, tmp_path / "other")
    _, again = sampled(vllm_engine, other)
    assert vllm_engine._open[0].llm is opened
    assert again == [read, found]
    greedy = generate_job(other, LONG_PROMPTS, GREEDY, kind="vllm", args=BLOCKS)
    ours, theirs = (completed(engine, greedy) for engine in (vllm_engine, hf_engine))
    assert [row["token_ids"] for row in ours] == [row["token_ids"] for row in theirs]
    whole, (_, none) = sampled(vllm_engine, small_model, enable_prefix_caching=False)
    assert (whole, none) == (drawn, 0)


@pytest.mark.parametrize("tied", [False, True], ids=["exchanged", "reopened"])
def test_weights_are_the_new_ones(vllm_engine: Any, small_model: ModelRef, tmp_path: Path, tied: bool) -> None:
    first = other_weights(small_model, tmp_path / "first", tied)
    second = other_weights(first, tmp_path / "second", tied)
    before = scored(vllm_engine, first)
    opened = vllm_engine._open[0].llm
    after = scored(vllm_engine, second)
    assert (vllm_engine._open[0].llm is opened) is not tied
    for model, ours in ((first, before), (second, after)):
        for sums, theirs in zip(ours, scored(hf_engine, model), strict=True):
            assert sums == pytest.approx(theirs, abs=2e-3, rel=1e-5)
    assert before[0] != pytest.approx(after[0], abs=0.1)
    assert scored(vllm_engine, first)[0] == pytest.approx(before[0], abs=1e-4)


MEMORY = """
import json, sys
from selfplay.engines import loading, vllm_engine
from selfplay.engines.base import ModelRef, Sampling
from benchmarks._one_shard import completed
from tests.selfplay.engines.shard_jobs import generate_job
from pathlib import Path

def resident_mb():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 2**20

model = ModelRef.local(Path(sys.argv[1]), "tiny", "float32", False)
job = generate_job(model, ["x"], Sampling(1.0, 8), 1, kind="vllm", args={"max_model_len": 128})
figures = []
for _ in range(3):
    completed(vllm_engine, job)
    open_mb = resident_mb()
    loading.free_engines()
    figures.append([open_mb, resident_mb()])
print("FIGURES", json.dumps(figures))
"""


def test_memory_comes_back_between_stages(vllm_engine: Any, small_model: ModelRef) -> None:
    environment = os.environ | {"PYTHONPATH": str(ROOT), "VLLM_CPU_KVCACHE_SPACE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", MEMORY, small_model.path], check=True, capture_output=True, text=True, env=environment
    )
    line = next(line for line in done.stdout.splitlines() if line.startswith("FIGURES"))
    figures = json.loads(line.removeprefix("FIGURES"))
    # Opened three times, the process holds no more than after the first.
    assert figures[2][1] < figures[0][1] + 150
    assert figures[2][0] < figures[0][0] + 150
