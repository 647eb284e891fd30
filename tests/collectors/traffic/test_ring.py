"""The ring on a real veth pair."""

import itertools
import socket
import struct
import time

import pytest
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.l2 import Dot1Q, Ether

from collectors.traffic.block import CHECKSUM_NOT_READY, OUTGOING, VLAN_STRIPPED, Block
from collectors.traffic.decode.decoder import DecodeOptions, Decoder
from collectors.traffic.ring import Ring, RingOptions
from contracts.errors import Malformed
from tests.collectors.traffic.netns import alone


def send(name: str, frames: list[bytes]) -> None:
    """Send frames over an interface as they are."""
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as sender:
        sender.bind((name, 0))
        for frame in frames:
            sender.send(frame)


def deliver(ring: Ring, name: str, frames: list[bytes]) -> None:
    """Send frames, few enough at a time for the kernel's backlog (1000 of each processor) where nothing takes them off it for a while."""
    for at in range(0, len(frames), 200):
        goal = ring.counts.seen + len(frames[at : at + 200])
        send(name, frames[at : at + 200])
        until = time.monotonic() + 60
        while ring.counts.seen < goal:
            assert time.monotonic() < until
            ring.refresh()


def frame(number: int, port: int = 9) -> bytes:
    """Return a datagram that carries a number."""
    return bytes(
        Ether(dst="ff:ff:ff:ff:ff:ff")
        / IP(src="10.9.0.1", dst="10.9.0.2")
        / UDP(sport=7, dport=port)
        / struct.pack(">I", number)
    )


def read(ring: Ring, count: int, seconds: float = 20.0) -> list[bytes]:
    """Return the packets of a ring, until there are `count` or the time is over."""
    packets: list[bytes] = []
    until = time.monotonic() + seconds
    while len(packets) < count and time.monotonic() < until:
        block = ring.take()
        if block is None:
            time.sleep(0.01)
            continue
        packets += [block.packet(index) for index in range(len(block))]
    return packets


