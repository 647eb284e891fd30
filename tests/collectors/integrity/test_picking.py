"""Which files are asked for is known only with the nonce."""

from pathlib import Path

from collectors.integrity.book import Book
from collectors.integrity.picking import pick
from contracts.trees import Node


def test_the_nonce_says_which(tmp_path: Path) -> None:
    book = Book(tmp_path / "book.db")
    for number in range(50):
        file = Node(b"f", 0o100644, 0, 0, 1, 1, 1, 1, 1, 1)
        large = Node(b"large", 0o100644, 0, 0, 1, 1 << 40, 1, 1, 1, 1)
        pipe = Node(b"pipe", 0o010644, 0, 0, 1, 1, 1, 1, 1, 1)
        book.write(b"/%d" % number, (file, large, pipe) if number % 2 else ())
    first, second = pick(book, b"a" * 16, 8), pick(book, b"b" * 16, 8)
    assert first == pick(book, b"a" * 16, 8) != second
    assert len(first) == 8 and all(path.endswith(b"/f") for path in first)
    assert pick(Book(tmp_path / "empty.db"), b"a" * 16, 8) == []
