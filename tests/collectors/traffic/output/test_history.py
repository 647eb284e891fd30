"""The packets that came last, by flow, as a capture file."""

import io

import numpy as np

from collectors.traffic.block import VLAN_STRIPPED, from_packets
from collectors.traffic.captures import open_capture
from collectors.traffic.decode.decoder import DecodeOptions, Decoder
from collectors.traffic.output.history import History
from tests.collectors.traffic.rules.engine import scene

DECODER = Decoder(DecodeOptions())


def packets(capture: bytes) -> list[bytes]:
    source = open_capture(io.BytesIO(capture))
    found = [block.packet(index) for block in source.blocks() for index in range(len(block))]
    assert not source.problem
    return found


def add(history: History, datagrams: list[bytes], serials: list[int], begin_ns: int) -> None:
    block = from_packets(datagrams, time_ns=[begin_ns + number for number in range(len(datagrams))])
    history.add(block, DECODER.decode(block), np.array(serials, np.int64))


def test_a_flow_s_packets_of_several_blocks_come_in_order_and_within_bounds() -> None:
    history = History(1 << 20)
    one, two, three = scene.udp(b"one"), scene.udp(b"two"), scene.udp(b"three")
    add(history, [one, two], [7, 8], 1000)
    add(history, [three, two], [7, 8], 2000)
    assert packets(history.capture(7, 9999, 64, 1 << 16)) == [one, three]
    assert packets(history.capture(7, 1500, 64, 1 << 16)) == [one], "nothing that came after the alert"
    assert packets(history.capture(7, 9999, 1, 1 << 16)) == [three], "the newest"
    assert packets(history.capture(7, 9999, 64, len(three) + 60)) == [three]
    assert history.capture(99, 9999, 64, 1 << 16) == b""
    assert packets(history.packet(1)) == [two]


def test_the_oldest_blocks_are_given_up() -> None:
    history = History(1500)
    for number in range(10):
        add(history, [scene.udp(bytes([number]) * 400)], [7], number * 1000)
    assert 1 < len(packets(history.capture(7, 1 << 40, 64, 1 << 16))) < 5


def test_a_tag_that_the_kernel_took_off_is_put_back() -> None:
    history = History(1 << 20)
    block = from_packets([scene.udp(b"tagged")])
    block.flags[:] = VLAN_STRIPPED
    block.vlan[:] = 42
    history.add(block, DECODER.decode(block), np.array([7], np.int64))
    (found,) = packets(history.capture(7, 1 << 40, 64, 1 << 16))
    assert found[12:16] == bytes.fromhex("8100002a") and found[:12] + found[16:] == scene.udp(b"tagged")
