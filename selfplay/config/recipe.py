"""The recipe: what a run does, as typed settings. Importing this module loads no heavy library."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from selfplay.config.annotation import AnnotationSettings, AnnotationTemplates, Annotator, check_budget
from selfplay.config.curation import Curation
from selfplay.config.em import EM
from selfplay.config.labelling import Labelling
from selfplay.config.places import Wording
from selfplay.config.programs import NewPrograms
from selfplay.config.sandbox import SandboxSettings
from selfplay.config.secrets import refuse_secrets
from selfplay.config.section import (
    Name,
    PretrainedModel,
    SamplingSettings,
    ScratchModel,
    Section,
    Supervision,
    TrainerArguments,
    refuse_pickles,
)
from selfplay.config.seeds import MadeSeeds, Seeds, UserSeeds
from selfplay.config.suites import SuiteEvaluation
from selfplay.config.synthesis import Synthesis
from selfplay.config.tracking import Hooks, Tracking
from selfplay.config.training import TrainingSettings

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
    gradients and the optimizer's states alone, zero3 weights, too (`promptcot[zero]`)."""
    offload: bool = False
    """sharding: zero2 or zero3: gradients and the optimizer's states lie in the host's memory, where it also steps."""
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


UNCUT = {
    "grpo": "TRL makes its inputs within the trainer, after they would be cut",
    "dpo": "nothing in TRL's trainer sees to losses of pairs that are cut",
}
"""Rules whose sequences stay whole on each worker, and why."""
NOT_FOR_DOMAINS = ("round", "score", "rollouts", "suite")
"""Names of figures that stand beside those of domains, in the rows of a selection and in the metrics of evaluations."""
ASSERTS = "selfplay.suites.asserts:AssertsVerifier"
"""The verifier of suites whose tests are statements behind a program."""


class ProblemKind(Section):
    """How a policy is asked to solve problems of one kind, and what judges it. `{…}` fields are filled in."""

    templates = {
        "solver_template": ("problem",),
        "function_template": ("problem", "entry_point"),
        "language_template": ("problem", "language"),
    }

    verifier: Literal["math", "code"] | str = "math"
    """Name of the verifier, or `module:Name` of a plug-in."""
    verifier_params: dict[str, Any] = {}
    """Parameters of the verifier."""
    verifier_deadline_s: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 60.0
    """Seconds after which a verdict of a verifier that is not one of ours is given up, and its process ended."""
    solver_template: Wording = "{problem}\n\nReason step by step, and put the final answer within \\boxed{}."
    """The policy's prompt; field: problem."""
    function_template: Wording = (
        "{problem}\n\nWrite a Python function named `{entry_point}`, and put the program into one ```python block."
    )
    """Its prompt where tests call a function; fields: problem, entry_point."""
    language_template: Wording = (
        "{problem}\n\nWrite a {language} program that reads standard input and writes standard output, and put it into "
        "one ```{tag} block."
    )
    """Its prompt where the program is in another language than Python; fields: problem, language, tag (`cpp`)."""

    @property
    def runs_programs(self) -> bool:
        """Whether the verifier, or a component of a composite, is the one for code."""
        return _runs_programs(self.verifier, self.verifier_params)


class Domain(ProblemKind):
    """One kind of problem: its seeds, its wording and its verifier. `{…}` fields are filled in."""

    templates = ProblemKind.templates | {
        "prompt_template": ("concepts", "level"),
        "rationale_template": ("concepts", "level", "problem"),
    }

    seeds: Seeds
    """Where the seed problems come from."""
    new_programs: NewPrograms = NewPrograms()
    """Code: the programs that solve new problems."""
    shared_input_format: bool = False
    """Code: all problems of the domain read inputs of one format, so that inputs of the seeds can test new ones."""
    prompt_template: Wording = "Write a problem.\nConcepts:\n{concepts}\nDifficulty Level: {level}\n"
    """The prompt model's input; fields: concepts, level."""
    rationale_template: Wording = (
        "Explain the design of this problem.\nConcepts:\n{concepts}\nDifficulty Level: {level}\nProblem: {problem}\n"
    )
    """The rationale model's input; fields: concepts, level, problem."""
    annotation: AnnotationTemplates = AnnotationTemplates()
    """Texts that annotators read, where `cold_start` has any."""


def _runs_programs(verifier: object, params: object) -> bool:
    if verifier in ("code", ASSERTS):
        return True
    parts = params.get("components") if isinstance(params, dict) else None
    named = parts.values() if isinstance(parts, dict) else ()
    return any(_runs_programs(part.get("verifier"), part.get("params")) for part in named if isinstance(part, dict))


