"""The column table: empty rows, growth, events, addresses as text."""

import numpy as np

from collectors.traffic.decode.events import NAMES
from collectors.traffic.decode.table import COLUMNS, Table, address


def test_rows_are_empty_at_first_and_after_clearing() -> None:
    table = Table(3)
    table.src_lo[:] = 7
    table.mark("ipv4.trunc_pkt", np.array([1]))
    table.clear(5)
    assert len(table) == 5 and not table.events.any() and not table.src_lo.any()
    assert table.packet.tolist() == [0, 1, 2, 3, 4] and set(table.l4.tolist()) == {-1}


def test_extending_keeps_what_is_there() -> None:
    table = Table(4, spare=2)
    table.sport[:] = [1, 2, 3, 4]
    for count in (1, 1, 50):
        rows = table.extend(count)
        table.sport[rows] = 9
    assert table.sport.tolist() == [1, 2, 3, 4] + [9] * 52
    assert table.captured == 4
    assert all(len(getattr(table, name)) == 56 for name in COLUMNS)


def test_every_event_can_be_set_and_found() -> None:
    table = Table(len(NAMES))
    for row, name in enumerate(NAMES):
        table.mark(name, np.array([row]))
    assert [table.event_names(row) for row in range(len(NAMES))] == [(name,) for name in NAMES]
    assert [table.having(name).tolist() for name in NAMES] == [[row] for row in range(len(NAMES))]


def test_addresses_are_written_as_people_do() -> None:
    assert address(4, 0, 0x0A000001) == "10.0.0.1"
    assert address(6, 0x20010DB800000000, 1) == "2001:db8::1"
    assert address(0, 0, 0) == ""
