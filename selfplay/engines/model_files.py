"""Models of others: their files are judged by name before anything of them is loaded, and all tensors must be there.

A model folder may hold code, pickles, and an index that names files elsewhere; none of that is run, unpickled or
followed. A weights file may lack tensors, for which a library would put random numbers; it is refused.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from verifiers.untrusted.files import read_json

WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"
ADAPTER, ADAPTER_WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
PICKLES = frozenset((".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".h5", ".keras", ".msgpack", ".joblib", ".npy"))
"""Endings of files whose readers run what the file says, or that are no safetensors."""
IN_CHECKPOINTS = ("optimizer.pt", "scheduler.pt", "scaler.pt", "training_args.bin", "rng_state*.pth")
"""Files of a trainer's checkpoint that are not safetensors: transformers reads tensors from them, and no objects."""
SHOWN, LONGEST_NAME = 3, 80
DEEPEST = 64
MODULES = "modules.json"
SENTENCE_MODULES = frozenset(
    ("Transformer", "Pooling", "WeightedLayerPooling", "Normalize", "Dense", "LayerNorm", "Dropout", "StaticEmbedding")
)
"""Modules of sentence-transformers that take no further classes from a model's files."""
UNTRUSTED: Mapping[str, Any] = {"trust_remote_code": False}
"""Arguments of whatever loads a model or a part of one: code in its folder is never run, and nobody is asked."""


class ModelError(RuntimeError):
    """A model cannot be loaded; the message names it and the remedy."""


@contextlib.contextmanager
def told_as(whose: str, remedy: str) -> Iterator[None]:
    """Has any error about a model's files, which others wrote, end in one sentence."""
    from transformers import dynamic_module_utils

    # A library that is told nothing of trust would ask on the terminal, and take `y` for leave to run the code.
    dynamic_module_utils.TIME_OUT_REMOTE_CODE = 0
    try:
        yield
    except (ModelError, ImportError, MemoryError):
        raise
    except Exception as error:
        reason = " ".join(str(error).split())[:500] or type(error).__name__
        raise ModelError(f"{whose} cannot be loaded ({reason}); {remedy}") from error


def load_network(kind: Any, name: str, revision: str | None, heads: bool = True, **how: Any) -> Any:
    """A network whose tensors were all there.

    Args:
        kind: one of transformers' classes for it, such as AutoModelForCausalLM.
        name: a folder, or a hub name.
        revision: branch, tag or commit on the hub.
        heads: whether the tensors of a head matter, too; else of a model with another head the body is taken.
        how: further arguments of `from_pretrained`.

    Raises:
        ModelError: files that may not be loaded, or tensors that are missing, too many or of another shape.
    """
    with told_as(f"the model {name!r}", "give a hub name with safetensors weights or a folder"):
        judge_files(name, revision)
        network, found = kind.from_pretrained(
            name,
            revision=revision or "main",
            use_safetensors=True,
            output_loading_info=True,
            ignore_mismatched_sizes=True,
            **UNTRUSTED,
            **how,
        )
        demand_all(f"the model {name!r}", found, heads)
    return network


def check_weights(name: str, revision: str | None) -> bool:
    """Looks for every tensor of a model that is on this machine, by name and shape; reads no numbers.

    Returns:
        False where its weights are not here, or only other libraries than transformers know what should be.

    Raises:
        ModelError: see `load_network`.
    """
    from transformers import AutoConfig, AutoModelForCausalLM

    with told_as(f"the model {name!r}", "give a hub name with safetensors weights or a folder"):
        if not Path(name).is_dir() and not _is_here(name, revision):
            return False
        judge_files(name, revision)
        config = AutoConfig.from_pretrained(name, revision=revision or "main", **UNTRUSTED)
        if type(config) not in AutoModelForCausalLM._model_mapping:
            return False
        try:
            load_network(AutoModelForCausalLM, name, revision, device_map="meta", local_files_only=True)
        except ImportError:  # a package for quantised weights, which vLLM does not need
            return False
    return True


