"""The watch says how it stands, and states the root of its book when it is another one."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from collectors.integrity.book import Book
from collectors.integrity.status import Status
from contracts.subjects.integrity import BOOK
from tests.collectors.integrity.running import options, running


def test_rows_say_what_is_watched_and_how_far(tmp_path: Path) -> None:
    (tmp_path / "tree/sub").mkdir(parents=True)
    (tmp_path / "tree/x").write_text("12345")
    with running(tmp_path / "state", options(tmp_path / "tree", tmp_path / "none")) as watch:
        watch.based()
        watch.until(lambda: watch.snapshot.rows[BOOK].state == "watching")
        rows = watch.snapshot.rows
        there, absent = rows[f"root {tmp_path}/tree"], rows[f"root {tmp_path}/none"]
        assert (there.state, there.folders, there.profile) == ("watched", 2, "test") and absent.state == "absent"
        assert (rows["scan"].name, rows["scan"].read_bytes, rows["scan"].folders) == ("start", 5, 2)
        assert rows[BOOK].watches >= 2 and rows[BOOK].limit > 0 and rows[BOOK].unwatched == 0


def test_an_unchanged_book_is_not_sealed_again(tmp_path: Path) -> None:
    (tmp_path / "tree").mkdir()
    for _ in range(2):
        with running(tmp_path / "state", options(tmp_path / "tree")) as watch:
            watch.until(lambda: "scan" in watch.snapshot.rows)
            seals = [e for e in watch.told if e.kind == "integrity.sealed"]
    assert len(seals) <= 1


def test_a_seal_names_the_writing_that_has_its_root_also_when_nothing_was_written_since(tmp_path: Path) -> None:
    book, stated = Book(tmp_path / "book.db"), []
    keeper: Any = SimpleNamespace(state=lambda *words: stated.append(words))
    status = Status(book, keeper, SimpleNamespace())  # type: ignore[arg-type]
    for path, is_written_before in ((b"/etc", True), (b"/usr", False)):
        book.write(path, ())
        if is_written_before:
            book.commit()
        status.sealed(force=True)
        book.commit()
        fields = stated[-1][2]
        assert (fields["root"], fields["position"]) == (book.standing()[0].hex(), book.position())
    assert len(stated) == 2