def wait(ring: Ring, seconds: float = 20.0) -> Block:
    """Return the next block."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        block = ring.take()
        if block is not None:
            return block
        time.sleep(0.01)
    raise AssertionError("no block came")


def ours(packets: list[bytes]) -> list[bytes]:
    """Return the packets that a test sent (the kernel speaks IPv6 over a new interface, too)."""
    return [packet for packet in packets if packet[12:14] in (b"\x08\x00", b"\x81\x00")]


def test_packets_come_whole_and_in_order() -> None:
    def body() -> None:
        ring = Ring("hfb", options=RingOptions(filter="udp port 9"))
        frames = [frame(number) for number in range(500)]
        deliver(ring, "hfa", frames)
        assert read(ring, 500) == frames
        ring.refresh()
        assert (ring.counts.read, ring.counts.dropped) == (500, 0)
        ring.close()

    alone(body)


def test_the_filter_lets_nothing_else_through() -> None:
    def body() -> None:
        ring = Ring("hfb", options=RingOptions(filter="udp port 10"))
        send("hfa", [frame(1), frame(2, 10), frame(3), frame(4, 10)])
        assert read(ring, 2) == [frame(2, 10), frame(4, 10)]
        assert ring.take() is None
        ring.close()

    alone(body)


def test_a_vlan_tag_that_the_kernel_took_off_is_there_again() -> None:
    def body() -> None:
        ring = Ring("hfb")
        tagged = bytes(
            Ether(dst="ff:ff:ff:ff:ff:ff") / Dot1Q(vlan=42) / IP(src="10.9.0.1", dst="10.9.0.2") / UDP(dport=9) / b"x"
        )
        send("hfa", [tagged])
        until = time.monotonic() + 20
        seen: list[int] = []
        while not seen and time.monotonic() < until:
            block = wait(ring)
            table = Decoder(DecodeOptions()).decode(block)
            seen = [int(table.vlan[row]) for row in range(len(table)) if table.vlan_count[row]]
            stripped = (block.flags & VLAN_STRIPPED).any()
        assert seen == [42]
        assert stripped
        ring.close()

    alone(body)


def test_a_hosts_own_packets_say_so_and_their_checksums_mean_nothing_yet() -> None:
    def body() -> None:
        ring = Ring("lo", options=RingOptions(filter="tcp"))
        with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
            accepted, _ = server.accept()
            client.sendall(b"x" * 60_000)
            got = 0
            while got < 60_000:
                got += len(accepted.recv(65536))
            accepted.close()
        largest, unready, outgoing, carried = 0, 0, 0, 0
        while carried < 60_000:
            block = wait(ring)
            largest = max(largest, int(block.captured.max()))
            unready += int((block.flags & CHECKSUM_NOT_READY != 0).sum())
            outgoing += int((block.flags & OUTGOING != 0).sum())
            table = Decoder(DecodeOptions()).decode(block)
            carried += int(table.payload_len.sum())
            assert not (table.flags & 64).any(), "no checksum is bad"
        assert carried == 60_000
        assert largest > 1514, "packets as large as offloading makes them come whole"
        assert unready
        assert not outgoing, "a packet over the loopback counts once"
        ring.close()

    alone(body)


def test_a_ring_that_nobody_reads_loses_packets_and_says_how_many() -> None:
    def body() -> None:
        ring = Ring("hfb", options=RingOptions(blocks=2, block_bytes=65536, filter="udp port 9"))
        deliver(ring, "hfa", [frame(number) + bytes(1000) for number in range(400)])
        assert ring.counts.dropped > 100
        kept = read(ring, 400 - ring.counts.dropped)
        assert len(kept) + ring.counts.dropped == 400 == ring.counts.seen
        send("hfa", [frame(9)])
        assert read(ring, 1) == [frame(9)], "it goes on"
        ring.close()

    alone(body)


def test_a_quiet_interface_may_wait_for_several_seconds() -> None:
    def body() -> None:
        ring = Ring("hfb", options=RingOptions(filter="udp port 9"))
        frames = [frame(number) for number in range(30)]
        for one in frames:
            send("hfa", [one])
            time.sleep(0.1)
        ring.refresh()
        assert ring.counts.dropped == 0, "each tenth of a second takes a block, however little is in it"
        spans, times = [], []
        while (block := ring.take()) is not None:
            spans.append((int(block.time_ns[-1]) - int(block.time_ns[0])) / 1e9)
            times += [int(ns) / 1e9 for ns in block.time_ns]
            assert [block.packet(index) for index in range(len(block))] == frames[: len(block)]
            frames = frames[len(block) :]
        assert len(frames) <= 2, "what came last is not handed over yet"
        pause = max(later - earlier for earlier, later in itertools.pairwise(times))
        assert max(spans) < 1.2 + pause, "what waited is given together, a second at a time"
        assert len(spans) <= 1 + times[-1] - times[0], "and not less than that"
        ring.close()

    alone(body)


def test_what_waits_is_given_together_as_far_as_there_is_room() -> None:
    def body() -> None:
        ring = Ring("hfb", options=RingOptions(filter="udp port 9", blocks=16))
        frames = [frame(number) + bytes(1400) for number in range(1500)]
        assert not ring.plenty
        deliver(ring, "hfa", frames)
        assert ring.plenty
        sizes, found = [], []
        until = time.monotonic() + 20
        while len(found) < 1500 and time.monotonic() < until:
            block = ring.take()
            if block is not None:
                sizes.append(block.used)
                found += [block.packet(index) for index in range(len(block))]
        assert found == frames
        assert 768 * 1024 < sizes[0] <= 1 << 20, "several of the kernel's blocks"
        ring.close()

    alone(body)


def test_sockets_of_one_group_share_the_packets_flow_by_flow() -> None:
    def body() -> None:
        options = RingOptions(filter="tcp", fanout=4711)
        rings = [Ring("hfb", options=options) for _ in range(2)]
        frames = [
            bytes(
                Ether(dst="ff:ff:ff:ff:ff:ff")
                / IP(src="10.9.0.1", dst="10.9.0.2")
                / TCP(sport=1000 + number % 40, dport=80)
            )
            for number in range(400)
        ]
        send("hfa", frames)
        parts: list[list[bytes]] = [[] for _ in rings]
        until = time.monotonic() + 60
        while sum(map(len, parts)) < 400 and time.monotonic() < until:
            for part, ring in zip(parts, rings, strict=True):
                part += read(ring, 1, 0.05)
        for ring in rings:
            ring.refresh()
        assert [len(part) for part in parts] == [ring.counts.seen for ring in rings]
        assert sum(map(len, parts)) == 400
        ports = [{packet[34:36] for packet in part} for part in parts]
        assert ports[0] and ports[1] and not ports[0] & ports[1]
        for ring in rings:
            ring.close()

    alone(body)


def test_a_name_without_an_interface_is_waited_for() -> None:
    def body() -> None:
        ring = Ring("hfnone")
        assert not ring.index
        assert ring.take() is None
        ring.close()

    alone(body)


def test_a_bad_filter_is_refused_when_the_ring_is_opened() -> None:
    def body() -> None:
        with pytest.raises(Malformed):
            Ring("hfb", options=RingOptions(filter="no filter at all"))

    alone(body)
