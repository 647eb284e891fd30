import pytest

from collectors.traffic.protocols.http import lines


def test_chunk_lengths_are_read_as_browsers_read_them() -> None:
    assert lines.chunk_length(b"1a\r\n") == (26, False)
    assert lines.chunk_length(b" \t0005  ;name=value\r\n") == (5, True)
    assert lines.chunk_length(b"\r\n") == (None, False)
    assert lines.chunk_length(b"ffffffff\r\n") == (None, False)
    for text in (b"xyz\r\n", b";5\r\n", b"f" * 20 + b"\r\n"):
        with pytest.raises(ValueError):
            lines.chunk_length(text)


def test_content_length_passes_over_junk_around_the_number() -> None:
    assert lines.content_length(b"  12 ") == 12
    assert lines.content_length(b"a12b") == 12
    assert lines.content_length(b"-") is None
    assert lines.content_length(b"9" * 30) is None


def test_versions_with_white_space_and_zeros_are_known() -> None:
    assert lines.version(b"HTTP/1.1") == lines.HTTP_11
    assert lines.version(b"http / 01.0") == lines.HTTP_10
    assert lines.version(b"HTTP/.9") == lines.HTTP_09
    assert lines.version(b"HTTP/1.2") == lines.INVALID
    assert lines.version(b"JUNK/1.0") == lines.INVALID


def test_a_line_that_is_no_status_line_is_body() -> None:
    assert not lines.looks_like_body(b"HTTP/1.1 200 OK\r\n")
    assert not lines.looks_like_body(b"\0 http")
    assert lines.looks_like_body(b"<html>")


def test_status_numbers_have_three_digits_and_nothing_else() -> None:
    assert [lines.status_number(text) for text in (b"200", b" 404 ", b"99", b"2oo", b"1000", b"")] == [
        200,
        404,
        -1,
        -1,
        -1,
        -1,
    ]
