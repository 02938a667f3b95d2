"""Checkpoints of sharded trainings: whole tensors in safetensors, so that any number of ranks goes on, cut in any way.

The libraries' own checkpoints are pickles, or cut as the ranks were that wrote them. Here all ranks gather a parameter
after the other, with the optimiser's states of it, and the first writes them in files of bounded size, so that no rank
ever holds the whole model. Each rank reads what it needs from these files.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Protocol

from selfplay.config.errors import UserError

FILES = "shards-*.safetensors"
WEIGHT = "weight"
"""Name of a parameter's own numbers beside its states."""
FILE_BYTES = 2**31


class NoShards(UserError):
    """A checkpoint lacks what a sharded training goes on from."""


class Shards(Protocol):
    """The parameters of a sharded training as this rank holds them. All ranks call each method together."""

    def trained(self) -> Iterator[tuple[str, Any]]:
        """The parameters that are trained, by name."""

    def whole(self, parameter: Any) -> dict[str, Any]:
        """A parameter in float32 as `weight`, and the optimiser's states of it, none of them cut."""

    def put(self, parameter: Any, values: dict[str, Any]) -> None:
        """Takes this rank's part of what `whole` gave."""


def write(shards: Shards, folder: Path, is_first: bool) -> None:
    """Writes all that is trained, and its optimiser; the first rank does, and the others help it."""
    from safetensors.torch import save_file

    held: dict[str, Any] = {}
    size = files = 0
    folder.mkdir(parents=True, exist_ok=True)
    # An attempt that was cut may have left some.
    for file in folder.glob(FILES) if is_first else ():
        file.unlink()

    def flush() -> None:
        nonlocal size, files
        if held:
            save_file(held, folder / FILES.replace("*", f"{files:05d}"))
        held.clear()
        size, files = 0, files + 1

    for name, parameter in shards.trained():
        for key, value in shards.whole(parameter).items():
            if is_first:
                held[f"{name}/{key}"] = kept = value.detach().to("cpu", copy=True).contiguous()
                size += kept.numel() * kept.element_size()
        if size >= FILE_BYTES:
            flush()
    flush()


def read(shards: Shards, folder: Path) -> None:
    """Takes this rank's part of a checkpoint, whoever wrote it.

    Raises:
        NoShards: a parameter is not in it, or has another shape there.
    """
    from safetensors import safe_open

    with ExitStack() as stack:
        files = [stack.enter_context(safe_open(file, "pt")) for file in sorted(folder.glob(FILES))]
        places: dict[str, dict[str, Any]] = {}
        for file in files:
            # No dictionary, though it looks like one.
            for full in file.keys():  # noqa: SIM118
                name, _, key = full.rpartition("/")
                places.setdefault(name, {})[key] = file
        for name, parameter in shards.trained():
            values = {key: file.get_tensor(f"{name}/{key}") for key, file in places.get(name, {}).items()}
            shape = getattr(parameter, "ds_shape", parameter.shape)
            if WEIGHT not in values or values[WEIGHT].shape != shape:
                raise NoShards(
                    f"{folder}: holds no {name} of the shape {list(shape)}, as a checkpoint of another "
                    "compute.sharding or of an older version; set the one back, or delete the folder to train anew"
                )
            shards.put(parameter, values)


def counted(optimizer: Any, value: Any, device: Any) -> Any:
    """A copy of a count of steps, on the device where torch's optimiser looks for it beside parameters on `device`."""
    with_them = any(group.get("fused") or group.get("capturable") for group in optimizer.param_groups)
    return value.to(device if with_them else "cpu", copy=True)
