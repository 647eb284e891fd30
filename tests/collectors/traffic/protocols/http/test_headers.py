from hypothesis import given
from hypothesis import strategies as st

from collectors.traffic.protocols.http.headers import FOLDED, MISSING_COLON, Header, Headers, parse

NAMES = st.text("abcdefghijklmnopqrstuvwxyzABCDEF-_0123456789", min_size=1, max_size=12).map(str.encode)
VALUES = st.text("abcdefghij XYZ0123456789;,=/\"'", max_size=24).map(lambda text: text.strip().encode())


def fields(data: bytes, response: bool = True, complete: bool = False) -> list[tuple[bytes, bytes]]:
    return [header[:2] for header in parse(data, response, complete)[0]]


@given(st.lists(st.tuples(NAMES, VALUES), min_size=1, max_size=8), st.sampled_from([b"\r\n", b"\n"]), st.booleans())
def test_well_formed_fields_come_back_whatever_the_line_end(
    pairs: list[tuple[bytes, bytes]], end: bytes, response: bool
) -> None:
    block = b"".join(name + b": " + value + end for name, value in pairs)
    headers, taken, ended = parse(block + end + b"body", response)
    assert [header[:2] for header in headers] == pairs
    assert (taken, ended) == (len(block) + len(end), True)


@given(st.lists(st.tuples(NAMES, VALUES), min_size=1, max_size=6), st.data())
def test_a_block_cut_anywhere_gives_the_same_fields(pairs: list[tuple[bytes, bytes]], data: st.DataObject) -> None:
    block = b"".join(name + b":" + value + b"\r\n" for name, value in pairs) + b"\r\n"
    cut = data.draw(st.integers(0, len(block)))
    first, taken, ended = parse(block[:cut], True)
    second, more, _ = parse(block[taken:], True) if not ended else ([], 0, True)
    assert [header[:2] for header in first + second] == pairs
    assert taken + more == len(block)


def test_folded_lines_are_one_value() -> None:
    headers, _, _ = parse(b"A: one\r\n two\r\n\tthree\r\nB: x\r\n\r\n", False)
    assert headers == [Header(b"A", b"one two\tthree", FOLDED), Header(b"B", b"x")]


def test_a_folded_line_that_is_a_field_is_one_in_responses_as_browsers_have_it() -> None:
    assert fields(b"A: one\r\n Content-Length: 5\r\n\r\n") == [(b"A", b"one"), (b"Content-Length", b"5")]
    assert fields(b"A: one\r\n Content-Length: 5\r\n\r\n", response=False) == [(b"A", b"one Content-Length: 5")]


def test_bare_carriage_returns_end_lines_in_responses_alone() -> None:
    assert fields(b"A: 1\rB: 2\r\n\r\n") == [(b"A", b"1"), (b"B", b"2")]
    assert fields(b"A: 1\rB: 2\r\n\r\n", response=False) == [(b"A", b"1\rB: 2")]


def test_a_line_without_colon_is_a_value_without_name() -> None:
    assert parse(b"junk\r\nA: 1\r\n\r\n", True)[0] == [Header(b"", b"junk", MISSING_COLON | 32), Header(b"A", b"1")]


def test_nothing_hangs_at_the_end_of_a_connection() -> None:
    for data in (b"", b"A", b"A:", b"A: 1\r\n", b"\r", b" ", b"A: 1\r\n \r\n \r"):
        headers, taken, _ = parse(data, True, True)
        assert taken <= len(data) and len(headers) <= 2


def test_many_folds_are_bounded() -> None:
    headers, _, _ = parse(b"A: x\r\n" + b" y\r\n" * 100_000 + b"\r\n", True)
    assert max(len(header.value) for header in headers) < 1_000


def test_repeated_fields_join_and_lengths_do_not() -> None:
    headers = Headers()
    said = [headers.add(Header(name, value)) for name, value in (
        (b"X", b"1"), (b"x", b"2"), (b"X", b"3"), (b"Content-Length", b"5"), (b"content-length", b"6"), (b"Co\0okie", b"c"))]  # fmt: skip
    assert said == ["", "repeated", "", "", "length", ""]
    assert headers.get(b"x") == b"1, 2, 3"
    assert headers.get(b"content-length") == b"5"
    assert headers.get(b"cookie") == b"c"
