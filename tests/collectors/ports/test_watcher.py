"""The watcher asks for a look soon after a listener appears, and rests."""

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from collectors.ports.options import Options
from collectors.ports.watcher import PortsWatcher
from contracts.errors import Unavailable, Why


class Emitted:
    def __init__(self, stop: "Stop | None" = None) -> None:
        self.asked: list[int] = []
        """How often the watcher had rested by then."""
        self._stop = stop

    def changed(self, subject: str) -> None:
        assert subject == "ports"
        self.asked.append(len(self._stop.rests) if self._stop is not None else 0)


class Stop(threading.Event):
    """Records how long the watcher wants to rest."""

    def __init__(self) -> None:
        super().__init__()
        self.rests: list[float] = []

    def wait(self, timeout: float | None = None) -> bool:
        self.rests.append(timeout or 0.0)
        return super().wait(timeout)


def test_a_new_listener_is_asked_about_soon_and_once(server: Any) -> None:
    stop = Stop()
    emitted = Emitted(stop)
    watcher = PortsWatcher(Options(poll=0.05))
    thread = threading.Thread(target=watcher.watch, args=(server, emitted, stop))
    thread.start()
    try:
        _until(lambda: len(stop.rests) > 1)
        assert len(emitted.asked) == 1  # what happened before it began to watch
        opened = len(stop.rests)
        server.open(port=4444)
        _until(lambda: len(emitted.asked) == 2)
        server.open(protocol="udp", port=40001)
        rested = len(stop.rests)
        _until(lambda: len(stop.rests) > rested + 4)
    finally:
        stop.set()
        thread.join(30)
    assert len(emitted.asked) == 2
    assert sum(stop.rests[opened - 1 : emitted.asked[1]]) < 2.0, "long before the next look"
    assert min(stop.rests) >= 0.05


def test_it_rests_two_hundred_times_as_long_as_it_works(server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    real = server.sockets.fingerprint

    def slow(ephemeral_udp: bool = True) -> bytes:
        end = time.thread_time() + 0.01
        while time.thread_time() < end:
            pass
        return real(ephemeral_udp)

    monkeypatch.setattr(server.sockets, "fingerprint", slow)
    stop = Stop()
    thread = threading.Thread(target=PortsWatcher(Options(poll=0.05)).watch, args=(server, Emitted(), stop))
    thread.start()
    _until(lambda: stop.rests)
    stop.set()
    thread.join(30)
    assert stop.rests[0] >= 2.0


class Recorded(threading.Event):
    """Records rests without taking any, and is set after so many."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self.rests: list[float] = []
        self._most = most

    def wait(self, timeout: float | None = None) -> bool:
        self.rests.append(timeout or 0.0)
        return len(self.rests) == self._most


def test_a_turn_in_which_the_machine_stood_still_makes_no_long_rest(
    server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Work of 1.5 s is believed when three turns in a row took it, and not before."""
    took = [1.5, 0.01, 0.01, 1.5, 0.01, 1.5, 1.5, 1.5]
    clock = iter([moment for cost in took for moment in (0.0, cost)])
    monkeypatch.setattr("collectors.ports.watcher.time.thread_time", lambda: next(clock))
    stop = Recorded(len(took))
    PortsWatcher(Options(poll=0.05)).watch(server, Emitted(), stop)
    assert stop.rests == pytest.approx([10.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0, 300.0])


def _until(holds: Callable[[], object]) -> None:
    end = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_a_kernel_that_tells_nothing_ends_it(server: Any) -> None:
    server.sockets.found = Unavailable(Why.PERMISSION, "no netlink", advice="allow it")
    with pytest.raises(Unavailable):
        PortsWatcher(Options()).watch(server, Emitted(), Stop())
