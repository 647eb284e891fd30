"""Spool first: every fact the core learns goes through here in order, and what depends on it happens only once it is durable.

When the disk is full nothing is lost and nothing overtakes: what came waits in memory, with whatever was to follow it, until there is
space again. Looks wait whole, so their snapshots do not advance; single facts of watchers wait up to a bound and are counted beyond.
"""

import hashlib
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from msgspec.structs import replace

from agent.clock import Clock
from agent.kinds import DISK_FULL, WATCH_GAP
from agent.sqlite_file import FileBroken, FileFull
from contracts.errors import HoldfastError, TooLarge
from contracts.event import Envelope, Event, Kind, Lane, Severity, techniques
from contracts.title import title

RETRY_S = (0.0, 0.5, 1.0, 2.0, 5.0)
"""The first time at once: a reserve may have been given up."""
MAX_HELD_FACTS = 4096
"""How many single facts wait while the disk is full; looks are not counted, there is at most one per subject."""


class Appends(Protocol):
    """The part of the spool that this file uses."""

    def append(self, events: Sequence[Event]) -> list[Envelope]:
        """Store durably; raises `FileFull`, `FileBroken` or `TooLarge`."""


class Timers(Protocol):
    """The part of the loop that this file uses."""

    def call_later(self, delay_s: float, callback: Callable[[], None]) -> Any:
        """Call back once after `delay_s`."""


class Disk(Protocol):
    """The part of `agent.state_disk.StateDisk` that this file uses."""

    def ran_full(self) -> Sequence[Event]:
        """Give up what room is kept in reserve; returns what has to be said first."""


class _Item:
    """Events to store, and what follows once they are."""

    def __init__(self, events: Sequence[Event], stored: Callable[[], None] | None, trail: frozenset[str]) -> None:
        self.events, self.stored, self.trail = list(events), stored, trail


After = Callable[[list[Envelope], frozenset[str]], None]
"""Told of what has become durable, with the trail of the rules that led to it."""


class Intake:
    """`put` stores events and then calls back; in order, and across a full disk."""

    def __init__(
        self, spool: Appends, clock: Clock, timers: Timers, instance: str, after: After, disk: Disk | None = None
    ) -> None:
        self._disk = disk
        self._spool, self._clock, self._timers, self._instance, self._after = spool, clock, timers, instance, after
        self._overrides: Mapping[str, Severity] = {}
        self._kinds: Mapping[str, Kind] = {}
        self._waiting: deque[_Item] = deque()
        self._draining = False
        self._count = self._tries = self._facts = self._dropped = 0
        self._full_since = 0.0
        self.full = ""
        """Why nothing can be stored now, empty when all is well."""

    def override(self, severities: Mapping[str, Severity]) -> None:
        """Give events of these kinds another severity from now on."""
        self._overrides = dict(severities)

    def describe(self, kinds: Mapping[str, Kind]) -> None:
        """Say what events of these kinds mean from now on: their line of text, their advice and techniques."""
        self._kinds = dict(kinds)

    def put(
        self,
        events: Sequence[Event],
        stored: Callable[[], None] | None = None,
        trail: frozenset[str] = frozenset(),
    ) -> None:
        """Store `events`; then call `stored`, which may raise `FileFull` and is then called again once there is space."""
        if self.full and stored is None:
            if self._facts >= MAX_HELD_FACTS:
                self._dropped += len(events)
                return
            self._facts += len(events)
        self._waiting.append(_Item([self._complete(event) for event in events], stored, trail))
        if not self.full:
            self._drain()

    @property
    def held(self) -> int:
        """How many results wait for space."""
        return len(self._waiting)

    def last_try(self) -> tuple[Event, ...]:
        """Try once more to store what waits, before the end; returns the events that then are lost."""
        if self.full:
            self._drain()
        return tuple(event for item in self._waiting for event in item.events)

    def _complete(self, event: Event) -> Event:
        """Return `event` with its time, its dedup key and the severity that the configuration gives its kind."""
        self._count += 1
        own = f"{self._instance}\0{self._count}\0{event.kind}\0{event.key}"
        severity = self._overrides.get(event.kind, event.severity)
        lane = event.lane
        if severity != event.severity:
            lane = Lane.CRITICAL if severity >= Severity.CRITICAL else _calm(lane)
        kind = self._kinds.get(event.kind)
        return replace(
            event,
            severity=severity,
            lane=lane,
            # Never what a worker wrote there.
            text=title(kind, event) if kind else "",
            advice=kind.advice if kind else "",
            attack=techniques(kind, event) if kind else (),
            observed_ms=event.observed_ms or self._clock.now_ms(),
            dedup=event.dedup or hashlib.sha256(own.encode("utf-8", "replace")).hexdigest()[:32],
        )

    def _drain(self) -> None:
        if self._draining:  # what `stored` and `after` put waits for its turn
            return
        self._draining = True
        try:
            while self._waiting:
                self._store(self._waiting[0])
                self._waiting.popleft()
                self._tries = 0
                self._recovered()
        except (FileFull, FileBroken) as error:
            self._rest(error)
        finally:
            self._draining = False

    def _store(self, item: _Item) -> None:
        if item.events:
            envelopes = self._append(item.events)
            item.events = []  # if what follows finds the disk full, only that is tried again
            self._after(envelopes, item.trail)
        if item.stored is not None:
            item.stored()

    def _append(self, events: Sequence[Event]) -> list[Envelope]:
        try:
            return self._spool.append(events)
        except TooLarge:
            return [envelope for event in events for envelope in self._append_cut(event)]

    def _append_cut(self, event: Event) -> list[Envelope]:
        """Store one event; one that is too large to deliver loses its evidence, then its fields, and says so."""
        note = {"cut": "this event was too large to deliver whole"}
        for slimmer in (event, replace(event, evidence=note)):
            try:
                return self._spool.append([slimmer])
            except TooLarge:
                continue
        return self._spool.append([replace(event, evidence=note, fields={}, key=event.key[:256])])

    def _rest(self, error: HoldfastError) -> None:
        if not self.full:
            self._full_since = self._clock.monotonic()
            if isinstance(error, FileFull) and self._disk is not None:
                self._say_first(self._disk.ran_full())
        self.full = error.message
        delay = RETRY_S[min(self._tries, len(RETRY_S) - 1)]
        self._tries += 1
        self._timers.call_later(delay, self._drain)

    def _say_first(self, events: Sequence[Event]) -> None:
        """Put `events` before all that waits: why nothing comes any more must not wait behind it."""
        if events:
            self._waiting.appendleft(_Item([self._complete(event) for event in events], None, frozenset()))

    def _recovered(self) -> None:
        """State that there was no space, once there is."""
        if not self.full:
            return
        seconds, held, dropped = self._clock.monotonic() - self._full_since, self.held + 1, self._dropped
        self.full, self._facts, self._dropped = "", 0, 0
        self.put([DISK_FULL.event("state", seconds=seconds, held=held)])
        if dropped:
            detail = f"{dropped} facts of watchers did not fit in memory while the disk was full"
            self.put([WATCH_GAP.event("watchers", subject="watchers", detail=detail, seconds=seconds)])


def _calm(lane: Lane) -> Lane:
    return Lane.NORMAL if lane is Lane.CRITICAL else lane
