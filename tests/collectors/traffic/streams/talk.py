"""Made-up TCP conversations: packets as they cross the wire, with the ways in which wires are untidy; and what was said."""

import random
import struct
from dataclasses import dataclass, field

import numpy as np

from collectors.traffic.block import Block, from_packets
from collectors.traffic.decode.decoder import DecodeOptions, Decoder
from collectors.traffic.flows.table import FlowOptions, FlowTable
from collectors.traffic.streams.news import News
from collectors.traffic.streams.reassembler import Reassembler, StreamOptions
from collectors.traffic.streams.session import Session  # noqa: F401 (tests reach it from here)

FIN, SYN, RST, PSH, ACK, URG = 1, 2, 4, 8, 16, 32
MASK = 0xFFFFFFFF


def packet(
    to_client: bool,
    flags: int,
    seq: int,
    ack: int = 0,
    data: bytes = b"",
    window: int = 65535,
    options: bytes = b"",
    client: int = 1,
    urgent: int = 0,
) -> bytes:
    """Return one packet between 10.0.0.`client`:1000 and 10.1.0.2:80 (checksums are not filled in)."""
    ends = (0x0A010002, 0x0A000000 + client) if to_client else (0x0A000000 + client, 0x0A010002)
    ports = (80, 1000) if to_client else (1000, 80)
    head = 20 + len(options)
    ip = struct.pack(">BBHHHBBHII", 0x45, 0, 20 + head + len(data), 0, 0, 64, 6, 0, *ends)
    tcp = struct.pack(">HHIIBBHHH", *ports, seq & MASK, ack & MASK, head // 4 << 4, flags, window, 0, urgent)
    return bytes(12) + b"\x08\x00" + ip + tcp + options + data


@dataclass
class Talk:
    """Packets in the order they are seen, and what each side said (client, server)."""

    packets: list[bytes] = field(default_factory=list)
    said: tuple[bytearray, bytearray] = field(default_factory=lambda: (bytearray(), bytearray()))


class Speaker:
    """Makes a conversation: handshake, messages cut into segments, shuffled, repeated, cut otherwise, and the end."""

    def __init__(self, chance: random.Random, client: int = 1) -> None:
        self.chance = chance
        self.client = client
        self.talk = Talk()
        self.isn = [chance.choice([chance.getrandbits(32), MASK - chance.randrange(3000)]) for _ in (0, 1)]
        self.acked = [0, 0]
        self.stamps = chance.random() < 0.5
        self.clock = chance.getrandbits(31)

    def put(self, way: int, flags: int, offset: int, data: bytes = b"") -> None:
        """Add a packet of one side; offset 0 is the byte behind its SYN."""
        options = b""
        if self.stamps:
            self.clock += 1
            options = b"\x01\x01\x08\x0a" + struct.pack(">II", self.clock, self.clock - 1 if flags != SYN else 0)
            if flags & SYN:
                options = struct.pack(">IIII", 0x020405B4, 0x0402080A, self.clock, 0)[:16] + b"\x01\x03\x03\x00"
        other = self.isn[1 - way] + 1 + self.acked[1 - way] if flags & ACK else 0
        self.talk.packets.append(
            packet(way == 1, flags, self.isn[way] + 1 + offset, other, data, options=options, client=self.client)
        )

    def open(self) -> None:
        """Shake hands."""
        self.put(0, SYN, -1)
        self.put(1, SYN | ACK, -1)
        self.put(0, ACK, 0)

    def say(self, way: int, data: bytes, untidy: bool) -> None:
        """Say something, and have it acknowledged."""
        start = len(self.talk.said[way])
        self.talk.said[way].extend(data)
        segments = self.cut(start, data)
        if untidy:
            again = [piece for piece in self.cut(start, data) if self.chance.random() < 0.4]
            segments += again
            for _ in range(self.chance.randrange(4)):
                one, other = (self.chance.randrange(len(segments)) for _ in (0, 1))
                segments[one], segments[other] = segments[other], segments[one]
        for offset, piece in segments:
            self.put(way, PSH | ACK, offset, piece)
            if not untidy and self.chance.random() < 0.5:
                self.acknowledge(way, offset + len(piece))
        self.acknowledge(way, start + len(data))

    def cut(self, start: int, data: bytes) -> list[tuple[int, bytes]]:
        """Return a message as segments."""
        pieces, at = [], 0
        while at < len(data):
            size = self.chance.choice([1, 7, 100, 1460])
            pieces.append((start + at, data[at : at + size]))
            at += size
        return pieces

    def acknowledge(self, way: int, upto: int) -> None:
        """Let the other side acknowledge."""
        self.acked[way] = upto
        self.put(1 - way, ACK, len(self.talk.said[1 - way]))

    def close(self, way: int) -> None:
        """Close from one side, then from the other."""
        for side in (way, 1 - way):
            end = len(self.talk.said[side])
            self.put(side, FIN | ACK, end)
            self.acked[side] = end + 1
            self.put(1 - side, ACK, len(self.talk.said[1 - side]) + (side != way))


def conversation(seed: int, client: int = 1, untidy: float = 0.4) -> Talk:
    """Return a conversation of a seed."""
    chance = random.Random(seed)
    speaker = Speaker(chance, client)
    speaker.open()
    for _ in range(chance.randrange(1, 7)):
        data = chance.randbytes(chance.choice([1, 30, 300, 4000, 20000]))
        speaker.say(chance.randrange(2), data, chance.random() < untidy)
    if chance.random() < 0.7:
        speaker.close(chance.randrange(2))
    return speaker.talk


class Listener:
    """Decodes blocks of packets and feeds them to a reassembler; gathers what it says."""

    def __init__(self, options: StreamOptions | None = None, careful: bool = False) -> None:
        self.decoder = Decoder(DecodeOptions(verify_checksums=False))
        self.table = FlowTable(FlowOptions(), bytes(64))
        self.reassembler = Reassembler(options or StreamOptions())
        self.reassembler._all_careful |= careful
        self.news: list[News] = []
        self.time_ns = 1_000_000_000

    def hear(self, packets: list[bytes]) -> News:
        """Take a block of packets."""
        times = [self.time_ns + 1000 * number for number in range(len(packets))]
        self.time_ns = times[-1] + 1000
        block: Block = from_packets(packets, time_ns=times)
        table = self.decoder.decode(block)
        news = self.reassembler.feed(block, table, self.table.update(block, table))
        assert len(news.accepted) == len(table)
        self.news.append(news)
        return news

    def end(self) -> News:
        """End all flows."""
        self.news.append(self.reassembler.finish(self.table.shut_down()))
        return self.news[-1]

    def said(self) -> dict[tuple[int, bool], bytes]:
        """Return what was said, by slot and direction; missing bytes as zeros; checks that offsets fit and that a direction ends once."""
        heard: dict[tuple[int, bool], bytearray] = {}
        ended: set[tuple[int, bool]] = set()
        for news in self.news:
            for run in news.runs:
                key = (run.slot, run.to_client)
                assert key not in ended, "nothing comes behind the end"
                whole = heard.setdefault(key, bytearray())
                assert run.offset == len(whole) + run.gap
                whole += bytes(run.gap) + run.data
                if run.end:
                    ended.add(key)
        return {key: bytes(whole) for key, whole in heard.items()}

    def events(self) -> list[tuple[int, str]]:
        """Return the events by name, in order, with the block's number."""
        return [(number, event.name) for number, news in enumerate(self.news) for event in news.events]

    def accepted(self) -> list[bool]:
        """Return of every packet whether it was accepted."""
        return [bool(value) for news in self.news for value in np.asarray(news.accepted)]
