"""The bytes that a content stands for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.traffic.rules.language.content_keywords import pattern
from collectors.traffic.rules.language.errors import Refused


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("abc", b"abc"),
        ("a|0D|bc", b"a\rbc"),
        ("|61 0d 62 63|", b"a\rbc"),
        ("|610d|", b"a\r"),
        ("|61||62|", b"ab"),
        (r"a\;\:\\\"", b'a;:\\"'),
        ("\xff", b"\xff"),
        ("||a", b"a"),
    ],
)
def test_words_escapes_and_hexadecimal(text: str, expected: bytes) -> None:
    assert pattern(text) == expected


@pytest.mark.parametrize("text", ["", "||", "|6|", "|zz|", "a|61", r"\a", "\\", 'a"b', "|6 1|x|"])
def test_what_is_no_content_is_refused(text: str) -> None:
    with pytest.raises(Refused):
        pattern(text)


@given(st.binary(min_size=1, max_size=40))
def test_any_bytes_can_be_written_as_hexadecimal(data: bytes) -> None:
    assert pattern(f"|{data.hex(' ')}|") == data
