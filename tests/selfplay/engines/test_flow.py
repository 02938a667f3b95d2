"""Shards that flow: no barrier between them, every completion kept at once, the same rows whoever makes them."""

from __future__ import annotations

import threading
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from selfplay.config.compute import EngineSettings
from selfplay.engines import supervisor
from selfplay.engines.base import ModelRef, Sampling
from selfplay.engines.flow import TAKEN, Feeder, FlowJob, Journal, Shard, Taker
from selfplay.engines.sharded import ShardedEngine
from selfplay.run.store import ShardStore
from tests.selfplay.engines import toy_flow
from tests.selfplay.engines.toy_flow import Interleaved

PROMPTS = [f"{1 + (7 * n) % 5 + 40 * (n % 9 == 0)} steps, {n}" for n in range(40)]
SAMPLING = Sampling(1.0, 8)


class Toy:
    """The backend."""

    flow_shards = staticmethod(toy_flow.flow_shards)


def engine(folder: Path, replicas: int, shard: int = 8) -> ShardedEngine:
    settings = EngineSettings(kind="vllm", shard=shard)
    made = ShardedEngine(ModelRef("m", "m"), settings, Interleaved(replicas), ShardStore(folder))  # type: ignore[arg-type]
    made._backend = Toy
    return made


def job(folder: Path, replica: str = "0", supervision: Any = None) -> FlowJob:
    return FlowJob(
        model=ModelRef("m", "m"),
        device="cpu",
        settings=EngineSettings.model_validate({"kind": "vllm", "supervision": supervision}),
        sampling=SAMPLING,
        queue=folder / "queue",
        replica=replica,
        store=folder / "store",
    )


def shards(count: int = 5, size: int = 8) -> list[Shard]:
    return [Shard(n, f"{n:02d}key", 7 + n, PROMPTS[n * size : (n + 1) * size]) for n in range(count)]


def test_rows_depend_on_no_replica(tmp_path: Path) -> None:
    one, three = (engine(tmp_path / str(n), n).generate(PROMPTS, SAMPLING, 1) for n in (1, 3))
    assert [sample.text.rpartition(" ")[0] for sample in one] == PROMPTS
    assert one == three


def test_a_problem_that_looks_like_a_secret_is_asked_as_it_stands(tmp_path: Path) -> None:
    prompt = f"1 steps, hf_{'a1B2' * 9}"
    [sample] = engine(tmp_path, 1).generate([prompt], SAMPLING, 1)
    assert sample.text.startswith(prompt)


def test_the_next_shard_is_taken_before_the_last_is_drained(tmp_path: Path) -> None:
    """The first completion of each shard takes ten times as long as the others."""
    given = job(tmp_path)
    long = [f"{40 if n % 8 == 0 else 2} steps, {n}" for n in range(24)]
    feeder = Feeder(given.queue, iter(Shard(n, f"{n:02d}k", n, long[8 * n : 8 * n + 8]) for n in range(3)), 3)
    feeder.fill()
    feeder.fill()
    heard = [item for item in toy_flow.flow(given) if item is not None]
    order = [item for item, _ in heard]
    assert order.index((1, TAKEN)) < order.index((0, 0))
    assert order.index((2, TAKEN)) < order.index((0, 0))


def test_no_slot_is_idle_while_there_are_prompts(tmp_path: Path) -> None:
    """Steps of one replica: as many as the work of all prompts fills, and one tail, however many shards there are."""
    given = job(tmp_path)
    feeder = Feeder(given.queue, iter(shards()), 5)
    feeder.fill()
    feeder.fill()
    steps = sum(item is None for item in toy_flow.flow(given))
    work = [int(prompt.split()[0]) for prompt in PROMPTS]
    assert steps <= sum(work) / toy_flow.SLOTS + max(work) + 2


