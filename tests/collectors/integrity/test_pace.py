"""A scan gives way to others, but not for ever, and reads no faster than it may."""

import threading
import time

from collectors.integrity.options import Pace
from collectors.integrity.pace import Pacer
from contracts.errors import Unavailable, Why


class Files:
    def __init__(self, *answers: str) -> None:
        self.answers = list(answers)

    def read(self, path: str, max_bytes: int = 0) -> bytes:
        if not self.answers:
            raise Unavailable(Why.NOT_PRESENT, f"{path} does not exist")
        return f"some avg10={self.answers.pop(0)} avg60=0.00 avg300=0.00 total=1\n".encode()


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 2.0
        return self.now


def test_it_pauses_while_others_wait() -> None:
    pacer = Pacer(Pace(io=40, cpu=100), Files("90.00", "90.00", "1.00"), Clock())  # type: ignore[arg-type]
    pacer.read(1)
    assert pacer.paused_s == 1.0


def test_it_does_not_pause_for_ever() -> None:
    pacer = Pacer(Pace(io=40, cpu=100, pause_at_most=0.5), Files(*["99.00"] * 50), Clock())  # type: ignore[arg-type]
    pacer.read(1)
    pacer.read(1)
    assert pacer.paused_s == 0.5


def test_what_the_kernel_does_not_say_is_named() -> None:
    pacer = Pacer(Pace(), Files(), Clock())  # type: ignore[arg-type]
    pacer.read(1)
    assert "does not exist" in pacer.unknown and pacer.paused_s == 0


def test_it_reads_no_faster_than_it_may_and_ends_when_told() -> None:
    pacer = Pacer(Pace(read_per_s=1000, io=100, cpu=100), Files())  # type: ignore[arg-type]
    start = time.monotonic()
    pacer.read(200)
    assert 0.15 < time.monotonic() - start < 20
    threading.Timer(0.05, pacer.end).start()
    pacer.read(1_000_000)
    assert time.monotonic() - start < 60
