"""Keyed rows that a collector or judge saw last time, and the difference to what it sees now."""

from collections.abc import Mapping
from typing import Generic, TypeVar

import msgspec

from contracts.record import Record

RowT = TypeVar("RowT", bound=Record)


class Snapshot(Record, Generic[RowT]):
    """The rows of one subject at one `revision`; revision 0 with no rows means it was never looked at.

    A subject's revision grows by one with every stored change of it.
    """

    subject: str
    revision: int = 0
    rows: Mapping[str, RowT] = {}
    at_ms: int = 0

    @property
    def first(self) -> bool:
        """Whether this is the state before the very first look."""
        return self.revision == 0


class Changes(Record, Generic[RowT]):
    """What turns one snapshot into the next: rows to put by key, keys to remove."""

    put: Mapping[str, RowT] = {}
    removed: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.put or self.removed)


def compare(before: Mapping[str, RowT], after: Mapping[str, RowT]) -> Changes[RowT]:
    """Return the changes from `before` to `after`."""
    return Changes(
        put={key: row for key, row in after.items() if before.get(key) != row},
        removed=tuple(key for key in before if key not in after),
    )


def apply(before: Mapping[str, RowT], changes: Changes[RowT]) -> dict[str, RowT]:
    """Return the rows after `changes`."""
    gone = set(changes.removed)
    rows = {key: row for key, row in before.items() if key not in gone}
    rows.update(changes.put)
    return rows


class EncodedChanges(Record):
    """`Changes` as they travel and are stored: each row encoded by itself as MessagePack."""

    put: dict[str, bytes] = {}
    removed: tuple[str, ...] = ()


def encode(changes: Changes[RowT]) -> EncodedChanges:
    """Return `changes` with each row encoded."""
    encoder = msgspec.msgpack.Encoder()
    return EncodedChanges(put={key: encoder.encode(row) for key, row in changes.put.items()}, removed=changes.removed)


def decode(rows: Mapping[str, bytes], row_type: type[RowT]) -> dict[str, RowT]:
    """Return `rows` decoded strictly as `row_type`; raises `msgspec.ValidationError`."""
    decoder = msgspec.msgpack.Decoder(row_type)
    return {key: decoder.decode(raw) for key, raw in rows.items()}
