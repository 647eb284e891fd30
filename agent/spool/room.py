"""What the spool forgets: acknowledged history, and on overflow what waits, with a loss in its place.

Every function works within a transaction that its caller has begun, and keeps the lane's book in step.
"""

import sqlite3
from collections.abc import Mapping

import msgspec

from agent.spool.read import chain_at, measure
from agent.spool.schema import LANES, ROW_OVERHEAD, UNKNOWN, LaneBook
from contracts.event import Lane

_SLACK = 32
"""A 32nd of the limit is dropped at once, so that losses are few and large."""


class Lost(msgspec.Struct, frozen=True):
    """A loss as it stands in its lane now, merged with those before it."""

    lane: Lane
    first: int
    last: int
    count: int
    chain: bytes


def write_book(db: sqlite3.Connection, book: LaneBook) -> None:
    """Store what the file keeps of `book`."""
    statement = (
        "INSERT OR REPLACE INTO lanes (lane, acked, previous, floor, floor_chain, lost) VALUES (?, ?, ?, ?, ?, ?)"
    )
    db.execute(statement, (book.lane.value, book.acked, book.previous, book.floor, book.floor_chain, book.lost))


def acknowledge(db: sqlite3.Connection, book: LaneBook, seq: int) -> None:
    """Turn what waits up to `seq` into history."""
    book.previous = chain_at(db, book, seq)
    book.acked = seq
    measure(db, book)
    write_book(db, book)


def rewind(db: sqlite3.Connection, book: LaneBook, seq: int) -> Lost | None:
    """Let everything after `seq` wait again; returns the loss of what is no longer there."""
    lost = None
    if seq < book.floor:
        lost = _gone(db, book, seq)
        _insert_loss(db, lost)
        book.lost += book.floor - seq
        book.floor, book.floor_chain = seq, UNKNOWN
    book.previous = chain_at(db, book, seq)
    book.acked = seq
    measure(db, book)
    write_book(db, book)
    return lost


def _gone(db: sqlite3.Connection, book: LaneBook, seq: int) -> Lost:
    """Return the loss of what lay above `seq` up to the floor, together with one that begins there."""
    lost = Lost(book.lane, seq + 1, book.floor, book.floor - seq, book.floor_chain)
    query = "SELECT last, count, chain FROM losses WHERE lane = ? AND first = ?"
    row = db.execute(query, (book.lane.value, book.floor + 1)).fetchone()
    if row is None:
        return lost
    db.execute("DELETE FROM losses WHERE lane = ? AND first = ?", (book.lane.value, book.floor + 1))
    return Lost(book.lane, seq + 1, row[0], lost.count + row[1], row[2])


def forget(db: sqlite3.Connection, lane: Lane, to: int) -> None:
    """Remove every record and loss of `lane` up to `to`."""
    db.execute(f"DELETE FROM {lane.value} WHERE last <= ?", (to,))
    db.execute("DELETE FROM losses WHERE lane = ? AND last <= ?", (lane.value, to))


