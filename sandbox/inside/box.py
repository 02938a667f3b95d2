"""The folder that programs may write to: what lies in it, and how it is emptied between tests.

Runs inside a sandbox and on servers with an older Python: standard library only, and little of it.
"""

from __future__ import annotations

import posix as os

from sandbox.inside.process_tree import showing_thread

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from sandbox.inside.process_tree import PidNamespace, Subreaper

MAX_FILES = 10_000
"""Files, folders and links that a program may leave in its folder."""
_MAX_DEPTH = 64
_MOUNTED_MODE, _SHARED_MODE = 0o755, 0o700
"""As the folder was before the first program: one that only the sandbox sees, and one beside other users' files."""
_BLOCK = 512
_SET_BY_USERS = ("user.", "system.posix_acl")
_TYPE_BITS, _REGULAR, _FOLDER = 0o170000, 0o100000, 0o040000


class MountedBox:
    """A folder that is a file system of its own, of bounded size."""

    def __init__(self, path: str) -> None:
        """Takes it as it is now to be empty."""
        self.path = path
        self._empty = self.use()[0]
        os.utime(path, ns=(0, 0))

    def use(self, settled: bool = False) -> tuple[int, int]:
        """Files and bytes in it, deleted files that are still open included, closed folders too."""
        state = os.statvfs(self.path)
        return state.f_files - state.f_ffree, (state.f_blocks - state.f_bfree) * state.f_frsize

    def clean(self, files: int = MAX_FILES) -> bool:
        """Empties it whatever its shape; False if something stayed. `files` is what `use` has just counted."""
        try:
            _reset_folder(self.path, _MOUNTED_MODE)
            if files > self._empty:
                _empty(self.path)
                files = self.use()[0]
            os.utime(self.path, ns=(0, 0))
            return files <= self._empty
        except OSError:
            return False


class WatchedBox:
    """A folder on a file system shared with others, which nothing bounds: what lies in it can only be counted."""

    def __init__(self, path: str, tree: PidNamespace | Subreaper) -> None:
        self.path = path
        self._tree = tree
        self._device = os.stat(path).st_dev

    def use(self, settled: bool = False) -> tuple[int, int]:
        """Files and bytes in it, deleted files that are still open included.

        More than MAX_FILES files also stands for a folder that cannot be counted: too deep, or closed to its owner.
        Once every program has ended (`settled`), closed folders are opened.
        """
        files = size = 0
        waiting = [(self.path, 0)]
        while waiting and files <= MAX_FILES:
            folder, depth = waiting.pop()
            try:
                for entry, state in _entries(folder, settled):
                    files += 1
                    size += state.st_blocks * _BLOCK
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append((entry.path, depth + 1))
                    if files > MAX_FILES or depth > _MAX_DEPTH:
                        return MAX_FILES + 1, size
            except (FileNotFoundError, NotADirectoryError):
                continue  # it is not there any more
            except OSError:
                return MAX_FILES + 1, size
        return files, size + sum(self._deleted().values())

    def clean(self, _: int = MAX_FILES) -> bool:
        """Empties it whatever its shape; False if something stayed."""
        try:
            _reset_folder(self.path, _SHARED_MODE)
            return _empty(self.path)
        except OSError:
            return False

    def _deleted(self) -> dict[int, int]:
        """Bytes of files that have no name any more, by inode."""
        found = {}
        for pid in self._tree.pids():
            for state in _open_files(pid):
                regular = state.st_mode & _TYPE_BITS == _REGULAR
                if regular and state.st_nlink == 0 and state.st_dev == self._device:
                    found[state.st_ino] = state.st_blocks * _BLOCK
        return found


def remove_folder(folder: str) -> None:
    """Removes a programs' folder, with all that is in it. Raises OSError."""
    _reset_folder(folder, _SHARED_MODE)
    _empty(folder)
    os.rmdir(folder)


def _entries(folder: str, reopen: bool) -> Iterator[tuple[os.DirEntry[str], os.stat_result]]:
    try:
        found = os.scandir(folder)
    except PermissionError:
        if not reopen:
            raise
        os.chmod(folder, 0o700)
        found = os.scandir(folder)
    with found:
        for entry in found:
            try:
                yield entry, entry.stat(follow_symlinks=False)
            except FileNotFoundError:
                continue  # deleted in the meantime


def _open_files(pid: int) -> Iterator[os.stat_result]:
    try:
        pid = showing_thread(pid)
        numbers = os.listdir(f"/proc/{pid}/fd")
    except OSError:
        return  # it ended in the meantime
    for number in numbers:
        try:
            yield os.stat(f"/proc/{pid}/fd/{number}")
        except OSError:
            continue  # closed in the meantime


def _reset_folder(folder: str, mode: int) -> None:
    os.chmod(folder, mode)
    for name in os.listxattr(folder):
        # Others are the system's own.
        if name.startswith(_SET_BY_USERS):
            os.removexattr(folder, name)


def _empty(folder: str) -> bool:
    moved = 0
    while names := os.listdir(folder):
        for name in names:
            path = f"{folder}/{name}"
            if _is_folder(path):
                moved = _dissolve(folder, path, moved)
            else:
                os.unlink(path)
    return True


def _dissolve(top_folder: str, folder: str, moved: int) -> int:
    """Removes a folder after moving its subfolders to the top: depth costs no recursion and no long path."""
    os.chmod(folder, 0o700)
    for name in os.listdir(folder):
        path = f"{folder}/{name}"
        if _is_folder(path):
            os.chmod(path, 0o700)
            while _is_there(top := f"{top_folder}/.{moved}"):
                moved += 1
            os.rename(path, top)
        else:
            os.unlink(path)
    os.rmdir(folder)
    return moved


def _is_folder(path: str) -> bool:
    return os.lstat(path).st_mode & _TYPE_BITS == _FOLDER


def _is_there(path: str) -> bool:
    try:
        os.lstat(path)
    except FileNotFoundError:
        return False
    return True
