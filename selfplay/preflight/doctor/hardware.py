"""Processors, memory, disks and GPUs, found without loading torch."""

from __future__ import annotations

import ast
import csv
import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from sandbox.process.launching import launch
from selfplay.planning.machine import GIB, existing, host_bytes
from selfplay.preflight.doctor.finding import MachineFinding, fail, ok, warn
from verifiers.untrusted.files import UnusableFile, read_text

LEAST_MEMORY, LEAST_DISK, SOME_DISK, LEAST_SHARED = 4 * GIB, GIB, 10 * GIB, GIB
BUSY_SHARE = 0.1
"""The share of a GPU's memory that others may hold before that is said."""
SHARED_MEMORY = Path("/dev/shm")
DEVICES = (Path("/dev/nvidia0"), Path("/dev/nvidiactl"), Path("/proc/driver/nvidia"))
"""Signs of an NVIDIA GPU where its tool is missing."""
_SMI = "nvidia-smi"
_ASKED = ("index", "name", "memory.total", "memory.used", "driver_version")
_MIB = 2**20
_PATIENCE_S = 20.0


@dataclass(frozen=True, slots=True)
class Gpu:
    """One GPU, as its driver tells of it."""

    name: str
    total: int
    """Bytes."""
    used: int
    """Bytes, by whoever."""
    driver: str


class NoAnswer(Exception):
    """The driver's tool did not answer; the message says how."""


def processors() -> list[MachineFinding]:
    """Cores and memory that this process may use."""
    cores, memory = len(os.sched_getaffinity(0)), host_bytes()
    told = f"{cores} cores, {memory / GIB:.1f} GiB of memory"
    if memory < LEAST_MEMORY:
        return [warn("processors", told, "give the machine or its container 4 GiB, or train a tiny model alone")]
    return [ok("processors", told)]


def disks(folder: Path, environment: Mapping[str, str]) -> list[MachineFinding]:
    """Free space where runs, models and temporary files lie.

    Args:
        environment: of this process, which may say where models lie.
    """
    models = environment.get("HF_HUB_CACHE") or environment.get("HF_HOME") or "~/.cache/huggingface"
    places = {
        "disk of runs": (folder, "name another folder of runs"),
        "disk of models": (Path(os.path.expanduser(models)), "set HF_HOME to a folder on a larger disk"),
        "temporary files": (Path(tempfile.gettempdir()), "set TMPDIR to a folder on a larger disk"),
    }
    return [_disk(subject, existing(place), otherwise) for subject, (place, otherwise) in places.items()]


def _disk(subject: str, place: Path, otherwise: str) -> MachineFinding:
    free = shutil.disk_usage(place).free
    told = f"{free / GIB:.1f} GiB free in {place}"
    if not os.access(place, os.W_OK | os.X_OK):
        return fail(subject, f"{place} cannot be written", f"give permission, or {otherwise}")
    if free < LEAST_DISK:
        return fail(subject, told, f"make room, or {otherwise}")
    if free < SOME_DISK and subject != "temporary files":
        return warn(subject, told, f"`selfplay plan` tells what a recipe needs; make room, or {otherwise}")
    return ok(subject, told)


def gpus(environment: Mapping[str, str]) -> tuple[list[Gpu], list[MachineFinding]]:
    """The GPUs that there are, and what is to say of them."""
    try:
        found = _asked()
    except NoAnswer as error:
        return [], [fail("GPUs", str(error), "reinstall the NVIDIA driver, or restart the machine after its update")]
    if found is None:
        if sign := next((place for place in DEVICES if place.exists()), None):
            remedy = "install the driver's tools, or start the container with `--gpus all`"
            return [], [fail("GPUs", f"{sign} is there, and {_SMI} is not", remedy)]
        return [], [ok("GPUs", "none: models run on the CPU")]
    if not found:
        return [], [ok("GPUs", f"none that {_SMI} lists: models run on the CPU")]
    busy = [place for place, gpu in enumerate(found) if gpu.used > BUSY_SHARE * gpu.total]
    told = f"{_names(found)}, driver {found[0].driver}{_hidden(environment)}"
    if busy:
        used = ", ".join(f"GPU {place} {found[place].used / GIB:.1f} GiB" for place in busy)
        findings = [warn("GPUs", f"{told}; in use by others: {used}", f"`{_SMI}` says by whom; end it, or wait")]
    else:
        findings = [ok("GPUs", told)]
    return found, [*findings, *_torch_for_gpus(), *_shared_memory(len(found))]


