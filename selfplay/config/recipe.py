"""The recipe: what a run does, as typed settings. Importing this module loads no heavy library."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from selfplay.config.compute import ComputeSettings, EngineSettings
from selfplay.config.curation import Curation
from selfplay.config.domains import Domain
from selfplay.config.em import EM, ColdStart
from selfplay.config.evaluation import Evaluation
from selfplay.config.labelling import Labelling
from selfplay.config.sandbox import SandboxSettings
from selfplay.config.section import Name, PretrainedModel, ScratchModel, Section
from selfplay.config.seeds import MadeSeeds, UserSeeds
from selfplay.config.synthesis import Synthesis
from selfplay.config.tracking import Hooks, Tracking
from selfplay.config.training import TrainingSettings
from selfplay.config.values.secrets import refuse_secrets

UNCUT = {
    "grpo": "TRL makes its inputs within the trainer, after they would be cut",
    "dpo": "nothing in TRL's trainer sees to losses of pairs that are cut",
}
"""Rules whose sequences stay whole on each worker, and why."""
NOT_FOR_DOMAINS = ("round", "score", "rollouts", "suite")
"""Names of figures that stand beside those of domains, in the rows of a selection and in the metrics of evaluations."""


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
    def _synthesis_is_of_the_domains(self) -> Recipe:
        if isinstance(self.synthesis.prompts, dict) and set(self.synthesis.prompts) != set(self.domains):
            raise ValueError(
                f"synthesis.prompts names {sorted(self.synthesis.prompts)}, but the domains are {sorted(self.domains)}"
            )
        unknown = sorted(set(self.synthesis.concepts) - set(self.domains))
        if unknown:
            raise ValueError(f"synthesis.concepts names {unknown}, but the domains are {sorted(self.domains)}")
        return self

    @model_validator(mode="after")
    def _training_can_be_spread(self) -> Recipe:
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
        return self

    @model_validator(mode="after")
    def _domains_fit(self) -> Recipe:
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
        pool = self.training.pool
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
        return self

    @model_validator(mode="after")
    def _selection_has_problems(self) -> Recipe:
        if self.training.selection is None:
            return self
        if self.evaluation.split == "dev":
            raise ValueError(
                "training.selection chooses the round by development problems, and evaluation.split: dev reports on "
                "them, too: leave out one of them, or report on heldout"
            )
        for name, domain in self.domains.items():
            if not domain.seeds.dev:
                raise ValueError(
                    f"training.selection looks at development problems, but domains.{name}.seeds.dev has none"
                )
        return self

    @model_validator(mode="after")
    def _training_is_of_the_domains(self) -> Recipe:
        training = self.training
        if unknown := sorted(set(training.pool.external) - set(self.domains)):
            raise ValueError(f"training.pool.external names {unknown}, but the domains are {sorted(self.domains)}")
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
