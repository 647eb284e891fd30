"""A folder is opened without following links, is the one that was listed, and what is as it was is taken over."""

import os
from pathlib import Path

import pytest

from contracts.trees import GONE, SWAPPED, Directory, Node, Place, TreePlan
from host.file_digest import Reader
from host.tree_folders import Task, enter, flaw_of, look, open_folder, taken_over


def place_of(path: Path) -> Place:
    found = os.stat(path, follow_symlinks=False)
    return Place(os.fsencode(path), found.st_dev, found.st_ino)


def test_a_folder_is_opened_without_following_links(tmp_path: Path) -> None:
    (tmp_path / "real/below").mkdir(parents=True)
    (tmp_path / "link").symlink_to("real")
    os.close(open_folder(os.fsencode(tmp_path / "real/below")))
    with pytest.raises(OSError, match="Not a directory"):
        open_folder(os.fsencode(tmp_path / "link/below"))
    assert flaw_of(FileNotFoundError(2, "")) == GONE


def test_another_folder_than_was_listed_is_a_flaw(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "other").mkdir()
    listed = place_of(tmp_path / "one")
    moved = Place(os.fsencode(tmp_path / "other"), listed.device, listed.inode)
    assert enter(moved, TreePlan()) == Directory(moved.path, (), SWAPPED)


def test_whoever_asks_is_told_of_a_folder_before_it_is_listed(tmp_path: Path) -> None:
    told: list[tuple[Place, list[str]]] = []

    def entering(place: Place, descriptor: int) -> None:
        told.append((place, os.listdir(descriptor)))
        (tmp_path / "came").touch()

    _, directory = look(Task(Place(os.fsencode(tmp_path)), ()), Reader(TreePlan(entering=entering)))
    assert told == [(place_of(tmp_path), [])]
    assert [node.name for node in directory.nodes] == [b"came"]


@pytest.mark.parametrize("error", [OSError(5, "Input/output error"), RuntimeError("no")])
def test_no_descriptor_is_left_of_a_folder_that_cannot_be_entered(tmp_path: Path, error: Exception) -> None:
    def entering(place: Place, descriptor: int) -> None:
        raise error

    before = len(os.listdir("/proc/self/fd"))
    if isinstance(error, OSError):
        assert enter(place_of(tmp_path), TreePlan(entering=entering)) == Directory(
            os.fsencode(tmp_path), (), "Input/output error"
        )
    else:
        with pytest.raises(RuntimeError):
            enter(place_of(tmp_path), TreePlan(entering=entering))
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_node_is_taken_over_only_while_nothing_about_it_differs(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"x")
    reader = Reader(TreePlan())
    node = look(Task(place_of(tmp_path), ()), reader)[1].nodes[0]
    assert taken_over(reader, file.lstat(), node) is node
    assert taken_over(reader, file.lstat(), None) is None
    assert taken_over(Reader(TreePlan(read_again=True)), file.lstat(), node) is None
    os.link(file, tmp_path / "second")
    assert taken_over(reader, file.lstat(), node) is None  # its ctime is another one
    file.write_bytes(b"yy")
    assert taken_over(reader, file.lstat(), node) is None


def test_hashing_that_is_switched_on_reads_what_is_known(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x")
    node = look(Task(place_of(tmp_path), ()), Reader(TreePlan(hash_name="")))[1].nodes[0]
    assert isinstance(node, Node) and not node.content
    assert taken_over(Reader(TreePlan()), (tmp_path / "file").lstat(), node) is None
