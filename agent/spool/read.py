"""Reading the spool's file: what waits, what was recent, and the state that is kept in memory. Nothing here writes."""

import itertools
import sqlite3
from collections.abc import Iterator

import msgspec

from agent.spool.schema import EVENTS_LOST, LANES, ROW_OVERHEAD, UNKNOWN, LaneBook
from agent.spool.seal import dedup_bytes
from agent.sqlite_file import FileDamaged
from contracts.codec import UNDECODABLE
from contracts.event import GENESIS, Envelope, Lane, Loss, Sealed, link
from contracts.wire import LanePart

_bodies = msgspec.msgpack.Decoder(list[bytes]).decode
_envelope = msgspec.msgpack.Decoder(Envelope).decode


def fresh(db: sqlite3.Connection) -> bool:
    """Say whether the file was just made and has no lanes yet."""
    return db.execute("SELECT 1 FROM lanes").fetchone() is None


def author(db: sqlite3.Connection, lane: Lane) -> str:
    """Return the agent that wrote the newest record of a lane, "" for none."""
    row = db.execute(f"SELECT body FROM {lane.value} ORDER BY last DESC LIMIT 1").fetchone()
    return decoded(row[0])[-1].agent if row else ""


def load(db: sqlite3.Connection, window: int) -> tuple[dict[Lane, LaneBook], str, list[bytes]]:
    """Return the book of each lane, the newest envelope id, and the newest `window` dedup keys, oldest first."""
    books = {lane: _book(db, lane) for lane in LANES}
    newest = ""
    keys: list[tuple[str, bytes]] = []
    for lane in LANES:
        for envelope in itertools.islice(_newest_first(db, lane, 0), window):
            newest = max(newest, envelope.id)
            key = dedup_bytes(envelope.event.dedup)
            if key is not None:
                keys.append((envelope.id, key))
    keys.sort()
    return books, newest, [key for _, key in keys[-window:]]


def _book(db: sqlite3.Connection, lane: Lane) -> LaneBook:
    book = LaneBook(lane)
    query = "SELECT acked, previous, floor, floor_chain, lost FROM lanes WHERE lane = ?"
    row = db.execute(query, (lane.value,)).fetchone()
    if row is None:
        return book
    book.acked, book.previous, book.floor, book.floor_chain, book.lost = row
    book.head, book.chain = book.acked, book.previous
    newest = db.execute(f"SELECT last, chain, count, body FROM {lane.value} ORDER BY last DESC LIMIT 1").fetchone()
    if newest and newest[0] >= book.head:
        book.head, book.chain = newest[0], newest[1]
        if newest[2] == 1 and decoded(newest[3])[0].event.kind == EVENTS_LOST.name:
            book.commitment = book.head
    measure(db, book)
    return book


def measure(db: sqlite3.Connection, book: LaneBook) -> None:
    """Count anew what waits and what is history."""
    query = f"SELECT coalesce(sum(count), 0), coalesce(sum(length(body)), 0), count(*), min(last - count) FROM {book.lane.value} WHERE last"
    count, size, rows, before = db.execute(f"{query} > ?", (book.acked,)).fetchone()
    book.waiting = count - max(0, book.acked - before) if rows else 0
    book.waiting_bytes = size + rows * ROW_OVERHEAD
    _, size, rows, _ = db.execute(f"{query} <= ?", (book.acked,)).fetchone()
    book.history_bytes = size + rows * ROW_OVERHEAD


def pending(db: sqlite3.Connection, book: LaneBook, max_bytes: int) -> LanePart | None:
    """Return what waits, with losses in their places; raises `FileDamaged` when the chain in the file is broken."""
    losses = _losses(db, book)
    rows = db.execute(
        f"SELECT last, count, chain, body FROM {book.lane.value} WHERE last > ? ORDER BY last", (book.acked,)
    )
    items: list[Sealed | Loss] = []
    expected, chain, size = book.acked + 1, book.previous, 0
    while size < max_bytes or not items:
        while losses and losses[0].first == expected:
            loss = losses.pop(0)
            items.append(loss)
            expected, chain = loss.last + 1, loss.chain
        row = rows.fetchone()
        if row is None:
            break
        for record in _unfold(row, expected, chain, book.lane):
            if items and size + len(record.body) > max_bytes:
                size = max_bytes
                break
            items.append(record)
            expected, chain, size = record.seq + 1, record.chain, size + len(record.body)
    rows.close()
    return LanePart(lane=book.lane, previous=book.previous or GENESIS, items=tuple(items)) if items else None


