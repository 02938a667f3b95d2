"""The room that vLLM makes for an adapter."""

from __future__ import annotations

from typing import Any

import pytest

from selfplay.trl_trainers.vllm_rollouts.adapter import settings_for


@pytest.mark.parametrize(
    ("lora", "room"),
    [
        ({}, 8),
        ({"r": 9}, 16),
        ({"r": 8, "rank_pattern": {"q_proj": 40, "v_proj": 4}}, 64),
        ({"r": 8, "rank_pattern": {}}, 8),
        ({"r": 600}, 512),
    ],
)
def test_room_is_for_the_largest_rank(lora: dict[str, Any], room: int) -> None:
    assert settings_for(lora)["max_lora_rank"] == room


def test_without_names_there_is_no_room_in_the_output_head() -> None:
    for lora in ({}, {"target_modules": "all-linear"}):
        assert "lm_head" not in settings_for(lora)["lora_target_modules"]
    assert settings_for({"target_modules": ["q_proj"]})["lora_target_modules"] == ["q_proj"]