class ColdStart(Section):
    """Triples from annotators, and the warm start of the prompt model and the rationale model (paper section 2.2)."""

    annotators: dict[Name, Annotator] = {}
    """Models that give seed problems the concepts and the rationales they lack, by name; none expects whole seeds."""
    annotation: AnnotationSettings = AnnotationSettings()
    """How they are asked."""
    enabled: bool = True
    """False starts EM from the generator as it is: an ablation, for generators that write the blocks unasked."""
    prompt_model_args: TrainerArguments = {}
    """Arguments of TRL's SFTConfig for p."""
    rationale_model_args: TrainerArguments = {}
    """Arguments of TRL's SFTConfig for q."""

    @model_validator(mode="after")
    def _budget_can_be_reached(self) -> ColdStart:
        check_budget(self.annotation.budget, self.annotators)
        return self


class Evaluation(Section):
    """Held-out accuracy, before and after each round."""

    problems: Annotated[int, Field(ge=1)] = 400
    """Held-out problems of each domain."""
    split: Literal["heldout", "dev"] = "heldout"
    """`dev` is for choosing settings; figures come from `heldout`."""
    samples: Annotated[int, Field(ge=1, le=1024)] = 4
    """k, completions a problem and temperature."""
    temperatures: tuple[Annotated[float, Field(gt=0, le=5)], ...] = (1.0, 0.6)
    """Sampling temperatures of avg@k and pass@k."""
    greedy: bool = True
    """Also one greedy completion a problem."""
    max_new_tokens: Annotated[int, Field(ge=1, le=131072)] = 4096
    """Longest completion, in tokens."""
    bootstrap: Annotated[int, Field(ge=100, le=100000)] = 2000
    """Resamples of the problems for the 95% intervals."""
    suites: SuiteEvaluation | None = None
    """Benchmarks, by name or of one's own, beside the held-out problems; none measures on no others."""

    @model_validator(mode="after")
    def _measures_each_once(self) -> Evaluation:
        if len(set(self.temperatures)) < len(self.temperatures):
            raise ValueError(
                "evaluation.temperatures names one twice, which would draw the same completions again and count them "
                "as others; raise evaluation.samples for more of them"
            )
        return self

    def sampling_at(self, temperature: float) -> SamplingSettings:
        """How completions are drawn at a temperature, from the whole distribution."""
        return SamplingSettings(temperature=temperature, max_new_tokens=self.max_new_tokens)


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


