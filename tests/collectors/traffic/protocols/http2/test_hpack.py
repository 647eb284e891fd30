"""Header compression: what libnghttp2 writes is read as it was meant; whatever else comes is read as far as it goes, within bounds."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collectors.traffic.protocols.http2 import hpack
from collectors.traffic.protocols.http2.hpack import CUT_OFF, INVALID, OVERFLOW, TOO_LARGE, Table
from tests.collectors.traffic.protocols.http2.wire import Deflater

NAMES = st.sampled_from([b":path", b":method", b"cookie", b"user-agent", b"x-odd", b"accept-encoding"]) | st.binary(
    min_size=1, max_size=30
).map(lambda name: name.replace(b"\0", b"_"))
FIELDS = st.lists(st.tuples(NAMES, st.binary(max_size=200)), max_size=12)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.sampled_from([-1, -1, -1, 0, 60, 500, 4096]), FIELDS), max_size=8))
def test_blocks_of_a_real_endpoint_are_read_as_they_were_meant(
    blocks: list[tuple[int, list[tuple[bytes, bytes]]]],
) -> None:
    writer, table = Deflater(), Table()
    for size, fields in blocks:
        if size >= 0:
            writer.resize(size)
            table.allow(size)
        assert table.decode(writer.block(fields)) == fields
        assert table.problems == []


def test_the_example_of_the_rfc() -> None:
    """RFC 7541, C.3: three requests on one connection."""
    table = Table()
    first = table.decode(bytes.fromhex("828684410f7777772e6578616d706c652e636f6d"))
    assert first == [(b":method", b"GET"), (b":scheme", b"http"), (b":path", b"/"), (b":authority", b"www.example.com")]
    assert table.decode(bytes.fromhex("828684be58086e6f2d6361636865"))[-1] == (b"cache-control", b"no-cache")
    third = table.decode(bytes.fromhex("828785bf400a637573746f6d2d6b65790c637573746f6d2d76616c7565"))
    assert third[3:] == [(b":authority", b"www.example.com"), (b"custom-key", b"custom-value")]


@pytest.mark.parametrize(
    ("block", "fields", "problem"),
    [
        ("82be", [(b":method", b"GET"), (b"", b"")], INVALID),  # an entry that is not there
        ("8082", [(b"", b""), (b":method", b"GET")], INVALID),  # number 0
        ("824105", [(b":method", b"GET")], CUT_OFF),  # five bytes of a value that has none
        ("82ff", [(b":method", b"GET")], CUT_OFF),
        ("82ffffffffffff", [(b":method", b"GET")], OVERFLOW),
        ("000182018000", [(b"\x82", b"\x80")], CUT_OFF),
        ("000161810082", [(b"a", b"\x00"), (b":method", b"GET")], INVALID),  # a value that its code does not know
        ("3fe11f82", [(b":method", b"GET")], ""),  # a table of 4,096 bytes
        ("3fe21f82", [(b":method", b"GET")], INVALID),  # one byte more than is allowed
    ],
)
def test_what_is_wrong_is_told_and_the_rest_is_read(
    block: str, fields: list[tuple[bytes, bytes]], problem: str
) -> None:
    table = Table()
    assert table.decode(bytes.fromhex(block)) == fields
    assert table.problems == ([problem] if problem else [])


def test_sizes_that_a_block_asks_for_are_told() -> None:
    table = Table()
    assert table.decode(bytes.fromhex("20 3fe11f 82")) == [(b":method", b"GET")]
    assert table.updates == [0, 4096]


def test_a_block_that_was_not_seen_makes_the_entries_unknown() -> None:
    writer, table = Deflater(), Table()
    block = writer.block([(b"x-key", b"value")])
    assert table.decode(block) == [(b"x-key", b"value")]
    again = writer.block([(b"x-key", b"value")])
    table.lose()
    assert table.decode(again) == [(b"", b"")]
    assert table.problems == [INVALID]


def test_a_bomb_of_one_byte_per_field_is_kept_within_bounds() -> None:
    table = Table()
    big = b"\x40\x01a\x7f" + bytes([0x80 + (3900 - 127) % 128, (3900 - 127) // 128]) + b"x" * 3900
    assert len(table.decode(big)) == 1
    fields = table.decode(b"\xbe" * 60_000)
    assert sum(len(name) + len(value) for name, value in fields) <= hpack.MAX_LIST
    assert table.problems == [TOO_LARGE]
    assert len(table.decode(b"\x82" * 60_000)) == hpack.MAX_FIELDS


def test_the_table_stays_within_what_is_allowed() -> None:
    table, chance = Table(), random.Random(5)
    table.allow(1 << 31)
    for _ in range(300):
        table.decode(b"\x3f\xe1\xff\x03" + b"\x40\x01a\x7f\x81\x06" + chance.randbytes(1000))
    assert table._size <= hpack.MAX_TABLE
    assert sum(len(name) + len(value) + hpack.ENTRY for name, value in table._entries) == table._size


@settings(max_examples=300, deadline=None)
@given(st.lists(st.binary(max_size=300), max_size=6))
def test_nothing_is_raised_by_any_bytes(blocks: list[bytes]) -> None:
    table = Table()
    for block in blocks:
        fields = table.decode(block)
        assert len(fields) <= hpack.MAX_FIELDS
        assert table._size <= hpack.FIRST_TABLE
        assert set(table.problems) <= {INVALID, OVERFLOW, TOO_LARGE, CUT_OFF}
