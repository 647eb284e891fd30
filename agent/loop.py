"""The core's event loop: descriptors, timers on the monotonic clock, and calls from other threads. Single-threaded, no asyncio."""

import heapq
import os
import selectors
import time
from collections import deque
from collections.abc import Callable
from itertools import count

Callback = Callable[[], None]

IDLE_S = 10.0
"""The longest a round waits, so that `on_tick` runs (and feeds the watchdog) on a quiet machine."""


class Timer:
    """One call in the future; `cancel` it as often as you like."""

    __slots__ = ("callback", "when")

    def __init__(self, when: float, callback: Callback) -> None:
        self.when = when
        self.callback: Callback | None = callback

    def cancel(self) -> None:
        """Make sure that the call does not happen."""
        self.callback = None

    @property
    def pending(self) -> bool:
        """Whether the call is still to come."""
        return self.callback is not None


class Loop:
    """Waits for descriptors and timers and calls back, one call at a time.

    Everything but `call_soon_threadsafe` and `stop` belongs to the thread that runs the loop. An exception that leaves a callback leaves
    `run`: the caller decides what a defect means.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.on_tick: Callback = _nothing
        self._monotonic = monotonic
        self._selector = selectors.DefaultSelector()
        self._readers: dict[int, Callback] = {}
        self._writers: dict[int, Callback] = {}
        self._timers: list[tuple[float, int, Timer]] = []
        self._order = count()
        self._soon: deque[Callback] = deque()
        self._stopping = False
        self._wake = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self.add_reader(self._wake, self._woken)

    def add_reader(self, fd: int, callback: Callback) -> None:
        """Call `callback` whenever `fd` is readable (or at its end); replaces a former one."""
        self._readers[fd] = callback
        self._watch(fd)

    def add_writer(self, fd: int, callback: Callback) -> None:
        """Call `callback` whenever `fd` is writable; replaces a former one."""
        self._writers[fd] = callback
        self._watch(fd)

    def remove(self, fd: int) -> None:
        """Forget `fd` wholly; call it before closing the descriptor. Unknown ones are ignored."""
        self._readers.pop(fd, None)
        self._writers.pop(fd, None)
        self._watch(fd)

    def remove_writer(self, fd: int) -> None:
        """Stop waiting until `fd` is writable."""
        self._writers.pop(fd, None)
        self._watch(fd)

    def call_later(self, delay_s: float, callback: Callback) -> Timer:
        """Call `callback` once, `delay_s` seconds from now."""
        timer = Timer(self._monotonic() + max(0.0, delay_s), callback)
        heapq.heappush(self._timers, (timer.when, next(self._order), timer))
        return timer

    def call_soon_threadsafe(self, callback: Callback) -> None:
        """Call `callback` in the loop's thread soon; from any thread, also from a signal handler."""
        self._soon.append(callback)
        os.eventfd_write(self._wake, 1)

    def run(self) -> None:
        """Run until `stop`."""
        self._stopping = False
        while not self._stopping:
            self._round()

    def stop(self) -> None:
        """Make `run` return after the present round; from any thread."""
        self._stopping = True
        os.eventfd_write(self._wake, 1)

    def close(self) -> None:
        """Give the loop's own descriptors back."""
        self._selector.close()
        os.close(self._wake)

    def _watch(self, fd: int) -> None:
        wanted = (selectors.EVENT_READ if fd in self._readers else 0) | (
            selectors.EVENT_WRITE if fd in self._writers else 0
        )
        known = fd in self._selector.get_map()
        if wanted and known:
            self._selector.modify(fd, wanted)
        elif wanted:
            self._selector.register(fd, wanted)
        elif known:
            self._selector.unregister(fd)

    def _round(self) -> None:
        for key, mask in self._selector.select(self._patience()):
            if mask & selectors.EVENT_READ and (reader := self._readers.get(key.fd)):
                reader()
            if mask & selectors.EVENT_WRITE and (writer := self._writers.get(key.fd)):
                writer()
        for _ in range(len(self._soon)):
            self._soon.popleft()()
        self._run_due()
        self.on_tick()

    def _patience(self) -> float:
        if self._soon:
            return 0.0
        while self._timers and not self._timers[0][2].pending:
            heapq.heappop(self._timers)
        if not self._timers:
            return IDLE_S
        return min(IDLE_S, max(0.0, self._timers[0][0] - self._monotonic()))

    def _run_due(self) -> None:
        now = self._monotonic()
        while self._timers and self._timers[0][0] <= now:
            timer = heapq.heappop(self._timers)[2]
            callback, timer.callback = timer.callback, None
            if callback is not None:
                callback()

    def _woken(self) -> None:
        try:
            os.eventfd_read(self._wake)
        except BlockingIOError:  # another round already took it
            pass


def _nothing() -> None:
    pass
