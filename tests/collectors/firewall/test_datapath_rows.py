"""Rows stay under what a frame carries, and are the same objects as before where nothing changed."""

from hypothesis import given
from hypothesis import strategies as st

from agent.paging import report_pages
from collectors.firewall.datapath_rows import MAX_ROW, Sheet
from contracts.errors import Why
from contracts.subjects.datapath import Row


def test_an_unchanged_row_is_the_one_from_before() -> None:
    before = {"switch net.a": Row(what="switch", text="1")}
    sheet = Sheet(before)
    sheet.put("switch", "net.a", text="1")
    assert sheet.rows["switch net.a"] is before["switch net.a"]


@given(st.integers(-3, 3), st.sampled_from("xé\N{GRINNING FACE}"))
def test_whatever_the_size_the_rows_travel(more: int, letter: str) -> None:
    count = MAX_ROW // len(letter.encode()) + more
    sheet = Sheet({})
    sheet.put("rule", "ip", "t", "c", "1", document=letter * count, bare="{}")
    list(report_pages(1, (), sheet.rows, ()))
    row = sheet.rows["rule ip t c 1"]
    assert (row.unread != "") == (len(letter.encode()) * count > MAX_ROW)
    assert [spot.why for spot in sheet.spots()] == ([Why.TOO_LARGE] if row.unread else [])


def test_a_chain_of_more_rules_than_travel_keeps_what_it_is() -> None:
    sheet = Sheet({})
    sheet.put("chain", "ip", "t", "c", document='{"name":"c"}', order=tuple(range(200_000)), bare='{"name":"c"}')
    row = sheet.rows["chain ip t c"]
    assert row.document == '{"name":"c"}'
    assert row.order == ()
    assert row.unread
    list(report_pages(1, (), sheet.rows, ()))


def test_equal_names_get_a_number() -> None:
    sheet = Sheet({})
    for metric in ("1", "2", "3"):
        sheet.put_next("route", "4", "default", document=metric)
    assert list(sheet.rows) == ["route 4 default", "route 4 default 2", "route 4 default 3"]


def test_odd_names_do_not_meet_in_one_key() -> None:
    sheet = Sheet({})
    sheet.put("chain", "ip", "a b", "c")
    sheet.put("chain", "ip", "a", "b c")
    sheet.put("chain", "ip", 'a"', "\n")
    assert len(sheet.rows) == 3
