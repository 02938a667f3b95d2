"""Files of a sharded training's checkpoint: several of bounded size, and a sentence where one is of something else."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from selfplay.trl_trainers.sharded import checkpoint
from selfplay.trl_trainers.sharded.checkpoint import WEIGHT, NoShards, read, write


class WholeShards:
    """One rank that has all."""

    def __init__(self, sizes: dict[str, int]) -> None:
        self.tensors = {name: torch.nn.Parameter(torch.randn(size, 2)) for name, size in sizes.items()}
        self.put_back: list[dict[str, Any]] = []

    def trained(self) -> Iterator[tuple[str, Any]]:
        return iter(self.tensors.items())

    def whole(self, parameter: Any) -> dict[str, Any]:
        return {WEIGHT: parameter, "exp_avg": parameter * 2, "step": torch.tensor(3.0)}

    def put(self, parameter: Any, values: dict[str, Any]) -> None:
        self.put_back.append(values)


def test_what_was_written_is_read_from_several_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint, "FILE_BYTES", 100)
    shards = WholeShards({"a.weight": 3, "b/c": 8, "d": 1})
    write(shards, tmp_path, is_first=True)
    # 52 bytes, then 132 in all, then 20.
    assert [file.name for file in sorted(tmp_path.iterdir())] == [f"shards-0000{n}.safetensors" for n in (0, 1)]
    read(shards, tmp_path)
    for parameter, values in zip(shards.tensors.values(), shards.put_back, strict=True):
        assert torch.equal(values[WEIGHT], parameter)
        assert torch.equal(values["exp_avg"], parameter * 2)
        assert values["step"].shape == ()


def test_the_other_ranks_write_nothing(tmp_path: Path) -> None:
    write(WholeShards({"a": 3}), tmp_path / "new", is_first=False)
    assert list((tmp_path / "new").iterdir()) == []


@pytest.mark.parametrize("sizes", [{"b": 3}, {"a": 4}])
def test_a_checkpoint_of_something_else_is_refused(tmp_path: Path, sizes: dict[str, int]) -> None:
    write(WholeShards({"a": 3}), tmp_path, is_first=True)
    with pytest.raises(NoShards, match=r"holds no [ab] of the shape \[[34], 2\].* delete the folder to train anew"):
        read(WholeShards(sizes), tmp_path)