def weight_files(name: str, revision: str | None) -> list[Path]:
    """The safetensors files of a model, in its folder or the hub's cache; none of one that is not on this machine."""
    index = _json(name, INDEX, revision, local_files_only=True).get("weight_map", {})
    names = sorted(set(map(str, index.values()))) if isinstance(index, dict) and index else [WEIGHTS]
    found = (_file(name, file, revision, local_files_only=True) for file in names if _is_plain(file))
    return [file for file in found if file is not None]


def judge_files(name: str, revision: str | None = None) -> None:
    """Refuses a model whose files say that something else than safetensors beside them is to be loaded.

    Raises:
        ModelError: names the file.
    """
    if _file(name, ADAPTER, revision) is not None:
        raise ModelError(f"the model {name!r} is an adapter of another one ({ADAPTER}); merge it into that first")
    _judge_config(name, _json(name, "config.json", revision))
    index = _json(name, INDEX, revision)
    files = index.get("weight_map", {})
    for file in files.values() if isinstance(files, dict) else [files]:
        if not _is_plain(file):
            raise ModelError(
                f"the model {name!r}: {INDEX} names {_shown(file)}, which is no safetensors file beside it; "
                "take the model from elsewhere"
            )
    folder = Path(name)
    if folder.is_dir() and not index and not (folder / WEIGHTS).is_file():
        others = [file.name for file in sorted(folder.iterdir()) if file.suffix in PICKLES]
        instead = f"; {_listed(others)} would be unpickled, which runs what the file says" if others else ""
        raise ModelError(f"the model {name!r} has no {WEIGHTS} and no {INDEX}{instead}; convert it to safetensors")


def judge_modules(name: str) -> None:
    """Refuses a sentence model with modules that are not sentence-transformers' own, lie elsewhere, or are pickled.

    The library runs code that lies in a folder of this machine, whatever it is told of trust.

    Raises:
        ModelError: names the class or the file.
    """
    path = _file(name, MODULES, None)
    modules = [] if path is None else read_json(path, ModelError, "it is damaged: download it again")
    for module in modules if isinstance(modules, list) else [modules]:
        kind, at = (module.get("type"), module.get("path")) if isinstance(module, dict) else (module, "")
        library, _, last = kind.rpartition(".") if isinstance(kind, str) else ("", "", "")
        if library.partition(".")[0] != "sentence_transformers" or last not in SENTENCE_MODULES:
            raise ModelError(
                f"the model {name!r}: {MODULES} names the class {_shown(kind)}, whose code would be run; take a model "
                f"of {', '.join(sorted(SENTENCE_MODULES))} alone"
            )
        if not isinstance(at, str) or (at and at != Path(at).name) or at == "..":
            raise ModelError(
                f"the model {name!r}: {MODULES} names the folder {_shown(at)}; take the model from elsewhere"
            )
    for file in sorted(Path(name).rglob("*")) if Path(name).is_dir() else ():
        if file.suffix in PICKLES and not any(file.parent.glob("*.safetensors")):
            raise ModelError(f"{file}: would be unpickled, which runs what the file says; convert it to safetensors")


def judge_adapter(folder: Path) -> None:
    """Refuses an adapter that is not in safetensors. Raises ModelError."""
    if not (folder / ADAPTER_WEIGHTS).is_file():
        raise ModelError(f"the adapter {str(folder)!r} has no {ADAPTER_WEIGHTS}; only safetensors are loaded")


def judge_checkpoint(folder: Path) -> None:
    """Refuses a trainer's checkpoint with pickles that this project's trainers do not write.

    Raises:
        ModelError: names the file.
    """
    for file in sorted(folder.rglob("*")):
        known = file.parent == folder and any(file.match(pattern) for pattern in IN_CHECKPOINTS)
        if file.is_symlink() or (file.suffix in PICKLES and not known):
            raise ModelError(f"{file}: is no file of a checkpoint of this project; delete {folder} to train anew")


