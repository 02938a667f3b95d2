"""The folder of programs, on this machine's own file system: what is counted, and that nothing in it stays."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sandbox.inside.box import MAX_FILES, WatchedBox, remove_folder


class Tree:
    """Processes that are watched."""

    def __init__(self, *pids: int) -> None:
        self._pids = pids

    def pids(self) -> tuple[int, ...]:
        return self._pids


@pytest.fixture
def box(tmp_path: Path) -> WatchedBox:
    folder = tmp_path / "box"
    folder.mkdir()
    return WatchedBox(str(folder), Tree())  # type: ignore[arg-type]


def test_files_folders_and_links_are_counted_with_their_bytes(box: WatchedBox) -> None:
    assert box.use() == (0, 0)
    inner = Path(box.path, "folder")
    inner.mkdir()
    (inner / "file").write_bytes(b"x" * 10_000)
    (inner / "link").symlink_to("/etc")
    files, size = box.use()
    assert files == 3
    assert 10_000 <= size < 100_000


def test_a_file_without_a_name_counts_as_long_as_it_is_open(tmp_path: Path) -> None:
    box = WatchedBox(str(tmp_path), Tree(os.getpid()))  # type: ignore[arg-type]
    with (tmp_path / "file").open("wb") as file:
        file.write(b"x" * 50_000)
        file.flush()
        (tmp_path / "file").unlink()
        assert box.use()[0] == 0
        assert box.use()[1] >= 50_000
    assert box.use() == (0, 0)


def test_a_folder_too_deep_stands_for_too_many_files(box: WatchedBox) -> None:
    deep = Path(box.path, *["d"] * 70)
    deep.mkdir(parents=True)
    assert box.use()[0] == MAX_FILES + 1
    assert box.clean()
    assert box.use() == (0, 0)


def test_whatever_its_shape_it_is_emptied(box: WatchedBox) -> None:
    folder = Path(box.path)
    for names in (("a", "b"), ("a", "c", "d"), (".0",)):
        folder.joinpath(*names).mkdir(parents=True)
    (folder / "a" / "b" / "file").write_text("x")
    (folder / "a" / "c" / "d").chmod(0)
    (folder / "link").symlink_to(folder / "a")
    (folder / "lost").symlink_to("nowhere")
    folder.chmod(0)
    assert box.clean()
    assert os.listdir(folder) == []
    assert folder.stat().st_mode & 0o777 == 0o700


def test_what_a_link_leads_to_stays(box: WatchedBox, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").write_text("x")
    Path(box.path, "link").symlink_to(outside, target_is_directory=True)
    assert box.clean()
    assert (outside / "kept").exists()


def test_attributes_that_a_program_set_go(box: WatchedBox) -> None:
    try:
        os.setxattr(box.path, "user.note", b"x")
    except OSError:
        pytest.skip("this file system has no such attributes")
    assert box.clean()
    assert os.listxattr(box.path) == []


def test_a_folder_is_removed_with_all_that_is_in_it(tmp_path: Path) -> None:
    folder = tmp_path / "gone"
    (folder / "a" / "b").mkdir(parents=True)
    (folder / "a" / "file").write_text("x")
    remove_folder(str(folder))
    assert not folder.exists()
