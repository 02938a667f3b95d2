"""Where a model's sizes are found: its folder, a small table of public configurations, the hub's cache here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from selfplay.config.section import NamedModel, ScratchModel
from selfplay.planning.architecture import Architecture, UnknownArchitecture, of_config
from verifiers.untrusted.files import read_json

_QWEN3: dict[str, tuple[int, ...]] = {
    # hidden, layers, heads, key-value heads, intermediate, tied
    "0.6B": (1024, 28, 16, 8, 3072, True),
    "1.7B": (2048, 28, 16, 8, 6144, True),
    "4B": (2560, 36, 32, 8, 9728, True),
    "8B": (4096, 36, 32, 8, 12288, False),
    "14B": (5120, 40, 40, 8, 17408, False),
    "32B": (5120, 64, 64, 8, 25600, False),
}
_QWEN25: dict[str, tuple[int, ...]] = {
    "0.5B": (896, 24, 14, 2, 4864, True),
    "1.5B": (1536, 28, 12, 2, 8960, True),
    "3B": (2048, 36, 16, 2, 11008, True),
    "7B": (3584, 28, 28, 4, 18944, False),
    "14B": (5120, 48, 40, 8, 13824, False),
    "32B": (5120, 64, 40, 8, 27648, False),
}
_ROWS = {"0.5B": 151936, "1.5B": 151936, "3B": 151936}
"""Rows of the embedding of the small Qwen2.5; the others have 152,064."""
_LONG = ("4B-Instruct-2507", "4B-Thinking-2507", "30B-A3B-Instruct-2507", "30B-A3B-Thinking-2507")
"""Releases for 262,144 tokens."""


def _qwen3() -> dict[str, dict[str, Any]]:
    names = ("hidden_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads", "intermediate_size")
    common = {"model_type": "qwen3", "head_dim": 128, "vocab_size": 151936}
    dense = {
        size: dict(zip(names, row, strict=False)) | common | {"tie_word_embeddings": row[-1]}
        for size, row in _QWEN3.items()
    }
    experts = {"num_experts": 128, "num_experts_per_tok": 8, "moe_intermediate_size": 768}
    sparse = dict(zip(names, (2048, 48, 32, 4, 6144), strict=True)) | common | {"model_type": "qwen3_moe"} | experts
    found = {
        f"Qwen/Qwen3-{size}{kind}": config | {"max_position_embeddings": 32768 if kind else 40960}
        for size, config in {**dense, "30B-A3B": sparse}.items()
        for kind in ("", "-Base")
    }
    for name in _LONG:
        base = found[f"Qwen/Qwen3-{name.rsplit('-', 2)[0]}"]
        found[f"Qwen/Qwen3-{name}"] = base | {"max_position_embeddings": 262144}
    return found


def _qwen25() -> dict[str, dict[str, Any]]:
    names = ("hidden_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads", "intermediate_size")
    found = {}
    for size, row in _QWEN25.items():
        config = dict(zip(names, row, strict=False)) | {
            "model_type": "qwen2",
            "vocab_size": _ROWS.get(size, 152064),
            "tie_word_embeddings": row[-1],
        }
        long = 131072 if size in ("7B", "14B", "32B") else 32768
        found[f"Qwen/Qwen2.5-{size}"] = config | {"max_position_embeddings": long}
        found[f"Qwen/Qwen2.5-{size}-Instruct"] = config | {"max_position_embeddings": 32768}
    return found


_SMOLLM2: dict[str, Any] = {
    "model_type": "llama",
    "hidden_size": 576,
    "num_hidden_layers": 30,
    "num_attention_heads": 9,
    "num_key_value_heads": 3,
    "intermediate_size": 1536,
    "vocab_size": 49152,
    "max_position_embeddings": 8192,
    "tie_word_embeddings": True,
}

KNOWN = _qwen3() | _qwen25() | {f"HuggingFaceTB/SmolLM2-135M{kind}": _SMOLLM2 for kind in ("", "-Instruct")}
"""Public configurations by hub name, as their `config.json` has them."""


def architecture_of(model: NamedModel | ScratchModel, field: str) -> Architecture:
    """The sizes of a model that a recipe names; nothing is downloaded.

    Raises:
        UnknownArchitecture: its sizes are not known here; the message names what would mend that.
    """
    if isinstance(model, ScratchModel):
        return _scratch(model)
    folder = Path(model.name)
    file = folder / "config.json" if folder.is_dir() else _cached(model.name, model.revision)
    if file is not None and file.is_file():
        config = read_json(file, UnknownArchitecture, "it is damaged: download it again", finite=False)
        if not isinstance(config, dict):
            raise UnknownArchitecture(f"{file}: holds no JSON object; download it again")
        return of_config(config, f"{field}: {model.name}")
    if model.name in KNOWN:
        return of_config(KNOWN[model.name], f"{field}: {model.name}")
    raise UnknownArchitecture(
        f"{field}.name: the sizes of {model.name} are not known here: give the folder of the model, or one with its "
        "config.json alone"
    )


def _scratch(model: ScratchModel) -> Architecture:
    """As `quickstart.tiny_model` makes it."""
    heads = 4
    return Architecture(
        hidden=model.hidden_size,
        layers=model.layers,
        heads=heads,
        kv_heads=heads,
        head_dim=model.hidden_size // heads,
        intermediate=model.hidden_size if model.experts else 2 * model.hidden_size,
        vocabulary=model.vocabulary,
        positions=SCRATCH_POSITIONS,
        tied=False,
        qk_norm=True,
        experts=model.experts,
        experts_a_token=min(2, max(model.experts, 1)),
    )


SCRATCH_POSITIONS = 512
"""`quickstart.tiny_model.LONGEST`, which is not imported: that module is for workers, which have torch."""


def _cached(name: str, revision: str | None) -> Path | None:
    """The configuration of a hub model, where this machine has it already."""
    if name in KNOWN or "/" not in name:
        return None
    try:
        from huggingface_hub import try_to_load_from_cache
        from huggingface_hub.errors import HFValidationError

        found = try_to_load_from_cache(name, "config.json", revision=revision)
    except (ImportError, HFValidationError):
        return None
    return Path(found) if isinstance(found, str) else None
