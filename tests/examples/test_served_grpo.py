"""GRPO with rewards from a server: the reward function asks a real one, and TRL trains with it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from examples import served_grpo, whole_loop
from tests.verifiers.service.live_service import serving
from verifiers.mathematics import MathVerifier
from verifiers.rules.text import ExactVerifier


def test_a_batch_is_one_request_and_what_is_not_judged_has_no_reward() -> None:
    verifier = MathVerifier(workers=1)
    try:
        with serving({"math": verifier}) as client:
            rewards = served_grpo.ServedRewards(client)
            said = [{"role": "assistant", "content": "\\boxed{2}"}]
            completions: list[Any] = ["\\boxed{1/2}", said, "\\boxed{4}"]
            # Whatever TRL hands over beside the label is left out, and so is what a row lacks.
            found = rewards(completions, answer=["0.5", "3", ""], tests=[[], [], []], id=["a", "b", "c"], step=1)
    finally:
        verifier.close()
    assert found == [1.0, 0.0, None]
    assert rewards.__name__ == "served"


def test_tests_of_tables_become_those_of_requests() -> None:
    stdin = {"input": "1\n", "output": "2\n", "args": None, "expected": None}
    called = {"input": "", "output": "", "args": "[1, [2]]", "expected": '{"a": 1}'}
    item = served_grpo.ServedRewards(None, "code")._item("x", {"tests": [stdin, called], "entry_point": "f"})  # type: ignore[arg-type]
    assert item == {
        "tests": [{"input": "1\n", "output": "2\n"}, {"args": [1, [2]], "expected": {"a": 1}}],
        "entry_point": "f",
        "verifier": "code",
        "completion": "x",
    }


@pytest.mark.long
def test_trl_trains_with_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, tokenizer = whole_loop.make_model(0)
    model.save_pretrained(tmp_path / "model")
    tokenizer.save_pretrained(tmp_path / "model")
    (tmp_path / "data/grpo").mkdir(parents=True)
    rows = [{"prompt": f"sum {number} + 1 :", "answer": str(number + 1), "tests": []} for number in range(4)]
    (tmp_path / "data/grpo/train-00000.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    config = "---\nconfigs:\n- config_name: grpo\n  data_files: grpo/*.jsonl\n---\n"
    (tmp_path / "data/README.md").write_text(config)
    own = {"max_steps": 1, "per_device_train_batch_size": 4, "num_generations": 2, "max_completion_length": 4}
    own |= {"use_cpu": True, "bf16": False, "gradient_checkpointing": False, "dataloader_pin_memory": False}
    settings = [part for name, value in own.items() for part in ("--set", f"{name}={json.dumps(value)}")]
    with serving({"exact": ExactVerifier()}) as client:
        given = ["served_grpo", str(tmp_path / "model"), str(tmp_path / "data"), "--server", str(client.base_url)]
        given += ["--verifier", "exact", "--output", str(tmp_path / "out"), *settings]
        monkeypatch.setattr("sys.argv", given)
        monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
        served_grpo.main()
    assert (tmp_path / "out" / "model.safetensors").exists()
