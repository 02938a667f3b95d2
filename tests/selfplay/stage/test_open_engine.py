"""Engines that the recipe names beside the run's own: on this machine and at an endpoint alike."""

from __future__ import annotations

from pathlib import Path

import pytest

from selfplay.config.annotation import LocalEngine, OpenAIEngine
from selfplay.config.compute import EngineSettings
from selfplay.config.section import SamplingSettings
from selfplay.engines.base import Missing, ModelRef, Sample
from selfplay.engines.named_models import NamedModels
from selfplay.engines.sharded import ShardedEngine
from selfplay.run.store import ShardStore
from selfplay.stage.open_engine import answers_of, open_engine
from tests.selfplay.engines.openai_server import OpenAIServer
from tests.selfplay.in_process import InProcess
from verifiers.endpoint.client import EndpointError

HOW = SamplingSettings(temperature=0.5, max_new_tokens=5)


def test_a_model_of_this_machine(tiny_model: ModelRef, in_process: InProcess, store_folder: Path) -> None:
    def local(named: LocalEngine) -> ShardedEngine:
        model = NamedModels(store_folder).ref(named)
        return ShardedEngine(model, EngineSettings(), in_process, ShardStore(store_folder))  # type: ignore[arg-type]

    settings = LocalEngine(kind="local", name=tiny_model.path, dtype="float32", prompt_style="raw")
    with open_engine(settings, "curation", local, store_folder / "answers.sqlite") as engine:
        first = answers_of(engine, ["doubling", "a limit"], HOW, 3)
        assert answers_of(engine, ["doubling", "a limit"], HOW, 3) == first
        assert engine.model.fingerprint.startswith(f"{Path(tiny_model.path).name}@")
    assert all(isinstance(sample, Sample) for sample in first)
    assert in_process.jobs == 2, "two shards, computed once"
    assert not (store_folder / "answers.sqlite").exists()


def test_an_endpoint_that_refuses_one_prompt_and_then_goes_down(tmp_path: Path) -> None:
    server = OpenAIServer()
    server.fault_of = lambda body: {"bad": "400", "down": "500"}.get(body["messages"][0]["content"], "")
    settings = OpenAIEngine.model_validate(
        {"kind": "openai", "model": "m", "endpoint": {"base_url": server.url, "attempts": 1, "pause_s": 0}}
    )
    try:
        with open_engine(
            settings, "curation.judge", lambda model: pytest.fail("nothing runs here"), tmp_path / "answers.sqlite"
        ) as engine:
            good, bad = answers_of(engine, ["good", "bad"], HOW, 0)
            assert isinstance(good, Sample)
            assert isinstance(bad, Missing)
            with pytest.raises(EndpointError, match=r"curation\.judge: gave no answer"):
                answers_of(engine, ["good", "down"], HOW, 0)
    finally:
        server.close()
