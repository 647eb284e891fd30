"""Reading from front to back finds the next blobs loaded; reading here and there loads nothing that nobody asked for."""

import threading
import time
from itertools import accumulate

import pytest

from actions.backup import mount_ahead
from actions.backup.errors import Damaged
from actions.backup.mount_ahead import Ahead

IDS = tuple(bytes([number]) * 32 for number in range(40))
SIZE = 100_000
STARTS = tuple(accumulate((SIZE for _ in IDS), initial=0))


class Loads:
    """What was asked for; each load waits until it is let go."""

    def __init__(self, max_bytes: int = 4 * SIZE) -> None:
        self.asked: list[int] = []
        self.go = threading.Event()
        self.go.set()
        self.ahead = Ahead(self._load, max_bytes)

    def _load(self, id: bytes) -> None:
        self.go.wait(60)
        self.asked.append(id[0])
        if id[0] == 13:
            raise Damaged("data/x", "rotten")

    def read(self, offset: int, size: int = 50_000, key: str = "file") -> None:
        end = offset + size
        self.ahead.reads(key, IDS, STARTS, (offset, end), (end - 1) // SIZE)

    def done(self) -> list[int]:
        until = time.monotonic() + 60
        while self.ahead._waiting and time.monotonic() < until:
            time.sleep(0.001)
        self.ahead.close()
        return sorted(self.asked)


@pytest.fixture
def loads() -> Loads:
    return Loads()


def test_in_order_the_next_blobs_are_loaded_each_once_and_no_more_than_may_be(loads: Loads) -> None:
    for offset in range(0, 1_000_000, 50_000):
        loads.read(offset)
    asked = loads.done()
    assert asked == list(range(3, 14)), "from a quarter of a MiB on, and four blobs beyond the last"


def test_a_look_at_the_beginning_and_reading_here_and_there_load_nothing(loads: Loads) -> None:
    loads.read(0)
    loads.read(50_000)
    for offset in (3_900_000, 100, 2_000_000, 3_900_000):
        loads.read(offset, key="other")
    assert loads.done() == []


def test_pieces_that_come_in_another_order_are_in_order_all_the_same(loads: Loads) -> None:
    for offset in (50_000, 0, 150_000, 100_000, 250_000, 200_000, 350_000):
        loads.read(offset)
    assert set(loads.done()) >= {4, 5, 6, 7}


def test_at_the_end_of_the_file_there_is_nothing_more(loads: Loads) -> None:
    for offset in range(3_000_000, 4_000_000, 50_000):
        loads.read(offset)
    assert max(loads.done()) == len(IDS) - 1


def test_a_load_that_fails_stops_no_other(loads: Loads) -> None:
    for offset in range(800_000, 1_800_000, 50_000):
        loads.read(offset)
    assert loads.done()[-1] == 21


def test_not_too_much_is_asked_for_at_once_and_nothing_after_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    loads = Loads(max_bytes=1 << 30)
    loads.go.clear()
    loads.read(0, 300_000)
    assert loads.ahead._waiting == mount_ahead.MAX_WAITING
    loads.go.set()
    assert len(loads.done()) == mount_ahead.MAX_WAITING
    loads.read(400_000, 300_000)
    assert loads.ahead._waiting == 0, "it was closed"
    monkeypatch.setattr(mount_ahead, "MAX_FILES", 3)
    for number in range(10):
        loads.read(0, key=str(number))
    assert len(loads.ahead._files) == 3
