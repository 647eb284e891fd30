"""Small captures made on the spot, and rules held against them from end to end."""

import io
import struct
from collections import Counter
from collections.abc import Iterable
from typing import Any

from scapy.layers.inet import IP, TCP, UDP

from collectors.traffic.block import Block, from_packets
from collectors.traffic.captures import open_capture
from collectors.traffic.decode.decoder import DecodeOptions, Decoder
from collectors.traffic.decode.table import Table
from collectors.traffic.flows.batch import Batch
from collectors.traffic.flows.store import Columns
from collectors.traffic.flows.table import FlowOptions, FlowTable
from collectors.traffic.protocols.dispatch import Protocols
from collectors.traffic.protocols.news import Change
from collectors.traffic.reading import Reading, ReadOptions
from collectors.traffic.rules.checking import compiled
from collectors.traffic.rules.engine.rows import Rows, Sessions
from collectors.traffic.rules.engine.verdicts import Alert
from collectors.traffic.rules.engine.view import Packet
from collectors.traffic.rules.language.rule import Rule
from collectors.traffic.rules.language.ruleset import Loader
from collectors.traffic.streams.news import News
from collectors.traffic.streams.options import StreamOptions
from collectors.traffic.streams.reassembler import Reassembler
from tests.collectors.traffic.oracle import ether

SECOND = 1_000_000_000
CLIENT, SERVER = "10.0.0.1", "10.0.0.2"
START = 1_700_000_000 * SECOND
Timed = tuple[int, bytes]


def rules(*lines: str) -> list[Rule]:
    """Return rules by their text, with sids 1, 2, … for those that have none; all of them must load."""
    loader = Loader()
    text = [
        line if "sid:" in line else line.rstrip()[:-1] + f" sid:{number};)"
        for number, line in enumerate(lines, start=1)
    ]
    loader.read("\n".join(text).encode() + b"\n", "scene.rules")
    found = compiled(loader.ruleset)
    assert not found.refused, [str(one) for one in found.refused]
    return found.rules


def capture(packets: Iterable[Timed | bytes]) -> io.BytesIO:
    """Return a pcap file; packets without a time come a millisecond after the one before."""
    out = io.BytesIO(struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 262_144, 1))
    out.seek(0, io.SEEK_END)
    now = START
    for one in packets:
        now, data = one if isinstance(one, tuple) else (now + 1_000_000, one)
        out.write(struct.pack("<IIII", now // SECOND, now % SECOND, len(data), len(data)) + data)
    out.seek(0)
    return out


def alerts(packets: Iterable[Timed | bytes], *lines: str, **options: Any) -> list[Alert]:
    """Return the alerts of a capture, in order."""
    reading = Reading(capture(packets), rules(*lines), ReadOptions(**options))
    found = list(reading.alerts())
    assert reading.problem == ""
    return found


def counts(packets: Iterable[Timed | bytes], *lines: str, **options: Any) -> dict[int, int]:
    """Return how often each rule spoke, by sid; those that said nothing are left out."""
    return dict(Counter(alert.rule.sid for alert in alerts(packets, *lines, **options)))


def seen(*packets: bytes) -> list[Packet]:
    """Return packets as the rules see them, those of all flows, each packet one row."""
    block = from_packets(list(packets))
    flows = FlowTable(FlowOptions())
    table = Decoder(DecodeOptions()).decode(block)
    batch = flows.update(block, table)
    slots = batch.flow_of_rows(len(table)).tolist()
    ways = dict(zip(batch.rows.tolist(), batch.to_client.tolist(), strict=True))
    return [Packet(block, table, flows.columns, row, slots[row], bool(ways.get(row))) for row in range(len(packets))]


Fed = tuple[Block, Table, Batch, News, list[Change], Columns]


def fed(packets: Iterable[Timed | bytes]) -> Fed:
    """Return what the engine is told of packets that make one block."""
    block = next(iter(open_capture(capture(packets)).blocks()))
    flows, streams, protocols = FlowTable(FlowOptions()), Reassembler(StreamOptions(merge=False)), Protocols()
    table = Decoder(DecodeOptions()).decode(block)
    batch = flows.update(block, table)
    news = streams.feed(block, table, batch)
    changes = protocols.feed(block, table, batch, news)
    return block, table, batch, news, changes, flows.columns


def rows(told: Fed) -> Rows:
    """Return the rows of a block that is the first of all."""
    block, table, batch, news, _, columns = told
    found = Rows(block, table, columns, batch, news)
    Sessions(len(columns)).see(found, batch, news)
    return found


def udp(data: bytes, *, source: str = CLIENT, sport: int = 40_000, dport: int = 9999, **ip: Any) -> bytes:
    """Return a datagram to the server."""
    return bytes(ether() / IP(src=source, dst=SERVER, **ip) / UDP(sport=sport, dport=dport) / data)


def udp_back(data: bytes, *, sport: int = 40_000, dport: int = 9999) -> bytes:
    """Return a datagram from the server."""
    return bytes(ether() / IP(src=SERVER, dst=CLIENT) / UDP(sport=dport, dport=sport) / data)


class Talk:
    """A TCP conversation: opened at once; every message is acknowledged by the other side."""

    def __init__(self, *, client: str = CLIENT, sport: int = 40_000, dport: int = 80) -> None:
        self.packets: list[bytes] = []
        self._ends = ((client, sport), (SERVER, dport))
        self._next = [1000, 5000]
        self._put(0, "S")
        self._put(1, "SA")
        self._put(0, "A")

    def _put(self, way: int, flags: str, data: bytes = b"") -> None:
        (source, sport), (destination, dport) = self._ends if way == 0 else self._ends[::-1]
        ack = self._next[1 - way] if "A" in flags else 0
        tcp = TCP(sport=sport, dport=dport, seq=self._next[way], ack=ack, flags=flags, window=60_000)
        self.packets.append(bytes(ether() / IP(src=source, dst=destination) / tcp / data))
        self._next[way] += len(data) + ("S" in flags or "F" in flags)

    def ask(self, data: bytes) -> "Talk":
        """Let the client say something."""
        self._put(0, "PA", data)
        self._put(1, "A")
        return self

    def answer(self, data: bytes) -> "Talk":
        """Let the server say something."""
        self._put(1, "PA", data)
        self._put(0, "A")
        return self

    def close(self) -> "Talk":
        """End it from both sides."""
        self._put(0, "FA")
        self._put(1, "FA")
        self._put(0, "A")
        return self


def request(path: str, host: str = "example.test", more: str = "") -> bytes:
    """Return an HTTP request."""
    return f"GET {path} HTTP/1.1\r\nHost: {host}\r\n{more}\r\n".encode()


def response(body: bytes, status: str = "200 OK") -> bytes:
    """Return an HTTP response."""
    return f"HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