class Recipe(Section):
    """A whole run."""

    name: Name
    """Name of the run: its folder below `runs/`."""
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    """The one seed that all others derive from."""
    compute: ComputeSettings = ComputeSettings()
    """Devices and processes."""
    model: Annotated[PretrainedModel | ScratchModel, Field(discriminator="kind")]
    """The base of the policy, and of the prompt model and the rationale model where there is no `generator`."""
    generator: PretrainedModel | None = None
    """The model that the prompt model and the rationale model start from; none takes `model`."""
    generator_lora: dict[str, Any] | None = None
    """Arguments of peft's LoraConfig for the prompt model and the rationale model; none trains all weights."""
    router: Literal["frozen", "trained"] = "frozen"
    """Whether trainings leave the routers of a mixture of experts as they are; a model from scratch learns its own in
    any case, and other models have none."""
    domains: Annotated[dict[Name, Domain], Field(min_length=1)]
    """Kinds of problems, by name."""
    engine: EngineSettings = EngineSettings()
    """Generation and scoring."""
    cold_start: ColdStart = ColdStart()
    """Warm start of p and q."""
    em: EM = EM()
    """The EM loop."""
    synthesis: Synthesis = Synthesis()
    """New prompts."""
    curation: Curation = Curation()
    """Deduplication, decontamination, filters."""
    labelling: Labelling = Labelling()
    """Answers and tests for the prompts."""
    training: TrainingSettings = TrainingSettings()
    """Self-play rounds."""
    evaluation: Evaluation = Evaluation()
    """Held-out accuracy."""
    sandbox: SandboxSettings = SandboxSettings()
    """Untrusted programs."""
    tracking: Tracking = Tracking()
    """Metrics."""
    hooks: Hooks = Hooks()
    """Code of your own that the run calls."""

    @property
    def synthesises(self) -> bool:
        """Whether the run makes prompts of its own."""
        return self.training.pool.arm != "external" and self.training.needs_prompts

    @property
    def is_annotated(self) -> bool:
        """Whether annotators give the seeds concepts and rationales."""
        return self.synthesises and bool(self.cold_start.annotators)

    @model_validator(mode="before")
    @classmethod
    def _holds_no_secrets(cls, settings: Any) -> Any:
        refuse_secrets(settings)
        return settings

    @model_validator(mode="after")
    def _combinations(self) -> Recipe:
        if isinstance(self.synthesis.prompts, dict) and set(self.synthesis.prompts) != set(self.domains):
            raise ValueError(
                f"synthesis.prompts names {sorted(self.synthesis.prompts)}, but the domains are {sorted(self.domains)}"
            )
        by_ray = self.compute.executor == "ray"
        if by_ray and self.compute.ray.on_loss == "rest" and self.training.algorithm == "grpo":
            raise ValueError(
                "compute.ray.on_loss is rest, but each rank of grpo draws rollouts of its own, which fewer ranks would "
                "not draw again; set it to wait"
            )
        if self.compute.sequence_parallel > 1 and self.training.rounds and self.training.algorithm in UNCUT:
            raise ValueError(
                f"compute.sequence_parallel is {self.compute.sequence_parallel}, but training.algorithm is "
                f"{self.training.algorithm}: {UNCUT[self.training.algorithm]}; set sequence_parallel to 1, or take "
                "sft, rft or continued_sft"
            )
        unknown = sorted(set(self.synthesis.concepts) - set(self.domains))
        if unknown:
            raise ValueError(f"synthesis.concepts names {unknown}, but the domains are {sorted(self.domains)}")
        for name, domain in self.domains.items():
            if name in NOT_FOR_DOMAINS:
                raise ValueError(
                    f"domains.{name}: figures of a run are called {name}, which would hide the domain's; give it "
                    "another name"
                )
            if self.em.decides and not domain.seeds.dev:
                raise ValueError(
                    f"em.stop and em.guards look at development problems, but domains.{name}.seeds.dev has none"
                )
            inputs_fit = domain.shared_input_format or self.labelling.inputs == "generated"
            labelled = self.training.pool.arm != "external" and self.training.needs_labels
            if labelled and domain.verifier == "code" and isinstance(domain.seeds, UserSeeds) and not inputs_fit:
                raise ValueError(
                    f"domains.{name}: new programming problems would be tested on inputs of the seeds, which makes "
                    f"sense only where all read one format; set domains.{name}.shared_input_format if they do, or "
                    "labelling.inputs to generated"
                )
            if isinstance(domain.seeds, MadeSeeds):
                available = getattr(domain.seeds, self.evaluation.split)
                if available < self.evaluation.problems:
                    raise ValueError(
                        f"evaluation.problems is {self.evaluation.problems}, but domains.{name}.seeds."
                        f"{self.evaluation.split} makes only {available}"
                    )
        return self

    @model_validator(mode="after")
    def _suites_are_asked_as_the_model_is(self) -> Recipe:
        suites = self.evaluation.suites
        if suites is not None and suites.sampling.system_prompt and self.model.prompt_style != "chat":
            raise ValueError(
                "evaluation.suites.sampling.system_prompt takes a chat template, and the policy is asked without one: "
                "leave it out, or set model.prompt_style to chat"
            )
        return self

    @model_validator(mode="after")
    def _rounds_fit(self) -> Recipe:
        training, pool = self.training, self.training.pool
        if self.synthesis.feedback is not None and pool.each_round != "resynthesise":
            raise ValueError(
                "synthesis.feedback changes what writes new prompts, but no round has any: set "
                "training.pool.each_round to resynthesise"
            )
        if pool.each_round != "reuse" and self.labelling.relabelling is not None:
            raise ValueError(
                f"training.pool.each_round: {pool.each_round} labels all prompts anew, and labelling.relabelling looks "
                "at the old labels again; set one of them"
            )
        if unknown := sorted(set(pool.external) - set(self.domains)):
            raise ValueError(f"training.pool.external names {unknown}, but the domains are {sorted(self.domains)}")
        if training.selection is not None and self.evaluation.split == "dev":
            raise ValueError(
                "training.selection chooses the round by development problems, and evaluation.split: dev reports on "
                "them, too: leave out one of them, or report on heldout"
            )
        if training.selection is not None:
            for name, domain in self.domains.items():
                if not domain.seeds.dev:
                    raise ValueError(
                        f"training.selection looks at development problems, but domains.{name}.seeds.dev has none"
                    )
        if training.algorithm == "sft" and training.sft.answers == "vote":
            others = sorted(name for name, domain in self.domains.items() if domain.verifier != "math")
            if others:
                raise ValueError(
                    f"training.sft.answers: vote compares answers by the math verifier, which {others} lack; set it to "
                    "labels, or leave these domains out"
                )
        for rule, files in {"sft": training.sft.files, "dpo": training.dpo.files}.items():
            if files is not None and files.domain is not None and files.domain not in self.domains:
                raise ValueError(
                    f"training.{rule}.files.domain is {files.domain}, but the domains are {sorted(self.domains)}"
                )
        return self
