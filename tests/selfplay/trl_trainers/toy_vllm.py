"""An engine with vLLM's face and a real model of transformers behind it, which may lose weights as real ones do."""

from __future__ import annotations

import copy
import sys
import types
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar

import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM
from trl.generation import vllm_generation

from selfplay.engines import vllm_opening

Takes = Callable[[str], bool]
"""Whether an engine takes the tensor of a name when its weights are exchanged."""


@dataclass
class SamplingParams:
    """Those that TRL sets."""

    max_tokens: int = 16
    temperature: float = 1.0
    prompt_logprobs: int | None = None
    seed: int | None = None
    stop_token_ids: list[int] = field(default_factory=list)
    detokenize: bool = True
    n: int = 1
    repetition_penalty: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    min_p: float = 0.0
    logprobs: int | None = None

    def clone(self) -> SamplingParams:
        return copy.copy(self)


@dataclass
class Logprob:
    logprob: float
    rank: int = 1


@dataclass
class LoRARequest:
    name: str
    number: int
    path: str


class ToyLLM:
    """Opens the model that it is told, and takes the weights that `takes` allows."""

    takes: Takes = staticmethod(lambda name: True)
    dtype = torch.float32
    opened: ClassVar[list[ToyLLM]] = []

    def __init__(self, **settings: Any) -> None:
        self.settings = settings
        self.network = AutoModelForCausalLM.from_pretrained(settings["model"], dtype=type(self).dtype).eval()
        self.reloads, self.seeds, self.adapters = 0, [], []
        self.llm_engine = types.SimpleNamespace(engine_core=types.SimpleNamespace(shutdown=lambda: None))
        torch.manual_seed(settings["seed"])  # as vLLM does
        type(self).opened.append(self)

    def collective_rpc(self, method: str, kwargs: dict[str, Any]) -> None:
        assert method == "reload_weights"
        own = dict(self.network.named_parameters())
        self.reloads += 1
        with torch.no_grad():
            for name, value in kwargs["weights_iterator"]:
                if type(self).takes(name):
                    own[name].copy_(value)

    def reset_prefix_cache(self) -> None:
        """There is none."""

    def generate(
        self, prompts: list[Any], sampling_params: Any, use_tqdm: bool = False, lora_request: Any = None
    ) -> list[Any]:
        if lora_request is not None and lora_request not in self.adapters:
            self.adapters.append(lora_request)
            base = AutoModelForCausalLM.from_pretrained(self.settings["model"], dtype=type(self).dtype)
            self.network = PeftModel.from_pretrained(base, lora_request.path).eval()
        each = sampling_params if isinstance(sampling_params, list) else [sampling_params] * len(prompts)
        return [self._answer(row["prompt_token_ids"], how) for row, how in zip(prompts, each, strict=True)]

    @torch.no_grad()
    def _answer(self, ids: list[int], how: SamplingParams) -> Any:
        if how.prompt_logprobs is not None:
            found = self.network(torch.tensor([ids])).logits[0, :-1].float().log_softmax(-1)
            rows = [{token: Logprob(float(row[token]))} for token, row in zip(ids[1:], found, strict=True)]
            return types.SimpleNamespace(prompt_logprobs=[None, *rows])
        self.seeds.append(how.seed)
        dice, written, told = torch.Generator().manual_seed(how.seed), [], []
        for _ in range(how.max_tokens):
            logits = self.network(torch.tensor([[*ids, *written]])).logits[0, -1].float() / how.temperature
            token = int(torch.multinomial(logits.softmax(-1), 1, generator=dice))
            written.append(token)
            told.append({token: Logprob(float(logits.log_softmax(-1)[token]))})
            if token in how.stop_token_ids:
                break
        one = types.SimpleNamespace(token_ids=written, logprobs=told)
        return types.SimpleNamespace(prompt_token_ids=ids, outputs=[one])


@pytest.fixture
def toy_vllm(monkeypatch: pytest.MonkeyPatch) -> type[ToyLLM]:
    """Stands in vLLM's place; tests set what it takes and in which format it holds it."""

    class Engine(ToyLLM):
        opened: ClassVar[list[ToyLLM]] = []

    fake = types.ModuleType("vllm")
    fake.LLM, fake.SamplingParams = Engine, SamplingParams  # type: ignore[attr-defined]
    request = types.ModuleType("vllm.lora.request")
    request.LoRARequest = LoRARequest  # type: ignore[attr-defined]
    for name, module in {"": fake, ".lora": types.ModuleType("vllm.lora"), ".lora.request": request}.items():
        monkeypatch.setitem(sys.modules, f"vllm{name}", module)
    monkeypatch.setattr(vllm_generation, "is_vllm_available", lambda: True)
    monkeypatch.setattr(vllm_generation, "SamplingParams", SamplingParams, raising=False)
    monkeypatch.setattr(vllm_opening, "prepare", lambda device: None)
    return Engine
