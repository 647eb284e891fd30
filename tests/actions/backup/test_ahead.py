"""Reading ahead: the same pieces in the same order, no more ahead than allowed, errors in their place, no thread left behind."""

import threading
import time
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actions.backup.ahead import ahead


def reader() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "backup-reader"]


@given(st.lists(st.binary(max_size=5), max_size=30), st.integers(1, 20))
def test_the_pieces_are_the_same(pieces: list[bytes], most: int) -> None:
    assert list(ahead(iter(pieces), most)) == pieces
    assert not reader()


def test_no_more_is_taken_than_is_allowed() -> None:
    taken: list[int] = []

    def source() -> Iterator[bytes]:
        for number in range(20):
            taken.append(number)
            yield b"12345"

    pieces = ahead(source(), 10)
    next(pieces)
    deadline = time.monotonic() + 30
    while len(taken) < 4 and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.05)
    assert len(taken) == 4, "the one asked for, two that wait, and one that finds no room"
    assert len(list(pieces)) == 19


def test_an_error_comes_after_what_was_read_before_it() -> None:
    def source() -> Iterator[bytes]:
        yield b"1"
        yield b"2"
        raise OSError(5, "the disk is broken")

    pieces = ahead(source(), 100)
    assert [next(pieces), next(pieces)] == [b"1", b"2"]
    with pytest.raises(OSError, match="broken"):
        next(pieces)
    assert not reader()


def test_who_gives_up_ends_the_thread() -> None:
    pieces = ahead(iter([b"1"] * 100), 3)
    next(pieces)
    assert reader()
    pieces.close()
    assert not reader()
