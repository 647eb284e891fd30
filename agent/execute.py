"""The one central execute: whatever a collector or action does, exactly one outcome comes of it, with its times and its cost."""

import errno
import resource
import signal
import time
from collections.abc import Callable
from types import FrameType
from typing import Any, TypeVar

import msgspec

from agent.stamping import check_kinds, stamp
from contracts import outcome as ends
from contracts.action import Action, Command, Progress, Result
from contracts.collector import Collector, Report
from contracts.coverage import Blind
from contracts.errors import HoldfastError, Malformed, Unavailable, Why
from contracts.event import Event
from contracts.host import Host, ReadOnlyHost
from contracts.outcome import Cost, Outcome
from contracts.record import Record
from contracts.snapshot import Changes, Snapshot

AnswerT = TypeVar("AnswerT")

MAX_MESSAGE = 500
"""How much of an exception's text is kept: it may quote what a hostile host says."""


ROOM_FIX = (
    "Free space on the file system that is named, or on the one of the state directory; it is tried again by itself."
)
_SQLITE_FULL = frozenset({13, 4874})
"""SQLITE_FULL and SQLITE_IOERR_SHMSIZE; `sqlite3` itself is not loaded for it in workers that need none."""


class DeadlinePassed(BaseException):
    """Raised in the main thread when a run's time is over; no `except Exception` on the way may hold it up."""


class Found(Record):
    """What one look came to. `events` and `changes` count only when `outcome` is ok."""

    outcome: Outcome
    cost: Cost
    events: tuple[Event, ...] = ()
    changes: Changes[Any] = Changes()
    blind: tuple[Blind, ...] = ()


def look(
    collector: Collector[Any], host: ReadOnlyHost, before: Snapshot[Any], deadline_s: float | None = None
) -> Found:
    """Let `collector` look. With `deadline_s` (main thread only) it is interrupted when its time is over."""
    meter = _Meter(host)

    def run() -> tuple[Report[Any], tuple[Event, ...]]:
        started_ms = int(host.now().timestamp() * 1000)
        report = collector.collect(host, before)
        if not isinstance(report, Report):
            raise TypeError(f"{collector.name} returned {type(report).__name__}, not a Report")
        check_kinds(report.events, collector.kinds)
        return report, stamp(report.events, before.subject, before.revision, started_ms)

    outcome, said = settle(run, deadline_s)
    if said is None:
        return Found(outcome=outcome, cost=meter.cost())
    report, events = said
    return Found(outcome=outcome, cost=meter.cost(), events=events, changes=report.changes, blind=report.blind)


def act(action: Action, host: Host, command: Command, progress: Progress) -> tuple[Result, Cost]:
    """Let `action` obey `command`. What it raises leaves `code` in the answer: what the command line exits with."""
    meter = _Meter(host)
    answer: dict[str, Any] = {}

    def run() -> Result:
        started_ms = int(host.now().timestamp() * 1000)
        try:
            result = action.do(host, command, progress)
        except HoldfastError as error:
            answer["code"] = error.exit_code
            raise
        if not isinstance(result, Result):
            raise TypeError(f"{action.name} returned {type(result).__name__}, not a Result")
        check_kinds(result.events, action.kinds)
        events = stamp(result.events, f"{action.name}/{command.id}", 0, started_ms)
        return msgspec.structs.replace(result, events=events)

    outcome, result = settle(run, None)
    return (result if result is not None else Result(outcome=outcome, answer=answer)), meter.cost()


def settle(run: Callable[[], AnswerT], deadline_s: float | None) -> tuple[Outcome, AnswerT | None]:
    """Run `run` and return how it ended: ok and its answer, or why not and None. Nothing it raises gets past here."""
    try:
        _arm(deadline_s)
        return ends.Ok(), run()
    except Unavailable as error:
        return ends.Unavailable(why=error.why, detail=_plain(error.message), fix=_plain(error.advice)), None
    except (msgspec.DecodeError, UnicodeDecodeError, Malformed) as error:
        return ends.Unavailable(
            why=Why.MALFORMED, detail=f"what was read does not fit: {_plain(str(error))}{_place(error)}"
        ), None
    except HoldfastError as error:
        return ends.Failed(error=_plain(str(error)), permanent=error.permanent), None
    except DeadlinePassed as error:
        return ends.Failed(error=f"timeout: not done after {deadline_s:g} s{_place(error)}"), None
    except (Exception, SystemExit) as error:  # noqa: BLE001  # the one place where a defect becomes an outcome
        if no_room(error):
            detail = f"there is no room on the disk: {_plain(str(error))}{_place(error)}"
            return ends.Unavailable(why=Why.OTHER, detail=detail, fix=ROOM_FIX), None
        return ends.Failed(error=f"{type(error).__name__}: {_plain(str(error))}{_place(error)}"), None
    finally:
        if deadline_s is not None:
            _disarm()


class _Meter:
    """Measures one run: this thread's CPU and that of its commands, bytes as the host accounts them, the process's peak."""

    def __init__(self, host: object) -> None:
        self._host = host
        self._wall = time.monotonic()
        self._cpu = _cpu_s(host)
        self._read = _read_bytes(host)

    def cost(self) -> Cost:
        return Cost(
            wall_s=time.monotonic() - self._wall,
            cpu_s=max(0.0, _cpu_s(self._host) - self._cpu),
            read_bytes=max(0, _read_bytes(self._host) - self._read),
            peak_bytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        )


def _cpu_s(host: object) -> float:
    """Return the CPU time of this thread, of the commands it has waited for, and of `host` where a part of it works elsewhere."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    elsewhere = getattr(host, "cpu_s", 0.0)
    own = time.thread_time() + children.ru_utime + children.ru_stime
    return own + (elsewhere if isinstance(elsewhere, float) else 0.0)


def _read_bytes(host: object) -> int:
    """Return what `host` has read so far, where it counts that at all."""
    count = getattr(host, "read_bytes", 0)
    return count if isinstance(count, int) else 0


_armed = False


def _arm(deadline_s: float | None) -> None:
    global _armed
    if deadline_s is None:
        return
    signal.signal(signal.SIGALRM, _ring)
    _armed = True
    # Again every second: an exception raised inside a destructor or a C callback is lost.
    signal.setitimer(signal.ITIMER_REAL, max(0.001, deadline_s), 1.0)


def _disarm() -> None:
    global _armed
    _armed = False
    signal.setitimer(signal.ITIMER_REAL, 0)


def _ring(_signal: int, _frame: FrameType | None) -> None:
    if _armed:
        raise DeadlinePassed


def _plain(text: str) -> str:
    """Return `text` short and always encodable."""
    cut = text if len(text) <= MAX_MESSAGE else text[: MAX_MESSAGE - 1] + "…"
    return cut.encode("utf-8", "backslashreplace").decode()


def no_room(error: BaseException | None) -> bool:
    """Say whether the disk, a quota or a limit did not take what was written: a condition of this host, and no defect."""
    if isinstance(error, OSError):
        return error.errno in (errno.ENOSPC, errno.EDQUOT)
    return getattr(error, "sqlite_errorcode", 0) in _SQLITE_FULL


def _place(error: BaseException) -> str:
    """Return ` (folder/file.py:12)` for the line that raised."""
    place, step = "", error.__traceback__
    while step is not None:
        if step.tb_frame.f_code is not _ring.__code__:
            place = f" ({'/'.join(step.tb_frame.f_code.co_filename.split('/')[-2:])}:{step.tb_lineno})"
        step = step.tb_next
    return place
