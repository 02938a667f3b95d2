"""Trainings and generations of a recipe on one machine: their part of its devices, its host and its disk."""

from __future__ import annotations

import copy
import dataclasses
import math
from collections.abc import Mapping
from typing import Any

from selfplay.config.compute import ComputeSettings, EngineSettings
from selfplay.config.errors import UserError
from selfplay.config.rules import GRPORule
from selfplay.config.section import SamplingSettings
from selfplay.planning.architecture import Architecture, cut_fault
from selfplay.planning.machine import Machine
from selfplay.planning.memory import (
    ENGINE_BYTES,
    DecodingBatch,
    TrainingStep,
    generation_terms,
    served_terms,
    standing_terms,
    training_terms,
)
from selfplay.planning.need import Named, Need
from selfplay.planning.number_formats import BRAIN, FLOAT, WIDTH, Formats, served_formats
from selfplay.planning.rates import Rates
from selfplay.planning.speed import SEQUENCES, Speed, decoding_speed, scoring_speed, training_speed

SHARE_OF_VLLM = 0.9
"""`gpu_memory_utilization` where a recipe does not say it."""
ROW_BYTES = 16
"""On disk for each token of a completion: its id, its log-probability, and its text twice, packed."""
LARGEST_WINDOW = 1 << 20
"""Tokens to which a model may be stretched by `hf_overrides`."""
LIBRARIES = 3 * 2**30
"""Host memory of a worker's libraries."""
SHARDING, CUT = "compute.sharding", "compute.sequence_parallel"
ZERO = {"zero2": 2, "zero3": 3}
STATES = {
    **dict.fromkeys(("adamw_8bit", "adamw_bnb_8bit", "paged_adamw_8bit", "adamw_torch_8bit"), 2.0),
    **dict.fromkeys(("lion_8bit", "paged_lion_8bit", "adamw_torch_4bit"), 1.0),
    "adafactor": 0.1,
    "sgd": 0.0,
}
"""Bytes of the optimiser's state for each trained parameter, by `optim`; Adam in float32 has 8."""


class NoGPULeft(UserError):
    """A server was to have every GPU."""