def test_what_was_finished_before_a_crash_is_not_made_again(tmp_path: Path) -> None:
    prompts = list(PROMPTS)
    prompts[21] = "3 steps, breaks"
    with pytest.raises(RuntimeError, match="fell off"):
        engine(tmp_path, 2).generate(prompts, SAMPLING, 1)
    kept = sum(len(Journal(file).rows) for file in tmp_path.rglob("*.unfinished.jsonl"))
    whole = 8 * len(list(tmp_path.rglob("*.parquet")))
    assert kept + whole > 0
    made: list[str] = []
    heard = Journal.add

    def counted(self: Journal, place: int, row: dict[str, Any]) -> None:
        made.append(row["text"])
        heard(self, place, row)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Journal, "add", counted)
        again = engine(tmp_path, 2).generate(prompts, SAMPLING, 1)
    assert len(made) == len(prompts) - kept - whole
    assert [sample.text.rpartition(" ")[0] for sample in again] == prompts
    assert not list(tmp_path.rglob("*.unfinished.jsonl"))


def test_progress_is_per_completion_and_counts_each_once(tmp_path: Path) -> None:
    told: list[int] = []
    engine(tmp_path, 2).generate(PROMPTS, SAMPLING, 1, told.append)
    assert sum(told) == len(PROMPTS)
    assert max(told) < 8, "it came completion by completion, and not shard by shard"
    again: list[int] = []
    engine(tmp_path, 2).generate(PROMPTS, SAMPLING, 1, again.append)
    assert again == [len(PROMPTS)]


def test_shards_come_in_order_while_others_are_made(tmp_path: Path) -> None:
    prompts = ["1 steps, a"] * 8 + ["90 steps, b"] * 8 + ["1 steps, c"] * 8
    stream = engine(tmp_path, 1).stream(prompts, SAMPLING, 1)
    first = next(stream)
    assert len(first) in (6, 8)
    assert len(list(tmp_path.rglob("*.parquet"))) < 4, "the first is given before the last is done"
    assert sum(map(len, stream)) == 24 - len(first)


def test_no_more_is_laid_out_than_will_soon_be_taken(tmp_path: Path) -> None:
    given = job(tmp_path)
    drawn = []

    def many() -> Any:
        for shard in shards(5):
            drawn.append(shard.number)
            yield shard

    feeder = Feeder(given.queue, many(), 2)
    feeder.fill()
    feeder.fill()
    assert drawn == [0, 1, 2], "one is drawn ahead, to know whether there are more"
    taker = Taker(given)
    assert taker.take() is not None
    feeder.fill()
    assert drawn == [0, 1, 2, 3]
    assert not taker.ended


def test_no_shard_is_taken_twice(tmp_path: Path) -> None:
    feeder = Feeder(tmp_path / "queue", iter(Shard(n, f"{n:02d}k", n, ["1 x"]) for n in range(60)), 60)
    feeder.fill()
    taken: Counter[int] = Counter()

    def take(replica: str) -> None:
        taker = Taker(job(tmp_path, replica))
        while (found := taker.take()) is not None:
            taken[found[0].number] += 1

    threads = [threading.Thread(target=take, args=(str(n),)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(taken) == set(range(60))
    assert set(taken.values()) == {1}


def test_an_engine_that_dies_costs_no_finished_completion(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Under supervision: the next child takes again what the one before held, less what journals have."""
    monkeypatch.setattr(supervisor.vllm_engine, "flow", toy_flow.flow)
    given = job(tmp_path, supervision={"restarts": 1})
    mine = shards(3)
    mine[1] = Shard(1, "01key", 8, ["2 steps, dies", *mine[1].prompts[1:]])
    feeder = Feeder(given.queue, iter(mine), 3)
    feeder.fill()
    feeder.fill()
    try:
        assert supervisor.flow_shards(given) == 24
    finally:
        supervisor.close()
    assert feeder.finished() == 24
    store = ShardStore(given.store)
    for shard in mine:
        expected = [toy_flow.steps_of(shard, place)[1]["text"] for place in range(8)]
        assert [row["text"] for row in store.read(shard.key)] == expected
