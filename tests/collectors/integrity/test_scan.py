"""A scan yields what it sees with where it would go on, and says when it broke."""

import os
import time
from pathlib import Path
from typing import Any

from collectors.integrity.book import FILE, Book
from collectors.integrity.giving_way import MOST_S, GivesWay
from collectors.integrity.options import Watched
from collectors.integrity.rules import Rules
from collectors.integrity.scan import Ended, Item, Mark, RootSeen, Scan, Seen
from contracts.trees import Place
from host.files import LinuxFiles
from host.trees import LinuxTrees


def scan(state: Path, root: Path, mark: Mark | None = None, **more: Any) -> Scan:
    rules = Rules({"test": Watched(paths=(str(root),))}, LinuxFiles())
    Book(state / FILE).close()
    return Scan(state / FILE, rules, LinuxTrees(), mark or Mark((os.fsencode(root),)), why="scan", **more)


def items(made: Scan) -> list[Item]:
    made.start()
    found: list[Item] = []
    end = time.monotonic() + 60
    while not (found and isinstance(found[-1], Ended)):
        found += made.items(0.1)
        assert time.monotonic() < end
        time.sleep(0.01)
    return found


def test_every_folder_comes_once_and_then_the_root_and_the_end(tmp_path: Path) -> None:
    (tmp_path / "tree/a").mkdir(parents=True)
    (tmp_path / "tree/x").write_bytes(b"12345")
    made = scan(tmp_path, tmp_path / "tree")
    found = items(made)
    seen = [item for item in found if isinstance(item, Seen)]
    assert [item.directory.path.rpartition(b"/")[2] for item in seen] == [b"tree", b"a"]
    assert [type(item) for item in found[-2:]] == [RootSeen, Ended] and seen[0].read_bytes == 5
    for item in seen:
        made.count(item)
    assert (made.folders, made.files, made.read_bytes, made.flaws) == (2, 1, 5, 0)


def test_what_the_book_has_is_the_same(tmp_path: Path) -> None:
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree/x").touch()
    (first,) = [item for item in items(scan(tmp_path, tmp_path / "tree")) if isinstance(item, Seen)]
    book = Book(tmp_path / FILE)
    book.write(first.directory.path, first.directory.nodes)
    book.close()
    (second,) = [item for item in items(scan(tmp_path, tmp_path / "tree")) if isinstance(item, Seen)]
    assert not first.same and second.same and second.read_bytes == 0


def test_it_goes_on_where_another_one_was(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / "tree" / name).mkdir(parents=True)
    found = os.stat(tmp_path / "tree/b")
    root = os.fsencode(tmp_path / "tree")
    mark = Mark((), root, (Place(root + b"/b", found.st_dev, found.st_ino),))
    seen = [i.directory.path for i in items(scan(tmp_path, tmp_path / "tree", mark)) if isinstance(i, Seen)]
    assert seen == [root + b"/b"]


def test_a_defect_is_told_not_swallowed(tmp_path: Path) -> None:
    (tmp_path / "tree").mkdir()

    def broken(path: bytes, nodes: Any) -> Any:
        raise ZeroDivisionError(path)

    end = items(scan(tmp_path, tmp_path / "tree", strip=broken))[-1]
    assert isinstance(end, Ended) and isinstance(end.error, ZeroDivisionError)


def test_it_ends_when_it_is_told(tmp_path: Path) -> None:
    for number in range(300):
        (tmp_path / "tree" / str(number)).mkdir(parents=True)
    made = scan(tmp_path, tmp_path / "tree")
    made.start()
    made.stop()
    made._thread.join(60)
    assert not made._thread.is_alive()


def test_archives_wait_until_what_it_found_is_taken_in_or_given_up(tmp_path: Path) -> None:
    (tmp_path / "tree").mkdir()
    waits = GivesWay(tmp_path / FILE, lambda: False, most_s=0.3)
    made = scan(tmp_path, tmp_path / "tree")
    items(made)
    start = time.monotonic()
    waits()
    assert time.monotonic() - start >= 0.3
    made.over()
    made.stop()  # once more changes nothing
    other = scan(tmp_path, tmp_path / "tree")
    other.start()
    other.stop()
    start = time.monotonic()
    GivesWay(tmp_path / FILE, lambda: False)()
    assert time.monotonic() - start < MOST_S / 2
    other._thread.join(60)
