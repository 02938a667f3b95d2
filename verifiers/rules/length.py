"""The length verifier: DAPO's soft overlong punishment (arXiv 2503.14476), moved into [0, 1].

The paper adds to a reward R the punishment 0 up to L_max - L_cache, then falling linearly to -1 at L_max, and
-1 beyond. This reward is 1 plus that. Beside a verifier of the answer in a weighted sum, it gives an affine
image of the paper's reward, which leaves advantages normalised within a group as they are.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal

from verifiers.extraction import final_text
from verifiers.model import Task, Verdict
from verifiers.rules.text import Rule

Part = Literal["completion", "answer"]


class LengthVerifier(Rule):
    """Full reward up to a length, falling linearly to zero over the last stretch before the limit.

    Statuses: correct (full reward), overlong (some or none).
    """

    name = "length"
    judges = "form"

    def __init__(
        self,
        *,
        limit: int = 16_000,
        buffer: int = 4_000,
        tokenizer: str | None = None,
        part: Part = "completion",
    ) -> None:
        """`limit` (the paper's L_max) and `buffer` (its L_cache) count characters, or tokens when `tokenizer`
        names a tokenizer.json or the folder that holds one; `part` is what is measured: the whole completion,
        or only what follows the thinking.

        Raises ValueError for an impossible buffer, and when there is no such tokenizer.
        """
        if not 0 < buffer <= limit:
            raise ValueError(f"buffer must lie between 1 and limit ({limit}), not {buffer}")
        if part not in ("completion", "answer"):
            raise ValueError(f"part must be completion or answer, not {part!r}")
        self._limit, self._buffer, self._part = limit, buffer, part
        self.loads = tokenizer is not None
        self._unit = "characters" if tokenizer is None else "tokens"
        self._length: Callable[[str], int] = len if tokenizer is None else _token_counter(tokenizer)
        self.fingerprint = f"length/2/{limit}/{buffer}/{part}/{tokenizer}"

    def _judge(self, task: Task, completion: str) -> Verdict:
        text = completion if self._part == "completion" else final_text(completion) or ""
        length = self._length(text)
        over = length - (self._limit - self._buffer)
        reward = min(1.0, max(0.0, 1.0 - over / self._buffer))
        full = reward == 1.0
        reason = "" if full else f"{length} {self._unit}, where {self._limit} is the most"
        return Verdict(full, reward, "correct" if full else "overlong", reason, {"length": length})


def _token_counter(path: str) -> Callable[[str], int]:
    from tokenizers import Tokenizer

    file = Path(path) / "tokenizer.json" if Path(path).is_dir() else Path(path)
    try:
        tokenizer = Tokenizer.from_file(str(file))
    except Exception as error:
        raise ValueError(f"tokenizer: {file} cannot be read as a tokenizer.json: {error}") from error
    tokenizer.no_truncation()
    tokenizer.no_padding()

    def count(text: str) -> int:
        clean = text.encode("utf-8", "replace").decode()
        return len(tokenizer.encode(clean, add_special_tokens=False).ids)

    return count
