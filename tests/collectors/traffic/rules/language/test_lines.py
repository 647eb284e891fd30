"""Which lines of a file make a rule."""

from hypothesis import given
from hypothesis import strategies as st

from collectors.traffic.rules.language.lines import rules


def test_lines_are_joined_counted_and_stripped() -> None:
    text = b"\xef\xbb\xbfone\r\n# two\r\n\r\n  three \\\r\n  four\\\n\nfive\\"
    assert list(rules(text)) == [(1, "one"), (4, "three   four"), (7, "five")]


def test_a_comment_is_not_continued() -> None:
    assert list(rules(b"# a \\\nb\n")) == [(2, "b")]


@given(st.binary(max_size=200))
def test_no_bytes_raise_and_lines_are_in_order(data: bytes) -> None:
    numbers = [line for line, _ in rules(data)]
    assert numbers == sorted(numbers)
