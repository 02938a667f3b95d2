"""A LoRA adapter that vLLM gets alone, beside a base that stays as it is: a sync sends what is trained, and no more."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from selfplay.engines.model_files import ADAPTER_WEIGHTS
from selfplay.planning.architecture import ATTENTION, MLP

RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)
"""Those for which vLLM makes room."""
_NAME = "default"
"""As peft names the adapter that is trained."""


def settings_for(lora: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of vLLM's LLM for one adapter with these arguments of peft's LoraConfig."""
    largest = max(int(lora.get("r", 8)), *map(int, (lora.get("rank_pattern") or {1: 1}).values()))
    room = next((rank for rank in RANKS if rank >= largest), RANKS[-1])
    named = lora.get("target_modules")
    # Without names vLLM makes room in the output head, too, which then says nothing of prompts, as the probe asks.
    modules = list(named) if isinstance(named, list | tuple) else [*ATTENTION, *MLP]
    counts = {"max_lora_rank": room, "max_loras": 1, "max_cpu_loras": 1}
    return {"enable_lora": True, "lora_target_modules": modules, **counts}


class AdapterFiles:
    """The adapter of a trainer in a folder of this rank's own, written anew at each sync."""

    def __init__(self) -> None:
        self._folder = TemporaryDirectory(prefix="adapter-")
        self._written = 0

    def write(self, network: Any) -> Any:
        """Writes the adapter of a network, whole also where it is cut over ranks, all of which must come here.

        Returns:
            vLLM's request for it, with a number that no earlier one has, so that nothing of these is used again.
        """
        from peft import get_peft_model_state_dict
        from safetensors.torch import save_file
        from vllm.lora.request import LoRARequest

        found = get_peft_model_state_dict(network, adapter_name=_NAME)
        whole = {name: getattr(value, "full_tensor", lambda v=value: v)().cpu() for name, value in found.items()}
        self._written += 1
        folder = Path(self._folder.name) / str(self._written)
        folder.mkdir()
        save_file({name: value.contiguous() for name, value in whole.items()}, folder / ADAPTER_WEIGHTS)
        network.peft_config[_NAME].save_pretrained(folder)
        # The engine has read what came before.
        shutil.rmtree(folder.with_name(str(self._written - 1)), ignore_errors=True)
        return LoRARequest(f"policy-{self._written}", self._written, str(folder))

    def close(self) -> None:
        """Takes away all of it."""
        self._folder.cleanup()
