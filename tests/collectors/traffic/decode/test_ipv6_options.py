"""Options of IPv6 headers: looked at up to a bound, and never beyond their header."""

import time

from collectors.traffic.block import LINK_IPV6
from collectors.traffic.decode.ipv6_options import MAX_OPTIONS
from tests.collectors.traffic.decode.test_ipv6 import UDP_BYTES, raw
from tests.collectors.traffic.oracle import decode


def header(options: bytes) -> bytes:
    return raw(0, bytes([17, (len(options) + 2) // 8 - 1]) + options + UDP_BYTES)


def test_the_last_option_that_is_looked_at_counts_and_the_next_does_not() -> None:
    for padding, seen in ((MAX_OPTIONS - 1, True), (MAX_OPTIONS, False)):
        options = bytes(padding) + b"\x3e\x00"
        options += bytes(-(len(options) + 2) % 8)
        assert ("ipv6.hopopts_unknown_opt" in decode(header(options), link=LINK_IPV6).event_names(0)) == seen


def test_a_header_full_of_padding_costs_little() -> None:
    packet = header(bytes(2046))
    begin = time.process_time()
    table = decode(*[packet] * 50, link=LINK_IPV6)
    assert time.process_time() - begin < 1
    assert set(table.sport.tolist()) == {1}
