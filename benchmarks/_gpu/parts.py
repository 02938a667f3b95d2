"""The parts of the battery, at the sizes of a GPU and, for a dry run, of a CPU."""

from __future__ import annotations

from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path

from benchmarks._gpu import telling
from benchmarks._gpu.steps import Part, Step

WHOLE_S = 2400
"""All parts together end within this on a GPU, however slow: forty minutes."""
CALL_S = 480
"""No step is longer than this, so that a call of eight minutes holds each."""
NO_VLLM = "vLLM is not installed here: pip install 'promptcot[vllm]', or on a CPU `make vllm` and its Python"
ROLLOUTS = ("transformers", "vllm")
MEMORY = {"sft": 50, "dpo": 50, "grpo": 90, "generation": 50}
"""Seconds of each work; GRPO generates twice, token by token."""


@dataclass(frozen=True, slots=True)
class Setting:
    """Where a battery runs, and how large its works are."""

    device: str
    """`cuda`, or `cpu` for a dry run."""
    gpus: int
    size: str
    """The random model of the engines, of GRPO and of plain training."""
    memory: tuple[str, ...]
    """Random models whose peaks of memory are compared with the plan."""
    dtypes: tuple[str, ...]
    """Number formats in which the engines are compared."""
    at_once: int
    """Completions at a time."""
    tokens: int
    """Of a completion."""
    completions: int
    """Of a step of GRPO, a multiple of 8."""
    grpo_tokens: int
    grpo_steps: int
    batch: tuple[int, int]
    """Sequences of the sharded training's whole batch, and tokens of each."""
    smollm2: Path
    """The folder of SmolLM2's weights."""
    patience: int = 1
    """By how much limits are longer: a CPU may be old, and busy."""


def on_gpus(gpus: int, smollm2: Path) -> Setting:
    """That of a machine with so many GPUs."""
    return Setting(
        device="cuda",
        gpus=gpus,
        size="0.6B",
        memory=("135M", "0.6B"),
        dtypes=("float32", "bfloat16"),
        at_once=128,
        tokens=256,
        completions=64,
        grpo_tokens=512,
        grpo_steps=5,
        batch=(8 * gpus, 1024),
        smollm2=smollm2,
    )


def dry(smollm2: Path) -> Setting:
    """That of a dry run: the same processes on a CPU, at sizes that say nothing."""
    return Setting(
        device="cpu",
        gpus=2,
        size="5M",
        memory=("5M",),
        dtypes=("float32",),
        at_once=4,
        tokens=8,
        completions=8,
        grpo_tokens=8,
        grpo_steps=2,
        batch=(4, 32),
        smollm2=smollm2,
        patience=5,
    )


def battery(setting: Setting) -> list[Part]:
    """All parts, the most telling first."""
    parts = [
        _machine(setting),
        _engines(setting),
        _grpo(setting),
        _memory(setting),
        _scratch(setting),
        _sharding(setting),
        _quickstart(setting),
        _smollm2(setting),
    ]
    return [replace(part, steps=tuple(_placed(step, setting) for step in part.steps)) for part in parts]


def _placed(step: Step, setting: Setting) -> Step:
    gpus = None if setting.device == "cpu" else step.gpus
    return replace(step, limit_s=step.limit_s * setting.patience, gpus=gpus)


def _of(module: str, *arguments: object) -> tuple[str, ...]:
    return ("-m", f"benchmarks.{module}", *map(str, arguments))


def _without_vllm(engine: str) -> str:
    return NO_VLLM if engine == "vllm" and find_spec("vllm") is None else ""


def _machine(setting: Setting) -> Part:
    step = Step("doctor", _of("_gpu.machine", setting.device, "."), 60, gpus=0)
    return Part("machine", "The machine", (step,), telling.of_machine)


def _engines(setting: Setting) -> Part:
    def step(engine: str, dtype: str) -> Step:
        sizes = (setting.at_once, setting.tokens)
        command = _of("_gpu.engine_arm", engine, dtype, setting.size, setting.device, "{models}", *sizes)
        # vLLM compiles, and captures graphs, when it opens a model.
        limit = 150 if engine == "vllm" else 90
        return Step(f"{engine}-{dtype}", command, limit, skipped=_without_vllm(engine))

    steps = [step(engine, dtype) for dtype in setting.dtypes for engine in ROLLOUTS]
    return Part("engines", "vLLM beside transformers", tuple(steps), telling.of_engines)


