"""A run on files of this machine says nothing to anybody: no hub, no maker of a library, no tracker elsewhere."""

from __future__ import annotations

import json
import os
import socketserver
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import ROOT, command
from tests.selfplay.conftest import tiny_model

__all__ = ["tiny_model"]
SWITCHES = (
    "HF_HUB_OFFLINE",
    "HF_HUB_DISABLE_TELEMETRY",
    "DISABLE_TELEMETRY",
    "DO_NOT_TRACK",
    "CI",
    "NO_PROXY",
    "no_proxy",
)
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "HF_ENDPOINT")
SUMS = [{"problem": f"{n} + 1?", "answer": str(n + 1), "solution": f"\\boxed{{{n + 1}}}"} for n in range(8)]
ARGS = {"max_steps": 1, "num_generations": 2, "per_device_train_batch_size": 2, "max_completion_length": 4}


@pytest.fixture
def heard() -> Iterator[tuple[str, list[str]]]:
    """The address of a proxy and hub in one, and the first lines of all that it was asked."""
    lines: list[str] = []

    class Listener(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            lines.append(self.rfile.readline(2000).decode("utf-8", "replace"))

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Listener) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}", lines
        server.shutdown()


def recipe(folder: Path, model: str) -> Path:
    for split, rows in (("train", SUMS[:6]), ("heldout", SUMS[6:])):
        (folder / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    content: dict[str, Any] = {
        "name": "silent",
        "compute": {"workers": 1, "device": "cpu"},
        "model": {"kind": "pretrained", "name": model, "dtype": "float32", "prompt_style": "raw"},
        "domains": {
            "sums": {"seeds": {"kind": "file", "level": "easy", "train": "train.jsonl", "heldout": "heldout.jsonl"}}
        },
        "training": {"rounds": 1, "pool": {"arm": "external"}, "grpo": {"args": ARGS}},
        "evaluation": {"problems": 2, "samples": 1, "temperatures": [1.0], "max_new_tokens": 4, "bootstrap": 100},
        "tracking": {"wandb": {"mode": "offline"}, "tensorboard": True, "trackio": "silent"},
    }
    file = folder / "silent.yaml"
    file.write_text(json.dumps(content))
    return file


@pytest.mark.long
@pytest.mark.parametrize("name", ["check", "run"])
def test_nobody_hears_of_a_run(name: str, tmp_path: Path, tiny_model: Any, heard: tuple[str, list[str]]) -> None:
    address, lines = heard
    environment = {key: value for key, value in os.environ.items() if key not in SWITCHES}
    proxies = dict.fromkeys(PROXIES, address)
    own = {"PYTHONPATH": str(ROOT), "HOME": str(tmp_path), "HF_HOME": str(tmp_path / "hub")}
    told = ["--run-dir", tmp_path / "run"] if name == "run" else []
    done = subprocess.run(
        command(name, recipe(tmp_path, tiny_model.path), *told),
        cwd=tmp_path,
        env=environment | proxies | own,
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert lines == []
    if name == "run":
        assert {path.name for path in tmp_path.iterdir()} <= {
            *("train.jsonl", "heldout.jsonl", "silent.yaml", "run", "hub", ".cache", ".config")
        }
