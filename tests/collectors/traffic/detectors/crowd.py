"""Generated packets of many hosts: conversations, tries, datagrams and ARP, in the order of time, and the detectors that read them."""

import ipaddress
import random
import struct
import zlib
from collections.abc import Iterable, Iterator

from collectors.traffic.block import from_packets
from collectors.traffic.decode.decoder import DecodeOptions, Decoder
from collectors.traffic.detectors.detectors import Detectors
from collectors.traffic.detectors.finding import Finding
from collectors.traffic.detectors.options import DetectorOptions
from collectors.traffic.flows.table import FlowOptions, FlowTable
from collectors.traffic.protocols.dispatch import Protocols
from collectors.traffic.slices import slices
from collectors.traffic.streams.options import StreamOptions
from collectors.traffic.streams.reassembler import Reassembler

FIN, SYN, RST, PSH, ACK, URG = 1, 2, 4, 8, 16, 32
START_S = 1_700_000_000.0
Packet = tuple[float, bytes]
"""Seconds since the scene's beginning, and a frame."""

_ETHERNET = bytes.fromhex("020000000001020000000002")


def frame(source: str, target: str, protocol: int, payload: bytes, ip_id: int = 0, ttl: int = 64) -> bytes:
    """Return an IPv4 or IPv6 packet in Ethernet; checksums are left 0."""
    if ":" in source:
        head = struct.pack("!IHBB", 6 << 28, len(payload), protocol, ttl)
        both = ipaddress.IPv6Address(source).packed + ipaddress.IPv6Address(target).packed
        return _ETHERNET + b"\x86\xdd" + head + both + payload
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(payload), ip_id & 0xFFFF, 0x4000, ttl, protocol, 0)
    both = ipaddress.IPv4Address(source).packed + ipaddress.IPv4Address(target).packed
    return _ETHERNET + b"\x08\x00" + head + both + payload


def segment(
    source: str,
    target: str,
    sport: int,
    dport: int,
    flags: int,
    seq: int = 0,
    ack: int = 0,
    data: bytes = b"",
    window: int = 8192,
) -> bytes:
    """Return a TCP segment."""
    head = struct.pack("!HHIIBBHHH", sport, dport, seq & 0xFFFFFFFF, ack & 0xFFFFFFFF, 0x50, flags, window, 0, 0)
    return frame(source, target, 6, head + data)


def datagram(source: str, target: str, sport: int, dport: int, data: bytes) -> bytes:
    """Return a UDP datagram."""
    return frame(source, target, 17, struct.pack("!HHHH", sport, dport, 8 + len(data), 0) + data)


def echo(source: str, target: str, kind: int = 8, number: int = 1) -> bytes:
    """Return an ICMP message."""
    return frame(source, target, 1, struct.pack("!BBHHH", kind, 0, 0, 7, number & 0xFFFF) + bytes(24))


def arp(operation: int, card: int, address: str, target_card: int, target: str) -> bytes:
    """Return an ARP packet."""
    cards = card.to_bytes(6), target_card.to_bytes(6)
    ends = ipaddress.IPv4Address(address).packed, ipaddress.IPv4Address(target).packed
    body = struct.pack("!HHBBH", 1, 0x0800, 6, 4, operation) + cards[0] + ends[0] + cards[1] + ends[1]
    return (cards[1] if operation == 2 else b"\xff" * 6) + cards[0] + b"\x08\x06" + body


class Talk:
    """A TCP conversation, made packet by packet: `at` is the time of the next one, `step` the time between two."""

    def __init__(self, client: str, server: str, dport: int, at: float, sport: int = 0, step: float = 0.01) -> None:
        self.at, self.step = at, step
        self.packets: list[Packet] = []
        seed = zlib.crc32(repr((client, server, dport, sport, at)).encode())
        self._ends = (client, server, sport or 32_768 + seed % 28_000, dport)
        self._seq = [seed & 0xFFFFFFF, (seed >> 5) & 0xFFFFFFF]

    def send(self, back: bool, flags: int, data: bytes = b"", window: int = 8192) -> "Talk":
        """Add one segment of the client, or of the server (`back`)."""
        client, server, sport, dport = self._ends
        ends = (server, client, dport, sport) if back else (client, server, sport, dport)
        ack = self._seq[not back] if flags & ACK else 0
        self.packets.append((self.at, segment(*ends, flags, self._seq[back], ack, data, window)))
        self._seq[back] += len(data) + (flags & (SYN | FIN) != 0)
        self.at += self.step
        return self

    def open(self) -> "Talk":
        """Shake hands."""
        return self.send(False, SYN).send(True, SYN | ACK).send(False, ACK)

    def ask(self, data: bytes) -> "Talk":
        """Let the client say something, which the server acknowledges."""
        return self._say(False, data)

    def answer(self, data: bytes) -> "Talk":
        """Let the server say something."""
        return self._say(True, data)

    def _say(self, back: bool, data: bytes) -> "Talk":
        for begin in range(0, len(data), 1400):
            self.send(back, ACK | PSH, data[begin : begin + 1400])
        return self.send(not back, ACK)

    def wait(self, seconds: float) -> "Talk":
        """Let time pass."""
        self.at += seconds
        return self

    def close(self) -> list[Packet]:
        """Close from both sides; returns all packets."""
        self.send(False, ACK | FIN).send(True, ACK | FIN).send(False, ACK)
        return self.packets


