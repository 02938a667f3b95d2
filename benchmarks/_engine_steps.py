"""What a vLLM engine of this process did: its steps, and the tokens that finished requests read, found and wrote."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any


@dataclass(slots=True)
class Steps:
    """Sums over all steps while it was watched."""

    count: int = 0
    seconds: float = 0.0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    """Of the prompts' tokens, those whose keys and values were there already."""
    completion_tokens: int = 0


@contextmanager
def watched(llm: Any) -> Iterator[Steps]:
    """Counts while this is open.

    Args:
        llm: vLLM's LLM.
    """
    engine, found = llm.llm_engine, Steps()
    step = engine.step

    def counted() -> Any:
        begun = time.perf_counter()
        outputs = step()
        found.count += 1
        found.seconds += time.perf_counter() - begun
        for output in outputs:
            found.prompt_tokens += len(output.prompt_token_ids)
            found.cached_tokens += output.num_cached_tokens or 0
            found.completion_tokens += len(output.outputs[0].token_ids)
        return outputs

    engine.step = counted
    try:
        yield found
    finally:
        del engine.step
