"""What is remembered: nothing that stands goes away by a damaged file."""

import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from actions.backup.tripwire.book import Book, Canary, Suspicion, Turned, added, path_in, recall, remember
from contracts.errors import Unavailable, Why
from host.linux import LinuxHost

HOST = LinuxHost()
DAY = 86_400 * 10**9


def test_a_book_is_kept_and_read_again(tmp_path: Path) -> None:
    host: Any = SimpleNamespace(state=str(tmp_path), write=HOST.write)
    book = Book(
        canaries=(Canary(path="/x", sha256="ab"),), standing=Suspicion(since_ns=1, snapshot="c" * 64, says=("x",))
    )
    remember(host, "etc", book)
    assert recall(HOST.files, path_in(str(tmp_path), "etc")) == book
    assert recall(HOST.files, path_in(str(tmp_path), "other")) == Book()


def test_a_damaged_book_is_a_suspicion(tmp_path: Path) -> None:
    path = Path(path_in(str(tmp_path), "etc"))
    path.write_bytes(b'{"runs": 3}')
    facts = recall(HOST.files, str(path)).facts()
    assert "damaged" in facts.standing


def test_what_may_not_be_read_is_not_taken_for_nothing() -> None:
    def denied(*_: object) -> bytes:
        raise Unavailable(Why.PERMISSION, "no", advice="be root")

    files: Any = SimpleNamespace(read=denied)
    with pytest.raises(Unavailable):
        recall(files, "/x")


def test_retention_knows_what_stands_what_is_good_and_what_is_cleared() -> None:
    standing = Suspicion(since_ns=1, snapshot="b" * 64, says=("much is gone",), good=("a" * 64,), later=("c" * 64,))
    facts = Book(standing=standing, cleared=("d",)).facts(frozenset({"u"}))
    assert "much is gone" in facts.standing
    assert set(facts.anomalies) == {"b" * 64, "c" * 64}
    assert set(facts.pinned) == {"a" * 64}
    assert (facts.cleared, facts.unproved) == (frozenset({"d"}), frozenset({"u"}))


def test_before_anything_stands_the_snapshot_that_holds_the_first_turned_file_stays() -> None:
    book = Book(turned=(Turned(path="/x", at_ns=5, why="w", good="a" * 64),))
    assert (book.facts().standing, set(book.facts().pinned)) == ("", {"a" * 64})


def test_files_are_added_up_within_the_window_each_once() -> None:
    now = time.time_ns()
    old = Turned(path="/old", at_ns=now - 40 * DAY, why="w", good="a")
    first = Turned(path="/x", at_ns=now - 3 * DAY, why="w", good="b")
    again = Turned(path="/x", at_ns=now, why="w", good="c")
    ahead = Turned(path="/future", at_ns=now + DAY, why="w", good="c")
    assert added(Book(turned=(old, first, ahead)), [again], now, 30 * 86400.0) == (first,)
