"""A capture from end to end: options that change what is seen, damaged files, and files that are none."""

import io
import struct

import pytest
from scapy.layers.inet import IP, TCP

from collectors.traffic.reading import Reading, ReadOptions
from contracts.errors import Malformed
from tests.collectors.traffic.oracle import ether
from tests.collectors.traffic.rules.engine import scene

NEEDLE = 'alert tcp any any -> any any (flow:established,only_stream; content:"needle";)'


def test_a_bad_checksum_hides_a_segment_unless_checksums_are_ignored() -> None:
    packets = scene.Talk(dport=9999).ask(b"a needle").close().packets
    broken = bytearray(packets[3])
    broken[14 + 20 + 16] ^= 0xFF
    packets[3] = bytes(broken)
    assert scene.counts(packets, NEEDLE) == {}
    assert scene.counts(packets, NEEDLE, verify_checksums=False) == {1: 1}


def test_a_session_without_its_beginning_is_followed_when_told_to() -> None:
    packets = scene.Talk(dport=9999).ask(b"a needle").answer(b"yes").ask(b"more").close().packets[3:]
    assert scene.counts(packets, NEEDLE) == {}
    assert scene.counts(packets, NEEDLE, midstream=True) == {1: 1}


def test_one_side_alone_is_followed_when_told_to() -> None:
    packets = [
        one
        for one in scene.Talk(dport=9999).ask(b"a needle").ask(b"more").close().packets
        if one[26:30] == bytes([10, 0, 0, 1])
    ]
    rule = 'alert tcp-stream any any -> any any (content:"needle";)'
    assert scene.counts(packets, rule, async_oneside=True) == {1: 1}


def test_in_line_drop_rules_block() -> None:
    rule = 'drop udp any any -> any any (content:"a";)'
    assert [one.blocked for one in scene.alerts([scene.udp(b"a")], rule, inline=True)] == [True]


def test_a_file_that_is_cut_is_named_and_what_came_before_counts() -> None:
    whole = scene.capture([scene.udp(b"needle"), scene.udp(b"needle")]).getvalue()
    reading = Reading(
        io.BytesIO(whole[:-5]), scene.rules('alert udp any any -> any any (content:"needle";)'), ReadOptions()
    )
    assert len(list(reading.alerts())) == 1
    assert reading.problem != ""


def test_a_file_that_is_no_capture_is_refused() -> None:
    with pytest.raises(Malformed):
        Reading(io.BytesIO(b"#!/bin/sh\n" * 10), [], ReadOptions())


def test_an_empty_capture_says_nothing() -> None:
    reading = Reading(scene.capture([]), scene.rules(NEEDLE), ReadOptions())
    assert (list(reading.alerts()), reading.problem) == ([], "")


def test_a_segment_without_a_session_is_looked_at_by_itself() -> None:
    alone = bytes(
        ether() / IP(src="10.0.0.1", dst="10.0.0.2") / TCP(sport=1, dport=2, flags="PA", seq=5, ack=6) / b"needle"
    )
    assert scene.counts([alone], 'alert tcp any any -> any any (content:"needle";)', NEEDLE) == {1: 1}


def test_a_capture_of_which_something_was_cut_says_so() -> None:
    reading = Reading(scene.capture([]), scene.rules(NEEDLE), ReadOptions())
    assert (list(reading.alerts()), reading.cut) == ([], 0)
    reading._protocols.account.cut = 3
    assert reading.cut == 3


def _notes(capture: bytes, **options: bool) -> list[str]:
    reading = Reading(io.BytesIO(capture), [], ReadOptions(**options))
    assert list(reading.alerts()) == []
    return list(reading.notes())


def test_what_was_not_looked_at_is_said() -> None:
    whole = scene.capture([scene.udp(b"a"), scene.udp(b"b")]).getvalue()
    assert _notes(whole) == []
    assert "no packet" in _notes(whole[:24])[0]
    foreign = Reading(io.BytesIO(whole[:20] + struct.pack("<I", 127) + whole[24:]), [], ReadOptions())
    assert list(foreign.alerts()) == [] and foreign.unread
    assert "2 of 2 packets are of link type 127" in next(iter(foreign.notes()))


def test_bad_checksums_and_cut_packets_are_counted() -> None:
    broken = bytearray(scene.Talk(dport=9999).ask(b"a").packets[3])
    broken[-1] ^= 0xFF
    capture = scene.capture([bytes(broken), scene.udp(b"b")]).getvalue()
    (note,) = _notes(capture)
    assert note.startswith("1 TCP segment has a bad checksum")
    assert _notes(capture, verify_checksums=False) == []
    length = struct.unpack_from("<I", capture, 36)[0]
    cut = capture[:36] + struct.pack("<I", length + 9) + capture[40:]
    assert any("1 of 2 packets was cut" in one for one in _notes(cut))
