"""Cursors."""

from hypothesis import given
from hypothesis import strategies as st

from console.web.api.paging import page_after


@given(st.sets(st.text(min_size=1, max_size=4), max_size=30), st.integers(1, 7))
def test_pages_together_hold_everything_once(keys, limit):
    rows, seen, cursor = sorted(keys), [], ""
    while True:
        page, cursor = page_after(rows, cursor, limit, str)
        assert len(page) <= limit
        seen += page
        if not cursor:
            break
    assert seen == rows


def test_what_is_removed_in_between_skips_nothing():
    page, cursor = page_after(["a", "b", "c", "d"], "", 2, str)
    assert page == ["a", "b"]
    assert page_after(["a", "c", "d"], cursor, 2, str)[0] == ["c", "d"]
