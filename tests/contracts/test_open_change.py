"""What the journal holds survives being stored."""

import msgspec

from contracts.file_change import CREATED, Change
from contracts.open_change import Batch, Open, Statement
from contracts.trees import Node


def test_entries_and_what_waits_survive_being_stored() -> None:
    decode = msgspec.msgpack.Decoder(Batch | Statement).decode
    for entry in (
        Batch((Change(path=b"/\xff", kinds=(CREATED,)),)),
        Statement(kind="integrity.sealed", key="book", fields={"position": 1}),
    ):
        assert decode(msgspec.msgpack.encode(entry)) == entry
    waiting = Open(after=Node(b"x", 1, 2, 3, 4, 5, 6, 7, 8, 9), profile="p", first_ms=1)
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(waiting), type=Open) == waiting
