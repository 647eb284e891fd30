"""Threads look at folders together, each in its turn; nothing that one of them found is lost or comes twice."""

import os
import stat
import threading
from hashlib import sha256
from pathlib import Path

import pytest

from contracts.trees import GONE, SWAPPED, Directory, Node, Place, TreePlan
from host import file_digest, tree_ahead, tree_walk
from host.tree_walk import LinuxWalk
from host.turns import Turns


def walk(root: Path, **plan: object) -> list[Directory]:
    return list(LinuxWalk([Place(os.fsencode(root))], lambda path: (), TreePlan(**plan)))  # type: ignore[arg-type]


@pytest.fixture
def tree(tmp_path: Path) -> dict[bytes, bytes]:
    """Small, large and huge files (for this test), in many folders; returns their hashes by path."""
    written = {}
    for number in range(150):
        folder = tmp_path / "tree" / str(number % 10) / str(number)
        folder.mkdir(parents=True)
        for name, size in (("small", 10), ("large", 3000), ("huge", 9000)):
            (folder / name).write_bytes(content := os.urandom(size + number))
            written[os.fsencode(folder / name)] = sha256(content).digest()
    return written


def hashes(found: list[Directory]) -> dict[bytes, bytes]:
    files = [(d.path + b"/" + node.name, node) for d in found for node in d.nodes if stat.S_ISREG(node.mode)]
    assert len({path for path, _ in files}) == len(files)
    return {path: node.content for path, node in files}


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_every_folder_comes_once_while_threads_step_aside(
    tree: dict[bytes, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, threads: int
) -> None:
    monkeypatch.setattr(file_digest, "LARGE", 1000)
    monkeypatch.setattr(file_digest, "HUGE", 8000)
    monkeypatch.setattr(file_digest, "CHUNK", 2048)
    found = walk(tmp_path / "tree", threads=threads)
    assert len(found) == len({d.path for d in found}) == 1 + 10 + 150
    assert hashes(found) == tree


def test_on_a_slow_disk_what_comes_next_is_asked_for_before_and_what_is_found_is_the_same(
    tree: dict[bytes, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = asked_for(monkeypatch)
    assert hashes(walk(tmp_path / "tree", threads=2)) == tree
    assert len(asked) == len(tree)


def test_only_files_that_will_be_read_are_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("known", "new", "excluded", "large"):
        (tmp_path / name).write_bytes(name.encode())
    (tmp_path / "link").symlink_to("new")
    os.mkfifo(tmp_path / "fifo")
    known = tuple(node for node in walk(tmp_path)[0].nodes if node.name == b"known")
    (tmp_path / "large").write_bytes(b"x" * 100)
    asked = asked_for(monkeypatch)
    plan = TreePlan(hash_below=99, excluded=lambda path, _: path.endswith(b"excluded"))
    list(LinuxWalk([Place(os.fsencode(tmp_path), *_number(tmp_path))], lambda path: known, plan))
    assert asked == [os.stat(tmp_path / "new").st_ino]
    asked.clear()
    again = TreePlan(hash_below=99, read_again=True)
    list(LinuxWalk([Place(os.fsencode(tmp_path), *_number(tmp_path))], lambda path: known, again))
    assert sorted(asked) == sorted(os.stat(tmp_path / name).st_ino for name in ("known", "new", "excluded"))
    asked.clear()
    list(LinuxWalk([Place(os.fsencode(tmp_path), *_number(tmp_path))], lambda path: (), TreePlan(hash_name="")))
    assert asked == []


def test_a_folder_that_is_another_one_by_now_is_not_read_ahead(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real/file").write_bytes(b"x")
    (tmp_path / "link").symlink_to("real")
    asked = asked_for(monkeypatch)
    device, inode = _number(tmp_path / "real")
    flaws = [
        directory.flaw
        for place in (("real", inode + 1), ("link", inode), ("none", inode))
        for directory in LinuxWalk(
            [Place(os.fsencode(tmp_path / place[0]), device, place[1])], lambda path: (), TreePlan()
        )
    ]
    assert asked == [] and flaws == [SWAPPED, "Not a directory", GONE]


def asked_for(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Have every disk be slow; returns a list that gets the inodes of the files that are asked for ahead."""
    asked: list[int] = []
    ask = os.posix_fadvise

    def noted(descriptor: int, offset: int, length: int, advice: int) -> None:
        asked.append(os.fstat(descriptor).st_ino)
        ask(descriptor, offset, length, advice)

    monkeypatch.setattr(Turns, "is_slow", lambda self: True)
    monkeypatch.setattr(os, "posix_fadvise", noted)
    return asked


def _number(path: Path) -> tuple[int, int]:
    found = os.stat(path)
    return found.st_dev, found.st_ino


def test_what_is_not_in_memory_is_read_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = os.urandom(5000)
    (tmp_path / "file").write_bytes(content)
    read = os.preadv

    def cold(descriptor: int, buffers: object, offset: int, flags: int = 0) -> int:
        if flags:
            raise BlockingIOError
        return read(descriptor, buffers, offset)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "preadv", cold)
    assert hashes(walk(tmp_path)) == {os.fsencode(tmp_path / "file"): sha256(content).digest()}


def test_what_is_in_memory_in_part_is_read_to_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = os.urandom(5000)
    (tmp_path / "file").write_bytes(content)
    read = os.preadv

    def partly(descriptor: int, buffers: list[memoryview], offset: int, flags: int = 0) -> int:
        return read(descriptor, [buffers[0][:1234]] if flags else buffers, offset)

    monkeypatch.setattr(os, "preadv", partly)
    assert hashes(walk(tmp_path)) == {os.fsencode(tmp_path / "file"): sha256(content).digest()}


def test_a_read_that_fails_is_a_flaw_and_the_walk_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a").write_bytes(b"x")
    (tmp_path / "b").mkdir()

    def broken(descriptor: int, buffers: object, offset: int, flags: int = 0) -> int:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "preadv", broken)
    found = walk(tmp_path)
    assert [node.flaw for node in found[0].nodes] == ["Input/output error", ""] and len(found) == 2


def test_whoever_stops_early_leaves_no_thread_behind(tree: dict[bytes, bytes], tmp_path: Path) -> None:
    before = threading.active_count()
    under_way = iter(LinuxWalk([Place(os.fsencode(tmp_path / "tree"))], lambda path: (), TreePlan()))
    next(under_way)
    under_way.close()  # type: ignore[attr-defined]
    assert threading.active_count() <= before


def test_what_is_known_and_unchanged_is_given_back_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x")
    (first,) = walk(tmp_path)
    known: dict[bytes, tuple[Node, ...]] = {first.path: first.nodes}
    (second,) = LinuxWalk([Place(first.path)], lambda path: known[path], TreePlan())
    assert second.nodes[0] is first.nodes[0]


@pytest.mark.parametrize(("threads", "openers"), [(1, 0), (2, tree_ahead.OPENERS)])
def test_a_disk_is_supposed_for_whole_trees_and_not_for_a_folder_that_came(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, threads: int, openers: int
) -> None:
    (tmp_path / "file").write_bytes(b"x")
    seen = set[str]()
    start = threading.Thread.start

    def noted(self: threading.Thread) -> None:
        seen.add(self.name)
        start(self)

    monkeypatch.setattr(threading.Thread, "start", noted)
    monkeypatch.setattr(tree_walk, "blocks", lambda: 0)
    found = list(LinuxWalk([Place(os.fsencode(tmp_path))], lambda _: (), TreePlan(threads=threads)))
    assert [node.name for directory in found for node in directory.nodes] == [b"file"]
    assert sum(name.startswith("ahead-") for name in seen) == openers
