"""The settings of what computes: processes, their devices, and the engine in them. Importing it loads nothing heavy."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from selfplay.config.section import Section, Supervision, refuse_pickles

Sharding = Literal["none", "fsdp2", "zero2", "zero3"]


class RaySettings(Section):
    """Workers on the nodes of a Ray cluster."""

    address: str | None = None
    """Of a cluster that is there: `host:port`, or `auto` for the one that this machine belongs to; none starts one on
    this machine alone, for the length of the run."""
    on_loss: Literal["wait", "rest"] = "wait"
    """A training whose node was lost goes on from its checkpoint: `wait` once there is room for all its ranks, on the
    nodes that are left or on a new one; `rest` with as many as there is room for, at the same global batch."""
    patience_s: Annotated[float, Field(ge=1, le=604800)] = 3600.0
    """Longest wait for room, in seconds, at the start and after a loss; then the run stops, and can go on later."""


class ComputeSettings(Section):
    """The part of this machine, or of a cluster, that the run may use."""

    executor: Literal["local", "ray"] = "local"
    """Whether the workers are processes of this machine, or on the nodes of a Ray cluster."""
    ray: RaySettings = RaySettings()
    """The cluster, where `executor` is `ray`."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where models run; `auto` takes CUDA when there is one."""
    workers: Annotated[int, Field(ge=0, le=64)] = 0
    """Processes that hold models, one a GPU, or one a core on a CPU; 0 takes all there are (4 at most on a CPU, one for
    each node of a cluster without GPUs)."""
    threads: Annotated[int, Field(ge=1, le=256)] = 1
    """Torch threads of each worker on a CPU."""
    isolate: bool | None = None
    """Whether each stage that uses models has fresh processes, so that memory always comes back; null: on a GPU."""
    sharding: Sharding = "none"
    """Whether each worker of a training holds the whole model, or FSDP2 spreads it over them all, or DeepSpeed: zero2
    gradients and the optimiser's states alone, zero3 weights, too (`promptcot[zero]`)."""
    offload: bool = False
    """sharding: zero2 or zero3: gradients and the optimiser's states lie in the host's memory, where it also steps."""
    sequence_parallel: Annotated[int, Field(ge=1, le=64)] = 1
    """Workers over which each sequence of a training by maximum likelihood (p, q, sft, rft) is cut, for long thinking:
    a divisor of the workers and of the model's key heads; 1 cuts none."""
    masters: Literal["all", "newest"] = "all"
    """Float32 weights that stay on disk: of each training, or only those that the run may still need."""
    private: bool = False
    """Whether the run directory, and all that is written meanwhile, is for this user alone (umask 077)."""

    @model_validator(mode="after")
    def _offloads_by_deepspeed(self) -> ComputeSettings:
        if self.offload and self.sharding not in ("zero2", "zero3"):
            raise ValueError(f"offload is DeepSpeed's, but sharding is {self.sharding}; set sharding to zero2 or zero3")
        return self

    @model_validator(mode="after")
    def _sequences_can_be_cut(self) -> ComputeSettings:
        ranks = self.sequence_parallel
        if self.workers % ranks:
            raise ValueError(
                f"sequence_parallel is {ranks}, but {self.workers} workers make no groups of {ranks}; make workers a "
                "multiple of it"
            )
        if ranks > 1 and self.executor == "ray" and self.ray.on_loss == "rest":
            raise ValueError(
                "sequence_parallel cuts sequences over as many workers as it says, and ray.on_loss is rest, which goes "
                "on with any number; set on_loss to wait"
            )
        return self


class EngineSettings(Section):
    """The engine that generates and scores."""

    kind: Literal["transformers", "vllm"] = "transformers"
    """The backend of the models that the run trains; annotators have engines of their own."""
    rounding: Literal["nearest", "stochastic"] = "nearest"
    """How the float32 weights of a training become those that engines read, in the model's `dtype`: to the nearest
    number, or up or down by chance so that the mean is kept."""
    batch_tokens: Annotated[int, Field(ge=64)] = 16384
    """Tokens (prompt and completion) that one batch may hold."""
    shard: Annotated[int, Field(ge=1)] = 512
    """Completions of one shard: the unit that is spread over the workers; without vLLM, what a crash can lose."""
    args: dict[str, Any] = {}
    """vllm: arguments of its EngineArgs, such as gpu_memory_utilization or tensor_parallel_size."""
    yarn: Annotated[float, Field(ge=1, le=64)] = 1.0
    """Factor by which YaRN stretches the context of every model that the engine opens; trainings, and rollouts of grpo,
    have it as it is."""

    supervision: Supervision | None = None
    """vllm: `{}` runs it in a child process of each worker, restarted where it dies or hangs; none, in the worker."""

    @property
    def ranks(self) -> int:
        """Processes, one a GPU, over which vLLM spreads one model."""
        return self._given("tensor_parallel_size") * self._given("pipeline_parallel_size")

    def _given(self, size: str) -> int:
        value = self.args.get(size)
        return value if isinstance(value, int) and value > 0 else 1

    @model_validator(mode="after")
    def _args_have_an_engine(self) -> EngineSettings:
        for name, given in {"args": self.args, "supervision": self.supervision is not None}.items():
            if given and self.kind == "transformers":
                raise ValueError(f"{name} is for vLLM, but kind is transformers; set kind to vllm or drop {name}")
        return self

    @model_validator(mode="after")
    def _weights_are_read_from_safetensors(self) -> EngineSettings:
        refuse_pickles(self.args)
        return self

    @model_validator(mode="after")
    def _parallelism_has_processes(self) -> EngineSettings:
        if self.ranks > 1 and self.supervision is None:
            raise ValueError(
                f"args spread a model over {self.ranks} processes, which only a child of a worker can start; "
                "set supervision, if only to {}"
            )
        if self._given("data_parallel_size") > 1:
            raise ValueError(
                "args.data_parallel_size is for vLLM's own servers; here compute.workers says how many engines share "
                "the prompts"
            )
        return self

    @field_validator("kind", mode="before")
    @classmethod
    def _can_be_given_weights(cls, value: Any) -> Any:
        if value == "openai":
            raise ValueError(
                "is openai, but this engine runs the models that the run trains, and an endpoint cannot be given "
                "their weights; take transformers here, and name the endpoint under cold_start.annotators"
            )
        return value
