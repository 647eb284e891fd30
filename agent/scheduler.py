"""When each collector, judge and chore is due: intervals on the monotonic clock, times of day on the wall clock.

A job never overlaps itself. What is asked for besides its interval (`request`) is collected for a moment and bounded in rate; asked for
while it runs, it runs once more afterwards. Nothing here knows what a job does.
"""

import random
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from msgspec import DecodeError, msgpack

from agent.clock import Clock
from contracts.record import Record

if TYPE_CHECKING:
    from agent.timesofday import TimesOfDay

DEBOUNCE_S = 0.1
REQUEST_GAP_S = 0.5
"""Requested runs of one job start at least this far apart, and never use more than a third of the time."""
REMEMBER_FROM_S = 3600.0
"""Jobs with an interval this long remember their last run over a restart; shorter ones simply run at start."""
WALL_CHECK_S = 30.0
"""The longest wait while a job has a time of day, so that an unnoticed change of the clock costs no more than this."""
MOST_LATER = 8
"""So many runs of one job that were asked for later are remembered over a restart."""
_NONE = b"\x90"


class Job(Record):
    """One thing to run: every `every_s` seconds, or at local time `at` each day (on `weekday` if named), or only on request."""

    name: str
    every_s: float = 0.0
    at: str = ""
    weekday: str = ""


class Memory(Protocol):
    """Small facts that outlive the process (`State`)."""

    def get(self, name: str) -> bytes | None:
        """Return what was put under `name`."""

    def put(self, name: str, value: bytes) -> None:
        """Keep `value` under `name`."""


class Timers(Protocol):
    """The part of the loop that the scheduler uses."""

    def call_later(self, delay_s: float, callback: Callable[[], None]) -> Any:
        """Call back once after `delay_s`; the answer has `cancel()`."""


class _Entry:
    """What is known of one job: when it is due next, whether it runs, whether it was asked for meanwhile."""

    def __init__(self, job: Job, due: float | None) -> None:
        self.job, self.due = job, due
        self.running = self.again = False
        self.started = self.took_s = 0.0
        self.requested_at: float | None = None


