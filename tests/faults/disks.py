"""Small file systems that can be full or read-only; they need the right to mount."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest


class SmallDisk:
    """A file system in memory."""

    def __init__(self, path: Path, kilobytes: int) -> None:
        self.path = path
        _mount("-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", path)

    def resize(self, kilobytes: int) -> None:
        """Makes room, or takes it."""
        _mount("-o", f"remount,size={kilobytes}k", self.path)

    def set_read_only(self, yes: bool) -> None:
        """Forbids writing, or allows it again."""
        _mount("-o", f"remount,{'ro' if yes else 'rw'}", self.path)

    def cover(self, folder: Path) -> None:
        """Forbids writing below a folder while files there are open: a plain remount would be refused as busy.

        What is open stays as it is; whatever is opened from now on, by whichever process, is on a read-only mount.
        """
        _mount("--bind", folder, folder)
        _mount("-o", "remount,ro,bind", folder)

    def uncover(self, folder: Path) -> None:
        """Allows it again."""
        subprocess.run(["umount", "--lazy", str(folder)], check=True, capture_output=True)

    def fill(self) -> None:
        """Writes until nothing fits any more."""
        with (self.path / "ballast").open("wb", buffering=0) as file:
            for size in (1 << 20, 1024):
                with contextlib.suppress(OSError):
                    while True:
                        file.write(bytes(size))

    def empty(self) -> None:
        """Takes away what `fill` wrote."""
        (self.path / "ballast").unlink()


def _mount(*arguments: str | Path) -> None:
    subprocess.run(["mount", *map(str, arguments)], check=True, capture_output=True)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    """A disk of a megabyte."""
    place = tmp_path / "disk"
    place.mkdir()
    if os.geteuid() != 0:
        pytest.skip("needs root, to mount a small file system")
    try:
        made = SmallDisk(place, 1024)
    except (subprocess.CalledProcessError, FileNotFoundError) as error:
        pytest.skip(f"needs the right to mount a small file system ({error})")
    yield made
    subprocess.run(["umount", "--recursive", "--lazy", str(place)], check=False, capture_output=True)
