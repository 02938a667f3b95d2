"""Which files of the host a sandbox shows: what an interpreter and a compiler need, read-only."""

from __future__ import annotations

import functools
import importlib.util
import os
import sys
import sysconfig
from collections.abc import Collection
from pathlib import Path

from sandbox.inside.wire import PACKAGES
from sandbox.warm.precompiled import all_prepared

_SYSTEM_FOLDERS = ("lib", "lib32", "lib64", "libexec", "bin", "include")
_LIBRARIES = ("lib", "lib32", "lib64")
_TOP_LEVEL = ("bin", "sbin", "lib", "lib32", "lib64")
_CONFIGURATION = ("/etc/ld.so.cache", "/etc/alternatives", "/usr/share/zoneinfo")
_STORES = ("/nix/store", "/gnu/store")
_DEVICES = ("null", "zero", "full", "random", "urandom")
_THIRD_PARTY = ("site-packages", "dist-packages")

Entry = tuple[str, ...]
"""An option of bwrap's and its words; the last is the place in the sandbox."""


@functools.cache
def interpreter() -> str:
    """Real path of the interpreter that a virtual environment stands on."""
    return os.path.realpath(getattr(sys, "_base_executable", None) or sys.executable)


@functools.cache
def interpreter_folders() -> tuple[str, ...]:
    """Folders outside /usr that this interpreter loads its library and standard modules from."""
    base = os.path.realpath(sys.base_prefix)
    if base == "/usr":
        return ()
    for store in _STORES:
        if base.startswith(store):
            return (store,)
    folders = [f"{base}/{name}" for name in ("lib", "lib64") if os.path.isdir(f"{base}/{name}")]
    return (interpreter(), *folders)


def reachable_by_others(path: str) -> bool:
    """Whether a user with no special rights may open the path."""
    real = Path(os.path.realpath(path))
    wanted = 0o5 if real.is_dir() else 0o4
    return bool(real.stat().st_mode & wanted == wanted) and all(parent.stat().st_mode & 0o1 for parent in real.parents)


@functools.cache
def third_party_folders() -> tuple[str, ...]:
    """Folders among those shown that hold packages which are no part of Python itself."""
    # Of every Python below, since a system keeps those of one version in several places.
    roots = [f"/usr/{name}" for name in _LIBRARIES] + [f"{sys.base_prefix}/{name}" for name in _LIBRARIES]
    found = [folder for root in roots for name in _THIRD_PARTY for folder in Path(root).glob(f"python3*/{name}")]
    found += [Path(sysconfig.get_path("stdlib"), name) for name in _THIRD_PARTY]
    return tuple(sorted({os.path.realpath(folder) for folder in found if folder.is_dir()}))


@functools.cache
def _system_entries() -> list[Entry]:
    entries: list[Entry] = []
    for name in _SYSTEM_FOLDERS:
        if os.path.isdir(f"/usr/{name}"):
            entries.append(("--ro-bind", f"/usr/{name}", f"/usr/{name}"))
    for name in _TOP_LEVEL:
        if os.path.islink(f"/{name}"):
            entries.append(("--symlink", os.readlink(f"/{name}"), f"/{name}"))
        elif os.path.isdir(f"/{name}"):
            entries.append(("--ro-bind", f"/{name}", f"/{name}"))
    return [*entries, *(("--ro-bind", path, path) for path in _CONFIGURATION if os.path.exists(path))]


def _device_entries() -> list[Entry]:
    # Not read-only: bwrap would make the mount nodev too. The nodes belong to root, so they are safe.
    entries: list[Entry] = [("--dev-bind", f"/dev/{name}", f"/dev/{name}") for name in _DEVICES]
    for name, target in (("fd", "fd"), ("stdin", "fd/0"), ("stdout", "fd/1"), ("stderr", "fd/2")):
        entries.append(("--symlink", f"/proc/self/{target}", f"/dev/{name}"))
    return [*entries, ("--symlink", "/tmp", "/dev/shm")]


def shown_paths() -> list[str]:
    """Files and folders that programs may read where they see the host's own root."""
    system = [f"/usr/{name}" for name in _SYSTEM_FOLDERS] + [f"/{name}" for name in _TOP_LEVEL]
    return [*system, *_CONFIGURATION, *interpreter_folders(), *map(str, all_prepared())]


def device_paths() -> list[str]:
    """Devices that programs may open."""
    return [f"/dev/{name}" for name in _DEVICES]


class PackageMissing(ValueError):
    """A package that programs may import is not installed here."""


def package_folders(packages: Collection[str]) -> list[str]:
    """Folders of importable packages, and of the libraries that their wheels brought.

    Raises PackageMissing naming the one that is not there.
    """
    found: list[str] = []
    for name in packages:
        spec = importlib.util.find_spec(name) if name.isidentifier() else None
        if spec is None or not spec.submodule_search_locations:
            raise PackageMissing(f"programs cannot be given the package {name!r}: it is not installed here")
        folder = os.path.realpath(spec.submodule_search_locations[0])
        found += [path for path in (folder, f"{folder}.libs") if os.path.isdir(path)]
    return found


def header_place(folder: Path) -> str:
    """Where programs find a folder of compiled headers."""
    return f"/opt/headers/{folder.name}"


def shared_entries(packages: Collection[str]) -> list[Entry]:
    """The read-only part of the root, which all sandboxes share; programs may import the folders `packages`."""
    entries = [*_system_entries(), *(("--ro-bind", path, path) for path in interpreter_folders())]
    entries += [("--ro-bind", folder, f"{PACKAGES}/{os.path.basename(folder)}") for folder in packages]
    entries += [("--ro-bind", str(headers), header_place(headers)) for headers in all_prepared()]
    for folder in third_party_folders():
        entries += [("--tmpfs", folder), ("--remount-ro", folder)]
    return entries + _device_entries()


def own_arguments(tmp_bytes: int) -> list[str]:
    """bwrap's arguments for what each sandbox has for itself."""
    arguments = ["--proc", "/proc", "--tmpfs", "/proc/1", "--remount-ro", "/proc/1"]
    return [*arguments, "--size", str(tmp_bytes), "--tmpfs", "/tmp"]
