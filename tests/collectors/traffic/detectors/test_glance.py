"""A block by flow: sums and flags by direction, each packet once whatever the interfaces, tunnels by what they carry."""

import random

import numpy as np

from collectors.traffic.detectors.glance import Glance
from tests.collectors.traffic.detectors.crowd import ACK, SYN, Listener, Packet, Talk, datagram, frame, segment

US, THEM = "10.0.0.10", "203.0.113.9"


class Seen(Listener):
    """Keeps the glances, with what is said by then of each flow."""

    def __init__(self) -> None:
        super().__init__()
        self.glances: list[Glance] = []
        fold = self.detectors._folds[0]

        def keep(glance: Glance) -> None:
            self.glances.append(glance)
            fold(glance)

        self.detectors._folds[0] = keep

    def totals(self) -> tuple[list[int], list[int]]:
        """Return packets and payload bytes, (to server, to client), of all blocks."""
        packets = np.sum([one.packets.sum(1) for one in self.glances], axis=0)
        said = np.sum([one.said.sum(1) for one in self.glances], axis=0)
        return packets.tolist(), said.tolist()


def conversation() -> list[Packet]:
    """Return five packets of the client, three of the server."""
    return Talk(THEM, US, 80, 0.0, 5000).open().ask(b"x" * 100).answer(b"y" * 300).packets


def test_packets_and_bytes_are_counted_by_direction() -> None:
    seen = Seen()
    seen.hear(conversation(), 3)
    assert seen.totals() == ([4, 3], [100, 300])
    assert bool(seen.detectors._memory.proven.any())


def test_the_same_packets_on_bridge_veth_and_card_count_once() -> None:
    for size in (1, 2, 50):
        seen = Seen()
        for at in range(0, 50, size):
            part = conversation()[at : at + size]
            for interface in (2, 0, 1) if part else ():
                seen.block(part, interface)
        assert seen.totals() == ([4, 3], [100, 300])


def test_blocks_of_several_interfaces_count_each_packet_once() -> None:
    from collectors.traffic.block import from_packets

    chance, seen = random.Random(3), Seen()
    packets = [(at, packet, interface) for at, packet in conversation() for interface in chance.sample(range(3), 3)]
    block = from_packets([packet for _, packet, _ in packets], time_ns=[int(at * 1e9) for at, _, _ in packets])
    block.interface[:] = [interface for *_, interface in packets]
    table = seen.decoder.decode(block)
    batch = seen.flows.update(block, table)
    news = seen.streams.feed(block, table, batch)
    seen.detectors.feed(block, table, batch, news, [])
    assert seen.totals() == ([4, 3], [100, 300])


def test_both_directions_may_take_different_interfaces() -> None:
    seen = Seen()
    for at, packet in conversation():
        seen.block([(at, packet)], 1 if packet[26:30] == bytes([10, 0, 0, 10]) else 0)
    assert seen.totals() == ([4, 3], [100, 300])


def test_a_tunnel_counts_by_what_it_carries() -> None:
    inner = segment(THEM, US, 5000, 80, SYN, 5)[14:]
    seen = Seen()
    seen.hear([(0.0, frame("192.0.2.1", "192.0.2.2", 4, inner))])
    (glance,) = seen.glances
    assert sorted(glance.packets[0].tolist()) == [0, 1]
    assert glance.protocol[glance.packets[0] == 1].tolist() == [6]


def test_flags_are_gathered_by_direction() -> None:
    seen = Seen()
    seen.hear([(0.0, segment(THEM, US, 5000, 80, SYN, 5)), (0.1, segment(US, THEM, 80, 5000, SYN | ACK, 7, 6))])
    (glance,) = seen.glances
    assert glance.flags.tolist() == [(SYN | ACK) << 8 | SYN]


def test_our_networks_are_known_by_flow() -> None:
    seen = Seen()
    seen.hear([(0.0, datagram(THEM, US, 5000, 53, b"x"))])
    slot = int(seen.glances[0].flow[0])
    assert seen.detectors._memory.ours[:, slot].tolist() == [False, True]
