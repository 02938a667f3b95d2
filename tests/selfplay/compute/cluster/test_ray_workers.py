"""Workers whose nodes are lost, by a stand-in for Ray that does what it is told at once: no process, no cluster.

tests/faults/test_lost_nodes.py does the same on real nodes.
"""

from __future__ import annotations

import functools
import os
import pickle
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from selfplay.compute.cluster import nodes, ray_workers
from selfplay.compute.cluster.nodes import NodeFacts, answer, versions
from selfplay.compute.cluster.ray_workers import RayWorkers
from selfplay.compute.cluster.room import Demand
from selfplay.compute.worker_main import JobFault
from selfplay.compute.workers import WorkerError
from selfplay.config.compute import RaySettings


class RayActorError(Exception):
    """As Ray's."""


class GetTimeoutError(Exception):
    """As Ray's."""


class RayTaskError(Exception):
    """As Ray's: the node's traceback, and the error as it was there."""

    def __init__(self, cause: Exception) -> None:
        super().__init__(f"Traceback (most recent call last):\n  of the node\n{cause}")
        self.cause = cause


class Reference:
    """An answer that is there, or that never comes."""

    def __init__(self, value: Any = None, hand: StandIn | None = None) -> None:
        self.value, self.hand = value, hand


class StandIn:
    """An actor on a node."""

    def __init__(self, session: Session, node: str) -> None:
        self.session, self.node = session, node
        self.methods = SimpleNamespace(look=self._look, begin=self._nothing, end=self._nothing, ping=self._nothing)

    def __getattr__(self, name: str) -> Any:
        method = self._tell if name == "tell" else getattr(self.methods, name)

        def remote(*arguments: Any) -> Reference:
            return Reference(functools.partial(method, *arguments) if name == "look" else method(*arguments), self)

        return SimpleNamespace(options=lambda **_: SimpleNamespace(remote=remote), remote=remote)

    @property
    def gone(self) -> bool:
        return self.node in self.session.lost

    def _look(self, beginning: Any) -> NodeFacts:
        fault = answer(Path(beginning.run), beginning.token, self.node)
        return NodeFacts(self.node, "10.0.0.1", self.node, versions(), fault)

    def _nothing(self, *_: Any) -> None:
        return

    def _tell(self, frame: bytes) -> bytes | int:
        function, arguments = pickle.loads(frame)
        if (code := self.session.exit_codes.pop(self.node, None)) is not None:
            return code
        if self.session.told(self, function, arguments):
            self.session.lost.add(self.node)
        if function.__name__ == "open_port":
            return pickle.dumps(4711)
        if function.__name__ == "run_rank":
            # The ranks of a group answer once all do.
            whole = not any(hand.gone for hand in self.session.hands)
            return pickle.dumps(
                arguments[2:4] if whole else JobFault("a worker failed: Connection closed by peer", None)
            )
        try:
            return pickle.dumps(function(*arguments))
        except ValueError as error:
            return pickle.dumps(JobFault(f"a worker failed: ValueError: {error}", None))


class Session:
    """A cluster of three nodes, with room for one worker each, and for more once it `grows`."""

    def __init__(self) -> None:
        self.lost: set[str] = set()
        self.exit_codes: dict[str, int] = {}
        self.hands: list[StandIn] = []
        self.free = ["n0", "n1", "n2"]
        self.losing: list[tuple[str, str]] = []
        """Nodes that are lost when they are told a function: node and name."""
        self.demand: Demand | None = None

    def told(self, hand: StandIn, function: Any, arguments: list[Any]) -> bool:
        if (hand.node, function.__name__) not in self.losing:
            return False
        self.losing.remove((hand.node, function.__name__))
        return True

    def placed(self, demand: Demand) -> None:
        self.demand = demand

    def give_up(self, group: Any) -> None:
        return

    def hand(self, group: Any, place: int, demand: Demand) -> StandIn:
        self.hands.append(StandIn(self, ""))
        return self.hands[-1]

    def has_place(self, hand: StandIn) -> bool:
        free, self.free = [node for node in self.free if node not in self.lost], []
        # Of a group that is to have a node for each, Ray places all or none.
        wanted = self.demand.count if self.demand and self.demand.strategy == "STRICT_SPREAD" else 0
        whole = sum(bool(one.node) for one in self.hands) + len(free) >= wanted
        hand.node = hand.node or (free.pop(0) if free and whole else "")
        self.free = free
        return bool(hand.node)

    def drop(self, hand: StandIn) -> None:
        self.hands.remove(hand)

    def is_lost(self, node: str) -> bool:
        return node in self.lost

    def ready(self, references: list[Reference], seconds: float) -> list[Reference]:
        return [one for one in references if one.hand is None or self.has_place(one.hand)]


def get(reference: Reference, timeout: float | None = None) -> Any:
    if reference.hand is not None and reference.hand.gone:
        raise RayActorError("The actor died")
    if reference.hand is not None and not reference.hand.session.has_place(reference.hand):
        raise GetTimeoutError
    return reference.value() if isinstance(reference.value, functools.partial) else reference.value


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch) -> Session:
    errors = SimpleNamespace(
        RayActorError=RayActorError,
        GetTimeoutError=GetTimeoutError,
        ObjectLostError=RayActorError,
        NodeDiedError=RayActorError,
        RayTaskError=RayTaskError,
    )
    monkeypatch.setitem(sys.modules, "ray", SimpleNamespace(get=get, exceptions=errors))
    for name, value in {"SETTLED_S": 0.02, "_TICK_S": 0.005}.items():
        monkeypatch.setattr(ray_workers, name, value)
    monkeypatch.setattr(nodes, "_SLOW_S", 0.05)
    return Session()


