"""The cursor of a page is a place, and nothing else is one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.store.sql_events import _place
from contracts.errors import UsageError


@given(st.integers(0, 2**62), st.integers(0, 2**62))
def test_a_place_is_read_as_written(at: int, number: int) -> None:
    assert _place(f"{at}-{number}") == (at, number)


@given(st.text(max_size=60).filter(lambda text: not text.replace("-", "", 1).isdigit()))
def test_other_text_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        _place(text)