class Needs:
    """Makes the needs of one recipe on one machine."""

    def __init__(self, machine: Machine, rates: Rates, engine: EngineSettings, compute: ComputeSettings) -> None:
        """`engine` and `compute` are the recipe's sections."""
        self.machine, self.rates, self._engine = machine, rates, engine
        self._sharding, self._offload = compute.sharding, compute.offload
        self._sequence_parallel = compute.sequence_parallel
        self.ranks = engine.ranks
        self.workers = max(machine.devices // self.ranks, 1) if machine.device == "cuda" else machine.devices

    @property
    def batches(self) -> int:
        """Workers of a training by maximum likelihood that have batches of their own."""
        return max(self.workers // self._sequence_parallel, 1)

    def _cut_over(self, how: Mapping[str, Any]) -> int:
        """Workers over which each sequence of a training is cut."""
        return self._sequence_parallel if how["kind"] == "sft" else 1

    def beside(self, rule: GRPORule) -> Needs:
        """Those of a training beside a server that has GPUs of its own.

        Raises:
            NoGPULeft: it has all of them.
        """
        own = copy.copy(self)
        if self.machine.device == "cuda":
            own.workers = rule.ranks(self.workers, self.ranks)
        if own.workers < 1:
            raise NoGPULeft(
                f"training.grpo.vllm.gpus: is {rule.own_gpus} of {self.machine.devices} GPUs, which leaves none to the "
                "trainer; lower it, or set training.grpo.rollouts to vllm, which shares the trainer's"
            )
        return own

    def prompt_of(self, model: Architecture) -> int:
        """Tokens of the longest prompt, as assumed: at most a quarter of what the model was made for."""
        return max(min(self.rates.prompt_tokens, model.positions // 4), 1)

    def trains(self, stage: str, what: str, model: Named, args: Mapping[str, Any], how: Mapping[str, Any]) -> Need:
        """A training on all workers.

        Args:
            how: `kind` (sft, dpo, grpo), `tokens` of the longest sequence, `mean` of the others, `sequences` of the
                whole training, `field` of the arguments, and for grpo `prompt`, `completion` and terms `beside` it.
        """
        step = self.step(model, args, how)
        terms = training_terms(step) | how.get("beside", {})
        whole = step.trained == model.sizes.parameters
        state = int(step.trained * (FLOAT + step.optimiser_bytes))
        loaded = model.sizes.parameters * step.weight_bytes
        reference = model.sizes.parameters * FLOAT if step.reference else 0
        # Of all ranks together: gradients, states, and weights of the optimiser's own.
        offloaded = self.workers * (step.states + 2 * step.trained * FLOAT // step.shards) if step.offloaded else 0
        # By ZeRO-3 no rank loads more than its part, and by FSDP2 the first loads for all.
        loaded = (loaded + reference) // (1 if step.zero == 2 else step.shards)
        # In the end the first gathers all and puts it into a whole model; an adapter is merged in float32.
        kept = model.sizes.parameters * FLOAT * (2 if step.shards > 1 else 0 if whole else 1)
        at = how["field"]
        fields = [f"{at}.per_device_train_batch_size", f"{at}.gradient_checkpointing"]
        # A base in 4 bits cannot be cut.
        fields += [] if step.quantised else [SHARDING]
        fields += [*([CUT] if how["kind"] == "sft" else []), *how.get("lengths", ())]
        fault = cut_fault(self._cut_over(how), model.sizes.heads, model.sizes.kv_heads)
        return Need(
            stage=stage,
            what=what,
            terms=terms,
            limit=self.machine.usable,
            tokens=int(how["sequences"] * how["mean"]),
            speed=training_speed(
                self.rates, self.machine.card, model.name, dataclasses.replace(step, tokens=how["mean"])
            ),
            devices=self.workers,
            host=max(self._host(loaded, sum(terms.values())), kept) + offloaded,
            stays=self._kept(model),
            passing=2 * state if "save_steps" in args else 0,
            fields=(*fields, model.lora_field) if whole else tuple(fields),
            notes=(f"{CUT} {fault}",) if fault else (),
        )

    def _kept(self, model: Named) -> int:
        """A trained model on disk: its masters, and what engines read, unless that is an adapter on its base."""
        exact = model.trained * FLOAT if model.lora is not None or WIDTH[model.dtype] < FLOAT else 0
        if model.lora is not None and model.lora_field == "generator_lora" and self._engine.kind == "transformers":
            return exact
        return exact + model.sizes.parameters * WIDTH[model.dtype]

    def step(self, model: Named, args: Mapping[str, Any], how: Mapping[str, Any]) -> TrainingStep:
        """One update of a training, as memory sees it; arguments as for `trains`."""
        on_gpu = self.machine.device == "cuda"
        each = int(args.get("per_device_train_batch_size", 8))
        whole, shards = model.lora is None, 1 if self._sharding == "none" else self.workers
        checkpointing = args.get("activation_checkpointing", args.get("gradient_checkpointing", on_gpu))
        reference = how["kind"] == "dpo" or (how["kind"] == "grpo" and float(args.get("beta", 0.0) or 0.0) != 0.0)
        attention = str((args.get("model_init_kwargs") or {}).get("attn_implementation", ""))
        return TrainingStep(
            model=model.sizes,
            trained=model.trained,
            device=self.machine.device,
            weight_bytes=FLOAT if whole or shards > 1 else WIDTH[model.dtype],
            sequences=each * (2 if how["kind"] == "dpo" else 1),
            # Of a sequence that is cut, a rank has one part.
            tokens=math.ceil(how["tokens"] / self._cut_over(how)),
            accumulates=int(args.get("gradient_accumulation_steps", 1)) > 1,
            checkpointing=bool(checkpointing),
            autocast=bool(args.get("bf16", on_gpu)),
            reference=reference and whole,
            ranks=self.workers,
            shards=shards,
            optimiser_bytes=STATES.get(str(args.get("optim")), 2.0 * FLOAT),
            flash="flash" in attention,
            zero=ZERO.get(self._sharding, 0),
            offloaded=self._offload and shards > 1,
            quantised=bool((args.get("model_init_kwargs") or {}).get("load_in_4bit")),
        )

    def rolls(self, stage: str, model: Named, args: Mapping[str, Any], how: Mapping[str, Any]) -> Need:
        """GRPO's completions by transformers, beside the optimiser: those of a whole step of one rank at once.

        Args:
            how: as for `trains`, with `prompt` and `completion`, the longest of each.
        """
        step = self.step(model, args, how)
        passes = int(args.get("steps_per_generation") or args.get("gradient_accumulation_steps", 1))
        # Under autocast a norm of float32 weights gives float32 keys; values stay in bfloat16.
        mixed = step.autocast and step.weight_bytes == FLOAT
        width = (FLOAT + BRAIN) / 2 if mixed and step.model.qk_norm else BRAIN if mixed else step.weight_bytes
        made = DecodingBatch(
            model=step.model,
            weight_bytes=step.weight_bytes,
            sequences=step.sequences * passes,
            prompt=how["prompt"],
            completion=how["completion"],
            beside=standing_terms(step),
            cache_bytes=width,
        )
        mean = how["mean"] - how["prompt"]
        return Need(
            stage=stage,
            what="rollouts",
            terms=generation_terms(made),
            limit=self.machine.usable,
            tokens=int(how["sequences"] * mean),
            speed=self._batched(model, step.weight_bytes, made, mean),
            devices=self.workers,
            stays=int(how["sequences"] * mean * ROW_BYTES),
            fields=(
                *(f"{how['field']}.steps_per_generation", SHARDING),
                *(*how["lengths"], f"{how['field']}.beta", model.lora_field),
            ),
        )

    def _batched(self, model: Named, width: int, made: DecodingBatch, mean: int) -> Speed:
        """Transformers' speed, whose batch lasts as long as its longest completion."""
        length = made.prompt + mean / 2
        batch = made.sequences
        formats, tokens = Formats.plain(width), (length, 0)
        speed = decoding_speed(self.rates, self.machine.card, model.name, model.sizes, formats, tokens, batch)
        return speed if speed.measured else Speed(speed.tokens_per_s * mean / made.completion)

    def generates(
        self, stage: str, what: str, model: Named, sampling: SamplingSettings, count: int, field_: str = ""
    ) -> Need:
        """Completions by the run's engine."""
        prompt, longest = self.prompt_of(model.sizes), int(sampling.max_new_tokens)
        mean = max(int(longest * self.rates.completion_share), 1)
        if self._engine.kind == "vllm":
            return self._served(stage, what, model, (prompt, mean, longest), count, field_)
        width = WIDTH[model.dtype]
        formats = served_formats(model.dtype, model.sizes.stored, {}, (model.field, "engine.args"))
        sequences = max(min(self._engine.batch_tokens // (prompt + longest), count), 1)
        step = DecodingBatch(
            model=model.sizes,
            weight_bytes=width,
            sequences=sequences,
            prompt=prompt,
            completion=longest,
            beside={"weights": model.sizes.weighs(formats)},
        )
        terms = generation_terms(step)
        lengths = (field_,) if field_ else ()
        return Need(
            stage=stage,
            what=what,
            terms=terms,
            limit=self.machine.usable,
            tokens=count * mean,
            speed=self._batched(model, width, step, mean),
            devices=self.workers,
            host=self._host(terms["weights"], sum(terms.values())),
            stays=count * mean * ROW_BYTES,
            fields=("engine.batch_tokens", *lengths, "engine.kind"),
        )

    def _served(
        self, stage: str, what: str, model: Named, tokens: tuple[int, int, int], count: int, field_: str
    ) -> Need:
        prompt, mean, longest = tokens
        args, card = self._engine.args, self.machine.card
        formats = served_formats(model.dtype, model.sizes.stored, args, (model.field, "engine.args"))
        share = int(self.machine.device_bytes * float(args.get("gpu_memory_utilization", SHARE_OF_VLLM)))
        # A model opens with fewer where it was made for fewer, unless its arguments stretch it.
        most = LARGEST_WINDOW if "hf_overrides" in args else int(model.sizes.positions * self._engine.yarn)
        window = min(int(args.get("max_model_len") or most), most)
        served = served_terms(model.sizes, formats, share, window, self.ranks, ENGINE_BYTES[self.machine.device])
        together = min(served.cache_tokens / (prompt + mean), int(args.get("max_num_seqs") or SEQUENCES))
        batch = max(together, 1.0)
        speed = decoding_speed(self.rates, card, model.name, model.sizes, formats, (prompt + mean / 2, 1), batch)
        notes: tuple[str, ...] = ()
        if window < prompt + longest:
            whose = (
                "engine.args.max_model_len" if window < most else f"{model.field}: the longest sequence of {model.name}"
            )
            notes = (f"{whose} is {window}, less than a prompt of {prompt} and {longest} more tokens",)
        return Need(
            stage=stage,
            what=what,
            terms=served.terms,
            limit=share,
            tokens=count * mean,
            speed=speed,
            # A model that is spread over devices is read by all of them at once.
            devices=self.workers * self.ranks,
            host=self._host(served.terms["weights"] * self.ranks, 0),
            stays=count * mean * ROW_BYTES,
            fields=("engine.args.max_model_len", "engine.args.tensor_parallel_size", *((field_,) if field_ else ())),
            notes=notes,
        )

    def scores(self, stage: str, what: str, model: Named, count: int, tokens: int) -> Need:
        """Log-probabilities of so many sequences of so many tokens, by the run's engine."""
        new = max(tokens - self.prompt_of(model.sizes), 1)
        made = self.generates(stage, what, model, SamplingSettings(max_new_tokens=new), count)
        speed = scoring_speed(self.rates, self.machine.card, model.name, model.sizes, tokens)
        return dataclasses.replace(made, tokens=count * tokens, speed=speed, stays=count * 64)

    def _host(self, loaded: int, on_device: int) -> int:
        """A model is loaded on the host before it goes to its GPU; on a CPU it stays there with all else."""
        if self.machine.device == "cpu":
            return self.workers * (on_device + LIBRARIES // 6)
        return self.workers * (loaded + LIBRARIES)
