"""Model folders of others: no code of theirs runs, nothing is unpickled, and no tensor is made up."""

from __future__ import annotations

import json
import pickle
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from selfplay.config.recipe import Recipe
from selfplay.engines.base import ModelRef
from selfplay.engines.loading import load_for_training, load_fresh, load_tokenizer, look_up
from selfplay.engines.model_files import ModelError, check_weights, judge_checkpoint, judge_files
from selfplay.preflight.recipe import PreflightError, check_models

ROOT = Path(__file__).parents[3]


class Bomb:
    """Writes a file when it is unpickled."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.target,)


@pytest.fixture
def folder(tiny_model: ModelRef, tmp_path: Path) -> Path:
    """A copy of the tiny model, to be spoilt."""
    shutil.copytree(tiny_model.path, tmp_path / "model")
    return tmp_path / "model"


def edit(file: Path, **changes: Any) -> None:
    content = json.loads(file.read_text()) if file.exists() else {}
    file.write_text(json.dumps(content | changes))


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model.safetensors")


def keep(folder: Path, state: dict[str, torch.Tensor]) -> None:
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})


def loads(folder: Path) -> list[Callable[[], Any]]:
    """All that loads a named model, or looks at one."""
    name = str(folder)
    model = ModelRef.local(folder, "own", "float32", chat=False)
    return [
        lambda: check_weights(name, None),
        lambda: load_fresh(model),
        lambda: load_for_training(model, lora=True),
    ]


def refused_everywhere(folder: Path, *said: str) -> None:
    for load in loads(folder):
        with pytest.raises(ModelError) as caught:
            load()
        assert all(part in str(caught.value) for part in (*said, str(folder))), caught.value
        assert len(str(caught.value)) < 1500
        assert "\n" not in str(caught.value)
    recipe = Recipe.model_validate(
        {
            "name": "r",
            "model": {"kind": "pretrained", "name": str(folder), "prompt_style": "raw"},
            "domains": {"math": {"seeds": {"kind": "quickstart", "grammar": "math"}}},
        }
    )
    with pytest.raises(PreflightError, match=r"^model\.name: "):
        check_models(recipe)


def test_a_whole_model_is_taken(folder: Path) -> None:
    assert check_weights(str(folder), None)
    for load in loads(folder):
        load()


NAMES = st.lists(st.integers(0, 13), min_size=1, max_size=14, unique=True)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(places=NAMES, fault=st.sampled_from(["missing", "shape", "renamed"]))
def test_tensors_that_are_not_there_are_named(
    folder: Path, tiny_model: ModelRef, places: list[int], fault: str
) -> None:
    whole = weights(Path(tiny_model.path))
    names = [sorted(whole)[place] for place in places]
    state = dict(whole)
    for name in names:
        tensor = state.pop(name)
        if fault == "shape":
            state[name] = torch.zeros(*tensor.shape[:-1], tensor.shape[-1] + 1)
        elif fault == "renamed":
            state[f"{name}_2"] = tensor
    keep(folder, state)
    what = "has another shape of" if fault == "shape" else "lacks"
    with pytest.raises(ModelError) as caught:
        check_weights(str(folder), None)
    assert f"{what} {len(names)} tensors" in str(caught.value)
    assert min(names) in str(caught.value)


@pytest.mark.parametrize("fault", ["none", "one missing", "one more", "another shape", "cut", "long name"])
def test_gaps_are_found_at_every_load(folder: Path, fault: str) -> None:
    state = weights(folder)
    name = "model.layers.0.self_attn.q_proj.weight"
    said = name
    if fault == "none":
        state, said = {}, "lacks 14 tensors"
    elif fault == "one missing":
        del state[name]
    elif fault == "one more":
        state["other.weight"], said = torch.zeros(2), "has no place for 1 tensors (other.weight)"
    elif fault == "another shape":
        state[name] = state[name][:3].contiguous()
    elif fault == "long name":
        state["\x1b[31m" + "x" * 70_000], said = torch.zeros(1), "has no place for 1 tensors ('\\x1b[31mxx"
    keep(folder, state)
    if fault == "cut":
        file, said = folder / "model.safetensors", "cannot be loaded"
        file.write_bytes(file.read_bytes()[:5000])
    refused_everywhere(folder, said)


def test_a_tied_head_is_no_gap(tmp_path: Path, folder: Path) -> None:
    edit(folder / "config.json", tie_word_embeddings=True)
    state = weights(folder)
    del state["lm_head.weight"]
    keep(folder, state)
    assert check_weights(str(folder), None)
    network, _ = load_fresh(ModelRef.local(folder, "tied", "float32", chat=False))
    assert network.lm_head.weight is network.get_input_embeddings().weight


HOSTILE = [
    "../x.safetensors",
    "/tmp/x.safetensors",
    "pytorch_model.bin",
    "a/b.safetensors",
    "x.pt",
    "",
    ".",
    "..\\x.safetensors",
]


@pytest.mark.parametrize("file", [*HOSTILE, 3, None, ["model.safetensors"], {"a": "b"}])
def test_an_index_names_safetensors_beside_it_alone(folder: Path, file: Any) -> None:
    whole = folder / "model.safetensors"
    whole.rename(folder / "model-00001-of-00001.safetensors")
    names = dict.fromkeys(weights_of(folder / "model-00001-of-00001.safetensors"), "model-00001-of-00001.safetensors")
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": names, "metadata": {"total_size": 1}}))
    assert check_weights(str(folder), None)
    index.write_text(json.dumps({"weight_map": names | {"lm_head.weight": file}, "metadata": {}}))
    pickled(folder / "pytorch_model.bin")
    refused_everywhere(folder, "model.safetensors.index.json names", "no safetensors file beside it")
    assert not (folder / "touched").exists()


def weights_of(file: Path) -> list[str]:
    return list(load_file(file))


def pickled(file: Path) -> None:
    file.write_bytes(pickle.dumps(Bomb(file.parent / "touched")))


@pytest.mark.parametrize("content", ["[]", "{", "3", '{"weight_map": [1]}', '{"weight_map": "x.bin"}', "[" * 100_000])
def test_an_index_that_is_none(folder: Path, content: str) -> None:
    (folder / "model.safetensors.index.json").write_text(content)
    refused_everywhere(folder, "model.safetensors.index.json")


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "weights.pkl", "model.keras", "tf_model.h5"])
def test_pickles_in_place_of_weights_are_named(folder: Path, name: str) -> None:
    (folder / "model.safetensors").unlink()
    pickled(folder / name)
    refused_everywhere(folder, name, "convert it to safetensors")
    assert not (folder / "touched").exists()


@pytest.mark.parametrize(
    "changes",
    [
        {"transformers_weights": "adapter_model.bin"},
        {"transformers_weights": "../x.safetensors"},
        {"attn_implementation": "someone/kernel"},
        {"_attn_implementation": "someone/kernel:f"},
        {"text_config": {"experts_implementation": "someone/kernel"}},
    ],
)
def test_a_configuration_that_points_elsewhere(folder: Path, changes: dict[str, Any]) -> None:
    edit(folder / "config.json", **changes)
    refused_everywhere(folder, "config.json")


def test_an_adapter_is_no_model(folder: Path) -> None:
    edit(folder / "adapter_config.json", base_model_name_or_path="someone/else", peft_type="LORA")
    pickled(folder / "adapter_model.bin")
    refused_everywhere(folder, "is an adapter of another one")
    assert not (folder / "touched").exists()


@pytest.mark.parametrize("spoil", ["pickle", "missing", "more"])
def test_an_adapter_of_a_run_is_whole(tiny_model: ModelRef, tmp_path: Path, spoil: str) -> None:
    from peft import LoraConfig, get_peft_model

    network, _ = load_fresh(tiny_model)
    get_peft_model(network, LoraConfig(task_type="CAUSAL_LM", r=2)).save_pretrained(tmp_path)
    adapter = ModelRef(str(tmp_path), "a" * 64, None, "float32", False, tiny_model)
    load_for_training(adapter, lora=True)
    file = tmp_path / "adapter_model.safetensors"
    state = load_file(file)
    first = min(state)
    if spoil == "missing":
        del state[first]
    elif spoil == "more":
        state[first + "2"] = torch.zeros(1)
    save_file(state, file)
    if spoil == "pickle":
        file.unlink()
        pickled(tmp_path / "adapter_model.bin")
    with pytest.raises(ModelError, match="safetensors" if spoil == "pickle" else "1 tensors"):
        load_for_training(adapter, lora=True)
    assert not (tmp_path / "touched").exists()


CODE = "from pathlib import Path\nPath(__file__).with_name('touched').touch()\nPath({target!r}).touch()\n"
MAPS = {
    "config.json": {
        "model_type": "own",
        "auto_map": {"AutoConfig": "own.C", "AutoModelForCausalLM": "own.M", "AutoModel": "own.M"},
    },
    "tokenizer_config.json": {"tokenizer_class": "Own", "auto_map": {"AutoTokenizer": ["own.T", "own.T"]}},
    "generation_config.json": {"auto_map": {"AutoGenerate": "own.G"}, "custom_generate": "."},
}
ASKING = """
import sys
from pathlib import Path
from selfplay.engines.base import ModelRef
from selfplay.engines.loading import load_fresh, load_tokenizer, look_up
from selfplay.engines.model_files import ModelError, check_weights
from selfplay.concepts.embedding import EmbeddingJob, embed_shard
from trl.trainer.utils import create_model_from_path