def _names(found: list[Gpu]) -> str:
    kinds = dict.fromkeys((gpu.name, gpu.total) for gpu in found)
    counts = [(sum((gpu.name, gpu.total) == kind for gpu in found), *kind) for kind in kinds]
    return ", ".join(f"{count} x {name} ({total / GIB:.0f} GiB)" for count, name, total in counts)


def _hidden(environment: Mapping[str, str]) -> str:
    chosen = environment.get("CUDA_VISIBLE_DEVICES")
    return "" if chosen is None else f"; CUDA_VISIBLE_DEVICES leaves {chosen or 'none'} of them to a run"


def _asked() -> list[Gpu] | None:
    """The GPUs that the driver's tool lists; None where there is no such tool.

    Raises:
        NoAnswer: it fails, or says nothing in time.
    """
    command = [_SMI, f"--query-gpu={','.join(_ASKED)}", "--format=csv,noheader,nounits"]
    try:
        with launch(command, fds=(), environment=os.environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as asked:
            try:
                said = asked.communicate(timeout=_PATIENCE_S)[0].decode("utf-8", "replace").strip()
            except subprocess.TimeoutExpired:
                asked.kill()
                raise NoAnswer(f"{_SMI} does not answer within {_PATIENCE_S:g} s") from None
    except OSError:  # it is not installed
        return None
    if "No devices were found" in said:
        return []
    if asked.returncode:
        raise NoAnswer(f"{_SMI} fails: {said.splitlines()[0] if said else f'exit code {asked.returncode}'}")
    return [gpu for row in csv.reader(said.splitlines(), skipinitialspace=True) if (gpu := _gpu(row))]


def _gpu(row: list[str]) -> Gpu | None:
    if len(row) != len(_ASKED):
        return None
    _, name, total, used, driver = row
    # Of a GPU that is cut into parts, and of memory shared with the host, the tool says [N/A].
    return Gpu(name, _mib(total), _mib(used), driver)


def _mib(text: str) -> int:
    return int(text) * _MIB if text.isdecimal() and len(text) < 12 else 0


def _torch_for_gpus() -> list[MachineFinding]:
    """Whether torch is a build that knows GPUs, by the file in which it says so."""
    try:
        version = Path(str(distribution("torch").locate_file("torch/version.py")))
        cuda = _assigned(read_text(version), "cuda")
    except (PackageNotFoundError, UnusableFile, SyntaxError):
        return []  # that it is missing is said with the packages
    if cuda is None:
        remedy = "`pip install --force-reinstall torch` takes the index's own build for Linux, which has CUDA"
        return [warn("torch on GPUs", "torch is a build for CPUs, so the GPUs stay idle", remedy)]
    return [ok("torch on GPUs", f"built for CUDA {cuda}")]


def _assigned(source: str, name: str) -> str | None:
    """The text that a module gives a name; None where it gives it none."""
    for node in ast.parse(source).body:
        targets = [node.target] if isinstance(node, ast.AnnAssign) else getattr(node, "targets", [])
        value = getattr(node, "value", None)
        if any(isinstance(one, ast.Name) and one.id == name for one in targets) and isinstance(value, ast.Constant):
            return None if value.value is None else str(value.value)
    return None


def _shared_memory(count: int) -> list[MachineFinding]:
    """Several GPUs pass data through shared memory, of which containers have 64 MiB by default."""
    if count < 2 or not SHARED_MEMORY.is_dir():
        return []
    free = shutil.disk_usage(SHARED_MEMORY).free
    told = f"{free / GIB:.1f} GiB free in {SHARED_MEMORY}"
    if free < LEAST_SHARED:
        return [warn("shared memory", told, "start the container with `--shm-size 8g` or `--ipc host`")]
    return [ok("shared memory", told)]