def http(
    client: str,
    server: str,
    at: float,
    paths: Iterable[str],
    status: str = "200 OK",
    port: int = 80,
    headers: dict[str, str] | None = None,
) -> list[Packet]:
    """Return requests over one connection; `headers` are more of the request's."""
    talk = Talk(client, server, port, at).open()
    lines = "".join(f"{name}: {value}\r\n" for name, value in (headers or {}).items())
    for path in paths:
        talk.ask(
            f"GET {path} HTTP/1.1\r\nHost: example.org\r\nUser-Agent: Mozilla/5.0 (X11; Linux)\r\n{lines}\r\n".encode()
        )
        talk.answer(f"HTTP/1.1 {status}\r\nContent-Length: 5\r\nContent-Type: text/html\r\n\r\nhello".encode())
    return talk.close()


def question(name: str, kind: int = 1, number: int = 1) -> bytes:
    """Return a DNS question."""
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    return struct.pack("!HHHHHH", number & 0xFFFF, 0x0100, 1, 0, 0, 0) + labels + b"\x00" + struct.pack("!HH", kind, 1)


def lookup(
    client: str, resolver: str, at: float, name: str, kind: int = 1, rcode: int = 0, size: int = 0, sport: int = 0
) -> list[Packet]:
    """Return a DNS question and its answer, `size` bytes larger than the question."""
    sport = sport or 1024 + zlib.crc32(repr((name, at, client)).encode()) % 60_000
    asked = question(name, kind, sport)
    answer = asked[:2] + struct.pack("!H", 0x8180 | rcode) + asked[4:6] + b"\x00\x00\x00\x00" + asked[10:]
    if size:
        answer = answer[:6] + b"\x00\x01" + answer[8:] + struct.pack("!HHHIH", 0xC00C, 16, 1, 60, size) + bytes(size)
    return [
        (at, datagram(client, resolver, sport, 53, asked)),
        (at + 0.01, datagram(resolver, client, 53, sport, answer)),
    ]


class Listener:
    """The parts up to the detectors; `hear` takes packets and returns what was found."""

    def __init__(self, options: DetectorOptions | None = None, merge: bool = True) -> None:
        self.decoder, self.flows = Decoder(DecodeOptions(verify_checksums=False)), FlowTable(FlowOptions())
        self.streams, self.protocols = Reassembler(StreamOptions(merge=merge)), Protocols()
        self.detectors = Detectors(options or DetectorOptions(), self.flows.columns)

    def hear(
        self, packets: Iterable[Packet], size: int = 2000, settle_s: float = 5.0, interface: int = 0
    ) -> list[Finding]:
        """Read packets in blocks of `size`, then let some time pass."""
        found: list[Finding] = []
        last = 0
        for part in _blocks(sorted(packets, key=lambda one: one[0]), size):
            last = max(last, *(int((START_S + at) * 1e9) for at, _ in part))
            found += self.block(part, interface)
        return found + (self.detectors.sweep(last + int(settle_s * 1e9)) if settle_s else [])

    def block(self, part: list[Packet], interface: int = 0) -> list[Finding]:
        """Read one block."""
        times = [int((START_S + at) * 1e9) for at, _ in part]
        block = from_packets([packet for _, packet in part], time_ns=times)
        block.interface[:] = interface
        found: list[Finding] = []
        for piece in slices(block):
            table = self.decoder.decode(piece)
            batch = self.flows.update(piece, table)
            news = self.streams.feed(piece, table, batch)
            changes = self.protocols.feed(piece, table, batch, news)
            found += self.detectors.feed(piece, table, batch, news, changes)
        return found


def _blocks(packets: list[Packet], size: int) -> Iterator[list[Packet]]:
    for begin in range(0, len(packets), size):
        yield packets[begin : begin + size]


def hear(packets: Iterable[Packet], options: DetectorOptions | None = None, size: int = 2000) -> list[Finding]:
    """Return what fresh detectors find in packets."""
    return Listener(options).hear(packets, size)


def kinds(found: Iterable[Finding]) -> set[str]:
    """Return the kinds of what was found, without the room's name."""
    return {one.kind.name.removeprefix("traffic.") for one in found}


def shuffled(seed: int) -> random.Random:
    """Return a source of chance that is the same each time."""
    return random.Random(seed)