for name in sys.argv[1:]:
    model = ModelRef.local(Path(name), "own", "float32", chat=False)
    embed = lambda: embed_shard(EmbeddingJob(model, "cpu", ["sum"]))
    calls = [lambda: look_up(name, None), lambda: check_weights(name, None), lambda: load_fresh(model),
             lambda: load_tokenizer(model), embed, lambda: create_model_from_path(name)]
    print(Path(name).name, end=":")
    for call in calls:
        try:
            call()
        except (ModelError, ValueError) as error:
            print(" ".join(str(error).split()), end=";")
    print()
"""


def test_code_of_a_model_is_never_run_and_nobody_is_asked(folder: Path, tmp_path: Path) -> None:
    """Each way to a model answers `y` to whatever would ask; each file that can name code does."""
    models = []
    for file, named in MAPS.items():
        models.append(tmp_path / file)
        shutil.copytree(folder, models[-1])
        edit(models[-1] / file, **named)
        (models[-1] / "own.py").write_text(CODE.format(target=str(tmp_path / "touched")))
    done = subprocess.run(
        [sys.executable, "-c", ASKING, *map(str, models)],
        input="y\n" * 50,
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "HF_HUB_OFFLINE": "1"},
    )
    assert done.returncode == 0, done.stderr
    assert "[y/N]" not in done.stdout + done.stderr
    assert not (tmp_path / "touched").exists()
    assert not list(tmp_path.glob("*/touched"))
    [said] = [line for line in done.stdout.splitlines() if line.startswith("config.json:")]
    assert "contains custom code" in said


@pytest.mark.parametrize(
    "file", ["pytorch_model.bin", "adapter_model.bin", "global_step1/states.pt", "x.pkl", "sub/optimizer.pt"]
)
def test_a_checkpoint_from_elsewhere(tmp_path: Path, file: str) -> None:
    for own in ("optimizer.pt", "scheduler.pt", "rng_state.pth", "rng_state_1.pth", "training_args.bin"):
        (tmp_path / own).touch()
    judge_checkpoint(tmp_path)
    (tmp_path / file).parent.mkdir(exist_ok=True)
    (tmp_path / file).touch()
    with pytest.raises(ModelError, match="is no file of a checkpoint of this project"):
        judge_checkpoint(tmp_path)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
FIELDS = (
    *("hidden_size", "num_hidden_layers", "num_attention_heads", "architectures", "model_type", "rope_parameters"),
    *("vocab_size", "torch_dtype", "dtype", "quantization_config", "tie_word_embeddings", "layer_types", "auto_map"),
    *("_name_or_path", "transformers_weights", "attn_implementation", "eos_token_id", "id2label"),
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(field=st.sampled_from(FIELDS), value=JSON)
def test_any_configuration_is_taken_or_one_sentence(folder: Path, tiny_model: ModelRef, field: str, value: Any) -> None:
    shutil.copyfile(Path(tiny_model.path) / "config.json", folder / "config.json")
    edit(folder / "config.json", **{field: value})
    for look in (lambda: look_up(str(folder), None), lambda: check_weights(str(folder), None)):
        try:
            look()
        except ModelError as error:
            assert "\n" not in str(error)  # noqa: PT017


def test_names_on_the_hub_are_judged_by_what_is_cached(
    monkeypatch: pytest.MonkeyPatch, folder: Path, tmp_path: Path
) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    place = tmp_path / "cache" / "models--me--tiny"
    (place / "refs").mkdir(parents=True)
    (place / "refs" / "main").write_text("a" * 40)
    snapshot = place / "snapshots" / ("a" * 40)
    shutil.copytree(folder, snapshot)
    assert check_weights("me/tiny", None)
    state = weights(snapshot)
    del state["lm_head.weight"]
    keep(snapshot, state)
    with pytest.raises(ModelError, match="lm_head"):
        check_weights("me/tiny", None)
    (snapshot / "model.safetensors").unlink()
    assert not check_weights("me/tiny", None)
    (snapshot / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": "x.bin"}}))
    with pytest.raises(ModelError, match=r"x\.bin"):
        judge_files("me/tiny")
    assert load_tokenizer(ModelRef("me/tiny", "x")).pad_token_id is not None
