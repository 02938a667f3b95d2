"""The process of a server that rolls out: started at the loopback, watched, renewed as it may be, and ended."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from sandbox.process.child import Child
from selfplay.config.section import Supervision
from selfplay.trl_trainers.vllm_server.inside import HERE, KEY, Door
from selfplay.trl_trainers.vllm_server.process import RolloutServer, ServerLost, flags

CHILD = "tests.selfplay.trl_trainers.toy_serving"


@pytest.fixture
def servers() -> Iterator[Any]:
    made: list[RolloutServer] = []

    def make(folder: Path, mode: str, **limits: Any) -> RolloutServer:
        made.append(RolloutServer([mode, str(folder)], "cpu", "6,7", Supervision(**limits), CHILD))
        return made[-1]

    yield make
    for server in made:
        server.close()


def starts(folder: Path) -> list[list[str]]:
    return [line.split() for line in (folder / "starts").read_text().splitlines()]


def test_it_is_started_watched_renewed_and_ended(servers: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "0")
    server = servers(tmp_path, "serves")
    server.open()
    assert server.url.startswith("http://127.0.0.1:")
    assert server.progress() == 7.0
    assert server.ended() == ""
    first = server.pid
    os.kill(first, signal.SIGKILL)
    until = time.monotonic() + 30
    while not (reason := server.ended()) and time.monotonic() < until:
        time.sleep(0.005)
    assert reason == "was ended by SIGKILL"
    assert not server.answers()
    server.renew(reason, finished=3)
    assert server.answers()
    assert (server.pid != first, server.restarts) == (True, 1)
    # No rank of the trainer's group, on its own devices alone, and for nobody but this machine.
    assert [row[1:] for row in starts(tmp_path)] == [["None", "6,7", "127.0.0.1"]] * 2
    second = server.pid
    server.close()
    with pytest.raises(ProcessLookupError):
        os.kill(second, 0)


def test_one_that_does_not_start_is_given_up_in_one_sentence(servers: Any, tmp_path: Path) -> None:
    with pytest.raises(
        ServerLost, match=r"rollouts: the vLLM server failed 2 times .* ended with exit code 3; see wor"
    ):
        servers(tmp_path, "fails", restarts=1).open()
    assert len(starts(tmp_path)) == 2


def test_one_that_takes_too_long_is_given_up(servers: Any, tmp_path: Path) -> None:
    with pytest.raises(ServerLost, match=r"failed once .* was not ready within 1 s"):
        servers(tmp_path, "hangs", restarts=0, opening_s=1.0).open()


def test_arguments_are_written_as_the_server_reads_them() -> None:
    settings = {
        "model": "m",
        "enforce_eager": True,
        "enable_prefix_caching": False,
        "hf_overrides": {"a": 1},
        "x": None,
    }
    assert flags(settings) == [
        *("--model", "m", "--enforce-eager", "--no-enable-prefix-caching"),
        *("--hf-overrides", '{"a": 1}'),
    ]


def test_nobody_comes_in_without_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY, "secret")
    within: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        within.append(scope.get("path", scope["type"]))

    async def knock(kind: str, path: str, *headers: tuple[bytes, bytes]) -> list[Any]:
        said: list[Any] = []

        async def send(message: Any) -> None:
            said.append(message)

        await door({"type": kind, "path": path, "headers": headers}, None, send)  # type: ignore[arg-type]
        return said

    door = Door(app)
    key = (b"authorization", b"Bearer secret")
    assert asyncio.run(knock("http", "/collective_rpc", key)) == []
    assert asyncio.run(knock("http", "/health")) == []
    assert asyncio.run(knock("http", "/collective_rpc"))[0]["status"] == 401
    assert asyncio.run(knock("http", "/v1/completions", (b"authorization", b"Bearer secreT")))[0]["status"] == 401
    assert asyncio.run(knock("websocket", "/v1/realtime"))[0]["type"] == "websocket.close"
    assert within == ["/collective_rpc", "/health"]


SPAWNING = """
import multiprocessing, sys, time

work = f"import os, time; os.symlink(str(os.getpid()), {sys.argv[1]!r}); time.sleep(60)"
multiprocessing.get_context("spawn").Process(target=exec, args=(work,)).start()
time.sleep(60)
"""


def test_what_computes_ends_with_a_server_that_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = tmp_path / "vllm" / "entrypoints" / "openai"
    place.mkdir(parents=True)
    (place / "api_server.py").write_text(SPAWNING)
    monkeypatch.syspath_prepend(tmp_path)
    child = Child(HERE, ["cuda", tmp_path / "pid"])
    try:
        wait_until((tmp_path / "pid").is_symlink)
        computing = psutil.Process(int(os.readlink(tmp_path / "pid")))
        os.kill(child.pid, signal.SIGKILL)
        wait_until(lambda: not computing.is_running() or computing.status() == psutil.STATUS_ZOMBIE)
    finally:
        child.close()


def wait_until(is_so: Callable[[], bool]) -> None:
    until = time.monotonic() + 30
    while not is_so():
        assert time.monotonic() < until
        time.sleep(0.01)