def workers_on(session: Session, run: Path, count: int = 3, **settings: Any) -> tuple[RayWorkers, list[str]]:
    given = RaySettings.model_validate({"patience_s": 1, **settings})
    made = RayWorkers(session, Demand(count, "cpu", 1, 0), 1, run, given)  # type: ignore[arg-type]
    notes: list[str] = []
    made.note = notes.append
    return made, notes


def double(job: int) -> int:
    return 2 * job


def fail(job: int) -> int:
    raise ValueError("no such thing")


def never(job: int) -> int:
    raise AssertionError("is for ranks, which do not run here")


def test_others_take_over_what_a_lost_node_had_under_way(session: Session, tmp_path: Path) -> None:
    workers, notes = workers_on(session, tmp_path)
    session.losing = [("n1", "double")]
    assert workers.map(double, range(9)) == [2 * job for job in range(9)]
    assert notes == ["a node was lost; others take over what it had under way"]
    # Those that are left go on, and one that comes is taken in.
    session.free.append("n3")
    workers.renew()
    assert workers.map(double, range(5)) == [0, 2, 4, 6, 8]
    assert sorted(seat.facts.node for seat in workers._seats if seat.facts) == ["n0", "n2", "n3"]


def test_a_training_begins_again_once_there_is_room_for_all_ranks(session: Session, tmp_path: Path) -> None:
    workers, notes = workers_on(session, tmp_path)
    session.losing, again = [("n2", "run_rank")], []

    def before_again() -> None:
        again.append(True)

    session.free.append("n3")
    assert workers.together(never, 0, before_again=before_again) == [0, 3]
    assert again == [True]
    assert notes == ["a node was lost in the middle of a training, which goes on from its checkpoint"]


def test_a_training_waits_no_longer_than_the_recipe_says(session: Session, tmp_path: Path) -> None:
    workers, _ = workers_on(session, tmp_path)
    session.losing = [("n0", "run_rank")]
    with pytest.raises(WorkerError, match=r"compute.ray.patience_s: for 1 s the cluster had room for 2 of 3 workers"):
        workers.together(never, 0)


def test_a_training_may_go_on_with_the_rest(session: Session, tmp_path: Path) -> None:
    workers, notes = workers_on(session, tmp_path, on_loss="rest")
    session.losing = [("n0", "run_rank")]
    assert workers.together(never, 0) == [0, 2]
    assert notes[-1] == "a training goes on with 2 of 3 ranks"


def test_what_fails_on_a_node_that_lives_has_the_words_of_one_machine(session: Session, tmp_path: Path) -> None:
    workers, _ = workers_on(session, tmp_path)
    with pytest.raises(WorkerError, match=r"^a worker failed: ValueError: no such thing$"):
        workers.map(fail, [1])
    for code, says in {3: "its process ended with exit code 3", -9: "was killed by the system"}.items():
        session.exit_codes["n0"] = code
        with pytest.raises(WorkerError, match=says):
            workers.map(double, [1])


def test_an_actor_that_is_gone_from_a_living_node_was_killed(session: Session, tmp_path: Path) -> None:
    workers, _ = workers_on(session, tmp_path)
    session.losing = [("n0", "double")]
    session.is_lost = lambda node: False  # type: ignore[method-assign]
    with pytest.raises(WorkerError, match="was killed by the system, most likely since memory ran out"):
        workers.map(double, [1])


def test_work_that_takes_its_nodes_along_is_given_up(session: Session, tmp_path: Path) -> None:
    workers, _ = workers_on(session, tmp_path)
    session.free += [f"m{n}" for n in range(20)]
    session.told = lambda hand, function, arguments: function is double  # type: ignore[method-assign]
    with pytest.raises(WorkerError, match="a piece of work has lost 6 nodes, one after the other"):
        workers.map(double, [1])


def test_secrets_of_the_driver_stay_there(session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    workers, _ = workers_on(session, tmp_path)
    workers.map(double, [1])
    passed = workers._beginning(workers._seats[0]).environment
    assert passed["HF_HUB_OFFLINE"] == os.environ["HF_HUB_OFFLINE"]
    assert "HF_TOKEN" not in passed


def test_judges_begin_on_the_nodes_that_are_left(session: Session, tmp_path: Path) -> None:
    """A node that was lost between the start of a run and its first verdict had all wait for an hour: of one judge a
    node, Ray places all or none."""
    nodes = ["n0", "n1", "n2"]

    def sized() -> Demand:
        return Demand(len(nodes), "cpu", 0, 0, "STRICT_SPREAD")

    settings = RaySettings.model_validate({"patience_s": 5})
    judges = RayWorkers(session, sized(), 1, tmp_path, settings, "judges", sized)  # type: ignore[arg-type]
    session.lost.add("n1")
    judges.prepare()
    assert not any(hand.node for hand in session.hands)
    # Ray notices a while later.
    looks: list[int] = []

    def noticed() -> Demand:
        looks.append(1)
        if len(looks) == 3:
            nodes.remove("n1")
        return sized()

    judges._sized = noticed
    assert judges.map(double, range(6)) == [0, 2, 4, 6, 8, 10]
    assert (judges.count, len(session.hands)) == (2, 2)
