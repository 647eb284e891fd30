"""A block that brings more than is held at once goes on in parts: the same is found, by the same packets, and little is held."""

import random
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from collectors.traffic.block import from_packets
from collectors.traffic.decode.decoder import DecodeOptions, Decoder
from collectors.traffic.flows.table import FlowOptions, FlowTable
from collectors.traffic.parts import parts
from collectors.traffic.protocols.dispatch import Protocols
from collectors.traffic.protocols.parser import Limits
from collectors.traffic.rules.language.rule import Rule
from collectors.traffic.streams.options import StreamOptions
from collectors.traffic.streams.reassembler import Reassembler
from tests.collectors.traffic.protocols import flood
from tests.collectors.traffic.protocols.flood import Line, Sensor
from tests.collectors.traffic.rules.engine import scene

ROOT = Path(__file__).resolve().parents[3]
MIB = 1 << 20
MEMORY = 16 * MIB
QUERY = struct.pack("!HHHHHH", 7, 0x100, 1, 0, 0, 0) + b"\x06needle\x02de\x00\0\1\0\1"
RULES = (
    'alert http any any -> any any (flow:to_server; http.uri; content:"needle"; sid:1;)',
    'alert http any any -> any any (flow:to_client,established; file.data; content:"needle"; sid:2;)',
    'alert tcp any any -> any any (flow:established,only_stream; content:"GET /needle"; sid:3;)',
    'alert dns any any -> any any (flow:to_server,not_established; dns.query; content:"needle"; sid:4;)',
    "alert ip any any -> 10.2.0.1 any (sid:5;)",
    "alert tcp any any -> any any (flags:S; sid:6;)",
    'alert udp any any -> any any (flow:to_server,established; content:"needle"; sid:7;)',
)


def _rules() -> list[Rule]:
    return scene.rules(*RULES)


def _datagram(port: int, back: bool = False) -> bytes:
    ends = (flood.SERVER, 53, flood.ATTACKER, port) if back else (flood.ATTACKER, port, flood.SERVER, 53)
    data = QUERY[:2] + (b"\x81\x80" if back else QUERY[2:4]) + QUERY[4:]
    return flood.datagram(*ends, data)


def _traffic(seed: int) -> list[bytes]:
    """Return packets of connections with thousands of requests that are answered, and of datagrams between them."""
    chance = random.Random(seed)
    lines = [Line(flood.ATTACKER, 1024 + number) for number in range(4)]
    packets = [one for line in lines for one in line.open()]
    for turn in range(90):
        line = chance.choice(lines)
        uris = [chance.choice((b"/a", b"/b", b"/needle")) for _ in range(chance.randrange(1, 150))]
        packets += line.say(b"".join(b"GET %b HTTP/1.1\r\nHost: h\r\n\r\n" % uri for uri in uris))
        bodies = [chance.choice((b"hay", b"needle", b"")) for _ in uris]
        packets += line.say(b"".join(flood.ANSWER % (len(body), body) for body in bodies), 1)
        packets.append(_datagram(5000 + turn % 20))
        if turn > 60:
            packets.append(_datagram(5000 + turn % 20, back=True))
    return packets


@pytest.mark.parametrize("seed", range(6))
def test_parts_find_what_the_whole_block_finds(seed: int) -> None:
    packets = _traffic(seed)
    said, cut = [], []
    for part in (1 << 40, 1):
        sensor = Sensor(_rules(), MEMORY)
        sensor.pipeline.protocols.account.part = part
        sensor.feed(packets)
        cut.append(sensor.parts)
        sensor.feed([])
        sensor.feed([], 3_600 * flood.SECOND)
        said.append(sensor.said)
    assert cut[0] == 1 and cut[1] > 2
    assert said[0] == said[1] and {sid for sid, _ in said[0]} == {1, 2, 3, 4, 5, 6, 7}


