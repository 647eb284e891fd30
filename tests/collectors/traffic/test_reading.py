"""A capture from end to end: options that change what is seen, damaged files, and files that are none."""

import io

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