class Scheduler:
    """Calls `run(name)` when a job is due; the runner calls `finished(name)` when it has ended."""

    def __init__(
        self,
        timers: Timers,
        clock: Clock,
        memory: Memory,
        run: Callable[[str], None],
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._timers, self._clock, self._memory, self._run, self._chance = timers, clock, memory, run, chance
        self._entries: dict[str, _Entry] = {}
        self._times: TimesOfDay | None = None
        self._timer: Any = None
        self._stopped = False

    def plan(self, jobs: Sequence[Job]) -> None:
        """Take `jobs` in place of the former ones; a job that stays as it was keeps its turn."""
        former, self._entries = self._entries, {}
        for job in jobs:
            entry = former.get(job.name)
            if entry is None or entry.job != job:
                fresh = _Entry(job, self._first_due(job))
                if entry is None:
                    self._resume_later(job.name)
                else:
                    fresh.running, fresh.started = entry.running, entry.started
                entry = fresh
            self._entries[job.name] = entry
        self._plan_times([job for job in jobs if job.at])
        self._arm()

    def request(self, name: str, delay_s: float = DEBOUNCE_S) -> None:
        """Ask that `name` runs in `delay_s`; requests that come together make one run. An unknown name is ignored: it is switched off."""
        entry = self._entries.get(name)
        if entry is None:
            return
        if entry.running:
            entry.again = True
            return
        now = self._clock.monotonic()
        gap = max(REQUEST_GAP_S, 3 * entry.took_s) if entry.requested_at is not None else 0.0
        due = max(now + delay_s, (entry.requested_at or 0.0) + gap)
        if entry.due is None or due < entry.due:
            entry.due = due
        entry.requested_at = entry.due
        self._arm()

    def request_later(self, name: str, delay_s: float) -> None:
        """Ask that `name` runs after `delay_s`, however often it runs before, and even if the agent is started anew meanwhile."""
        due_ms = self._clock.now_ms() + round(delay_s * 1000)
        self._memory.put(_later(name), msgpack.encode([*self._remembered_later(name), due_ms][-MOST_LATER:]))
        self._timers.call_later(delay_s, lambda: self._came_due(name))

    def finished(self, name: str) -> None:
        """Say that the run of `name` has ended."""
        entry = self._entries.get(name)
        if entry is None or not entry.running:
            return
        entry.running = False
        entry.took_s = self._clock.monotonic() - entry.started
        if entry.job.every_s >= REMEMBER_FROM_S:
            self._memory.put(_key(name), str(self._clock.now_ms()).encode())
        if entry.again:
            entry.again = False
            entry.requested_at = entry.started
            self.request(name)
        self._arm()

    def clock_stepped(self) -> None:
        """Think the times of day anew. Intervals do not care: they are not on that clock."""
        if self._times is not None:
            self._run_due_times()
            self._times.recompute()
        self._arm()

    def stop(self) -> None:
        """Run nothing any more."""
        self._stopped = True
        if self._timer is not None:
            self._timer.cancel()

    def _came_due(self, name: str) -> None:
        """Request what was asked for later, and forget what is past."""
        now_ms = self._clock.now_ms()
        left = [due_ms for due_ms in self._remembered_later(name) if due_ms > now_ms]
        self._memory.put(_later(name), msgpack.encode(left))
        self.request(name)

    def _resume_later(self, name: str) -> None:
        """Wait anew for what was asked for later before the agent was started; what is past is seen by the run at start."""
        now_ms = self._clock.now_ms()
        for due_ms in self._remembered_later(name):
            if due_ms > now_ms:
                self._timers.call_later((due_ms - now_ms) / 1000, lambda: self._came_due(name))

    def _remembered_later(self, name: str) -> list[int]:
        try:
            return msgpack.decode(self._memory.get(_later(name)) or _NONE, type=list[int])
        except DecodeError:
            return []

    def _first_due(self, job: Job) -> float | None:
        now = self._clock.monotonic()
        if not job.every_s:
            return None
        if job.every_s < REMEMBER_FROM_S:
            return now
        raw = self._memory.get(_key(job.name))
        if raw is None or not raw.isdigit():
            return now
        since_s = (self._clock.now_ms() - int(raw)) / 1000
        if since_s < 0:  # the wall clock was set back over the last run
            return now + self._interval(job)
        return now + max(0.0, job.every_s - since_s)  # missed, however often: once, now

    def _interval(self, job: Job) -> float:
        """Return the interval with a splay of five percent, so that a thousand servers do not look in the same second."""
        return job.every_s * (0.95 + 0.1 * self._chance())

    def _plan_times(self, jobs: Sequence[Job]) -> None:
        self._times = None
        if jobs:
            from agent.timesofday import TimesOfDay

            self._times = TimesOfDay(self._memory)
            for job in jobs:
                self._times.plan(job.name, job.at, job.weekday)

    def _tick(self) -> None:
        self._timer = None
        now = self._clock.monotonic()
        for entry in list(self._entries.values()):
            if entry.due is not None and entry.due <= now:
                self._start(entry, now)
        self._run_due_times()
        self._arm()

    def _run_due_times(self) -> None:
        for name in self._times.due() if self._times else ():
            entry = self._entries[name]
            entry.again = entry.running
            self._start(entry, self._clock.monotonic())

    def _start(self, entry: _Entry, now: float) -> None:
        entry.due = now + self._interval(entry.job) if entry.job.every_s else None
        if entry.running:  # a look that takes longer than its interval does not run back to back for ever
            return
        entry.running, entry.started = True, now
        self._run(entry.job.name)

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        now = self._clock.monotonic()
        waits = [entry.due - now for entry in self._entries.values() if entry.due is not None]
        if self._times is not None and (wait := self._times.next_in_s()) is not None:
            waits.append(min(wait, WALL_CHECK_S))
        if waits and not self._stopped:
            self._timer = self._timers.call_later(max(0.0, min(waits)), self._tick)


def _key(name: str) -> str:
    return f"ran:{name}"


def _later(name: str) -> str:
    return f"later:{name}"