def test_parts_are_the_block() -> None:
    packets = _traffic(1)
    block = from_packets(packets)
    flows, streams = FlowTable(FlowOptions()), Reassembler(StreamOptions(merge=False))
    protocols = Protocols(Limits(memory=MEMORY))
    protocols.account.part = 1
    table = Decoder(DecodeOptions(verify_checksums=False)).decode(block)
    batch = flows.update(block, table)
    news = streams.feed(block, table, batch)
    runs = [(run.slot, run.to_client, run.data) for run in news.runs]
    slots = batch.flow_of_rows(len(table))
    sides, begun, seen, told = [], [], [], []
    first = 1
    for piece, rows, groups, heard, changes in parts(protocols, block, table, batch, news):
        assert piece.first == first and len(rows) == rows.captured == len(piece)
        first += len(piece)
        seen += [piece.packet(number) for number in range(len(piece))]
        assert groups.flow_of_rows(len(rows)).tolist() == slots[len(sides) : len(sides) + len(rows)].tolist()
        begun += groups.flow[groups.new].tolist()
        told += [(run.slot, run.to_client, run.data) for run in heard.runs]
        places = [run.row for run in heard.runs] + [change.row for change in changes]
        assert all(-1 <= row < len(rows) for row in places)
        assert (rows.payload_len == table.payload_len[len(sides) : len(sides) + len(rows)]).all()
        sides += rows.dport.tolist()
    assert seen == packets and sides == table.dport.tolist()
    assert sorted(begun) == sorted(batch.flow[batch.new].tolist()) and len(set(begun)) == len(begun)
    assert told == runs


def test_much_that_one_packet_releases_is_read_in_pieces() -> None:
    line = Line(flood.ATTACKER, 77)
    said = b"GET /a HTTP/1.0\r\n\r\n" * 2_900 + b"GET /needle HTTP/1.0\r\n\r\n"
    packets = list(line.open())
    packets += [line._put(0, flood.PUSH, said[at : at + 20_000]) for at in range(0, len(said), 20_000)]
    packets.append(line._put(1, flood.ACK))
    sensor = Sensor(_rules(), MEMORY)
    sensor.pipeline.protocols.account.part = 1
    sensor.feed(packets)
    assert sensor.parts > 1
    sensor.feed([])
    sensor.feed([], 3_600 * flood.SECOND)
    assert [count for (sid, _), count in sensor.said.items() if sid == 1] == [1]


def test_what_only_the_end_of_flows_releases_is_read_in_parts_too() -> None:
    said = b"GET /a HTTP/1.0\r\n\r\n" * 1_500 + b"GET /needle HTTP/1.0\r\n\r\n"
    sensor = Sensor(_rules(), MEMORY)
    packets: list[bytes] = []
    for number in range(8):
        line = Line(flood.ATTACKER, 1024 + number)
        packets += line.open()
        packets += [line._put(0, flood.PUSH, said[at : at + 1400]) for at in range(0, len(said), 1400)]
    sensor.feed(packets)
    assert [sid for sid, _ in sensor.said if sid == 1] == []
    sensor.feed([], 3_600 * flood.SECOND)
    assert sensor.parts > 2
    assert [count for (sid, _), count in sensor.said.items() if sid == 1] == [1] * 8


@pytest.mark.parametrize(
    ("kind", "count", "most"),
    [("pipelined", 500, 150), ("answered", 1_200, 130), ("names", 60_000, 130), ("fields", 600, 150)],
)
def test_little_that_says_much_takes_bounded_memory(kind: str, count: int, most: int) -> None:
    run = [sys.executable, "-m", flood.__name__, kind, str(count)]
    done = subprocess.run(run, cwd=ROOT, capture_output=True, text=True, timeout=300, check=True)
    _, more, _ = map(int, done.stdout.split())
    assert more < most * MIB


def test_counts_of_packets_to_come_do_not_establish_a_flow_of_datagrams() -> None:
    protocols = Protocols(Limits(memory=MEMORY))
    protocols.account.part = 1
    flows, streams = FlowTable(FlowOptions()), Reassembler(StreamOptions(merge=False))
    packets = [_datagram(5000), *_traffic(2), _datagram(5000, back=True)]
    block = from_packets(packets)
    table = Decoder(DecodeOptions(verify_checksums=False)).decode(block)
    batch = flows.update(block, table)
    slot = int(batch.flow_of_rows(len(table))[0])
    first, *others = parts(protocols, block, table, batch, streams.feed(block, table, batch))
    assert len(others) > 1
    group = int(np.flatnonzero(first[2].flow == slot)[0])
    assert first[2].later is not None and first[2].later[group] >= 1
    assert all(int(one[2].later.max(initial=0)) >= 0 for one in others if one[2].later is not None)
