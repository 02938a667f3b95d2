"""Which rounds learn from people's own files, which decides what is compared with the held-out problems."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from selfplay.training.external_prompts import reads_given_data


@pytest.mark.parametrize(
    ("algorithm", "sft", "pairs", "arm", "external", "reads"),
    [
        ("grpo", None, None, "external", {"math": "rows"}, True),
        ("grpo", None, None, "synthetic_only", {"math": "rows"}, False),
        ("grpo", None, None, "external", {}, False),
        ("sft", ("traces",), None, "synthetic_only", {}, True),
        ("sft", None, ("pairs",), "synthetic_only", {}, False),
        ("dpo", ("traces",), None, "synthetic_only", {}, False),
        ("dpo", None, ("pairs",), "synthetic_only", {}, True),
    ],
)
def test_files_of_the_rule_and_prompts_of_the_arm_count(
    algorithm: str, sft: Any, pairs: Any, arm: str, external: dict[str, str], reads: bool
) -> None:
    pool, files = SimpleNamespace(arm=arm, external=external), SimpleNamespace(files=sft)
    training = SimpleNamespace(algorithm=algorithm, sft=files, pair_files=pairs, pool=pool)
    recipe: Any = SimpleNamespace(training=training)
    assert reads_given_data(recipe) is reads
