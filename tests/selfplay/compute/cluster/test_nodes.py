"""A node shows that it shares the run's folder, by reading and writing, and that its libraries are the driver's."""

from __future__ import annotations

from pathlib import Path

import pytest

from selfplay.compute.cluster import nodes
from selfplay.compute.cluster.nodes import NodeFacts, UnlikeNode, answer, demand_alike, lay_out, versions


@pytest.fixture(autouse=True)
def _no_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nodes, "_SLOW_S", 0.05)
    monkeypatch.setattr(nodes, "_TICK_S", 0.01)


def facts(**changed: object) -> NodeFacts:
    return NodeFacts(**({"node": "a", "address": "10.0.0.2", "host": "b", "versions": versions()} | changed))  # type: ignore[arg-type]


def test_a_node_that_reads_and_writes_the_folder_is_taken(tmp_path: Path) -> None:
    lay_out(tmp_path, "secret")
    assert answer(tmp_path, "secret", "a") == ""
    demand_alike(tmp_path, "secret", facts())


def test_a_node_with_another_folder_at_the_path_is_refused(tmp_path: Path) -> None:
    lay_out(tmp_path / "driver", "secret")
    fault = answer(tmp_path / "node", "secret", "a")
    with pytest.raises(
        UnlikeNode, match=r"driver: node b \(10.0.0.2\) does not share this folder: it does not see"
    ) as told:
        demand_alike(tmp_path / "driver", "secret", facts(fault=fault))
    assert "on a file system that all nodes mount at the same path" in str(told.value)


def test_a_node_whose_file_does_not_come_back_is_refused(tmp_path: Path) -> None:
    lay_out(tmp_path, "secret")
    with pytest.raises(UnlikeNode, match="the driver does not see its file"):
        demand_alike(tmp_path, "secret", facts())


def test_a_node_that_may_not_write_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    lay_out(tmp_path, "secret")
    monkeypatch.setattr(nodes, "write_text", refuse)
    assert answer(tmp_path, "secret", "a") == "it cannot write there (Permission denied)"


def test_a_node_that_cannot_read_the_drivers_file_says_so(tmp_path: Path) -> None:
    """An exception on the node reached people as Ray's, with the node's traceback and without the remedy."""
    lay_out(tmp_path, "secret")
    (tmp_path / nodes.PROOFS / "secret" / "driver").write_bytes(b"\xff")
    fault = answer(tmp_path, "secret", "a")
    assert fault.startswith("it cannot read the driver's file (")
    with pytest.raises(UnlikeNode, match="does not share this folder: it cannot read the driver's file"):
        demand_alike(tmp_path, "secret", facts(fault=fault))


def test_a_file_of_another_run_is_none(tmp_path: Path) -> None:
    lay_out(tmp_path, "old")
    assert answer(tmp_path, "new", "a") == "it does not see the driver's file"


@pytest.mark.parametrize("changed", [{"torch": "0.1"}, {"vllm": "0.1"}])
def test_other_versions_are_refused_by_name(tmp_path: Path, changed: dict[str, str]) -> None:
    lay_out(tmp_path, "secret")
    answer(tmp_path, "secret", "a")
    [name] = changed
    with pytest.raises(UnlikeNode, match=rf"node b \(10.0.0.2\) has {name} 0.1, and the driver has .*same packages"):
        demand_alike(tmp_path, "secret", facts(versions=versions() | changed))


def test_a_checkout_that_changes_under_a_run_is_no_other_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A node that took a worker after that was refused, though it had the very files of the driver."""
    (tmp_path / "selfplay").mkdir()
    monkeypatch.setattr(nodes, "_ROOT", tmp_path)
    lay_out(tmp_path, "secret")
    answer(tmp_path, "secret", "a")
    before = facts()
    demand_alike(tmp_path, "secret", before)
    (tmp_path / "selfplay" / "new.py").write_text("changed = True")
    demand_alike(tmp_path, "secret", facts())
    with pytest.raises(UnlikeNode, match=r"has promptcot .*, and the driver has"):
        demand_alike(tmp_path, "secret", before)
