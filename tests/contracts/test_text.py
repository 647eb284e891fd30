"""Any byte string survives as text, and nothing else is taken for one."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.text import escape, unescape


@given(st.binary(max_size=300))
def test_every_name_comes_back_unchanged_and_travels_as_utf8(name: bytes) -> None:
    text = escape(name)
    assert unescape(text.encode("utf-8").decode("utf-8")) == name


@given(st.binary(max_size=100), st.binary(max_size=100))
def test_different_names_stay_different(one: bytes, other: bytes) -> None:
    assert (escape(one) == escape(other)) == (one == other)


def test_valid_utf8_stays_readable() -> None:
    assert escape("ä/ü".encode()) == "ä/ü"
    assert escape(b"a\xffb") == "a\\xffb"
    assert escape(b"a\\xff") == "a\\\\xff"
    assert escape(os.fsdecode(b"\xfe")) == "\\xfe"


@pytest.mark.parametrize("text", ["\\", "a\\b", "\\x", "\\xf", "\\xFF", "\\\\\\"])
def test_what_escape_could_not_have_written_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="stray backslash"):
        unescape(text)
