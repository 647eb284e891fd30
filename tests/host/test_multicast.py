"""A burst of announcements is one word, and every datagram is handed on before it."""

import os
import socket
import threading
import time

import pytest

from contracts.errors import Unavailable
from host import multicast


class Stop:
    def __init__(self) -> None:
        self.read, self.write = os.pipe()
        self.over = False

    def is_set(self) -> bool:
        return self.over

    def set(self) -> None:
        self.over = True
        os.write(self.write, b"x")

    def fileno(self) -> int:
        return self.read


def pair() -> tuple[socket.socket, socket.socket]:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    ours.setblocking(False)
    return ours, theirs


def test_all_that_comes_close_together_is_one_burst() -> None:
    ours, theirs = pair()
    for word in (b"a", b"b", b"c"):
        theirs.send(word)
    taken: list[bytes] = []
    assert multicast.drain(ours, "x", taken.append) == "changed"
    assert taken == [b"a", b"b", b"c"]


def test_a_burst_without_end_is_told_of_after_a_moment() -> None:
    ours, theirs = pair()
    over = threading.Event()

    def chatter() -> None:
        while not over.wait(0.002):
            theirs.send(b"x")

    thread = threading.Thread(target=chatter)
    thread.start()
    started = time.monotonic()
    assert multicast.drain(ours, "x") == "changed"
    assert time.monotonic() - started < 30
    over.set()
    thread.join()


def test_it_ends_when_it_is_told_to() -> None:
    stop = Stop()
    threading.Timer(0.1, stop.set).start()
    assert list(multicast.bursts(0, (1,), "changes", stop)) in ([], ["changed"])  # type: ignore[arg-type]


def test_a_family_that_the_kernel_has_not_got_is_said_so() -> None:
    with pytest.raises(Unavailable, match="changes of the moon"):
        multicast.subscribe(31, (1,), "changes of the moon")
