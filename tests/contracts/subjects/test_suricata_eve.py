"""Rows of the subject `suricata_eve`."""

import msgspec

from contracts.subjects.suricata_eve import Place, Row, Stats


def test_rows_travel() -> None:
    for row in (
        Row(what="file", place=Place(inode=1, device=2, offset=3)),
        Row(what="stats", stats=Stats(at_ms=5, dropped=1)),
    ):
        assert msgspec.msgpack.decode(msgspec.msgpack.encode(row), type=Row) == row
