"""Large files wait open, are asked for in their order and only so many at once, hashed out of turn, and closed whatever happens."""

import os
import queue
import threading
from hashlib import sha256
from pathlib import Path

import pytest

from contracts.trees import Directory, Node, Place, TreePlan
from host import tree_large
from host.tree_folders import Done
from host.tree_large import Large, LargeFile, Listed


def node(name: bytes) -> Node:
    return Node(name, 0, 0, 0, 1, 0, 0, 0, 0, 0)


class Hashing:
    """Large files of one folder, before and while they are hashed."""

    def __init__(self, place: Path, count: int, size: int) -> None:
        self.done: Done = queue.SimpleQueue()
        self.freed = 0
        self.large = Large(self.done, TreePlan(threads=2), threading.Lock(), self._freed)
        self.folder = Listed(Place(os.fsencode(place), 1, 2))
        self.files = [self._file(place / f"file-{number}", size) for number in range(count)]

    def _freed(self) -> None:
        self.freed += 1

    def _file(self, path: Path, size: int) -> LargeFile:
        path.write_bytes(path.name.encode() * (size // 6))
        descriptor = os.open(path, os.O_RDONLY)
        found = os.fstat(descriptor)
        return LargeFile(self.folder, os.fsencode(path.name), found, descriptor, found.st_size)

    def put(self) -> None:
        for file in self.files:
            self.large.put(file)


def test_a_folder_comes_when_its_listing_and_all_that_waits_have_ended() -> None:
    folder = Listed(Place(b"/x", 1, 2))
    folder.expect(2)
    folder.add(node(b"b"))
    assert not folder.come()  # the listing
    assert folder.come(node(b"c"), node(b"a"))
    place, directory = folder.found()
    assert place.inode == 2 and [one.name for one in directory.nodes] == [b"a", b"b", b"c"]
    folder.fail("Input/output error")
    assert folder.found()[1] == Directory(b"/x", (), "Input/output error")


@pytest.mark.parametrize("most_asked", [1, 1 << 30])
def test_all_are_hashed_and_closed_and_their_folder_comes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most_asked: int
) -> None:
    monkeypatch.setattr(tree_large, "MOST_ASKED", most_asked)
    hashing = Hashing(tmp_path, 50, 60_000)
    hashing.folder.come()  # the listing
    hashing.folder.expect()  # one that is put last
    hashing.put()
    assert hashing.large.folders == 1
    hashing.folder.come(node(b"other"))
    hashing.large.start()
    found = hashing.done.get(timeout=60)
    assert not isinstance(found, BaseException)
    hashing.large.stop()
    content = {one.name: one.content for one in found[0][1].nodes}
    for file in hashing.files:
        assert content[file.name] == sha256((tmp_path / os.fsdecode(file.name)).read_bytes()).digest()
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(file.descriptor)
    assert hashing.freed == 50 and hashing.large.folders == 0


def test_they_are_asked_for_in_their_order_and_not_all_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hashing = Hashing(tmp_path, 20, 6000)
    asked = list[int]()
    may_go_on = threading.Event()
    monkeypatch.setattr(tree_large, "MOST_ASKED", 5 * 6000)
    monkeypatch.setattr(tree_large, "ask", lambda descriptor, start, size: asked.append(descriptor) or True)
    finish = tree_large.Reader.finish

    def slow(self: tree_large.Reader, name: bytes, found: os.stat_result, descriptor: int) -> Node:
        may_go_on.wait(60)
        return finish(self, name, found, descriptor)

    monkeypatch.setattr(tree_large.Reader, "finish", slow)
    hashing.folder.come()
    hashing.put()
    hashing.large.start()
    assert len(asked) <= 6
    may_go_on.set()
    assert not isinstance(hashing.done.get(timeout=60), BaseException)
    hashing.large.stop()
    assert asked == [file.descriptor for file in hashing.files]


def test_so_many_and_no_more_may_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tree_large, "MOST_LARGE", 8)
    hashing = Hashing(tmp_path, 8, 600)
    assert hashing.large.has_room() and not hashing.large.is_full()
    hashing.put()
    assert hashing.large.is_full() and not hashing.large.has_room()
    hashing.large.stop()


def test_to_end_closes_what_was_not_begun(tmp_path: Path) -> None:
    hashing = Hashing(tmp_path, 5, 600)
    hashing.put()
    hashing.large.stop()
    for file in hashing.files:
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(file.descriptor)
