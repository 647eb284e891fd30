"""Connections that begin something and do not end it, made quickly; run as a program it says how much memory the sensor takes for them.

`python -m tests.collectors.traffic.protocols.flood KIND CONNECTIONS` prints bytes before, and how many more at most.
"""

import gzip
import random
import struct
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final

import brotli
import numpy as np

from collectors.traffic.block import Block, from_packets
from collectors.traffic.options import Options
from collectors.traffic.pipeline import Pipeline
from collectors.traffic.rules.engine.engine import Engine
from collectors.traffic.rules.engine.verdicts import Alert
from collectors.traffic.rules.language.rule import Rule
from tests.collectors.traffic.rules.engine import scene

SECOND: Final = 1_000_000_000
SERVER: Final = bytes([10, 2, 0, 1])
ATTACKER: Final = bytes([10, 1, 0, 1])
SYN, ACK, PUSH = 2, 16, 24
BLOCK: Final = 1 << 20
"""Bytes of packets that come at once, as off a ring."""


def packet(source: bytes, sport: int, target: bytes, dport: int, seq: int, ack: int, flags: int, data: bytes) -> bytes:
    """Return a TCP segment; its checksums are not filled in."""
    ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 40 + len(data), 1, 0, 64, 6, 0, source, target)
    tcp = struct.pack("!HHIIBBHHH", sport, dport, seq, ack, 0x50, flags, 60_000, 0, 0)
    return b"\x02" * 12 + b"\x08\x00" + ip + tcp + data


class Line:
    """One connection; what it says comes in segments of at most 1,400 bytes, each of them acknowledged."""

    def __init__(self, source: bytes, sport: int, dport: int = 80) -> None:
        self._ends = ((source, sport), (SERVER, dport))
        self._next = [1000, 5000]

    def open(self) -> Iterator[bytes]:
        """Yield the handshake."""
        yield self._put(0, SYN)
        yield self._put(1, SYN | ACK)
        yield self._put(0, ACK)

    def say(self, data: bytes, way: int = 0) -> Iterator[bytes]:
        """Yield what a side says (0: the client)."""
        for at in range(0, len(data), 1400):
            yield self._put(way, PUSH, data[at : at + 1400])
            yield self._put(1 - way, ACK)

    def _put(self, way: int, flags: int, data: bytes = b"") -> bytes:
        (source, sport), (target, dport) = self._ends[way], self._ends[1 - way]
        made = packet(source, sport, target, dport, self._next[way], self._next[1 - way], flags, data)
        self._next[way] += len(data) + (1 if flags & SYN else 0)
        return made


class Sensor:
    """A pipeline that is fed packets; `now_ns` is the time of the last ones."""

    def __init__(self, rules: list[Rule], memory: int = 64 << 20) -> None:
        self.pipeline = Pipeline(Options(checksums=False, body_memory=memory))
        self.pipeline.engine = Engine(rules, self.pipeline.flows.columns)
        self.now_ns = 1_700_000_000 * SECOND
        self.alerts: list[Alert] = []
        self.parts = 0
        """Into how many parts the last block was cut."""
        self.said: Counter[tuple[int, int]] = Counter()
        """How often each rule spoke, by its sid and the client's port."""

    def feed(self, packets: Iterable[bytes], after_ns: int = 60_000_000) -> None:
        """Feed a block that begins so much later than the one before."""
        block = self._block(list(packets), after_ns)
        self.parts = 0
        for passed in self.pipeline.feed(block, self.now_ns):
            self.parts += 1
            self.alerts += passed.alerts
            # A packet is read as long as its block is there.
            self.said.update((one.rule.sid, max(one.packet.sport, one.packet.dport)) for one in passed.alerts)

    def _block(self, packets: list[bytes], after_ns: int) -> Block:
        block = from_packets(packets)
        self.now_ns += after_ns
        block.time_ns[:] = self.now_ns + np.arange(len(packets)) * 1_000
        return block


def post(body: bytes, more: bytes = b"", length: int = 90_000) -> bytes:
    """Return a request whose body has so many bytes, or the beginning of one."""
    return b"POST /f HTTP/1.1\r\nHost: h\r\n" + more + b"Content-Length: %d\r\n\r\n" % length + body


def _text(number: int) -> bytes:
    return b"%d " % number + b"abcdefgh" * 12_000


def _noise(number: int) -> bytes:
    return post(random.Random(number).randbytes(20_000))


KINDS: Final[dict[str, Callable[[int], bytes]]] = {
    "gzip": lambda number: post(gzip.compress(_text(number))[:-9], b"Content-Encoding: gzip\r\n"),
    "brotli": lambda number: post(brotli.compress(_text(number))[:-3], b"Content-Encoding: br\r\n"),
    "noise": _noise,
    "pipelined": lambda _: b"GET / HTTP/1.0\r\n\r\n" * 500,
    "answered": lambda _: b"GET / HTTP/1.1\r\n\r\n" * 60,
    "fields": lambda _: b"GET / HTTP/1.1\r\n" + b"".join(b"%x:\r\n" % one for one in range(1_000)),
}
"""What each of many connections says."""
ANSWER: Final = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b"
NAME: Final = struct.pack("!HHHHHH", 7, 0x100, 1, 0, 0, 0) + b"\x01a\x02de\x00\0\1\0\1"


def unfinished(kind: str, number: int, source: bytes = ATTACKER) -> Iterator[bytes]:
    """Yield the packets of a connection that does not end what it has begun."""
    line = Line(source, 1024 + number)
    yield from line.open()
    yield from line.say(KINDS[kind](number))
    if kind == "answered":
        yield from line.say(ANSWER % (2, b"hi") * 60, 1)


def datagram(source: bytes, sport: int, target: bytes, dport: int, data: bytes) -> bytes:
    """Return a UDP datagram without a checksum."""
    ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 28 + len(data), 1, 0, 64, 17, 0, source, target)
    return b"\x02" * 12 + b"\x08\x00" + ip + struct.pack("!HHHH", sport, dport, 8 + len(data), 0) + data


def query(number: int) -> bytes:
    """Return a question about a name, each from another end (of whose ports none stands for another protocol)."""
    source = bytes([10, 1 + number // 50_000, 0, 1])
    return datagram(source, 10_000 + number % 50_000, SERVER, 53, NAME)


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def main(kind: str, count: int) -> None:
    """Feed so many connections, and print what memory that took."""
    sensor = Sensor(
        scene.rules(
            'alert http any any -> any any (http.request_body; content:"needle";)',
            'alert dns any any -> any any (dns.query; content:"needle";)',
        )
    )
    before = most = _resident()
    packets: list[bytes] = []
    size = 0
    for number in range(count):
        for one in [query(number)] if kind == "names" else unfinished(kind, number):
            packets.append(one)
            size += len(one)
        if size > BLOCK:
            sensor.feed(packets)
            packets, size = [], 0
            most = max(most, _resident())
    sensor.feed(packets)
    sensor.feed([])
    print(before, max(most, _resident()) - before, sensor.pipeline.protocols.account.cut)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
