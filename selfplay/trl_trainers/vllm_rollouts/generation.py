"""TRL's vLLM generation, opened as all engines of a run are, and probed after every sync.

TRL's trainer makes it by itself, and takes no other. So while the trainer is made, the name by which it does is this
module's.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from trl.generation import vllm_generation
from trl.generation.vllm_generation import VLLMGeneration
from trl.trainer import grpo_trainer

from selfplay.config.errors import UserError
from selfplay.engines import loading, vllm_opening
from selfplay.engines.base import ModelRef
from selfplay.run.seeding import derive
from selfplay.trl_trainers.vllm_rollouts.adapter import AdapterFiles, settings_for
from selfplay.trl_trainers.vllm_rollouts.probe import Logprobs, TokenIds, WeightProbe
from selfplay.trl_trainers.vllm_rollouts.process_state import in_place, own_group, undisturbed_dice
from selfplay.trl_trainers.vllm_rollouts.seeded_engine import SeededEngine

PREFILLED = 4096
"""Tokens of one prefill, as TRL sets it."""


class SlowSync(UserError):
    """The weights did not reach the engine in time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """All that the engine is opened with beside what TRL says."""

    model: ModelRef
    """As engines read it; the trainer's weights replace its own at the first sync."""
    device: str
    seed: int
    args: Mapping[str, Any]
    """The recipe's arguments of vLLM's EngineArgs."""
    ends: tuple[int, ...]
    """Ids that end a completion."""
    probe: WeightProbe
    sync_timeout_s: float
    lora: Mapping[str, Any] | None = None
    """Arguments of the adapter that is sent alone, beside a base that stays; None where all weights are sent."""


class ProbedGeneration(VLLMGeneration):
    """A VLLMGeneration that ends the training where its engine does not get the trainer's weights."""

    def __init__(self, *, opening: Opening, **given: Any) -> None:
        self._opening = opening
        self._step = 0
        self._figures: dict[str, float] = {}
        self._adapter = None if opening.lora is None else AdapterFiles()
        super().__init__(**given)

    def at(self, step: int) -> None:
        """Says at which step of the training the next completions are drawn."""
        self._step = step
        self.llm.at(step)

    def figures(self) -> dict[str, float]:
        """Findings of the last sync and its probe, and the seconds of each; once."""
        found, self._figures = self._figures, {}
        return found

    def sync_weights(self) -> None:
        """Gives the engine the trainer's weights, and looks whether it has them.

        Raises:
            SlowSync: it took longer than it may.
            StaleEngine: it has others.
        """
        begun = time.monotonic()
        within(self._opening.sync_timeout_s, self._push, f"the sync of the weights at step {self._step}")
        pushed = time.monotonic()
        self._demand_agreement()
        self._figures |= {"sampling/sync_s": pushed - begun, "sampling/probe_s": time.monotonic() - pushed}

    def _push(self) -> None:
        if self._adapter is not None:
            if self.enable_sleep_mode:
                self.llm.wake_up(tags=["weights"])
                self._llm_weights_sleeping = False
            self.llm.adapter = self._adapter.write(self.model)
            return
        if self._opening.device != "cpu":
            super().sync_weights()
            return
        # Weights that were packed for a CPU take no others one by one.
        self.llm.collective_rpc("reload_weights", kwargs={"weights_iterator": self._iter_named_params()})
        self.llm.reset_prefix_cache()

    def _demand_agreement(self) -> None:
        probe, accelerator = self._opening.probe, self.accelerator
        if self.mode == "colocate" and self.enable_sleep_mode:
            # Generation, which comes next, would wake it.
            self.llm.wake_up(tags=["kv_cache"])
        found = probe.compare(self.model, self._scores)
        bad = torch.tensor([float(not probe.agrees(found))], device=accelerator.device)
        self._figures |= {"sampling/probe/max": found.largest, "sampling/probe/mean": found.mean}
        # Ranks go on, or end, together.
        if accelerator.gather(bad).max() > 0:
            raise probe.fault(self.model, found, self._step)

    def _scores(self, sequences: TokenIds) -> Logprobs:
        scores: Logprobs = self.llm.scores(sequences)
        return scores

    def _init_vllm(self) -> None:
        with in_place(vllm_generation, "LLM", self._open):
            super()._init_vllm()

    def _open(self, **asked: Any) -> SeededEngine:
        from vllm import LLM

        opening = self._opening
        settings = asked | vllm_opening.settings_of(opening.model, opening.device)
        settings |= {} if opening.lora is None else settings_for(opening.lora)
        if opening.device == "cpu":
            # Prompts that are prefilled whole must fit.
            settings["max_num_batched_tokens"] = max(PREFILLED, asked["max_model_len"] or 0)
        replica = self.accelerator.process_index // self.tensor_parallel_size
        with undisturbed_dice():
            llm = LLM(**(settings | dict(opening.args) | vllm_opening.place_of(opening.model)))
        seed = derive(opening.seed, "rollouts", replica)
        return SeededEngine(llm, seed, opening.ends, keeps_base=opening.lora is not None)

    def close(self) -> None:
        """Ends the engine, and frees its memory."""
        if hasattr(self, "llm"):
            self.llm.llm_engine.engine_core.shutdown()
            del self.llm
        if self._adapter is not None:
            self._adapter.close()


@contextmanager
def rollouts_by_vllm(opening: Opening) -> Iterator[None]:
    """Within this a GRPOTrainer that is made, and is told to use vLLM, has the engine; it ends with it."""
    made: list[ProbedGeneration] = []

    def make(**given: Any) -> ProbedGeneration:
        made.append(ProbedGeneration(opening=opening, **given))
        return made[-1]

    # An engine of the run's that is open would share its process-wide state.
    loading.forget_all()
    vllm_opening.prepare(opening.device)
    with own_group(), in_place(grpo_trainer, "VLLMGeneration", make):
        try:
            yield
        finally:
            for generation in made:
                generation.close()


def begun(work: Callable[[], None], name: str) -> Future[None]:
    """Work in a thread of its own, which nothing interrupts; the future ends with it, as it does."""
    done: Future[None] = Future()

    def run() -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - raised again where it is waited for
            done.set_exception(error)
        else:
            done.set_result(None)

    threading.Thread(target=run, name=name, daemon=True).start()
    return done


def within(limit_s: float, work: Callable[[], None], what: str) -> None:
    """Does work that cannot be interrupted in a thread of its own, and stops waiting for it at a limit.

    The thread stays where it hangs. A rank that raises has its whole process ended by the run, and the others with it.

    Args:
        limit_s: seconds.
        work: what to do.
        what: its name in the error, a sentence's beginning, with the field and the remedy to come.

    Raises:
        SlowSync: it took longer.
    """
    done = begun(work, "sync")
    try:
        done.result(limit_s)
    except TimeoutError:
        if done.done():
            raise
        raise SlowSync(
            f"training.grpo.vllm.sync_timeout_s: {what} took longer than {limit_s:g} s; raise it if that is only slow, "
            "and see workers.log"
        ) from None
