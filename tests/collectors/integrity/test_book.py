"""The baseline keeps what was seen, has one root for one content, and says so when its file is damaged."""

import random
import sqlite3
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collectors.integrity.book import Book
from contracts.errors import Malformed
from contracts.trees import Node


def node(name: bytes, content: bytes = b"x") -> Node:
    return Node(name, 0o100644, 0, 0, 1, 1, 1, 1, 1, 1, content=content)


@pytest.fixture
def book(tmp_path: Path) -> Book:
    return Book(tmp_path / "book.db")


def test_what_was_written_is_known_before_and_after_it_reaches_the_disk(book: Book) -> None:
    book.write(b"/etc", (node(b"a"),))
    assert book.known(b"/etc") == (node(b"a"),)
    book.commit()
    assert book.known(b"/etc") == (node(b"a"),)
    assert book.known(b"/usr") == () and not book.holds(b"/usr")


def test_a_book_that_holds_roots_alone_is_blank(book: Book) -> None:
    assert book.is_blank()
    book.write(b"", (node(b"etc"),))
    assert book.is_blank()
    book.write(b"/etc", (node(b"a"),))
    assert not book.is_blank()
    book.remove(b"/etc")
    assert book.is_blank()


def test_writing_says_whether_anything_differs(book: Book) -> None:
    assert book.write(b"/etc", (node(b"a"),))
    assert not book.write(b"/etc", (node(b"a"),))
    assert book.write(b"/etc", (node(b"a", b"y"),))


def test_a_tree_is_forgotten_whole_and_nothing_beside_it(book: Book) -> None:
    for path in (b"/a", b"/a/b", b"/a/b/c", b"/ab", b"/a.b", b"/a/bc"):
        book.write(path, (node(b"x"),))
    assert [gone.path for gone in book.forget(b"/a/b")] == [b"/a/b", b"/a/b/c"]
    assert set(book.paths()) == {b"/a", b"/ab", b"/a.b", b"/a/bc"}


def test_the_root_is_of_the_content_not_of_the_way_there(tmp_path: Path) -> None:
    one, two = Book(tmp_path / "1"), Book(tmp_path / "2")
    for path in (b"/a", b"/b"):
        one.write(path, (node(b"x"),))
    for path in (b"/b", b"/a", b"/c"):
        two.write(path, (node(b"x"),))
    assert one.root() != two.root()
    list(two.forget(b"/c"))
    assert one.root() == two.root()
    two.write(b"/a", (node(b"x", b"other"),))
    assert one.root() != two.root()


def test_a_book_survives_its_process(tmp_path: Path) -> None:
    first = Book(tmp_path / "book.db")
    first.write(b"/etc", (node(b"\xff\n"),))
    first.keep("root", b"1")
    first.close()
    again = Book(tmp_path / "book.db")
    assert again.known(b"/etc") == (node(b"\xff\n"),)
    assert again.fact("root") == b"1" and again.fact("none") is None


@pytest.mark.parametrize("content", [b"no database at all" * 100, random.Random(1).randbytes(8192)])
def test_a_damaged_file_is_said_clearly(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "book.db").write_bytes(content)
    with pytest.raises(Malformed, match=r"book\.db"):
        Book(tmp_path / "book.db")


def test_another_version_is_refused(tmp_path: Path) -> None:
    book = Book(tmp_path / "book.db")
    book.keep("version", b"99")
    book.close()
    with pytest.raises(Malformed, match="99"):
        Book(tmp_path / "book.db")


@settings(max_examples=20, deadline=None)
@given(paths=st.lists(st.binary(min_size=1, max_size=5).map(lambda raw: b"/" + raw.replace(b"\0", b"")), max_size=20))
def test_any_path_can_be_kept(paths: list[bytes], tmp_path_factory: pytest.TempPathFactory) -> None:
    book = Book(tmp_path_factory.mktemp("book") / "book.db")
    for path in paths:
        book.write(path, (node(path[1:] or b"x"),))
    assert set(book.paths(b"/")) | {b"/"} >= set(paths)
    assert all(book.holds(path) for path in paths)


def test_what_is_told_and_what_is_known_become_durable_together(tmp_path: Path) -> None:
    book, reader = Book(tmp_path / "book.db"), Book(tmp_path / "book.db")
    book.write(b"/etc", (node(b"a"),))
    book.tell(b"changed")
    assert reader.known(b"/etc") == () and reader.told(0, 10) == []
    book.commit()
    assert reader.known(b"/etc") and reader.told(0, 10) == [(1, b"changed")]
    reader.settle(1)
    reader.commit()
    assert book.told(0, 10) == []


