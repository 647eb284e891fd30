"""Archives are read when no scan is at work, at once where it is urgent, and never put off for ever."""

import threading
import time
from pathlib import Path

from collectors.integrity.giving_way import MOST_S, GivesWay, begin, end

BOOK = Path("/state/integrity.db")


def seconds(gives_way: GivesWay) -> float:
    start = time.monotonic()
    gives_way()
    return time.monotonic() - start


def test_without_a_scan_nothing_waits() -> None:
    assert seconds(GivesWay(BOOK, lambda: False)) < MOST_S / 2
    begin(Path("/other/integrity.db"))
    try:
        assert seconds(GivesWay(BOOK, lambda: False)) < MOST_S / 2, "another watch's scan is no matter of ours"
    finally:
        end(Path("/other/integrity.db"))


def test_a_scan_comes_first_and_its_end_wakes_the_reading() -> None:
    begin(BOOK)
    begin(BOOK)
    went_on = threading.Event()

    def read() -> None:
        GivesWay(BOOK, lambda: False)()
        went_on.set()

    reading = threading.Thread(target=read)
    reading.start()
    try:
        assert not went_on.wait(0.1)
    finally:
        end(BOOK)
    assert not went_on.wait(0.1), "two scans were at work"
    end(BOOK)
    assert went_on.wait(30)
    reading.join()


def test_what_is_urgent_does_not_wait() -> None:
    begin(BOOK)
    try:
        assert seconds(GivesWay(BOOK, lambda: True)) < MOST_S / 2
    finally:
        end(BOOK)


def test_it_gives_way_for_so_long_in_all_and_then_no_more() -> None:
    def not_asked() -> bool:
        raise AssertionError("it waits no more")

    begin(BOOK)
    try:
        gives_way = GivesWay(BOOK, lambda: False, most_s=1.0)
        assert seconds(gives_way) >= 1.0
        gives_way._is_urgent = not_asked  # which it is before every wait
        gives_way()
    finally:
        end(BOOK)
