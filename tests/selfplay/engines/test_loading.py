"""Loading: sampling defaults of a checkpoint do not leak, names are looked up without weights, chat templates work."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from selfplay.engines import hf_engine
from selfplay.engines.base import ModelRef, Sampling
from selfplay.engines.loading import load_for_training, load_fresh, look_up
from selfplay.engines.model_files import ModelError
from selfplay.run.records import Example, Pair
from selfplay.trl_trainers.dpo import _row
from selfplay.trl_trainers.sft import _encoded
from tests.selfplay.engines.shard_jobs import generate_job

TEMPLATE = (
    "{% for m in messages %}<{{ m.role }}>{{ m.content.split('</think>')[-1] }}</{{ m.role }}>{% endfor %}"
    "{% if add_generation_prompt %}<assistant><think>{% endif %}"
)


@pytest.fixture
def chat_model(tiny_model: ModelRef, tmp_path: Path) -> ModelRef:
    """The tiny model with a chat template that opens the thinking, as those of thinking models do."""
    folder = tmp_path / "chat"
    shutil.copytree(tiny_model.path, folder)
    (folder / "chat_template.jinja").write_text(TEMPLATE)
    return ModelRef.local(folder, "chat", "float32", chat=True)


def generate(model: ModelRef, prompts: list[str], chat: bool) -> list[str]:
    sampling = Sampling(0.0, 8)
    job = generate_job(replace(model, chat=chat), prompts, sampling, batch_tokens=999)
    return [row["text"] for row in hf_engine.generate_shard(job)]


def test_a_checkpoints_sampling_defaults_do_not_leak(tiny_model: ModelRef, tmp_path: Path) -> None:
    folder = tmp_path / "strange"
    shutil.copytree(tiny_model.path, folder)
    file = folder / "generation_config.json"
    settings = json.loads(file.read_text()) | {"repetition_penalty": 3.0, "no_repeat_ngram_size": 1}
    file.write_text(json.dumps(settings))
    strange = ModelRef.local(folder, "strange", "float32", chat=False)
    prompts = ["Tom has 5 plums.", "x"]
    assert generate(strange, prompts, chat=False) == generate(tiny_model, prompts, chat=False)


def test_chat_prompts_go_through_the_template(chat_model: ModelRef, tiny_model: ModelRef) -> None:
    by_hand = generate(tiny_model, ["<user>What is 2?</user><assistant><think>"], chat=False)
    assert generate(chat_model, ["What is 2?"], chat=True) == by_hand


def test_trainings_render_the_same_prompt_and_leave_answers_alone(chat_model: ModelRef) -> None:
    _, tokenizer = load_fresh(chat_model)
    answer = "so 2</think>\\boxed{2}"
    row = _row(Pair("i", "t", "What is 2?", answer, "3", "test"), tokenizer, chat=True)
    prompt = "<user>What is 2?</user><assistant><think>"
    assert {name: tokenizer.decode(ids) for name, ids in row.items()} == {
        "prompt_ids": prompt,
        "chosen_ids": answer + tokenizer.eos_token,
        "rejected_ids": "3" + tokenizer.eos_token,
    }
    ids, _ = _encoded(tokenizer, Example("What is 2?", (answer,)), chat=True, loss="completion")
    assert tokenizer.decode(ids) == prompt + answer + tokenizer.eos_token


def test_all_weights_are_trained_in_float32(tiny_model: ModelRef) -> None:
    small = ModelRef.local(Path(tiny_model.path), "small", "bfloat16", chat=False)
    assert load_for_training(small, lora=False)[0].dtype == torch.float32
    assert load_for_training(small, lora=True)[0].dtype == torch.bfloat16


def test_looking_up(chat_model: ModelRef, tiny_model: ModelRef, tmp_path: Path) -> None:
    found = look_up(chat_model.path, None)
    assert found is not None
    assert (found.architecture, found.chat_template) == ("Qwen3ForCausalLM", True)
    plain = look_up(tiny_model.path, None)
    assert plain is not None
    assert not plain.chat_template
    assert look_up("nobody/no-such-model", None) is None
    with pytest.raises(ModelError, match="cannot be loaded"):
        look_up(str(tmp_path), None)


def test_a_reference_is_of_the_same_revision(
    tiny_model: ModelRef, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """TRL makes the reference of a DPO or KL term by the name in the policy's configuration, which has no revision."""
    from huggingface_hub import constants
    from trl.trainer.utils import create_model_from_path, get_config_model_id

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    folder = tmp_path / "models--me--tiny"
    (folder / "refs").mkdir(parents=True)
    for revision, commit in (("main", "a" * 40), ("v2", "b" * 40)):
        shutil.copytree(tiny_model.path, folder / "snapshots" / commit)
        (folder / "refs" / revision).write_text(commit)
    other = load_fresh(tiny_model)[0]
    torch.nn.init.zeros_(other.lm_head.weight)
    other.save_pretrained(folder / "snapshots" / ("b" * 40))
    policy, _ = load_for_training(ModelRef("me/tiny", "me/tiny@v2", "v2"), lora=False)
    reference = create_model_from_path(get_config_model_id(policy.config))
    assert not policy.lm_head.weight.any()
    assert not reference.lm_head.weight.any()
