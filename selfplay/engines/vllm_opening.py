"""How every vLLM engine of a run is opened, and what its CPU build needs besides."""

from __future__ import annotations

import functools
import os
from typing import Any

from selfplay.compute.rendezvous import keep_stores_on_the_loopback
from selfplay.engines.base import ModelRef
from selfplay.engines.model_files import UNTRUSTED

ENVIRONMENT = {
    # The engine runs in the worker itself, so that it sees the worker's device and ends with it.
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
    "VLLM_LOGGING_LEVEL": "WARNING",
    "VLLM_CPU_KVCACHE_SPACE": "1",
    # Where it takes several processes, each begins as a fresh interpreter.
    "VLLM_WORKER_MULTIPROC_METHOD": "spawn",
}
"""Set before vLLM is imported, unless the user has set them."""


def prepare(device: str) -> None:
    """Readies this process for vLLM; before vLLM is imported.

    Args:
        device: `cpu` or `cuda`.
    """
    os.environ.update({name: os.environ.get(name, value) for name, value in ENVIRONMENT.items()})
    keep_stores_on_the_loopback()
    if device == "cpu":
        renew_expert_kernels()
        renew_tied_heads()


def settings_of(model: ModelRef, device: str) -> dict[str, Any]:
    """Arguments of vLLM's LLM for a model, which a recipe's own may replace; without where it is."""
    # Without the format it would take pickles where there are no safetensors.
    presets = {"dtype": model.dtype, "seed": 0, "generation_config": "vllm", "load_format": "safetensors"}
    if device != "cpu":
        return presets
    # Compiling for a CPU takes longer than a small model's whole work. Where a prompt is prefilled in pieces, the
    # token that its piece has drawn is taken back from the request's generator, which torch has for GPUs only.
    return presets | {"enforce_eager": True, "enable_chunked_prefill": False}


def place_of(model: ModelRef) -> dict[str, Any]:
    """The arguments that no recipe may replace: where the model is, and that no code of its folder is run."""
    return {"model": model.path, "revision": model.revision, **UNTRUSTED}


def renew_expert_kernels() -> None:
    """Has vLLM's CPU build pack the weights of experts again whenever they are loaded, in this process, from now on.

    It packs them when a model is opened and, finding its kernel there, never again: after a reload it would go on with
    the old experts, and say nothing.
    """
    from vllm.model_executor.layers.fused_moe.unquantized_fused_moe_method import UnquantizedFusedMoEMethod as Experts

    setup = Experts._setup_kernel
    if hasattr(setup, "__wrapped__"):
        return

    @functools.wraps(setup)
    def anew(self: Any, *args: Any, **others: Any) -> Any:
        self.moe_kernel = None
        return setup(self, *args, **others)

    Experts._setup_kernel = anew


def renew_tied_heads() -> None:
    """The same for an output head that is tied to the embeddings: packed once, it has no weights of its own to load."""
    from vllm.v1.worker.gpu_model_runner import GPUModelRunner

    reload = GPUModelRunner.reload_weights
    if hasattr(reload, "__wrapped__"):
        return

    @functools.wraps(reload)
    def with_head(self: Any, *args: Any, **others: Any) -> None:
        reload(self, *args, **others)
        head = getattr(self.get_model(), "lm_head", None)
        if head is not None and self.model_config.hf_text_config.tie_word_embeddings:
            head.quant_method.process_weights_after_loading(head)

    GPUModelRunner.reload_weights = with_head
