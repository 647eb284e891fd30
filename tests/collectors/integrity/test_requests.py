"""A wish reaches the watch of its book, and whoever wishes hears how it ended."""

from pathlib import Path

import pytest

from collectors.integrity.requests import Request, Rest, requests
from contracts.errors import HoldfastError, Unavailable


def test_a_wish_reaches_the_watch_and_its_end_the_wisher(tmp_path: Path) -> None:
    door, woken = requests(tmp_path / "a"), []
    with pytest.raises(Unavailable):
        door.put(Request("1", b"", False))
    door.open(lambda: woken.append(1))
    request = Request("1", b"/etc", False)
    door.put(request)
    assert door.take() == [request] and door.take() == [] and woken == [1]
    request.progress(1, 2)
    assert request.so_far == (1, 2) and not request.wait(0.0)
    request.finish(3, 4, 5, 6)
    assert request.wait(0.0) and request.done["changes"] == 5


def test_the_end_of_the_watch_is_told_to_all_who_wait(tmp_path: Path) -> None:
    door = requests(tmp_path / "b")
    door.open(lambda: None)
    waiting, under_way = Request("1", b"", False), Request("2", b"", True)
    door.put(under_way)
    door.take()
    door.put(waiting)
    door.close()
    for request in (waiting, under_way):
        with pytest.raises(HoldfastError, match="ended"):
            request.wait(0.0)
    assert requests(tmp_path / "b") is door


def test_a_wish_for_rest_ends_with_the_watch_too(tmp_path: Path) -> None:
    door = requests(tmp_path / "c")
    door.open(lambda: None)
    done, left = Rest(), Rest()
    for rest in (done, left):
        door.put(rest)
    assert door.take() == [done, left]
    done.finish()
    door.close()
    assert done.done and not done.error and left.error and not left.done
