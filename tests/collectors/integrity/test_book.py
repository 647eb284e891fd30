"""The baseline keeps what was seen, has one root for one content, and says so when its file is damaged."""

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collectors.integrity.book import Book
from contracts.errors import Malformed
from contracts.trees import Directory, Node


def node(name: bytes, content: bytes = b"x") -> Node:
    return Node(name, 0o100644, 0, 0, 1, 1, 1, 1, 1, 1, content=content)


@pytest.fixture
def book(tmp_path: Path) -> Book:
    return Book(tmp_path / "book.db")


def test_what_was_written_is_known_before_and_after_it_reaches_the_disk(book: Book) -> None:
    book.write(Directory(b"/etc", (node(b"a"),)))
    assert book.known(b"/etc") == (node(b"a"),)
    book.flush()
    assert book.known(b"/etc") == (node(b"a"),)
    assert book.known(b"/usr") == () and not book.holds(b"/usr")


def test_writing_says_whether_anything_differs(book: Book) -> None:
    assert book.write(Directory(b"/etc", (node(b"a"),)))
    assert not book.write(Directory(b"/etc", (node(b"a"),)))
    assert book.write(Directory(b"/etc", (node(b"a", b"y"),)))


def test_a_folder_that_could_not_be_listed_changes_nothing(book: Book) -> None:
    book.write(Directory(b"/etc", (node(b"a"),)))
    assert not book.write(Directory(b"/etc", (), "Permission denied"))
    assert book.known(b"/etc") == (node(b"a"),)


def test_a_tree_is_forgotten_whole_and_nothing_beside_it(book: Book) -> None:
    for path in (b"/a", b"/a/b", b"/a/b/c", b"/ab", b"/a.b", b"/a/bc"):
        book.write(Directory(path, (node(b"x"),)))
    assert [gone.path for gone in book.forget(b"/a/b")] == [b"/a/b", b"/a/b/c"]
    assert set(book.paths()) == {b"/a", b"/ab", b"/a.b", b"/a/bc"}


def test_the_root_is_of_the_content_not_of_the_way_there(tmp_path: Path) -> None:
    one, two = Book(tmp_path / "1"), Book(tmp_path / "2")
    for path in (b"/a", b"/b"):
        one.write(Directory(path, (node(b"x"),)))
    for path in (b"/b", b"/a", b"/c"):
        two.write(Directory(path, (node(b"x"),)))
    assert one.root() != two.root()
    two.forget(b"/c")
    assert one.root() == two.root()
    two.write(Directory(b"/a", (node(b"x", b"other"),)))
    assert one.root() != two.root()


def test_a_book_survives_its_process(tmp_path: Path) -> None:
    first = Book(tmp_path / "book.db")
    first.write(Directory(b"/etc", (node(b"\xff\n"),)))
    first.keep("root", b"1")
    first.close()
    again = Book(tmp_path / "book.db")
    assert again.known(b"/etc") == (node(b"\xff\n"),)
    assert again.fact("root") == b"1" and again.fact("none") is None


@pytest.mark.parametrize("content", [b"no database at all" * 100, os.urandom(8192)])
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
        book.write(Directory(path, (node(path[1:] or b"x"),)))
    assert set(book.paths(b"/")) | {b"/"} >= set(paths)
    assert all(book.holds(path) for path in paths)
