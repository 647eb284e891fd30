"""One thread that writes: jobs that arrive together are committed together, so thousands of small writes are a few commits a second."""

import asyncio
import queue
import sqlite3
import statistics
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import OperationalError, SQLAlchemyError

from contracts.errors import HoldfastError, Unreachable

T = TypeVar("T")

MAX_GROUP = 2000
BUSY_GROUP = 4
LINGER_S = 0.02
"""Under load a group waits this long for company; a lone write never waits."""


_WHOLE = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_CORRUPT,
    }
)
"""What fails every write alike: trying each job of the group alone would only make everyone wait for the same answer."""


class Group:
    """The transaction that a job runs in. What several jobs of a group can write at once they leave in `later`.

    `overlay` is what memory is to hold after the commit.
    """

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.later: dict[Any, Any] = {}
        self.overlay: dict[Any, Any] = {}


@dataclass
class _Job:
    work: Callable[[Group], Any]
    loop: asyncio.AbstractEventLoop
    future: "asyncio.Future[Any]"
    result: Any = None
    error: BaseException | None = None


@dataclass
class _Recent:
    """What the last commits took, for health and metrics."""

    durations: deque[float] = field(default_factory=lambda: deque(maxlen=200))
    sizes: deque[int] = field(default_factory=lambda: deque(maxlen=200))


class Writer:
    """Runs jobs in groups. `prepare` runs first in every group, `flush` last (it writes what was left in `later`).

    A job must be repeatable: when one job of a group fails, the group is rolled back and every job runs again alone, so that only the one
    that fails is told so. What is wrong with the database as a whole (locked, full, read only) is told to all at once.
    """

    def __init__(
        self,
        engine: Engine,
        prepare: Callable[[Group], None],
        flush: Callable[[Group], None],
        committed: Callable[[Group], None],
    ) -> None:
        self._engine = engine
        self._prepare = prepare
        self._flush = flush
        self._committed = committed
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._recent = _Recent()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="store-writer", daemon=True)
        self._thread.start()

    async def do(self, work: Callable[[Group], T]) -> T:
        """Run `work` in a transaction; returns once it is durable."""
        if self._closed:
            raise Unreachable("the store is closed")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._jobs.put(_Job(work=work, loop=loop, future=future))
        return await future

    @property
    def waiting(self) -> int:
        """How many jobs wait."""
        return self._jobs.qsize()

    def commit_ms(self) -> float:
        """Return the median duration of the last commits in milliseconds."""
        durations = list(self._recent.durations)
        return statistics.median(durations) * 1000 if durations else 0.0

    def group_size(self) -> float:
        """Return how many jobs the last commits held on average."""
        sizes = list(self._recent.sizes)
        return statistics.fmean(sizes) if sizes else 0.0

    def close(self) -> None:
        """Finish what was handed in and stop the thread."""
        self._closed = True
        self._jobs.put(None)
        self._thread.join(timeout=30)

    def _run(self) -> None:
        size = 0
        while True:
            first = self._jobs.get()
            if first is None:
                return
            if size >= BUSY_GROUP:
                time.sleep(LINGER_S)
            group, last = self._gather(first)
            size = len(group)
            started = time.monotonic()
            self._commit(group)
            self._recent.durations.append(time.monotonic() - started)
            self._recent.sizes.append(size)
            _answer(group)
            if last:
                return

    def _gather(self, first: _Job) -> tuple[list[_Job], bool]:
        group = [first]
        while len(group) < MAX_GROUP:
            try:
                job = self._jobs.get_nowait()
            except queue.Empty:
                break
            if job is None:
                return group, True
            group.append(job)
        return group, False

    def _commit(self, jobs: list[_Job]) -> None:
        try:
            self._transact(jobs)
        except Exception as error:  # noqa: BLE001 - a job's failure is handed to whoever asked for it, alone
            if len(jobs) == 1 or _concerns_all(error):
                for job in jobs:
                    job.error = _as_condition(error)
                return
            for job in jobs:
                self._commit([job])

    def _transact(self, jobs: list[_Job]) -> None:
        with self._engine.begin() as connection:
            group = Group(connection)
            self._prepare(group)
            for job in jobs:
                job.result = job.work(group)
            self._flush(group)
        self._committed(group)


def _concerns_all(error: Exception) -> bool:
    code = getattr(error.orig, "sqlite_errorcode", 0) if isinstance(error, OperationalError) else 0
    return (code & 0xFF) in _WHOLE


def _as_condition(error: Exception) -> BaseException:
    if isinstance(error, HoldfastError) or not isinstance(error, SQLAlchemyError):
        return error
    cause = getattr(error, "orig", None) or error
    made = Unreachable(f"the store cannot write: {cause}", advice="check the disk's free space and permissions")
    made.__cause__ = error
    return made


def _answer(jobs: list[_Job]) -> None:
    by_loop: dict[asyncio.AbstractEventLoop, list[_Job]] = {}
    for job in jobs:
        by_loop.setdefault(job.loop, []).append(job)
    for loop, mine in by_loop.items():
        try:
            loop.call_soon_threadsafe(_resolve, mine)
        except RuntimeError:
            continue  # that loop has ended, and with it everyone who waited


def _resolve(jobs: list[_Job]) -> None:
    for job in jobs:
        if job.future.done():
            continue
        if job.error is not None:
            job.future.set_exception(job.error)
        else:
            job.future.set_result(job.result)
