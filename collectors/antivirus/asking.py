"""Asks a product in a thread of its own: a daemon that hangs, or a tool that takes seconds, holds up no other look of this worker."""

import threading
from collections.abc import Callable

from contracts.coverage import Blind
from contracts.errors import Why
from contracts.host import ReadOnlyHost
from contracts.record import Record
from contracts.subjects.antivirus import Product

HANGS_S = 5.0
"""An answer that is awaited for longer is a blind spot; one that takes less is told with the next look, which then comes at once."""
ANSWERED = threading.Event()
"""Set when an answer came after the look that had asked was over; the watcher has the core look again (`Emit.changed`)."""


class Answer(Record):
    """What a look at one product came to; `product` is None where it is not installed. `at` is of the host's monotonic clock."""

    product: Product | None
    blind: tuple[Blind, ...]
    at: float


class Asking:
    """One product, asked at most once at a time. `answered_at` is when its last answer came, None before the first."""

    def __init__(self, name: str, host: ReadOnlyHost) -> None:
        self.answered_at: float | None = None
        self._name, self._host = name, host
        self._lock = threading.Lock()
        self._done = threading.Event()
        self._began: float | None = None
        self._nobody_waits = False
        self._came: Answer | BaseException | None = None

    def begin(self, look: Callable[[list[Blind]], Product | None]) -> None:
        """Ask, unless an answer is awaited, or has come and was not taken yet."""
        if self._began is None:
            self._done.clear()
            self._began, self._nobody_waits = self._host.monotonic(), False
            threading.Thread(target=self._run, args=(look,), name=f"ask-{self._name}", daemon=True).start()

    def take(self, patience_s: float) -> Answer | None:
        """Return the answer, None where it has not come within so many seconds; raises what the look raised."""
        if not self._done.wait(max(0.0, patience_s)):
            with self._lock:
                if not self._done.is_set():
                    self._nobody_waits = True
                    return None
        came, self._came, self._began = self._came, None, None
        if isinstance(came, BaseException):
            raise came
        assert came is not None
        self.answered_at = came.at
        return came

    def unanswered(self) -> tuple[Blind, ...]:
        """What cannot be told because the answer is awaited for too long, and how old that is which is told instead."""
        now = self._host.monotonic()
        waited = now - self._began if self._began is not None else 0.0
        if waited < HANGS_S:
            return ()
        age = "from before this worker began" if self.answered_at is None else f"{now - self.answered_at:.0f} s old"
        return (
            Blind(
                what=f"how {self._name} is now",
                why=Why.TIMEOUT,
                detail=f"it was asked and does not answer; what is shown is {age}",
                fix=f"See why {self._name} hangs: `systemctl status`, or its command line by hand.",
            ),
        )

    def _run(self, look: Callable[[list[Blind]], Product | None]) -> None:
        blind: list[Blind] = []
        came: Answer | BaseException
        try:
            product = look(blind)
            came = Answer(product=product, blind=tuple(dict.fromkeys(blind)), at=self._host.monotonic())
        except BaseException as error:  # noqa: BLE001  # raised again where it is taken: nothing is lost in this thread
            came = error
        with self._lock:
            self._came = came
            self._done.set()
            if self._nobody_waits:
                ANSWERED.set()