def test_what_is_read_within_a_moment_is_of_one_writing(tmp_path: Path) -> None:
    book, reader = Book(tmp_path / "book.db"), Book(tmp_path / "book.db")
    with reader.moment():
        before = reader.standing()
        book.write(b"/etc", (node(b"a"),))
        book.tell(b"sealed")
        book.commit()
        assert reader.standing() == before and reader.told(0, 10) == []
    assert reader.standing() == (book.root(), 1) and reader.told(0, 10) == [(1, b"sealed")]
    with pytest.raises(ZeroDivisionError), reader.moment():
        raise ZeroDivisionError
    reader.settle(1)
    reader.commit()
    assert book.told(0, 10) == []


def test_the_position_after_the_next_commit_is_known(book: Book) -> None:
    assert (book.position(), book.next_position()) == (0, 0)
    book.write(b"/etc", (node(b"a"),))
    assert book.next_position() == 1
    book.commit()
    book.keep("a fact", b"is no change")
    assert (book.position(), book.next_position()) == (1, 1)


def test_the_root_is_carried_along_and_made_anew_the_same(tmp_path: Path) -> None:
    book = Book(tmp_path / "book.db")
    for number in range(1200):
        book.write(b"/%d" % number, (node(b"x"),))
    book.write(b"", (node(b"etc"),))
    list(book.forget(b"/7"))
    book.move(b"/8", b"/moved")
    book.commit()
    assert [root for root in book.proved_root() if root] == [book.root()] == [book.standing()[0]]
    with sqlite3.connect(tmp_path / "book.db") as other:
        other.execute("DELETE FROM folders WHERE path = ?", (b"/9",))
    assert [root for root in book.proved_root() if root] != [book.root()]


def test_a_tree_that_moves_is_known_by_its_new_path(book: Book) -> None:
    for path in (b"/a", b"/a/b", b"/ab"):
        book.write(path, (node(path[-1:]),))
    book.keep_text(b"/a/x", b"text")
    book.move(b"/a", b"/c")
    assert set(book.paths()) == {b"/c", b"/c/b", b"/ab"} and book.text(b"/c/x") == b"text"
    assert [directory.path for directory in book.below(b"/c")] == [b"/c", b"/c/b"]


def test_the_names_of_folders_follow_every_writing(book: Book) -> None:
    def folder(name: bytes) -> Node:
        return Node(name, 0o040755, 0, 0, 1, 1, 1, 1, 1, 1)

    assert book.folders(b"/a") == frozenset()
    book.write(b"/a", (folder(b"b"), node(b"file")))
    assert book.folders(b"/a") == {b"b"}
    book.write(b"/a", (folder(b"b"), folder(b"c")))
    assert book.folders(b"/a") == {b"b", b"c"}
    book.move(b"/a", b"/z")
    assert book.folders(b"/a") == frozenset() and book.folders(b"/z") == {b"b", b"c"}
    list(book.forget(b"/z"))
    assert book.folders(b"/z") == frozenset()
    for number in range(300):
        book.write(b"/%d" % number, (folder(b"%d" % number),))
    assert all(book.folders(b"/%d" % number) == {b"%d" % number} for number in range(300))


def test_what_waits_is_accepted_by_path(book: Book) -> None:
    for path in (b"/a", b"/a/x", b"/ab"):
        book.open(path, b"1")
    book.open(b"/gone", None)
    assert book.all_opened(b"/a") == [(b"/a", b"1"), (b"/a/x", b"1")]
    assert (book.accept(b"/a"), book.count_opened(), book.opened(b"/ab")) == (2, 1, b"1")


def test_any_folder_can_be_drawn(book: Book) -> None:
    assert book.nth(5) is None
    for path in (b"/a", b"/b"):
        book.write(path, (node(b"x"),))
    assert {book.nth(n) for n in (0, 1, 10**18)} == {b"/a", b"/b"}


def test_how_much_waits_is_known_without_counting(tmp_path: Path) -> None:
    book = Book(tmp_path / "x.db")
    for path in (b"/a", b"/b", b"/b/c", b"/a"):
        book.open(path, path)
    assert book.count_opened() == len(book.all_opened()) == 3
    book.open(b"/a", None)
    book.open(b"/none", None)
    assert book.count_opened() == 2 and book.accept(b"/b") == 2 and book.count_opened() == 0
    book.open(b"/a", b"x")
    book.close()
    again = Book(tmp_path / "x.db")
    assert again.count_opened() == 1 and again.opened(b"/a") == b"x"
    again.close()
