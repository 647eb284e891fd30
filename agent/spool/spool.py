"""The durable queue between events and the console: three lanes in SQLite, each with its own sequence and chain.

An event is durable when `append` returns (WAL, synchronous=FULL). The spool is bounded by bytes: acknowledged history goes first, then
the oldest waiting records of the lowest lane, in whose place a `Loss` stands that an `agent.events_lost` event commits to. Critical
records are never lost while there are normal ones, nor normal ones while there are bulk ones.

A file that is damaged is set aside. The new one seals what could still be read once more, above the mark in `spool.high`, in a **new
chain**: its first record in each lane is `agent.spool_set_aside`, and the `LanePart` that carries it has `previous` = `GENESIS`. By that
the console tells an explained break from a manipulation. The full rules: `docs/design/lanes.md`.

All methods may be called from any thread.
"""

import contextlib
import fcntl
import heapq
import os
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import msgspec

from agent.clock import Clock
from agent.spool import read, room, salvage
from agent.spool.mark import HighWater
from agent.spool.schema import APPLICATION, EVENTS_LOST, INSERT, LANES, ROW_OVERHEAD, SPOOL_SET_ASIDE, STEPS, LaneBook
from agent.spool.seal import Row, Sealer, count_in, dedup_bytes, pages
from agent.sqlite_file import FileBroken, FileDamaged, FileFull, is_alone, open_file, set_aside, share, translate
from contracts.errors import HoldfastError
from contracts.event import Envelope, Event, Lane
from contracts.record import Record
from contracts.wire import LanePart, LaneState

DEDUP_WINDOW = 50_000
"""At least so many of the newest dedup keys are remembered: as many as one look may state."""

SpoolFull = FileFull
SpoolBroken = FileBroken

T = TypeVar("T")


class SpoolLimits(Record):
    """How much the spool may hold: in all, and of it as local history that the console already has."""

    total_bytes: int = 128 << 20
    history_bytes: int = 16 << 20


class ConsoleAhead(HoldfastError):
    """The console acknowledges more than this spool ever held."""