def _unfold(row: tuple[int, int, bytes, bytes], expected: int, chain: bytes, lane: Lane) -> list[Sealed]:
    """Return the records of a bundle from seq `expected` on; `chain` is the value before it. The whole bundle is checked."""
    last, count, end, body = row
    bodies = _split(body)
    first = last - count + 1
    if len(bodies) != count or not first <= expected <= last:
        raise FileDamaged(f"records {first} to {last} of the {lane.value} lane do not follow on {expected - 1}")
    records = []
    for seq, envelope in enumerate(bodies[expected - first :], start=expected):
        chain = link(chain, envelope)
        records.append(Sealed(seq=seq, chain=chain, body=envelope))
    if chain != end:
        raise FileDamaged(f"records {first} to {last} of the {lane.value} lane do not fit the chain")
    return records


def _losses(db: sqlite3.Connection, book: LaneBook) -> list[Loss]:
    query = "SELECT first, last, count, chain FROM losses WHERE lane = ? AND last > ? ORDER BY first"
    found: list[Loss] = []
    for first, last, count, chain in db.execute(query, (book.lane.value, book.acked)).fetchall():
        begin = max(first, book.acked + 1)
        count = min(count, last - begin + 1)
        if found and found[-1].last + 1 == begin:
            # Neighbours go as one: within them the chain value may be unknown.
            before = found.pop()
            begin, count = before.first, before.count + count
        found.append(Loss(first=begin, last=last, count=count, chain=chain))
    return found


def bodies_after(db: sqlite3.Connection, lane: Lane, after: int, to: int) -> Iterator[bytes]:
    """Yield the encoded envelopes above seq `after` up to `to`, bundle by bundle, so that rows may be added meanwhile."""
    query = f"SELECT last, count, body FROM {lane.value} WHERE last > ? AND last <= ? ORDER BY last LIMIT 1"
    while row := db.execute(query, (after, to)).fetchone():
        last, count, body = row
        yield from _split(body)[max(0, after - (last - count)) :]
        after = last


def recent(db: sqlite3.Connection, lane: Lane, limit: int, kind: str, since_ms: int) -> list[Envelope]:
    """Return the newest envelopes of one lane, newest first."""
    found: list[Envelope] = []
    for envelope in _newest_first(db, lane, since_ms):
        if len(found) >= limit:
            break
        if envelope.event.observed_ms >= since_ms and kind in ("", envelope.event.kind):
            found.append(envelope)
    return found


def _newest_first(db: sqlite3.Connection, lane: Lane, since_ms: int) -> Iterator[Envelope]:
    rows = db.execute(f"SELECT body FROM {lane.value} WHERE at_ms >= ? ORDER BY last DESC", (since_ms,))
    for (body,) in rows:
        yield from reversed(decoded(body))


def chain_at(db: sqlite3.Connection, book: LaneBook, seq: int) -> bytes:
    """Return the chain value of `seq`; `UNKNOWN` where it lies within a loss."""
    if seq == book.floor:
        return bytes(book.floor_chain)
    query = f"SELECT last, count, chain, body FROM {book.lane.value} WHERE last >= ? ORDER BY last LIMIT 1"
    row = db.execute(query, (seq,)).fetchone()
    if row and row[0] - row[1] < seq:
        if row[0] == seq:
            return bytes(row[2])
        before = row[0] - row[1]
        return bytes(_unfold(row, before + 1, chain_at(db, book, before), book.lane)[seq - before - 1].chain)
    found = db.execute("SELECT chain FROM losses WHERE lane = ? AND last = ?", (book.lane.value, seq)).fetchone()
    return bytes(found[0]) if found else UNKNOWN


def decoded(body: bytes) -> list[Envelope]:
    """Return the envelopes of a bundle; raises `FileDamaged`."""
    try:
        return [_envelope(one) for one in _split(body)]
    except UNDECODABLE as error:
        raise FileDamaged(f"a stored event does not decode: {error}") from error


def _split(body: bytes) -> list[bytes]:
    try:
        return _bodies(body)
    except (msgspec.DecodeError, TypeError) as error:
        raise FileDamaged(f"stored events do not decode: {error}") from error
