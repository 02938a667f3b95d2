"""A node of a cluster as a run sees it: its versions, and whether it shares the run's folder, by writing and reading.

Tables depend on the versions of the libraries, and checkpoints pass from node to node through files. So each node that
is to hold a worker is looked at before it holds one, also one that joins later.
"""

from __future__ import annotations

import hashlib
import platform
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from selfplay.config.errors import UserError
from selfplay.run.files import write_text
from verifiers.untrusted.files import read_bytes, read_text

DECIDING = ("torch", "transformers", "trl", "accelerate", "peft", "tokenizers", "vllm")
"""Libraries that decide what models compute."""
OWN = "promptcot"
_ROOT = Path(__file__).resolve().parents[3]
_PARTS = ("sandbox", "selfplay", "verifiers")
PROOFS = Path("store") / "nodes"
"""Where in a run's folder the driver and the nodes show each other that they share it."""
_SLOW_S = 10.0
"""Longest wait for a file that another node has written: network file systems keep old listings for seconds."""
_TICK_S = 0.1


class UnlikeNode(UserError):
    """A node that a run cannot use: it does not share the run's folder, or has other versions than the driver."""


@dataclass(frozen=True, slots=True)
class NodeFacts:
    """A node, as it says itself."""

    node: str
    """Ray's name of it."""
    address: str
    """By which the cluster knows it."""
    host: str
    versions: Mapping[str, str]
    fault: str = ""
    """Why it does not share the folder; empty where it has read and written there."""


def versions() -> dict[str, str]:
    """Of Python, of this code, and of the libraries that decide what a worker computes, as far as they are here."""
    found = {"Python": ".".join(platform.python_version_tuple()[:2]), OWN: own_version()}
    for name in DECIDING:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def own_version() -> str:
    """The version of this code, with a hash of it as it lies here now: two checkouts of one version may differ, and one
    that all nodes share may change under a long run, which goes on as it does on one machine."""
    import selfplay

    digest = hashlib.sha256()
    for part in _PARTS:
        for file in sorted((_ROOT / part).rglob("*.py")):
            digest.update(str(file.relative_to(_ROOT)).encode() + b"\0" + read_bytes(file))
    return f"{selfplay.__version__} ({digest.hexdigest()[:12]})"


def lay_out(run: Path, token: str) -> None:
    """Writes the file that every node is to read."""
    folder = run / PROOFS / token
    folder.mkdir(parents=True)
    write_text(folder / "driver", token)


def answer(run: Path, token: str, node: str) -> str:
    """On a node: reads the driver's file and writes one of its own; why that cannot be done, empty where it could."""
    folder = run / PROOFS / token
    try:
        if not _within(_SLOW_S, lambda: _holds(folder / "driver", token)):
            return "it does not see the driver's file"
        write_text(folder / f"node-{node}", token)
    except UnlikeNode as error:
        return f"it cannot read the driver's file ({error})"
    except OSError as error:
        return f"it cannot write there ({error.strerror or error})"
    return ""


def demand_alike(run: Path, token: str, facts: NodeFacts) -> None:
    """On the driver: refuses a node whose file is not there, or whose versions are others.

    Raises:
        UnlikeNode: names the node and the remedy.
    """
    fault, own_file = facts.fault, run / PROOFS / token / f"node-{facts.node}"
    if not fault and not _within(_SLOW_S, lambda: _holds(own_file, token)):
        fault = "the driver does not see its file"
    if fault:
        raise UnlikeNode(
            f"{run}: node {facts.host} ({facts.address}) does not share this folder: {fault}; put the run "
            "directory on a file system that all nodes mount at the same path, and name it by --run-dir"
        )
    own = versions()
    differing = [name for name in sorted({*own, *facts.versions}) if own.get(name) != facts.versions.get(name)]
    if differing:
        name = differing[0]
        raise UnlikeNode(
            f"node {facts.host} ({facts.address}) has {name} {facts.versions.get(name, '(none)')}, and the driver has "
            f"{own.get(name, '(none)')}, so their tables would differ; install the same packages on all nodes"
        )


def _holds(file: Path, token: str) -> bool:
    return file.is_file() and read_text(file, UnlikeNode) == token


def _within(seconds: float, true: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() >= deadline:
            return False
        time.sleep(_TICK_S)
    return True
