"""On a slow disk files are opened and asked for ahead of their turn: never too many, never one that is not to be read, none left open."""

import itertools
import os
import stat
import tempfile
import threading
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest

from contracts.trees import CHANGED, Directory, Node, Place, TreePlan
from host import file_digest, tree_ahead, tree_large
from host.direct_read import Devices, Direct
from host.tree_walk import LinuxWalk
from host.turns import Turns
from tests.host.test_direct_read import in_memory, written


@pytest.fixture(autouse=True)
def slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have every disk be slow."""
    monkeypatch.setattr(Turns, "is_slow", lambda self: True)


@pytest.fixture
def tree(tmp_path: Path) -> dict[bytes, bytes]:
    """Small and large files in many folders, one of which has many; returns their hashes by path."""
    written = {}
    for number in range(60):
        folder = tmp_path / "tree" / str(number % 10) / str(number)
        folder.mkdir(parents=True)
        for name in range(100 if number == 7 else 3):
            content = os.urandom(10 + (number + name) % 4 * 3000)
            (folder / f"file-{name}").write_bytes(content)
            written[os.fsencode(folder / f"file-{name}")] = sha256(content).digest()
    return written


def walk(root: Path, known: tuple[Node, ...] = (), plan: TreePlan | None = None) -> list[Directory]:
    return list(LinuxWalk([Place(os.fsencode(root))], lambda path: known, plan or TreePlan()))


def hashes(found: list[Directory]) -> dict[bytes, bytes]:
    return {d.path + b"/" + node.name: node.content for d in found for node in d.nodes if stat.S_ISREG(node.mode)}


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.parametrize("most", [1, 5, 1000])
def test_all_is_found_however_few_may_wait_open(
    tree: dict[bytes, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    monkeypatch.setattr(tree_ahead, "MOST_OPEN", most)
    monkeypatch.setattr(tree_large, "MOST_LARGE", most)
    monkeypatch.setattr(file_digest, "LARGE", 2000)
    monkeypatch.setattr(tree_ahead, "APART", 5000)
    before, held = descriptors(), list[int]()
    finish = file_digest.Reader.finish

    def counted(self: file_digest.Reader, name: bytes, found: os.stat_result, descriptor: int) -> Node:
        held.append(sum(os.path.isfile(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd")))
        return finish(self, name, found, descriptor)

    files = sum(os.path.isfile(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd"))
    if most < 1000:
        monkeypatch.setattr(file_digest.Reader, "finish", counted)
    found = walk(tmp_path / "tree")
    assert hashes(found) == tree and len(found) == 1 + 10 + 60
    assert all(list(d.nodes) == sorted(d.nodes, key=lambda node: node.name) for d in found)
    assert descriptors() == before
    assert max(held, default=0) - files <= 2 * (most + tree_ahead.OPENERS)  # each opener may be about to put one


def test_no_more_is_asked_for_than_the_disk_may_be_asked(
    tree: dict[bytes, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tree_large, "MOST_ASKED", 1)
    monkeypatch.setattr(file_digest, "LARGE", 2000)
    monkeypatch.setattr(tree_ahead, "APART", 5000)
    monkeypatch.setattr(Devices, "allow", lambda self, descriptor, device: False)
    most, ask_one = list[int](), tree_large.Large._ask_one

    def asking(self: tree_large.Large, file: tree_large.LargeFile) -> None:
        ask_one(self, file)
        assert file.asked == file.found.st_size
        most.append(self._asked)

    monkeypatch.setattr(tree_large.Large, "_ask_one", asking)
    assert hashes(walk(tmp_path / "tree")) == tree
    # Each hashing thread asks for the one that it takes, and at most one more before that is too much.
    assert most and max(most) <= 5 * 9010


def test_what_is_handed_over_before_a_file_that_takes_long_is_not_handed_over_again(
    tree: dict[bytes, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_digest, "LARGE", 1000)
    monkeypatch.setattr(file_digest, "HUGE", 1000)
    for _ in range(5):
        found = walk(tmp_path / "tree", plan=TreePlan(threads=1))
        assert len(found) == 1 + 10 + 60 and hashes(found) == tree


@pytest.fixture
def cold() -> Iterator[Path]:
    """A folder of three files of 1 MiB that are on the disk alone."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        for number in range(3):
            os.close(written(Path(folder, str(number)), os.urandom(1 << 20)))
        yield Path(folder)


def held(file: Path) -> int:
    """Return how many pages of a file are in memory."""
    with file.open("rb") as opened:
        return in_memory(opened.fileno(), file.stat().st_size)


def test_large_files_are_looked_at_without_a_place_in_memory_but_not_when_all_is_read_again(cold: Path) -> None:
    first, second = walk(cold), walk(cold)
    pages = [held(file) for file in sorted(cold.iterdir())]
    again = walk(cold, plan=TreePlan(read_again=True))
    assert pages == [0, 0, 0]
    assert hashes(first) == hashes(second) == hashes(again)
    assert hashes(first) == {os.fsencode(f): sha256(f.read_bytes()).digest() for f in cold.iterdir()}


