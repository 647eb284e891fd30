"""Who talks most between two looks."""

import numpy as np

from collectors.traffic.block import from_packets
from collectors.traffic.decode.decoder import DecodeOptions, Decoder
from collectors.traffic.flows.table import FlowOptions, FlowTable
from collectors.traffic.output.statistics import MAX_PEERS, Talkers
from tests.collectors.traffic.rules.engine import scene


def test_bytes_are_counted_for_both_ends_once_and_only_since_the_last_time() -> None:
    decoder, flows, talkers = Decoder(DecodeOptions()), FlowTable(FlowOptions()), Talkers()
    packets = [scene.udp(b"x" * 100), scene.udp(b"y" * 50)]

    def take() -> None:
        block = from_packets(packets)
        talkers.ended(flows.update(block, decoder.decode(block)).ended)

    take()
    first = talkers.report(flows.columns)
    assert len(first) == 2 and sum(peer.flows for peer in first.values()) == 2
    sent = sum(peer.bytes_sent for peer in first.values())
    assert sent == sum(peer.bytes_received for peer in first.values()) == sum(len(packet) for packet in packets)
    assert talkers.report(flows.columns) == {}, "nothing new"
    take()
    again = talkers.report(flows.columns)
    assert sum(peer.bytes_sent for peer in again.values()) == sent and not any(peer.flows for peer in again.values())


def test_flows_that_end_in_between_count_and_only_the_most_talkative_are_named() -> None:
    decoder, flows, talkers = Decoder(DecodeOptions()), FlowTable(FlowOptions()), Talkers()
    packet = bytearray(scene.udp(b"z" * 10))
    packets = []
    for last in range(60):
        packet[29] = last  # the source address
        packets.append(bytes(packet))
    block = from_packets(packets)
    flows.update(block, decoder.decode(block))
    talkers.ended([flows.shut_down()])
    found = talkers.report(flows.columns)
    assert len(found) == MAX_PEERS and max(peer.packets for peer in found.values()) >= 30
    assert not np.any(flows.columns.live)
