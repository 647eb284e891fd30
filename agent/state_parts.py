"""What the console still lacks of a subject, as `SubjectPart` pages; reads only."""

import sqlite3

import msgspec

from contracts.wire import MAX_SUBJECT_ROW_BYTES, SubjectPart

_to_json = msgspec.json.Encoder(order="deterministic").encode
_from_pack = msgspec.msgpack.Decoder().decode


def page(
    db: sqlite3.Connection, subject: str, base: int, max_bytes: int, after: str | None, head: tuple[int, int, int]
) -> SubjectPart | None:
    """Return the rows that changed above `base`, in the order of their keys, from the first above `after` on (None: from the first).

    `head` is the subject's revision, time and horizon: below the horizon removals are forgotten, so that only everything will do.
    """
    revision, at_ms, horizon = head
    if base == revision:
        return None
    start = 0 if base > revision or base < horizon else base
    put: dict[str, bytes] = {}
    removed: list[str] = []
    size, more = 0, False
    rows = _changed(db, subject, start, after)
    for key, row in rows:
        shown = None if row is None else as_json(row)
        length = len(key) + len(shown or b"") + 16
        if (put or removed) and size + length > max_bytes:
            more = True
            break
        if shown is None:
            removed.append(key)
        else:
            put[key] = shown
        size += length
    rows.close()
    return SubjectPart(
        subject=subject, base=start, revision=revision, put=put, removed=tuple(removed), at_ms=at_ms, more=more
    )


def _changed(db: sqlite3.Connection, subject: str, base: int, after: str | None) -> sqlite3.Cursor:
    # Everything anew needs no removals.
    query = (
        "SELECT key, row FROM rows WHERE subject = ? AND (? IS NULL OR key > ?) AND revision > ?"
        " AND (? > 0 OR row IS NOT NULL) ORDER BY key"
    )
    return db.execute(query, (subject, after, after, base, base))


def as_json(row: bytes) -> bytes:
    """Return a stored row as JSON; one that is too large for the console says so instead of being left out."""
    shown = _to_json(_from_pack(row))
    if len(shown) > MAX_SUBJECT_ROW_BYTES:
        return _to_json({"too_large": len(shown)})
    return shown


def last_key(part: SubjectPart) -> str:
    """Return the key after which the next page begins."""
    return max((*part.put, *part.removed))