def test_when_all_is_read_again_what_programs_are_given_is_hashed(cold: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    past, read = list[int](), Direct.read
    monkeypatch.setattr(Direct, "read", lambda self, *what: past.append(what[1]) or read(self, *what))
    walk(cold, plan=TreePlan(read_again=True))
    assert not past and all(held(file) for file in cold.iterdir())
    walk(cold)  # which would have gone past it, had it not been in memory
    assert len(past) == 3


def test_whoever_stops_early_leaves_nothing_open_and_no_thread(
    tree: dict[bytes, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tree_ahead, "MOST_OPEN", 4)
    before, threads = descriptors(), threading.active_count()
    under_way: Iterator[Directory] = iter(LinuxWalk([Place(os.fsencode(tmp_path / "tree"))], lambda _: (), TreePlan()))
    next(under_way)
    next(under_way)
    under_way.close()  # type: ignore[attr-defined]
    assert (descriptors(), threading.active_count()) == (before, threads)


def test_inodes_far_apart_are_waited_for_while_others_have_the_turn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"file-{number}" for number in range(200)]
    for name in names:
        (tmp_path / name).write_bytes(b"x")
    awaited = list[tuple[str, bool]]()
    walks: list[Turns] = []
    begin = Turns.begin

    def noted(self: Turns) -> None:
        begin(self)
        walks[:] = [self]

    def waited(entry: "os.DirEntry[str]") -> None:
        awaited.append((entry.name, walks[0]._lock.locked()))

    monkeypatch.setattr(Turns, "begin", noted)
    monkeypatch.setattr(tree_ahead, "_await", waited)
    monkeypatch.setattr(tree_ahead, "NEIGHBOURS", 3)
    monkeypatch.setattr(tree_ahead, "blocks", itertools.count().__next__)  # a disk was waited for, each time
    assert len(walk(tmp_path)[0].nodes) == 200
    groups = {(tmp_path / name).stat().st_ino >> 3 for name in names}
    heads = {
        (tmp_path / name).stat().st_ino >> 3 for name, _ in awaited[1:]
    }  # the first one is of the folder's own order
    assert len(groups) - 1 == len(awaited) - 1 == len(heads)
    assert not all(in_turn for _, in_turn in awaited[1:])


def test_what_is_not_to_be_read_is_not_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("known", "new", "excluded"):
        (tmp_path / name).write_bytes(name.encode())
    (tmp_path / "link").symlink_to("new")
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "folder").mkdir()
    known = tuple(node for node in walk(tmp_path)[0].nodes if node.name == b"known")
    opened = list[bytes]()
    open_one = file_digest.Reader.open

    def noted(self: file_digest.Reader, name: bytes, folder: int) -> int:
        opened.append(name)
        return open_one(self, name, folder)

    monkeypatch.setattr(file_digest.Reader, "open", noted)
    first = walk(tmp_path, known, TreePlan(excluded=lambda path, _: path.endswith(b"excluded")))[0]
    assert opened == [b"new"]
    assert [node.name for node in first.nodes] == [b"fifo", b"folder", b"known", b"link", b"new"]
    assert first.nodes[2] is known[0] and first.nodes[3].target == b"new"
    opened.clear()
    walk(tmp_path, known, TreePlan(hash_name=""))
    assert all(name in (b"new", b"excluded") for name in opened)


def test_a_name_that_becomes_a_fifo_or_a_link_after_it_was_listed_holds_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "secret").write_bytes(b"secret")
    folder = tmp_path / "folder"
    folder.mkdir()
    for name in ("fifo", "link", "gone", "other"):
        (folder / name).write_bytes(b"x")
    list_all = tree_ahead._by_inode

    def swapped(
        first: "os.DirEntry[str]", others: Iterator["os.DirEntry[str]"]
    ) -> "list[tuple[int, os.DirEntry[str]]]":
        entries = list_all(first, others)
        for name in ("fifo", "link", "gone"):
            (folder / name).unlink()
        os.mkfifo(folder / "fifo")
        (folder / "link").symlink_to(tmp_path / "secret")
        return entries

    monkeypatch.setattr(tree_ahead, "_by_inode", swapped)
    nodes = {node.name: node for node in walk(folder)[0].nodes}
    assert nodes[b"fifo"].flaw == CHANGED and not nodes[b"fifo"].content
    assert nodes[b"other"].content == sha256(b"x").digest()
    assert sha256(b"secret").digest() not in {node.content for node in nodes.values()}


def test_a_file_that_changes_while_it_waits_open_is_read_as_it_is_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_bytes(b"before")

    def changed(descriptor: int, start: int, size: int) -> bool:
        (tmp_path / "file").write_bytes(b"after that")
        return True

    monkeypatch.setattr(tree_ahead, "ask", changed)
    (node,) = walk(tmp_path)[0].nodes
    assert (node.content, node.size, node.flaw) == (sha256(b"after that").digest(), 10, "")


def test_a_failure_in_a_thread_of_its_own_is_raised_by_the_walk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_bytes(b"x" * 100_000)
    before = threading.active_count()

    def broken(*_: object) -> Node:
        raise RuntimeError("no")

    monkeypatch.setattr(file_digest.Reader, "finish", broken)
    with pytest.raises(RuntimeError):
        walk(tmp_path)
    assert threading.active_count() == before