def trim_history(db: sqlite3.Connection, books: Mapping[Lane, LaneBook], limit: int) -> None:
    """Drop the oldest history until all lanes together keep at most `limit` bytes of it."""
    over = sum(book.history_bytes for book in books.values()) - limit
    if over <= 0:
        return
    for book in sorted(books.values(), key=lambda book: book.history_bytes, reverse=True):
        if over > 0:
            over -= _drop_history(db, book, over + limit // _SLACK)


def make_room(db: sqlite3.Connection, books: Mapping[Lane, LaneBook], limit: int) -> list[Lost]:
    """Bring all lanes together under `limit` bytes; returns the losses, lowest lane first."""
    over = sum(book.waiting_bytes + book.history_bytes for book in books.values()) - limit
    lowest_first = [books[lane] for lane in reversed(LANES)]
    for book in lowest_first:
        if over > 0 and book.history_bytes:
            over -= _drop_history(db, book, over + limit // _SLACK)
    losses = []
    for book in lowest_first:
        if over > 0:
            lost, freed = _drop_waiting(db, book, over + limit // _SLACK)
            over -= freed
            if lost is not None:
                losses.append(lost)
    return losses


def _drop_history(db: sqlite3.Connection, book: LaneBook, size: int) -> int:
    """Drop about `size` bytes of history, never the newest record of the lane (the chain goes on from it); returns what was freed."""
    last, freed, _ = _oldest(db, book.lane, 0, min(book.acked, book.head - 1), size)
    if not freed:
        return 0
    book.floor, book.floor_chain = last, chain_at(db, book, last)
    forget(db, book.lane, last)
    book.history_bytes -= freed
    write_book(db, book)
    return freed


def _drop_waiting(db: sqlite3.Connection, book: LaneBook, size: int) -> tuple[Lost | None, int]:
    """Drop about `size` bytes of the oldest waiting records; a newest one that only commits to the last loss stays."""
    end = book.head - 1 if book.commitment == book.head else book.head
    last, freed, count = _oldest(db, book.lane, book.acked, end, size)
    if not freed:
        return None, 0
    # The oldest bundle may begin with records that the console already has.
    count -= _keep_begun(db, book)
    lost = _merged(db, book, last, count)
    db.execute(f"DELETE FROM {book.lane.value} WHERE last > ? AND last <= ?", (book.acked, last))
    book.lost += count
    measure(db, book)
    write_book(db, book)
    return lost, freed


def _keep_begun(db: sqlite3.Connection, book: LaneBook) -> int:
    """Note the acknowledged beginning of the oldest waiting bundle as a loss of history; returns how many records that is."""
    query = f"SELECT min(last - count) FROM {book.lane.value} WHERE last > ?"
    before = db.execute(query, (book.acked,)).fetchone()[0]
    begun = max(0, int(book.acked - before))
    if begun:
        _insert_loss(db, Lost(book.lane, before + 1, book.acked, begun, book.previous))
    return begun


def _merged(db: sqlite3.Connection, book: LaneBook, last: int, count: int) -> Lost:
    """Record the loss of everything from the first waiting seq to `last`, together with the losses that it touches."""
    chain = chain_at(db, book, last)
    query = "SELECT first, last, count, chain FROM losses WHERE lane = ? AND last > ? AND first <= ? ORDER BY first"
    for old_first, old_last, old_count, old_chain in db.execute(
        query, (book.lane.value, book.acked, last + 1)
    ).fetchall():
        db.execute("DELETE FROM losses WHERE lane = ? AND first = ?", (book.lane.value, old_first))
        held = book.acked - old_first + 1
        if held > 0:
            # The console has the beginning of this loss already; the history keeps it as it was.
            _insert_loss(db, Lost(book.lane, old_first, book.acked, min(held, old_count), book.previous))
            old_count = min(old_count, old_last - book.acked)
        count += old_count
        if old_last > last:
            last, chain = old_last, old_chain
    lost = Lost(book.lane, book.acked + 1, last, count, chain)
    _insert_loss(db, lost)
    return lost


def _insert_loss(db: sqlite3.Connection, lost: Lost) -> None:
    statement = "INSERT INTO losses (lane, first, last, count, chain) VALUES (?, ?, ?, ?, ?)"
    db.execute(statement, (lost.lane.value, lost.first, lost.last, lost.count, lost.chain))


def _oldest(db: sqlite3.Connection, lane: Lane, after: int, to: int, size: int) -> tuple[int, int, int]:
    """Return the last seq, the bytes and the number of the oldest bundles that take at least `size` bytes."""
    last, freed, count = after, 0, 0
    query = f"SELECT last, count, length(body) FROM {lane.value} WHERE last > ? AND last <= ? ORDER BY last"
    rows = db.execute(query, (after, to))
    for seq, records, length in rows:
        last, freed, count = seq, freed + length + ROW_OVERHEAD, count + records
        if freed >= size:
            break
    rows.close()
    return last, freed, count
