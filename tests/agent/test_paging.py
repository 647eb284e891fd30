"""Reports and snapshots in pages that fit a frame."""

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.framing import worker_codec
from agent.paging import report_pages, row_pages
from contracts.errors import TooLarge
from contracts.event import Event, Severity
from contracts.frames import MAX_FRAME, PAGE_BYTES
from contracts.record import Record


class Row(Record):
    text: str


@settings(max_examples=30)
@given(
    st.dictionaries(st.text(max_size=8), st.integers(0, 90_000), max_size=12), st.lists(st.text(max_size=9), max_size=5)
)
def test_pages_hold_everything_once_and_each_fits_a_frame(sizes, removed):
    put = {key: Row(text="x" * size) for key, size in sizes.items()}
    events = [Event(kind="a.b", key=key, severity=Severity.LOW) for key in sizes]
    pages = list(report_pages(3, events, put, removed))
    codec = worker_codec()
    assert all(len(codec.encode(page)) <= MAX_FRAME for page in pages)
    assert [event.key for page in pages for event in page.events] == list(sizes)
    assert {key: msgspec.msgpack.decode(row, type=Row) for page in pages for key, row in page.put.items()} == put
    assert [key for page in pages for key in page.removed] == removed


def test_nothing_found_is_no_page_but_an_empty_snapshot_is_one():
    assert list(report_pages(1, (), {}, ())) == []
    assert list(row_pages({})) == [{}]


def test_a_row_that_no_frame_can_carry_is_too_large():
    with pytest.raises(TooLarge, match="the row 'big'"):
        list(report_pages(1, (), {"big": Row(text="x" * MAX_FRAME)}, ()))


def test_rows_are_paged_by_size():
    rows = {f"{n}": bytes(1000) for n in range(1000)}
    pages = list(row_pages(rows))
    assert {key: row for page in pages for key, row in page.items()} == rows
    assert len(pages) == 4 and all(sum(map(len, page.values())) <= PAGE_BYTES for page in pages)
