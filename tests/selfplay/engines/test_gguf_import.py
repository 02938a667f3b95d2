"""A model in GGUF becomes a folder that computes what the model computed, and unusable files are refused at once."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from selfplay.engines.base import ModelRef
from selfplay.engines.gguf_import import GgufError, import_gguf
from selfplay.engines.loading import load_fresh, look_up

TEXT = "Tom has 5 plums and 7 pears."
TEMPLATE = "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}"
NAMES = {
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
}


@pytest.fixture(scope="module")
def llama() -> tuple[Any, Any]:
    """A tiny untrained Llama with grouped heads and tied embeddings, and a byte-level tokenizer."""
    from transformers import LlamaConfig, LlamaForCausalLM

    from selfplay.quickstart import tiny_model

    tokenizer = tiny_model.build_tokenizer([TEXT] * 3, 280)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        tie_word_embeddings=True,
        max_position_embeddings=128,
    )
    return LlamaForCausalLM(config).eval(), tokenizer


@pytest.fixture(scope="module")
def gguf_file(llama: tuple[Any, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same as llama.cpp's converter would write it, unquantised."""
    return _written(llama, tmp_path_factory.mktemp("gguf") / "tiny.gguf")


def _written(llama: tuple[Any, Any], file: Path, leave_out: Callable[[str], bool] = lambda _: False) -> Path:
    import gguf

    network, tokenizer = llama
    config = network.config
    writer = gguf.GGUFWriter(str(file), "llama")
    writer.add_context_length(config.max_position_embeddings)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(10000.0)
    writer.add_vocab_size(config.vocab_size)
    _add_tokenizer(writer, tokenizer)
    state = network.state_dict()
    tensors = {"token_embd": state["model.embed_tokens.weight"], "output_norm": state["model.norm.weight"]}
    for layer in range(config.num_hidden_layers):
        for ours, theirs in NAMES.items():
            tensor = state[f"model.layers.{layer}.{ours}.weight"]
            if theirs == "attn_q":
                tensor = _interleaved(tensor, config.num_attention_heads)
            elif theirs == "attn_k":
                tensor = _interleaved(tensor, config.num_key_value_heads)
            tensors[f"blk.{layer}.{theirs}"] = tensor
    for name, tensor in tensors.items():
        if not leave_out(name):
            writer.add_tensor(f"{name}.weight", tensor.contiguous().numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return file


def _interleaved(weight: torch.Tensor, heads: int) -> torch.Tensor:
    """llama.cpp pairs neighbouring dimensions in its rotary embedding; transformers pairs the two halves."""
    rows, width = weight.shape
    return weight.reshape(heads, 2, rows // heads // 2, width).swapaxes(1, 2).reshape(rows, width)


def _add_tokenizer(writer: Any, tokenizer: Any) -> None:
    model = json.loads(tokenizer.backend_tokenizer.to_str())["model"]
    vocabulary = sorted(tokenizer.get_vocab().items(), key=lambda item: item[1])
    merges = [merge if isinstance(merge, str) else " ".join(merge) for merge in model["merges"]]
    special = set(tokenizer.all_special_tokens)
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list([token for token, _ in vocabulary])
    writer.add_token_types([3 if token in special else 1 for token, _ in vocabulary])
    writer.add_token_merges(merges)
    writer.add_bos_token_id(tokenizer.eos_token_id)
    writer.add_eos_token_id(tokenizer.eos_token_id)
    writer.add_pad_token_id(tokenizer.eos_token_id)
    writer.add_chat_template(TEMPLATE)


def test_the_folder_computes_what_the_model_computed(llama: tuple[Any, Any], gguf_file: Path, tmp_path: Path) -> None:
    folder = import_gguf(gguf_file, tmp_path / "model", "float32")
    network, tokenizer = load_fresh(ModelRef.local(folder, "tiny", "float32", chat=False))
    ids = tokenizer(TEXT, return_tensors="pt", add_special_tokens=False)["input_ids"]
    assert tokenizer.decode(ids[0]) == TEXT
    with torch.no_grad():
        assert torch.allclose(network(ids).logits, llama[0](ids).logits, atol=1e-5)
    known = look_up(str(folder), None)
    assert known is not None
    assert (known.architecture, known.chat_template) == ("LlamaForCausalLM", True)
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "name a .gguf file"), (b"PK\x03\x04 a wheel", "must be unpacked first"), (b"GGUF", "cannot be loaded")],
)
def test_what_is_no_gguf_is_refused(content: bytes | None, message: str, tmp_path: Path) -> None:
    file = tmp_path / "model.gguf"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(GgufError, match=message):
        import_gguf(file, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["token_embd", "output_norm", "blk.1.attn_q", "blk.0.ffn_down", "blk.", ""])
def test_a_file_with_gaps_is_refused(llama: tuple[Any, Any], tmp_path: Path, name: str) -> None:
    file = _written(llama, tmp_path / "gaps.gguf", lambda tensor: tensor.startswith(name))
    with pytest.raises(GgufError, match=r"gaps\.gguf lacks \d+ tensors|gaps\.gguf cannot be loaded"):
        import_gguf(file, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_folder_that_is_there_is_left_alone(gguf_file: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with pytest.raises(GgufError, match="name a new folder"):
        import_gguf(gguf_file, tmp_path / "out")
    assert not list((tmp_path / "out").iterdir())
