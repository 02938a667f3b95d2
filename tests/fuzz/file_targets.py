"""Hostile recipes, run directories, model folders and answers of endpoints: each ends well or in one sentence of ours,
within its time, and writes nothing outside of where it may.

An input names the file that it damages by its first byte. What follows replaces the file; after a byte 255 it is pairs
of a place and a byte, which are put into a whole one.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

from typer.testing import CliRunner

from selfplay.cli.app import app
from selfplay.config.load import RecipeError, load_recipe, recipe_of
from selfplay.engines.api.tokenizer import EndpointTokenizer, TokenizerError
from selfplay.engines.api.wire import read_sample, read_scores
from selfplay.engines.loading import ModelError, look_up
from selfplay.run.files import write_json
from selfplay.run.plan import Kind, PlannedStage, write_plan
from selfplay.run.records import Seed
from selfplay.run.tables import write_table
from verifiers.model import Task
from verifiers.untrusted.json_values import parse_json

CPU_S = 10.0
"""Most processor seconds of one input."""
RECIPE: dict[str, Any] = {
    "name": "r",
    "model": {"kind": "scratch"},
    "domains": {"math": {"seeds": {"kind": "quickstart", "grammar": "math"}}},
}
COMMANDS = (("status",), ("status", "--json"), ("rollouts",), ("prompts",))
TOKENIZER = {
    "version": "1.0",
    "added_tokens": [{"id": 0, "content": "</s>", "special": True, "single_word": False, "lstrip": False,
                      "rstrip": False, "normalized": False}],
    "normalizer": None, "pre_tokenizer": None, "post_processor": None, "decoder": None,
    "model": {"type": "WordLevel", "vocab": {"</s>": 0, "a": 1}, "unk_token": "a"},
}  # fmt: skip
MODEL: dict[str, Any] = {
    "config.json": {"model_type": "qwen3", "architectures": ["Qwen3ForCausalLM"], "hidden_size": 32},
    "tokenizer.json": TOKENIZER,
    "tokenizer_config.json": {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "</s>", "chat_template": "a"},
    "generation_config.json": {"eos_token_id": 0},
    "special_tokens_map.json": {"eos_token": "</s>"},
}


@contextlib.contextmanager
def bounded() -> Iterator[Path]:
    """A folder to work in, `run`, beside which nothing may appear; ends what computes for too long."""
    with tempfile.TemporaryDirectory() as name:
        root, before = Path(name), Path.cwd()
        for folder in ("run", "here"):
            (root / folder).mkdir()
        os.chdir(root / "here")
        was = signal.signal(signal.SIGVTALRM, _too_long)
        signal.setitimer(signal.ITIMER_VIRTUAL, CPU_S)
        try:
            yield root / "run"
        finally:
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)
            signal.signal(signal.SIGVTALRM, was)
            os.chdir(before)
        assert sorted(str(path.relative_to(root)) for path in root.rglob("*") if root / "run" not in path.parents) == [
            "here",
            "run",
        ]


def _too_long(signum: int, frame: FrameType | None) -> None:
    raise AssertionError(f"more than {CPU_S:g} s of the processor")


def damage(root: Path, data: bytes) -> None:
    """Damages one file below a folder, as the input says."""
    files = sorted(path for path in root.rglob("*") if path.is_file())
    file, rest = files[data[0] % len(files)], data[1:]
    if rest[:1] == b"\xff":
        content = bytearray(file.read_bytes())
        for place, byte in zip(rest[1::3], rest[3::3], strict=False):
            if content:
                content[(place * 251 + byte) % len(content)] = byte
        rest = bytes(content)
    file.write_bytes(rest)


def _is_told(text: str) -> None:
    """A message of ours: short, and nothing in it that a terminal would obey."""
    assert text.strip()
    assert all(line.isprintable() for line in text.splitlines())
    assert len(text) < 30_000


def recipes(data: bytes) -> None:
    """A recipe is read, or refused in sentences; what was read can be written and read again."""
    with bounded() as folder:
        (folder / "r.yaml").write_bytes(data)
        try:
            recipe = load_recipe(folder / "r.yaml")
        except RecipeError as error:
            _is_told(str(error))
            return
        plain = json.loads(json.dumps(recipe.model_dump(mode="json"), allow_nan=False))
        assert recipe_of(plain).name == recipe.name


@functools.cache
def _run_template() -> Path:
    """A run directory with something of everything, which lasts as long as this process."""
    run = Path(tempfile.mkdtemp(prefix="fuzz-"))
    stages = [PlannedStage(Kind.SEEDS), PlannedStage(Kind.EVALUATION, 0), PlannedStage(Kind.SELFPLAY, 1)]
    write_plan(run, stages)
    write_json(run / "recipe.json", recipe_of(RECIPE).model_dump(mode="json"))
    write_json(run / "stages" / "seeds" / "manifest.json", {"stage": "seeds", "seconds": 1.5, "counts": {"rows": 1}})
    seed = Seed("i", "math", "train", "s", ("c",), "l", "r", Task("p", "1"), "", None)
    write_table(run / "stages" / "seeds" / "math-train.parquet", Seed, [seed])
    rollout = {"task_id": "i", "domain": "math", "passed": True, "status": "correct", "step": 1, "completion": "x"}
    log = run / "stages" / "selfplay_1" / "math-training" / "rollouts-0.jsonl"
    log.parent.mkdir(parents=True)
    log.write_text(json.dumps(rollout) + "\n")
    metrics = [
        {"time": 1.0, "stage": "selfplay_1", "step": 1, "metrics": {"reward": 0.5}, "kind": "selfplay", "round": 1},
        {"time": 2.0, "stage": "selfplay_1", "alarm": "diverged", "text": "a sentence"},
    ]
    (run / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in metrics))
    write_json(run / "progress.json", {"stage": "evaluation_0", "work": "w", "done": 1, "ended": "a sentence"})
    (run / "lock").touch()
    return run


def run_directories(data: bytes) -> None:
    """The commands that look at a run end well or in a sentence, and change nothing in it."""
    if len(data) < 2:
        return
    with bounded() as run:
        shutil.copytree(_run_template(), run, dirs_exist_ok=True)
        damage(run, data[1:])
        before = {path: path.stat().st_mtime_ns for path in run.rglob("*")}
        command, *options = COMMANDS[data[0] % len(COMMANDS)]
        done = CliRunner().invoke(app, [command, str(run), *options])
        assert done.exit_code in (0, 1, 2), done.output
        if done.exit_code:
            _is_told(done.stderr)
        assert before == {path: path.stat().st_mtime_ns for path in run.rglob("*")}


def model_folders(data: bytes) -> None:
    """The readers of a model's settings and of its tokenizer read them, or say in a sentence why not."""
    if not data:
        return
    with bounded() as folder:
        for name, content in MODEL.items():
            (folder / name).write_text(json.dumps(content))
        damage(folder, data)
        with contextlib.suppress(TokenizerError):
            EndpointTokenizer(str(folder)).ids("a a")
        with contextlib.suppress(ModelError):
            known = look_up(str(folder), None)
            assert known is not None
            assert isinstance(known.architecture, str)


def endpoint_answers(data: bytes) -> None:
    """An answer of an endpoint is a completion, or scores, or is refused."""
    try:
        answer = parse_json(data, finite=False)
    except ValueError:
        return
    with contextlib.suppress(ValueError):
        sample = read_sample(answer, keep_thinking=True)
        sample.text.encode("utf-8")
        assert 0 <= sample.prompt_tokens < 1 << 62
    for mode in ("prompt_logprobs", "echo"):
        with contextlib.suppress(ValueError):
            scored = read_scores(answer, [5, 7], mode)  # type: ignore[arg-type]
            assert all(isinstance(value, float) and value < 1 for value in scored.logprobs)


FILE_TARGETS: dict[str, Callable[[bytes], None]] = {
    "recipes": recipes,
    "run_directories": run_directories,
    "model_folders": model_folders,
    "endpoint_answers": endpoint_answers,
}
