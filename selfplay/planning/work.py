"""The work of each stage on the devices: which model, how many sequences, how long."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from selfplay.config.annotation import LocalEngine
from selfplay.config.programs import PolicyEngine
from selfplay.config.recipe import Recipe
from selfplay.config.section import NamedModel, SamplingSettings, ScratchModel
from selfplay.planning.colocated import beside_training, rolls_by_server, rolls_by_vllm, server_share
from selfplay.planning.counts import Counts, problems_of
from selfplay.planning.known_models import architecture_of
from selfplay.planning.need import Named, Need
from selfplay.planning.needs import Needs
from selfplay.run.plan import Kind, PlannedStage

SHORT = 2048
"""Tokens of the longest seed problem with its rationale, where nothing says how long one may be."""


class StageNeeds:
    """The needs of every kind of stage of one recipe."""

    def __init__(self, recipe: Recipe, needs: Needs, counts: Counts) -> None:
        self._recipe, self._needs, self._counts = recipe, needs, counts
        # All that a recipe trains and asks shares its prompts; a tiny model of its own has short ones.
        self._prompt = needs.prompt_of(self._policy().sizes)
        self._share = needs.rates.completion_share
        self._by_kind: Mapping[Kind, Callable[[PlannedStage], Iterator[Need]]] = {
            Kind.ANNOTATION: self._annotation,
            Kind.BASE: self._base,
            Kind.TEACHER: self._teacher,
            Kind.COLD_START: self._cold_start,
            Kind.EM: self._em,
            Kind.FEEDBACK: self._em,
            Kind.SYNTHESIS: self._synthesis,
            Kind.CURATION: self._curation,
            Kind.LABELLING: self._labelling,
            Kind.RELABELLING: self._relabelling,
            Kind.SELFPLAY: self._selfplay,
            Kind.EVALUATION: self._evaluation,
            Kind.SELECTION: self._selection,
        }

    def of(self, stage: PlannedStage) -> list[Need]:
        """Those of one stage; none where no model of this machine works.

        Raises:
            UnknownSizes: a model's sizes are not known.
        """
        make = self._by_kind.get(stage.kind)
        return [] if make is None else list(make(stage))

    def _policy(self) -> Named:
        model = self._recipe.model
        name, dtype = _identity(model)
        return Named("model", name, architecture_of(model, "model"), dtype, self._recipe.training.lora)

    def _generator(self) -> Named:
        own = self._recipe.generator
        model, at = (self._recipe.model, "model") if own is None else (own, "generator")
        name, dtype = _identity(model)
        return Named(at, name, architecture_of(model, at), dtype, self._recipe.generator_lora, "generator_lora")

    def _local(self, engine: object, at: str) -> Named | None:
        """A model of this machine; None for an endpoint, which takes nothing of it."""
        if isinstance(engine, PolicyEngine):
            return self._policy()
        if not isinstance(engine, LocalEngine):
            return None
        return Named(at, engine.name, architecture_of(engine, at), engine.dtype)

    def _fit(self, stage: PlannedStage, what: str, model: Named, given: Mapping[str, Any], longest: int) -> Need:
        """A training by maximum likelihood; `given` has its args, their field, and how many examples there are."""
        args = given["args"]
        mean = min(self._prompt + int(longest * self._share), longest)
        how = {"kind": "sft", "tokens": longest, "mean": mean, "field": given["field"]}
        how["sequences"] = self._seen(args, given["count"])
        how["lengths"] = given.get("lengths", ())
        return self._needs.trains(stage.name, what, model, args, how)

    def _seen(self, args: Mapping[str, Any], count: int) -> float:
        """Sequences of a whole training."""
        steps = int(args.get("max_steps", -1) or -1)
        if steps > 0:
            each = int(args.get("per_device_train_batch_size", 8)) * int(args.get("gradient_accumulation_steps", 1))
            return steps * each * self._needs.batches
        return count * float(args.get("num_train_epochs", 3.0))

    def _annotation(self, stage: PlannedStage) -> Iterator[Need]:
        for name, one in self._recipe.cold_start.annotators.items():
            model = self._local(one.engine, f"cold_start.annotators.{name}.engine")
            if model is not None:
                at = f"cold_start.annotators.{name}.sampling.max_new_tokens"
                yield self._needs.generates(stage.name, name, model, one.sampling, 2 * self._counts.seeds, at)

    def _base(self, stage: PlannedStage) -> Iterator[Need]:
        if isinstance(self._recipe.model, ScratchModel):
            yield self._scratch(stage, self._recipe.model, "model")

    def _teacher(self, stage: PlannedStage) -> Iterator[Need]:
        scratch = self._recipe.training.scratch_teacher
        if scratch is not None:
            yield self._scratch(stage, scratch, "training.sft.teacher.engine")

    def _scratch(self, stage: PlannedStage, model: ScratchModel, at: str) -> Need:
        sizes = architecture_of(model, at)
        given = {"args": model.args, "field": f"{at}.args", "count": self._counts.seeds}
        return self._fit(stage, "from scratch", Named(at, at, sizes, "float32"), given, sizes.positions)

    def _cold_start(self, stage: PlannedStage) -> Iterator[Need]:
        start = self._recipe.cold_start
        longest = self._prompt + self._recipe.em.sampling.max_new_tokens
        roles = {"p": ("prompt_model_args", start.prompt_model_args)}
        if self._recipe.em.rationales:
            roles["q"] = ("rationale_model_args", start.rationale_model_args)
        for role, (field, args) in roles.items() if start.enabled else ():
            given = {"args": args, "field": f"cold_start.{field}", "count": self._counts.seeds}
            given["lengths"] = ("em.sampling.max_new_tokens",)
            yield self._fit(stage, role, self._generator(), given, longest)

    def _em(self, stage: PlannedStage) -> Iterator[Need]:
        em, model = self._recipe.em, self._generator()
        pairs = min(em.pairs * len(self._recipe.domains) or self._counts.seeds, self._counts.seeds)
        longest = self._prompt + em.sampling.max_new_tokens
        lengths = ("em.sampling.max_new_tokens",)
        if em.rationales:
            drawn = pairs * em.candidates if em.e_step != "annotated" else 0
            # One pass of p gives both parts of the joint likelihood; q scores what is weighed against its own draws.
            scored = drawn * (2 if em.assignment == "soft" else 1) + pairs * (em.reward == "information_gain")
            measured = em.heldout_pairs * len(self._recipe.domains) * em.bound_samples
            at = lengths[0]
            yield self._needs.generates(stage.name, "rationales", model, em.sampling, drawn + measured, at)
            yield self._needs.scores(stage.name, "likelihoods", model, scored + 2 * measured, longest)
        if em.rationales and em.e_step == "trained":
            given = {"args": em.e_step_args, "field": "em.e_step_args", "count": pairs, "lengths": lengths}
            yield self._fit(stage, "q", model, given, longest)
        given = {"args": em.m_step_args, "field": "em.m_step_args", "count": pairs, "lengths": lengths}
        yield self._fit(stage, "p", model, given, longest)

    def _synthesis(self, stage: PlannedStage) -> Iterator[Need]:
        settings = self._recipe.synthesis
        own = settings.generator
        model = self._generator() if own is None else self._local(own, "synthesis.generator")
        if model is not None:
            at = "synthesis.sampling.max_new_tokens"
            yield self._needs.generates(stage.name, "prompts", model, settings.sampling, self._counts.drawn, at)

    def _curation(self, stage: PlannedStage) -> Iterator[Need]:
        judging, solving = self._recipe.curation.judging, self._recipe.curation.solving
        for name, judge in (judging.judges if judging else {}).items():
            at = f"curation.judging.judges.{name}"
            if (model := self._local(judge.engine, at)) is not None:
                yield self._needs.generates(
                    stage.name, name, model, judge.sampling, self._counts.drawn, f"{at}.sampling"
                )
        for name, solver in (solving.solvers if solving else {}).items():
            at = f"curation.solving.solvers.{name}"
            if (model := self._local(solver.engine, at)) is not None:
                count = self._counts.drawn * solver.samples
                yield self._needs.generates(stage.name, name, model, solver.sampling, count, f"{at}.sampling")

    def _labelling(self, stage: PlannedStage) -> Iterator[Need]:
        settings = self._recipe.labelling
        for name, voter in settings.voters.items():
            at = f"labelling.labellers.{name}" if name else "labelling"
            if (model := self._local(voter.engine, at)) is not None:
                count = self._counts.curated * voter.samples
                field = f"{at}.sampling.max_new_tokens"
                yield self._needs.generates(stage.name, name or "votes", model, voter.sampling, count, field)
        if settings.difficulty is not None:
            count = self._counts.curated * settings.difficulty.rollouts
            field = "labelling.difficulty.sampling.max_new_tokens"
            yield self._needs.generates(
                stage.name, "difficulty", self._policy(), settings.difficulty.sampling, count, field
            )

    def _relabelling(self, stage: PlannedStage) -> Iterator[Need]:
        again = self._recipe.labelling.relabelling
        assert again is not None
        count, field = self._counts.curated * again.samples, "labelling.relabelling.sampling.max_new_tokens"
        yield self._needs.generates(stage.name, "votes", self._policy(), again.sampling, count, field)

    def _selfplay(self, stage: PlannedStage) -> Iterator[Need]:
        rule = self._recipe.training.algorithm
        yield from {"grpo": self._grpo, "dpo": self._pairs, "rft": self._right, "sft": self._traces}.get(
            rule, self._continued
        )(stage)

    def _grpo(self, stage: PlannedStage) -> Iterator[Need]:
        training, needs = self._recipe.training, self._needs
        args, longest = training.grpo.args, training.sampling.max_new_tokens
        longest = int(args.get("max_completion_length") or longest)
        group = int(args.get("num_generations") or 8)
        tasks = self._counts.tasks(training.grpo.prompts)
        mean = self._prompt + int(longest * self._share)
        given = {"kind": "grpo", "tokens": self._prompt + longest, "mean": mean, "field": "training.grpo.args"}
        given |= {"prompt": self._prompt, "completion": longest, "lengths": ("training.sampling.max_new_tokens",)}
        given["sequences"] = self._seen({"num_train_epochs": 3.0} | args, tasks * group)
        if training.grpo.rollouts == "vllm":
            yield rolls_by_vllm(self._needs, stage.name, self._policy(), training.grpo, given)
            given["beside"] = beside_training(self._needs.machine, self._policy(), args)
        elif training.grpo.rollouts == "server":
            needs = needs.beside(training.grpo)
            yield rolls_by_server(self._needs, stage.name, self._policy(), training.grpo, given)
            if self._needs.machine.device == "cpu":
                # Its memory is that of all processes.
                share = server_share(self._needs.machine, self._policy(), {})
                given["beside"] = {"engine": share // needs.workers}
        else:
            yield self._needs.rolls(stage.name, self._policy(), args, given)
        yield needs.trains(stage.name, "grpo", self._policy(), args, given)

    def _rolled(self, stage: PlannedStage, rollouts: int, prompts: int) -> Iterator[Need]:
        training = self._recipe.training
        count = self._counts.tasks(prompts) * rollouts
        field = "training.sampling.max_new_tokens"
        yield self._needs.generates(stage.name, "rollouts", self._policy(), training.sampling, count, field)

    def _pairs(self, stage: PlannedStage) -> Iterator[Need]:
        training = self._recipe.training
        rule = training.dpo
        pairs = self._counts.traces
        if rule.files is None:
            yield from self._rolled(stage, rule.rollouts, rule.prompts)
            pairs = int(self._counts.tasks(rule.prompts) * rule.pairs_per_prompt * self._needs.rates.pairs_share)
        longest = int(rule.args.get("max_length") or self._prompt + training.sampling.max_new_tokens)
        mean = min(self._prompt + int(training.sampling.max_new_tokens * self._share), longest)
        how = {"kind": "dpo", "tokens": longest, "mean": mean, "field": "training.dpo.args"}
        how |= {"sequences": 2 * self._seen(rule.args, pairs), "lengths": ("training.dpo.args.max_length",)}
        yield self._needs.trains(stage.name, "dpo", self._policy(), rule.args, how)

    def _right(self, stage: PlannedStage) -> Iterator[Need]:
        training = self._recipe.training
        rule = training.rft
        yield from self._rolled(stage, rule.rollouts, rule.prompts)
        count = int(self._counts.tasks(rule.prompts) * rule.samples_per_prompt * self._needs.rates.pairs_share)
        longest = int(rule.args.get("max_length") or self._prompt + training.sampling.max_new_tokens)
        given = {"args": rule.args, "field": "training.rft.args", "count": count}
        yield self._fit(stage, "rft", self._policy(), given | {"lengths": ("training.rft.args.max_length",)}, longest)

    def _traces(self, stage: PlannedStage) -> Iterator[Need]:
        rule = self._recipe.training.sft
        teacher, count = rule.teacher, self._counts.traces
        longest = SHORT
        if teacher is not None:
            count += self._counts.unlabelled(rule.prompts) * rule.traces_per_prompt
            longest = self._prompt + teacher.sampling.max_new_tokens
            model = self._local(teacher.engine, "training.sft.teacher.engine")
            if model is not None:
                drawn = self._counts.unlabelled(rule.prompts) * teacher.traces
                yield self._needs.generates(stage.name, "traces", model, teacher.sampling, drawn)
        longest = int(rule.args.get("max_length") or rule.max_tokens or longest)
        given = {"args": rule.args, "field": "training.sft.args", "count": count}
        yield self._fit(stage, "sft", self._policy(), given | {"lengths": ("training.sft.args.max_length",)}, longest)

    def _continued(self, stage: PlannedStage) -> Iterator[Need]:
        rule = self._recipe.training.continued_sft
        given = {"args": rule.args, "field": "training.continued_sft.args", "count": self._counts.seeds}
        yield self._fit(stage, "continued_sft", self._policy(), given, int(rule.args.get("max_length") or SHORT))

    def _evaluation(self, stage: PlannedStage) -> Iterator[Need]:
        settings = self._recipe.evaluation
        each = settings.samples * len(settings.temperatures) + settings.greedy
        sampling = SamplingSettings(max_new_tokens=settings.max_new_tokens)
        count = settings.problems * len(self._recipe.domains) * each
        field = "evaluation.max_new_tokens"
        yield self._needs.generates(stage.name, "answers", self._policy(), sampling, count, field)
        suites = settings.suites
        if suites is not None and stage.round % suites.every == 0:
            count = problems_of(suites, self._needs.rates) * suites.samples
            field = "evaluation.suites.sampling.max_new_tokens"
            yield self._needs.generates(stage.name, "suites", self._policy(), suites.sampling, count, field)

    def _selection(self, stage: PlannedStage) -> Iterator[Need]:
        settings = self._recipe.training.selection
        assert settings is not None
        sampling = SamplingSettings(max_new_tokens=self._recipe.evaluation.max_new_tokens)
        count = settings.problems * len(self._recipe.domains) * settings.samples
        yield self._needs.generates(stage.name, "answers", self._policy(), sampling, count, "evaluation.max_new_tokens")


def _identity(model: NamedModel | ScratchModel) -> tuple[str, str]:
    return ("scratch", "float32") if isinstance(model, ScratchModel) else (model.name, model.dtype)
