"""Plans of GRPO whose rollouts vLLM makes beside the trainer."""

from __future__ import annotations

from pathlib import Path

import pytest

from selfplay.config.load import load_recipe
from selfplay.planning.machine import GIB, named
from selfplay.planning.memory import ENGINE_BYTES
from selfplay.planning.need import Need
from selfplay.planning.needs import NoGPULeft
from selfplay.planning.plan import DoesNotFit, Outlook, outlook
from selfplay.planning.rates import Rates
from selfplay.planning.remedies import demand_fit

CONFIGS = Path(__file__).resolve().parents[3] / "configs"
GRPO = "training.algorithm=grpo"
SHARE = "training.grpo.args.vllm_gpu_memory_utilization"
MACHINES = {
    "qwen3-0.6b-24gb": "1x24",
    "qwen3-1.7b": "1x80",
    "qwen3-4b-1gpu": "1x80",
    "qwen3-4b": "8x80",
    "qwen3-30b-a3b": "8x80",
}


def planned(name: str, *overrides: str) -> Outlook:
    return outlook(load_recipe(CONFIGS / f"{name}.yaml", [GRPO, *overrides]), named(MACHINES[name]), Rates(), 15587)


def find(plan: Outlook, what: str) -> Need:
    return next(need for need in plan.needs if (need.stage, need.what) == ("selfplay_1", what))


@pytest.mark.parametrize("name", MACHINES)
def test_grpo_fits_where_the_recipe_is_for(name: str) -> None:
    demand_fit(planned(name))


def test_vllm_rolls_out_sooner_and_its_share_is_counted() -> None:
    ours, theirs = planned("qwen3-4b"), planned("qwen3-4b", "training.grpo.rollouts=transformers")
    rolled = find(ours, "rollouts")
    assert rolled.terms["engine"] == int(0.7 * 80 * GIB)
    assert rolled.tokens == find(theirs, "rollouts").tokens
    assert rolled.hours < find(theirs, "rollouts").hours / 2
    # Asleep it leaves the step to the trainer, but for what it never gives back.
    step = find(ours, "grpo").terms
    assert step["engine"] == ENGINE_BYTES["cuda"]
    awake = find(planned("qwen3-4b", "training.grpo.args.vllm_enable_sleep_mode=false"), "grpo").terms
    assert awake["engine"] == rolled.terms["engine"]
    assert {name: size for name, size in awake.items() if name != "engine"} == {
        name: size for name, size in step.items() if name != "engine"
    }


def test_a_sharded_trainer_holds_its_part_alone_beside_the_engine() -> None:
    """It was counted whole: 116 GiB, where a GPU has 61 to hold."""
    cut, whole = (find(planned("qwen3-4b", f"compute.sharding={by}"), "rollouts").terms for by in ("fsdp2", "none"))
    for term in ("weights", "optimiser"):
        assert cut[term] == whole[term] // 8
    assert cut["buffers"] < whole["buffers"] / 10
    assert cut["engine"] == whole["engine"]


@pytest.mark.parametrize(
    ("share", "said"),
    [(0.9, "most of it for engine"), (0.15, "vLLM's share is 12.0 GiB, and its weights and one longest sequence take")],
)
def test_a_share_that_is_too_large_or_too_small_is_refused_with_one_that_fits(share: float, said: str) -> None:
    with pytest.raises(DoesNotFit, match=rf"selfplay_1, rollouts: .*{said}.*; set {SHARE}=0.\d+, with which it") as no:
        demand_fit(planned("qwen3-4b", f"{SHARE}={share}"))
    better = str(no.value).rpartition(f"{SHARE}=")[2].split(",")[0]
    demand_fit(planned("qwen3-4b", f"{SHARE}={better}"))


def test_a_window_that_holds_no_completion_is_told_of() -> None:
    with pytest.raises(DoesNotFit, match="vLLM reads 1024 tokens, and a prompt with its completion has 33"):
        demand_fit(planned("qwen3-4b", "training.grpo.args.vllm_max_model_length=1024"))


def test_a_server_takes_gpus_from_the_trainer_and_none_of_its_memory() -> None:
    server = ["training.grpo.rollouts=server", "training.grpo.args={per_device_train_batch_size: 1}"]
    two = "training.grpo.vllm={gpus: 2, args: {tensor_parallel_size: 2}}"
    plan = planned("qwen3-4b", *server, two)
    rolled, step = find(plan, "rollouts"), find(plan, "grpo")
    assert (rolled.devices, step.devices) == (2, 6)
    assert rolled.limit == int(0.9 * 80 * GIB)
    assert "optimiser" not in rolled.terms
    assert "engine" not in step.terms
    by_async = ["training.grpo.trainer=async_grpo", "training.grpo.max_staleness=2", "training.grpo.top_up=0"]
    overlapped = planned("qwen3-4b", *server, *by_async, two)
    assert (find(overlapped, "rollouts").devices, find(overlapped, "grpo").devices) == (2, 6)
    beside = find(planned("qwen3-4b", "training.grpo.args={per_device_train_batch_size: 1}"), "rollouts")
    assert rolled.tokens == beside.tokens
    with pytest.raises(NoGPULeft, match=r"training.grpo.vllm.gpus: is 8 of 8 GPUs, which leaves none to the trainer"):
        planned("qwen3-4b", *server, "training.grpo.vllm.gpus=8")
