"""A look on its way: the pages of a worker's report, put together and checked against what the worker may say."""

import hashlib
import math
from collections.abc import Callable, Collection

import msgspec

from agent.loop import Timer
from agent.stamping import stamp
from agent.supervision import Look
from agent.worker_link import Violation
from contracts.event import Event
from contracts.frames import Done, ReportPage
from contracts.outcome import Cost, Ok
from contracts.snapshot import EncodedChanges

MAX_REPORT_BYTES = 256 << 20
MAX_REPORT_EVENTS = 50_000


class Assembly:
    """One look that a worker was asked for."""

    def __init__(
        self, number: int, subject: str, revision: int, deadline_s: float, started_ms: int, done: Callable[[Look], None]
    ) -> None:
        self.id, self.subject, self.revision, self.deadline_s = number, subject, revision, deadline_s
        self.done = done
        self.timer: Timer | None = None
        self.asked_for_snapshot = False
        self._started_ms = started_ms
        self._events: list[Event] = []
        self._put: dict[str, bytes] = {}
        self._removed: list[str] = []
        self._bytes = 0

    def add(self, page: ReportPage) -> None:
        """Take a page; raises `Violation` when the whole grows beyond all measure."""
        self._bytes += sum(len(key) + len(row) for key, row in page.put.items()) + sum(map(len, page.removed))
        self._events += page.events
        self._put.update(page.put)
        self._removed += page.removed
        if self._bytes > MAX_REPORT_BYTES or len(self._events) > MAX_REPORT_EVENTS:
            raise Violation(
                f"a report on {self.subject} of more than {MAX_REPORT_BYTES} bytes or {MAX_REPORT_EVENTS} events"
            )

    def close(self, done: Done, kinds: Collection[str], worker: str) -> Look:
        """Return the look as it ended; nothing of a look that did not end well counts."""
        ok = isinstance(done.outcome, Ok)
        expected = stamp(
            [msgspec.structs.replace(event, dedup="") for event in self._events], self.subject, self.revision, 1
        )
        return Look(
            id=self.id,
            subject=self.subject,
            outcome=done.outcome,
            cost=checked_cost(done.cost),
            events=tuple(
                own_event(event, kinds, worker, twin.dedup)
                for event, twin in zip(self._events, expected, strict=True)
                if ok
            ),
            changes=EncodedChanges(put=self._put, removed=tuple(self._removed)) if ok else EncodedChanges(),
            blind=done.blind,
            started_ms=self._started_ms,
        )


def own_event(event: Event, kinds: Collection[str], worker: str, expected_dedup: str = "") -> Event:
    """Return `event` if `worker` may state it, else raise `Violation`.

    A dedup key that is not the one this event must have is made the worker's own, so that no worker can make another's event look
    like a repeat.
    """
    if event.kind not in kinds:
        raise Violation(f"an event of kind {event.kind[:80]!r}, which it does not declare")
    if any(isinstance(value, float) and not math.isfinite(value) for value in event.fields.values()):
        raise Violation(f"an event {event.kind} with a number that is none")
    if event.dedup and event.dedup == expected_dedup:
        return event
    return msgspec.structs.replace(event, dedup=hashlib.sha256(f"{worker}\0{event.dedup}".encode()).hexdigest()[:32])


def checked_cost(cost: Cost) -> Cost:
    """Return `cost` if every number in it can be one, else raise `Violation`."""
    if not all(
        math.isfinite(number) and number >= 0 for number in (cost.wall_s, cost.cpu_s, cost.read_bytes, cost.peak_bytes)
    ):
        raise Violation("a cost that cannot be")
    return cost