def demand_all(whose: str, found: Mapping[str, Any], heads: bool = True) -> None:
    """Refuses what a library has loaded with gaps.

    Args:
        whose: names the model.
        found: transformers' `output_loading_info`, in which ties and buffers that are computed are no gaps.
        heads: see `load_network`.

    Raises:
        ModelError: names the first tensors, and says how many there are.
    """
    missing = [name for name in found["missing_keys"] if heads or not name.startswith("pooler.")]
    faults = {
        "lacks": missing,
        "has another shape of": [name for name, *_ in found["mismatched_keys"]],
        "has no place for": found["unexpected_keys"] if heads else [],
        "could not read": found.get("error_msgs") or [],
    }
    said = [f"{what} {len(names)} tensors ({_listed(names)})" for what, names in faults.items() if names]
    if said:
        raise ModelError(
            f"{whose} {' and '.join(said)}, so that part of it would be random; download it again, or take another"
        )


def _judge_config(name: str, config: Any) -> None:
    """Refuses a configuration by which transformers would look for weights elsewhere, or for code on the hub."""
    if config.get("transformers_weights") is not None:
        file = _shown(config["transformers_weights"])
        raise ModelError(f"the model {name!r}: config.json names a weights file of its own, {file}; remove that line")
    left: list[tuple[Any, int]] = [(config, 0)]
    while left:
        value, depth = left.pop()
        if depth > DEEPEST:
            raise ModelError(f"the model {name!r}: config.json is nested more than {DEEPEST} deep")
        inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        left += [(item, depth + 1) for item in inner]
        for key, said in value.items() if isinstance(value, dict) else ():
            if key.endswith("_implementation") and "/" in str(said):
                raise ModelError(f"the model {name!r}: config.json takes code from the hub ({key}: {_shown(said)})")


def _is_here(name: str, revision: str | None) -> bool:
    """Whether all weights of a model of the hub have been downloaded."""
    if _file(name, WEIGHTS, revision, local_files_only=True) is not None:
        return True
    index = _json(name, INDEX, revision, local_files_only=True).get("weight_map", {})
    files = set(map(str, index.values())) if isinstance(index, dict) else set()
    return bool(files) and all(_file(name, file, revision, local_files_only=True) for file in files)


def _is_plain(file: Any) -> bool:
    return isinstance(file, str) and file.endswith(".safetensors") and file == Path(file).name and "\\" not in file


def _json(name: str, file: str, revision: str | None, local_files_only: bool = False) -> dict[str, Any]:
    """A JSON object among a model's files; empty where there is none."""
    path = _file(name, file, revision, local_files_only)
    if path is None:
        return {}
    content = read_json(path, ModelError, "it is damaged: download it again")
    if not isinstance(content, dict):
        raise ModelError(f"the model {name!r}: {file} holds no JSON object; download it again")
    return content


def _file(name: str, file: str, revision: str | None, local_files_only: bool = False) -> Path | None:
    """One of a model's files, in its folder or the hub's cache, into which it may be downloaded; None without it."""
    from transformers.utils import cached_file

    if Path(name).is_dir():
        return Path(name, file) if Path(name, file).is_file() else None
    found = cached_file(
        name,
        file,
        revision=revision or "main",
        local_files_only=local_files_only,
        _raise_exceptions_for_missing_entries=False,
        _raise_exceptions_for_connection_errors=False,
    )
    return None if found is None else Path(found)


def _listed(names: Iterable[Any]) -> str:
    known = sorted(map(str, names))
    return ", ".join(map(_shown, known[:SHOWN])) + (", ..." if len(known) > SHOWN else "")


def _shown(value: Any) -> str:
    text = value if isinstance(value, str) else repr(value)
    text = text if text.isprintable() else ascii(text)
    return text if len(text) <= LONGEST_NAME else text[:LONGEST_NAME] + "..."