class Spool:
    """The queue of one agent. Made by `open`."""

    def __init__(self, path: Path, agent: str, limits: SpoolLimits, clock: Clock) -> None:
        """Prepare without touching the file; use `open`."""
        self.path = path
        self.agent = agent
        self.limits = limits
        self._clock = clock
        self._thread_lock = threading.RLock()
        self._mark = HighWater(path.with_name(f"{path.stem}.high"))
        self._recent: set[bytes] = set()
        self._former: set[bytes] = set()
        self._dirty = self._alone = False
        self._unfinished: tuple[str, Path] | None = None

    @classmethod
    def open(cls, path: Path, agent: str, limits: SpoolLimits, clock: Clock) -> tuple["Spool", tuple[Event, ...]]:
        """Open or create the spool; the events say that a damaged file was set aside (they are already in the lanes).

        Raises `NewerData`, `SpoolFull` or `SpoolBroken`.
        """
        spool = cls(path, agent, limits, clock)
        spool._claim()
        try:
            return spool, spool._begin()
        except BaseException:
            spool.close()
            raise

    def append(self, events: Sequence[Event]) -> list[Envelope]:
        """Store `events` durably and return their envelopes; those whose `dedup` was seen lately are left out.

        Raises `SpoolFull` (nothing was stored; try again once there is space), `SpoolBroken`, or `TooLarge` for an event that
        could never be delivered.
        """
        envelopes = self._guarded(lambda: self._append(events))
        if self._alone and envelopes:  # opened on a full disk: now there is room
            with self._thread_lock:
                self._alone = not share(self._db)
        return envelopes

    def pending(self, lane: Lane, max_bytes: int) -> LanePart | None:
        """Return the oldest records that the console has not acknowledged, at least one and about `max_bytes`; None when there are none."""
        return self._guarded(lambda: read.pending(self._db, self._books[lane], max_bytes))

    def acknowledge(self, lane: Lane, seq: int) -> None:
        """Note that the console durably holds `lane` up to `seq`; what is known already is ignored. Raises `ConsoleAhead`."""
        self._guarded(lambda: self._acknowledge(lane, seq))

    def rewind(self, lane: Lane, seq: int) -> bool:
        """Note that the console holds `lane` only up to `seq`, though it had acknowledged more: what follows waits again.

        What the history no longer has is recorded as lost. False when nothing changes: the console merely has nothing of a new chain yet.
        """
        return self._guarded(lambda: self._rewind(lane, seq))

    def leap(self, lane: Lane, seq: int, reason: str) -> None:
        """Begin a new chain above `seq` and seal what waits once more, because the console holds another history of `lane`."""
        self._guarded(lambda: self._leap(lane, seq, reason))

    def positions(self) -> dict[Lane, tuple[int, int]]:
        """Return per lane what is acknowledged and the last seq given out."""
        with self._thread_lock:
            return {lane: (book.acked, book.head) for lane, book in self._books.items()}

    def states(self) -> tuple[LaneState, ...]:
        """Return what waits in each lane."""
        with self._thread_lock:
            return tuple(
                LaneState(
                    lane=lane, waiting=book.waiting, bytes=book.waiting_bytes, next_seq=book.head + 1, lost=book.lost
                )
                for lane, book in self._books.items()
            )

    def recent(self, limit: int, kind: str = "", since_ms: int = 0) -> list[Envelope]:
        """Return the newest events of all lanes, newest first; acknowledged ones as far as the history goes."""
        rows = self._guarded(lambda: [read.recent(self._db, lane, limit, kind, since_ms) for lane in LANES])
        found = (envelope for lane in rows for envelope in lane)
        return heapq.nlargest(limit, found, key=lambda envelope: envelope.id)

    def close(self) -> None:
        """Release the file; the spool cannot be used afterwards."""
        with self._thread_lock:
            self._disconnect()
            if hasattr(self, "_claimed"):
                os.close(self._claimed)
                del self._claimed

    def _claim(self) -> None:
        """Hold the lock file: two agents on one spool would tear its chain."""
        lock = self.path.with_name(f"{self.path.stem}.lock")
        try:
            handle = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            reason = f"{lock} cannot be opened: {error.strerror}"
            raise FileBroken(
                reason, advice=f"check that {lock.parent} exists and that this user may write it"
            ) from error
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(handle)
            raise FileBroken(
                f"another agent is using {self.path}", advice="stop it first, or give this one another state directory"
            ) from error
        self._claimed = handle

    def _begin(self) -> tuple[Event, ...]:
        """Open the file, or set it aside; give a new one its lanes."""
        try:
            self._db = open_file(self.path, APPLICATION, STEPS, "FULL")
            self._alone = is_alone(self._db)
            self._rebuild()
            if not read.fresh(self._db):
                self._change_author()
                return ()
            if self._mark.found:
                return self._begin_chains("the spool file was gone", None)
            # Only from here on the mark may be written: a mark without lanes means that a spool was lost.
            with self._transaction():
                for lane in LANES:
                    room.write_book(self._db, LaneBook(lane))
        except FileDamaged as error:
            return self._start_anew(str(error))
        except sqlite3.Error as error:
            raise translate(error, self.path) from error
        return ()

    def _change_author(self) -> None:
        """Seal what waits once more when the agent was given a new id: the console takes from an agent only what it says of itself."""
        for lane in LANES:
            if read.author(self._db, lane) not in ("", self.agent):
                self._leap(lane, 0, "the agent was given a new id")

    def _rebuild(self) -> None:
        self._books, last, keys = read.load(self._db, DEDUP_WINDOW)
        self._sealer = Sealer(self.agent, self._clock, last)
        self._recent, self._former = set(), set(keys)

    def _guarded(self, work: Callable[[], T]) -> T:
        """Do `work` under the lock; a full disk changes nothing; a damaged file is set aside and `work` done on the new one."""
        with self._thread_lock:
            if self._unfinished is not None:
                self._finish_anew()
            try:
                return self._translated(work)
            except FileFull:
                # What the log holds may have room in the file: moving it there lets the log be used from its start.
                self._checkpoint()
                return self._translated(work)
            except FileDamaged as error:
                self._start_anew(str(error))
                return self._translated(work)

    def _translated(self, work: Callable[[], T]) -> T:
        try:
            return work()
        except sqlite3.Error as error:
            self._undo()
            raise translate(error, self.path) from error
        except BaseException:
            self._undo()
            raise

    def _undo(self) -> None:
        """Forget what a failed transaction left in the connection and in memory."""
        if not self._dirty:
            return
        try:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            self._rebuild()
        except sqlite3.Error as error:
            raise translate(error, self.path) from error
        self._dirty = False

    def _checkpoint(self) -> None:
        with contextlib.suppress(sqlite3.OperationalError):
            self._db.execute("PRAGMA wal_checkpoint(RESTART)").fetchone()

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        """Commit what the block does; when it fails, `_undo` takes it back."""
        self._dirty = True
        self._db.execute("BEGIN IMMEDIATE")
        yield
        self._db.execute("COMMIT")
        self._dirty = False

    def _append(self, events: Sequence[Event]) -> list[Envelope]:
        if len(events) == 1:
            return self._append_one(events[0])
        heads = {lane: (book.head, book.chain) for lane, book in self._books.items()}
        batch = self._sealer.seal(events, heads, (self._recent, self._former))
        if batch.envelopes:
            for lane, rows in batch.rows.items():
                self._mark.reserve(lane, rows[-1][0])
            self._store(batch.rows, batch.size)
            self._remember(batch.keys)
        return batch.envelopes

    def _append_one(self, event: Event) -> list[Envelope]:
        """Do what `_append` does, without its detours: most events come alone, and what this takes comes on top of each commit."""
        key = dedup_bytes(event.dedup)
        if key is not None and (key in self._recent or key in self._former):
            return []
        lane = event.lane
        book = self._books[lane]
        envelope, row = self._sealer.seal_one(event, book.head, book.chain)
        self._mark.reserve(lane, row[0])
        size = len(row[4]) + ROW_OVERHEAD
        if self._used() + size > self.limits.total_bytes:
            self._store({lane: [row]}, size)
        else:
            self._store_row(book, row)
        if key is not None:
            self._remember((key,))
        return [envelope]

    def _used(self) -> int:
        used = 0
        for book in self._books.values():
            used += book.waiting_bytes + book.history_bytes
        return used

    def _store_row(self, book: LaneBook, row: Row) -> None:
        """Store what fits into one statement, which commits by itself."""
        self._db.execute(INSERT[book.lane], row)
        count_in(book, (row,))

    def _store(self, rows_of: dict[Lane, list[Row]], size: int) -> None:
        over = self._used() + size > self.limits.total_bytes
        if not over and len(rows_of) == 1:
            ((lane, rows),) = rows_of.items()
            if len(rows) == 1:
                self._store_row(self._books[lane], rows[0])
                return
        with self._transaction():
            for lane, rows in rows_of.items():
                self._db.executemany(INSERT[lane], rows)
            if over:
                for lane, rows in rows_of.items():
                    count_in(self._books[lane], rows)
                self._make_room()
        if not over:
            for lane, rows in rows_of.items():
                count_in(self._books[lane], rows)

    def _make_room(self) -> None:
        """Drop what must go, and state it in the lanes that lost something."""
        for loss in room.make_room(self._db, self._books, self.limits.total_bytes):
            self._commit_to(loss, "the spool was full")

    def _commit_to(self, loss: room.Lost, reason: str) -> None:
        event = EVENTS_LOST.event(
            loss.lane.value,
            lane=loss.lane.value,
            first=loss.first,
            last=loss.last,
            count=loss.count,
            chain=loss.chain.hex(),
            reason=reason,
        )
        self._put(loss.lane, [event])
        self._books[loss.lane].commitment = self._books[loss.lane].head

    def _put(self, lane: Lane, events: Sequence[Event]) -> None:
        """Append the spool's own events within a transaction that is under way."""
        book = self._books[lane]
        own = [msgspec.structs.replace(event, lane=lane) for event in events]
        batch = self._sealer.seal(own, {lane: (book.head, book.chain)}, (set(), set()))
        self._mark.reserve(lane, book.head + len(own))
        self._db.executemany(INSERT[lane], batch.rows[lane])
        count_in(book, batch.rows[lane])

    def _remember(self, keys: Iterable[bytes]) -> None:
        """Keep the newest keys in two generations, so that forgetting the oldest costs nothing."""
        self._recent.update(keys)
        if len(self._recent) >= DEDUP_WINDOW:
            self._former, self._recent = self._recent, set()

    def _acknowledge(self, lane: Lane, seq: int) -> None:
        book = self._books[lane]
        if seq <= book.acked:
            return
        if seq > book.head:
            raise ConsoleAhead(f"the console acknowledges {lane.value} {seq}, and this spool has given out {book.head}")
        with self._transaction():
            room.acknowledge(self._db, book, seq)
            room.trim_history(self._db, self._books, self.limits.history_bytes)

    def _rewind(self, lane: Lane, seq: int) -> bool:
        book = self._books[lane]
        seq = book.resume(seq)
        if seq >= book.acked:
            return False
        with self._transaction():
            loss = room.rewind(self._db, book, seq)
            if loss is not None:
                self._commit_to(loss, "the console was restored to an older state than the history kept here reaches")
        return True

    def _leap(self, lane: Lane, seq: int, reason: str) -> None:
        book = self._books[lane]
        with self._transaction():
            old_head = book.head
            waiting = read.bodies_after(self._db, lane, book.acked, old_head)
            self._begin_chain(lane, max(seq, old_head), reason, "", waiting)
            room.forget(self._db, lane, old_head)

    def _start_anew(self, reason: str) -> tuple[Event, ...]:
        """Set the damaged file aside and go on with a new one that holds what could still be read."""
        self._disconnect()
        try:
            self._unfinished = (reason, set_aside(self.path))
        except OSError as error:
            raise FileBroken(f"{self.path} is damaged and cannot be renamed: {error.strerror}") from error
        return self._finish_anew()

    def _finish_anew(self) -> tuple[Event, ...]:
        """Do the second half of starting anew; it is tried again at the next call when the disk was full."""
        assert self._unfinished is not None
        self._disconnect()
        try:
            self._db = open_file(self.path, APPLICATION, STEPS, "FULL")
            self._alone = is_alone(self._db)
            events = self._begin_chains(*self._unfinished)
        except sqlite3.Error as error:
            raise translate(error, self.path) from error
        self._unfinished = None
        return events

    def _disconnect(self) -> None:
        if hasattr(self, "_db"):
            with contextlib.suppress(sqlite3.Error):
                self._db.close()

    def _begin_chains(self, reason: str, aside: Path | None) -> tuple[Event, ...]:
        """Give every lane a new chain above all that may have been given out."""
        with self._transaction():
            self._books = {lane: LaneBook(lane) for lane in LANES}
            self._sealer = Sealer(self.agent, self._clock)
            events = []
            for lane in LANES:
                waiting = salvage.rows(aside, lane) if aside else iter(())
                name = aside.name if aside else ""
                events.append(self._begin_chain(lane, self._mark.mark(lane), reason, name, waiting))
        self._rebuild()
        return tuple(events)

    def _begin_chain(self, lane: Lane, above: int, reason: str, name: str, waiting: Iterator[bytes]) -> Event:
        """Put `agent.spool_set_aside` right above `above`, then the envelopes in `waiting` once more; returns the event."""
        lost = self._books[lane].lost
        book = self._books[lane] = LaneBook(lane, head=above, acked=above, floor=above, lost=lost)
        room.write_book(self._db, book)
        event = SPOOL_SET_ASIDE.event(lane.value, lane=lane.value, first=above + 1, reason=reason, file=name)
        event = msgspec.structs.replace(
            event, lane=lane, observed_ms=self._clock.now_ms(), dedup=f"{event.kind}/{lane.value}/{above + 1}"
        )
        self._put(lane, [event])
        for page in pages(waiting):
            rows = self._sealer.seal_again(page, lane, book.head, book.chain)
            self._mark.reserve(lane, book.head + len(rows))
            self._db.executemany(INSERT[lane], rows)
            count_in(book, rows)
        return event