def _grpo(setting: Setting) -> Part:
    def step(engine: str) -> Step:
        sizes = (setting.completions, setting.grpo_tokens, setting.grpo_steps)
        dtype = setting.dtypes[-1]
        command = _of("_rollout_steps", engine, f"{{models}}:{setting.size}", *sizes, setting.device, dtype)
        return Step(engine, command, 240 if engine == "vllm" else 150, skipped=_without_vllm(engine))

    title = "Where the seconds of a GRPO step go"
    return Part("grpo", title, tuple(step(engine) for engine in ROLLOUTS), telling.of_grpo)


def _memory(setting: Setting) -> Part:
    works = [(work, size) for size in setting.memory for work in MEMORY]
    steps = [
        Step(f"{work}-{size}", _of("_memory_works", work, size, setting.device), MEMORY[work]) for work, size in works
    ]
    return Part("memory", "Memory: the plan beside measured peaks", tuple(steps), telling.of_memory)


def _scratch(setting: Setting) -> Part:
    size = "59M" if setting.device == "cpu" else setting.size
    command = _of("_rank_works", "none", 1, size, *_batch_of_one(setting), setting.device)
    return Part("training", "A model of random weights in training", (Step("sft", command, 90),), telling.of_ranks)


def _batch_of_one(setting: Setting) -> tuple[int, int]:
    sequences, tokens = setting.batch
    return sequences // setting.gpus, tokens


def _sharding(setting: Setting) -> Part:
    size = "59M" if setting.device == "cpu" else setting.size
    alone = "one GPU: there is nothing to spread a training over" if setting.gpus < 2 else ""

    def step(sharding: str) -> Step:
        command = _of("_rank_works", sharding, setting.gpus, size, *setting.batch, setting.device)
        return Step(sharding, command, 105, gpus=0, skipped=alone)

    return Part("sharding", "FSDP2 beside data parallelism", (step("none"), step("fsdp2")), telling.of_ranks)


def _quickstart(setting: Setting) -> Part:
    one = ["compute.device=cuda", "compute.workers=1", "tracking.wandb.mode=disabled"]
    # The batches of the recipe's two workers.
    one += [
        "compute.isolate=false",
        "model.args.per_device_train_batch_size=32",
        "training.grpo.args.per_device_train_batch_size=128",
    ]
    small = ["training.rounds=1", "em.rounds=1", "domains.code=null", "synthesis.prompts=96"]
    small += ["tracking.wandb.mode=disabled"]
    recipe, more = ("tests/e2e/small.yaml", small) if setting.device == "cpu" else ("configs/quickstart.yaml", one)
    step = Step("run", _of("_gpu.whole_run", "{work}/run", recipe, *more), CALL_S, goes_on=True)
    return Part("quickstart", "The quickstart, whole", (step,), telling.of_run)


def _smollm2(setting: Setting) -> Part:
    folder = setting.smollm2.absolute()
    there = any(folder.glob("*.safetensors"))
    missing = f"{folder} has no weights: docs/how-to/import-gguf.md says where they come from; name it by --smollm2"
    common = [f"model.name={folder}", f"compute.device={setting.device}", "compute.workers=1", "compute.isolate=false"]
    if setting.device == "cpu":
        common += ["training.grpo.args.max_steps=2", "training.grpo.args.save_steps=2", "evaluation.problems=4"]

    def step(engine: str) -> Step:
        skipped = _without_vllm(engine) if there else missing
        how = [*common, f"training.grpo.rollouts={engine}"]
        command = _of("_gpu.whole_run", "{work}/run", "configs/smollm2-grpo.yaml", *how)
        return Step(engine, command, 105, goes_on=True, skipped=skipped)

    return Part("smollm2", "GRPO of SmolLM2-135M", tuple(step(engine) for engine in ROLLOUTS), telling.of_run)
