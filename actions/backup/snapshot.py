"""Snapshot: the state of some paths at one time: when, where, by whom, and the id of the tree.

Source: restic's doc/design.rst, "Snapshots".
"""

from typing import Any

import msgspec

from actions.backup.go_text import go_json
from actions.backup.ids import parse_id
from actions.backup.times import parse_time
from contracts.errors import HoldfastError


class BadSnapshot(HoldfastError):
    """The document is not a snapshot."""


class Snapshot(msgspec.Struct, omit_defaults=True, kw_only=True):
    """A snapshot, with restic's fields in restic's order. `summary` is what newer versions note of the run; kept as it is."""

    time: str
    parent: str | None = None
    tree: str
    paths: list[str]
    hostname: str = ""
    username: str = ""
    uid: int = 0
    gid: int = 0
    excludes: list[str] = []
    tags: list[str] = []
    original: str | None = None
    program_version: str = ""
    summary: dict[str, Any] = {}

    @property
    def time_ns(self) -> int:
        """When it was taken, Unix nanoseconds."""
        return parse_time(self.time)


_DECODER = msgspec.json.Decoder(Snapshot)


def encode_snapshot(snapshot: Snapshot) -> bytes:
    """The document of a snapshot."""
    return go_json(msgspec.json.encode(snapshot))


def decode_snapshot(document: bytes | bytearray) -> Snapshot:
    """The snapshot of a document; raises BadSnapshot."""
    try:
        snapshot = _DECODER.decode(document)
        parse_time(snapshot.time)
        for id in (snapshot.tree, snapshot.parent, snapshot.original):
            if id is not None:
                parse_id(id)
    except (msgspec.DecodeError, ValueError) as error:
        raise BadSnapshot(f"not a snapshot: {error}") from error
    return snapshot
