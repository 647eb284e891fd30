"""Netlink messages are taken apart within their bounds."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.errors import Malformed
from host import netlink


@given(st.lists(st.tuples(st.integers(0, 65535), st.binary(max_size=40)), max_size=10))
def test_every_message_is_found(parts: list[tuple[int, bytes]]) -> None:
    raw = b""
    for kind, body in parts:
        raw += struct.pack("=IHHII", 16 + len(body), kind, 0, 0, 0) + body + bytes(-len(body) % 4)
    found = [(kind, raw[start:end]) for kind, _, start, end in netlink.messages(raw)]
    assert found == parts


@given(st.binary(min_size=1, max_size=200))
def test_nothing_outside_the_buffer_is_read(raw: bytes) -> None:
    try:
        for _, _, start, end in netlink.messages(raw):
            assert 0 <= start <= end <= len(raw)
    except Malformed:
        pass


@pytest.mark.parametrize("length", [0, 15, 33])
def test_a_wrong_length_is_refused(length: int) -> None:
    with pytest.raises(Malformed, match="netlink message"):
        list(netlink.messages(struct.pack("=IHHII", length, 1, 0, 0, 0) + bytes(16)))


def test_the_error_number_is_positive() -> None:
    raw = struct.pack("=i", -2)
    assert netlink.error_number(raw, 0, 4) == 2
    assert netlink.error_number(raw, 0, 0) == 0
