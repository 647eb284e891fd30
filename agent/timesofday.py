"""Times of day by the `schedule` library, made safe against clock steps and summer time; imported only when a job has a time of day.

`schedule` runs on naive local time, so a step back or a repeated hour could run a job twice, and a stop over its time would skip it.
Each occurrence (its local date and time) is therefore remembered by name once it has run, and one that has is never run again.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Protocol

import schedule

FORGET_AFTER = timedelta(days=1)
"""A remembered occurrence this far in the future was written under a wrong clock and counts no more."""


class Memory(Protocol):
    """Small facts that outlive the process (`State`)."""

    def get(self, name: str) -> bytes | None:
        """Return what was put under `name`."""

    def put(self, name: str, value: bytes) -> None:
        """Keep `value` under `name`."""


class TimesOfDay:
    """Says which jobs with a time of day are due; `now` returns naive local time (`schedule` itself asks `datetime.now`)."""

    def __init__(self, memory: Memory, now: Callable[[], datetime] = datetime.now) -> None:
        self._memory, self._now = memory, now
        self._schedule = schedule.Scheduler()
        self._jobs: dict[str, schedule.Job] = {}
        self._wanted: dict[str, tuple[str, str]] = {}
        self._fired: list[tuple[str, datetime]] = []

    def plan(self, name: str, at: str, weekday: str = "") -> None:
        """Run `name` every day (or on `weekday`, as `monday`) at local time `at` (`HH:MM`); a missed occurrence is due at once."""
        self._wanted[name] = (at, weekday)
        unit = getattr(self._schedule.every(), weekday) if weekday else self._schedule.every().day
        job = unit.at(at).do(self._fire, name)
        self._jobs[name] = job
        latest = _next(job) - (timedelta(weeks=1) if weekday else timedelta(days=1))
        remembered = self._remembered(name)
        if remembered is None:  # new here: the next occurrence is its first
            self._memory.put(_key(name), latest.isoformat().encode())
        elif remembered < latest:
            self._fired.append((name, latest))

    def due(self) -> list[str]:
        """Return the jobs whose occurrence has come and has not run yet, each once, and remember that they run now."""
        self._schedule.run_pending()
        fired, self._fired = self._fired, []
        names = []
        for name, occurrence in fired:
            remembered = self._remembered(name)
            if remembered is None or occurrence > remembered:
                self._memory.put(_key(name), occurrence.isoformat().encode())
                if name not in names:
                    names.append(name)
        return names

    def next_in_s(self) -> float | None:
        """Return the seconds until the next occurrence by the wall clock as it is now."""
        if self._fired:
            return 0.0
        times = [_next(job) for job in self._jobs.values()]
        return max(0.0, (min(times) - self._now()).total_seconds()) if times else None

    def recompute(self) -> None:
        """Think anew after a step of the clock. Call `due` first: what a step forward jumped over is run, not skipped."""
        wanted, self._wanted = self._wanted, {}
        self._schedule.clear()
        self._jobs.clear()
        for name, (at, weekday) in wanted.items():
            self.plan(name, at, weekday)

    def _fire(self, name: str) -> None:
        self._fired.append((name, _next(self._jobs[name])))

    def _remembered(self, name: str) -> datetime | None:
        raw = self._memory.get(_key(name))
        if raw is None:
            return None
        try:
            moment = datetime.fromisoformat(raw.decode())
        except ValueError:
            return None
        return None if moment - self._now() > FORGET_AFTER else moment


def _next(job: schedule.Job) -> datetime:
    moment = job.next_run
    assert moment is not None  # `do` has set it
    return moment


def _key(name: str) -> str:
    return f"occurrence:{name}"
