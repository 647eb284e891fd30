"""Reading what can still be read of a damaged spool file; never writes to it."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import msgspec

from contracts.codec import UNDECODABLE
from contracts.event import Envelope, Lane, link

Row = tuple[int, int, bytes, list[bytes]]
"""last, count, chain, encoded envelopes"""


def rows(path: Path, lane: Lane) -> Iterator[bytes]:
    """Yield the bodies of `lane` that were not acknowledged, as far as the file reads; nothing when it does not open.

    Without a readable note of what was acknowledged everything is yielded: an event told twice (its id stays) is better than one lost.
    """
    try:
        db = sqlite3.connect(
            f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None, check_same_thread=False
        )
    except sqlite3.Error:
        return
    try:
        acked, chain = _acked(db, lane)
        end = acked
        for last, count, sealed, bodies in _readable(db, lane, acked):
            first = last - count + 1
            wanted = bodies[max(0, acked - first + 1) :]
            if not chain or max(first, acked + 1) != end + 1 or _links(chain, wanted) == sealed:
                yield from (body for body in wanted if _decodes(body))
            end, chain = last, sealed
    finally:
        db.close()


def _acked(db: sqlite3.Connection, lane: Lane) -> tuple[int, bytes]:
    """Return what was acknowledged and the chain value there; 0 and nothing when that does not read."""
    try:
        row = db.execute("SELECT acked, previous FROM lanes WHERE lane = ?", (lane.value,)).fetchone()
    except sqlite3.Error:
        return 0, b""
    return row if row and isinstance(row[0], int) and isinstance(row[1], bytes) else (0, b"")


def _readable(db: sqlite3.Connection, lane: Lane, acked: int) -> Iterator[Row]:
    """Yield from the oldest on until a page does not read, then from the newest back to that place."""
    seen = acked
    query = f"SELECT last, count, chain, body FROM {lane.value} WHERE last > ? ORDER BY last"
    try:
        for found in db.execute(query, (acked,)):
            row = _whole(found)
            if row is not None:
                seen = row[0]
                yield row
        return
    except sqlite3.Error:
        pass  # the rest is behind the damage; what lies beyond it follows
    beyond: list[Row] = []
    try:
        for found in db.execute(f"{query} DESC", (seen,)):
            row = _whole(found)
            if row is not None:
                beyond.append(row)
    except sqlite3.Error:
        pass  # met the damage from the other side
    yield from reversed(beyond)


def _whole(row: tuple[object, ...]) -> Row | None:
    last, count, chain, body = row
    if not (isinstance(last, int) and isinstance(count, int) and isinstance(chain, bytes) and isinstance(body, bytes)):
        return None
    try:
        bodies = msgspec.msgpack.decode(body, type=list[bytes])
    except msgspec.DecodeError:
        return None
    return (last, count, chain, bodies) if len(bodies) == count else None


def _links(chain: bytes, bodies: list[bytes]) -> bytes:
    for body in bodies:
        chain = link(chain, body)
    return chain


def _decodes(body: bytes) -> bool:
    try:
        msgspec.msgpack.decode(body, type=Envelope)
    except UNDECODABLE:
        return False
    return True
