"""A tokenizer that adds a begin-of-text token by itself: trainings read the tokens that were sampled."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset
from tokenizers.processors import TemplateProcessing

from selfplay.config.compute import EngineSettings
from selfplay.engines import loading
from selfplay.engines.api.tokenizer import EndpointTokenizer
from selfplay.engines.base import ModelRef, Sampling, ScoringRequest
from selfplay.engines.hf_engine import encode_request, generate_shard
from selfplay.engines.hf_scoring import Encoded
from selfplay.engines.jobs import GenerateJob
from selfplay.run.records import Pair
from selfplay.trl_trainers import arguments
from selfplay.trl_trainers.dpo import _row
from selfplay.trl_trainers.dpo_trainer import TokenPairsTrainer
from selfplay.trl_trainers.grpo_trainer import SelfplayGRPOTrainer
from selfplay.trl_trainers.rollout_groups import Tally
from selfplay.trl_trainers.sft import NothingToLearn

PROBLEM, ANSWER = "What is 2?", "so 2"
TEMPLATE = "{{ bos_token }}{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}<assistant>"


@pytest.fixture
def opened_by(tiny_model: ModelRef, tmp_path: Path) -> ModelRef:
    """The tiny model with a tokenizer that puts a token before every text, as those of Llama and Gemma do."""
    folder = tmp_path / "opened"
    shutil.copytree(tiny_model.path, folder)
    tokenizer = loading.load_tokenizer(tiny_model)
    tokenizer.bos_token = tokenizer.pad_token
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single="$BOS $A".replace("$BOS", tokenizer.bos_token),
        special_tokens=[(tokenizer.bos_token, tokenizer.bos_token_id)],
    )
    tokenizer.chat_template = TEMPLATE
    tokenizer.save_pretrained(folder)
    assert loading.load_tokenizer(ModelRef(str(folder), "x"))("a")["input_ids"][0] == tokenizer.bos_token_id
    return ModelRef.local(folder, "opened", "float32", chat=False)


TURNS = (
    "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% if m.role == 'assistant' %} <over>\n{% endif %}{% endfor %}"
)


@pytest.mark.parametrize(
    ("template", "special", "own"), [(TURNS, True, True), (TURNS, False, False), (TEMPLATE, True, False)]
)
def test_a_completion_ends_as_the_template_ends_a_turn(
    opened_by: ModelRef, template: str, special: bool, own: bool
) -> None:
    """Gemma and Phi end a turn by another token than the one that ends their texts."""
    tokenizer = loading.load_tokenizer(opened_by)
    if special:
        tokenizer.add_special_tokens({"additional_special_tokens": ["<over>"]})
    tokenizer.chat_template = template
    end = tokenizer.convert_tokens_to_ids("<over>") if own else tokenizer.eos_token_id
    pair = Pair("i", "t", PROBLEM, ANSWER, "3", "test")
    row = _row(pair, tokenizer, True)
    assert (row["chosen_ids"][-1], row["rejected_ids"][-1]) == (end, end)
    assert sampled(tokenizer, True)[0][-1] == end
    assert _row(pair, tokenizer, False)["chosen_ids"][-1] == tokenizer.eos_token_id


def sampled(tokenizer: Any, chat: bool) -> Encoded:
    """The tokens that the engine reads and scores."""
    return encode_request(tokenizer, ScoringRequest(PROBLEM, (ANSWER,), ends=True, chat=chat))


@pytest.mark.parametrize("chat", [True, False])
def test_every_prompt_has_one_begin_of_text(opened_by: ModelRef, tiny_model: ModelRef, chat: bool) -> None:
    """From the template, or, before plain text, because the base was trained with one."""
    tokenizer = loading.load_tokenizer(opened_by)
    ids, _ = sampled(tokenizer, chat)
    assert (ids[0], ids.count(tokenizer.bos_token_id)) == (tokenizer.bos_token_id, 1)
    model = dataclasses.replace(opened_by, chat=chat)
    job = GenerateJob(
        model=model, device="cpu", settings=EngineSettings(), prompts=[PROBLEM], sampling=Sampling(0.0, 2), seed=0
    )
    [row] = generate_shard(job)
    assert row["prompt_tokens"] == sampled(tokenizer, chat)[1][0][0]
    request = ScoringRequest(PROBLEM, (ANSWER,))
    assert EndpointTokenizer(opened_by.path).spans(request) == sampled(tokenizer, False)
    plain = loading.load_tokenizer(tiny_model)
    assert sampled(plain, False)[0] == plain(PROBLEM)["input_ids"] + plain(ANSWER)["input_ids"] + [plain.eos_token_id]


@pytest.mark.parametrize("chat", [True, False])
def test_pairs_are_learnt_on_the_tokens_that_were_sampled(opened_by: ModelRef, chat: bool, tmp_path: Path) -> None:
    network, tokenizer = loading.load_for_training(opened_by, False)
    row = _row(Pair("i", "t", PROBLEM, ANSWER, "3", "test"), tokenizer, chat)
    trainer = TokenPairsTrainer(
        model=network,
        args=arguments.build("dpo", {"max_steps": 1}, str(tmp_path / "work"), 0, "cpu"),
        train_dataset=Dataset.from_list([row]),
        processing_class=tokenizer,
    )
    [batch] = trainer.get_train_dataloader()
    ids, [(start, end)] = sampled(tokenizer, chat)
    assert batch["input_ids"][0].tolist() == ids
    assert batch["completion_mask"][0].tolist() == [0] * start + [1] * (end - start)


def test_a_length_that_leaves_no_pair_is_said(tiny_model: ModelRef, tmp_path: Path) -> None:
    network, tokenizer = loading.load_for_training(tiny_model, False)
    rows = [_row(Pair("i", "t", prompt, ANSWER, "3", "test"), tokenizer, False) for prompt in (PROBLEM, "2")]

    def trainer(most: int) -> TokenPairsTrainer:
        args = arguments.build("dpo", {"max_steps": 1, "max_length": most}, str(tmp_path / "work"), 0, "cpu")
        dataset = Dataset.from_list(rows)
        return TokenPairsTrainer(model=network, args=args, train_dataset=dataset, processing_class=tokenizer)

    assert len(trainer(len(rows[0]["prompt_ids"])).train_dataset) == 1
    with pytest.raises(NothingToLearn, match=r"dpo.args.max_length is 1, .* raise it"):
        trainer(1)


@pytest.mark.parametrize("chat", [True, False])
def test_groups_are_rolled_out_from_the_tokens_of_the_engine(opened_by: ModelRef, chat: bool, tmp_path: Path) -> None:
    network, tokenizer = loading.load_for_training(opened_by, False)
    reward: Any = lambda completions, **_: [0.0] * len(completions)  # noqa: E731
    reward.__name__ = "none"
    prompt = [{"role": "user", "content": PROBLEM}] if chat else PROBLEM
    args = {"max_steps": 1, "num_generations": 2, "per_device_train_batch_size": 2}
    trainer = SelfplayGRPOTrainer(
        model=network,
        reward_funcs=reward,
        pool=[],
        walk=None,
        top_up=0.0,
        tally=Tally(),
        args=arguments.build("grpo", args, str(tmp_path / "work"), 0, "cpu"),
        train_dataset=Dataset.from_list([{"prompt": prompt}]),
        processing_class=tokenizer,
    )
    ids, [(start, _)] = sampled(tokenizer, chat)
    assert trainer._tokenize_prompts([prompt, prompt])[0] == [ids[:start]] * 2
