"""The flow table against a plain-Python one, and its bounds, its emergency and its records."""

import random
import socket
import struct

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scapy.layers.inet import ICMP, IP, TCP, UDP, IPerror, UDPerror
from scapy.layers.inet6 import IPv6

from collectors.traffic.block import from_packets
from collectors.traffic.decode.decoder import DecodeOptions, Decoder
from collectors.traffic.flows import states
from collectors.traffic.flows.batch import EVICTED, REUSED, SHUT_DOWN, TIMED_OUT, Batch
from collectors.traffic.flows.keys import Hasher
from collectors.traffic.flows.table import FlowOptions, FlowTable
from tests.collectors.traffic.flows.reference import SECOND, Flow, flows_of
from tests.collectors.traffic.oracle import ether

Seen = tuple[int, int, tuple[str, int], tuple[str, int], int, int]
MAC = bytes(12)


def frame(packet: Seen) -> bytes:
    """Return an Ethernet frame without a payload, made by hand: thousands are needed."""
    _, protocol, (source, sport), (target, dport), flags, seq = packet
    segment = (
        struct.pack("!HHIIBBHHH", sport, dport, seq, 0, 0x50, flags, 100, 0, 0)
        if protocol == 6
        else struct.pack("!HHHH", sport, dport, 8, 0)
    )
    if ":" in source:
        head = (
            struct.pack("!IHBB", 6 << 28, len(segment), protocol, 64)
            + socket.inet_pton(10, source)
            + socket.inet_pton(10, target)
        )
        return MAC + b"\x86\xdd" + head + segment
    head = (
        struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(segment), 1, 0, 64, protocol, 0)
        + socket.inet_aton(source)
        + socket.inet_aton(target)
    )
    return MAC + b"\x08\x00" + head + segment


class Run:
    """A flow table fed with packets in blocks of a size; every flow's last columns, by serial number."""

    def __init__(self, options: FlowOptions | None = None) -> None:
        self.decoder = Decoder(DecodeOptions(verify_checksums=False))
        self.table = FlowTable(options or FlowOptions(), seed=bytes(range(64)))
        self.flows: dict[int, dict[str, int]] = {}
        self.reasons: dict[int, int] = {}
        self.assigned: list[list[int]] = []

    def feed(self, packets: list[Seen], size: int = 64) -> None:
        for at in range(0, len(packets), size):
            part = packets[at : at + size]
            self.block([frame(packet) for packet in part], [packet[0] for packet in part])

    def block(self, frames: list[bytes], times: list[int]) -> Batch:
        block = from_packets(frames, time_ns=times)
        table = self.decoder.decode(block)
        batch = self.table.update(block, table)
        self.check(batch, len(table))
        for ended in batch.ended:
            self.note(ended.columns, ended.reason.tolist())
        return batch

    def check(self, batch: Batch, rows: int) -> None:
        assert sorted(batch.rows.tolist()) == sorted(set(batch.rows.tolist()))
        assert (batch.ends - batch.starts > 0).all()
        assert int((batch.ends - batch.starts).sum()) == len(batch.rows) == len(batch.to_client)
        assert (batch.flow_of_rows(rows)[batch.rows] >= 0).all()
        live = int(np.count_nonzero(self.table.columns.live))
        assert live == len(self.table) == self.table.counts.begun - self.table.counts.ended

    def note(self, columns: object, reasons: list[int]) -> None:
        names = (
            "serial",
            "sport",
            "dport",
            "packets_to_server",
            "packets_to_client",
            "first_ns",
            "last_ns",
            "gathered",
            "state",
            "src_lo",
        )
        for index, reason in enumerate(reasons):
            values = {name: int(getattr(columns, name)[index]) for name in names}
            assert values["serial"] not in self.flows
            self.flows[values["serial"]] = values
            self.reasons[values["serial"]] = reason

    def end(self) -> None:
        ended = self.table.shut_down()
        self.note(ended.columns, ended.reason.tolist())
        assert len(self.table) == 0


ENDPOINTS = st.sampled_from([("10.0.0.1", 1), ("10.0.0.2", 1), ("10.0.0.1", 2), ("10.0.0.2", 2)])
SIX = st.sampled_from([("2001:db8::1", 1), ("2001:db8::2", 1), ("2001:db8::2", 2)])
STEPS = st.sampled_from([0, 1000, SECOND, 10 * SECOND, 31 * SECOND, 61 * SECOND, 301 * SECOND, 601 * SECOND])
FLAGS = st.sampled_from([2, 2, 18, 16, 16, 24, 17, 17, 4, 20, 0, 1, 194, 3])


@st.composite
def traffic(draw: st.DrawFn) -> list[Seen]:
    """Return packets among few endpoints, with silences and every flag, so that flows end and begin anew."""
    now, packets = 1_700_000_000 * SECOND, []
    for _ in range(draw(st.integers(1, 40))):
        now += draw(STEPS)
        source, target = draw(
            st.one_of(st.tuples(ENDPOINTS, ENDPOINTS), st.tuples(SIX, SIX)).filter(lambda pair: pair[0] != pair[1])
        )
        packets.append((now, draw(st.sampled_from([6, 6, 17])), source, target, draw(FLAGS), draw(st.integers(1, 3))))
    return packets


def same(run: Run, wanted: list[Flow]) -> None:
    """Check that the run's flows are those of the reference."""
    # Flows of one block are numbered by key, not by time: compare as sets of what they are.
    mine = sorted(
        (
            flow["first_ns"],
            flow["sport"],
            flow["dport"],
            flow["packets_to_server"],
            flow["packets_to_client"],
            flow["last_ns"],
            flow["state"],
        )
        for flow in run.flows.values()
    )
    assert mine == sorted(
        (flow.first_ns, flow.client[1], flow.server[1], flow.packets[0], flow.packets[1], flow.last_ns, flow.state())
        for flow in wanted
    )


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(traffic(), st.sampled_from([1, 3, 64]))
def test_flows_are_those_of_the_reference(packets: list[Seen], size: int) -> None:
    run = Run()
    run.feed(packets, size)
    run.end()
    same(
        run,
        flows_of(
            [(now, protocol, s, t, flags if protocol == 6 else 0, seq) for now, protocol, s, t, flags, seq in packets]
        ),
    )


def test_thousands_of_flows_are_those_of_the_reference() -> None:
    chance = random.Random(7)
    now, packets = SECOND, []
    for _ in range(6000):
        now += chance.choice([0, 1000, 50_000_000])
        a, b = (
            (f"10.0.{chance.randrange(4)}.{chance.randrange(250)}", chance.randrange(1, 20)),
            (f"10.1.0.{chance.randrange(9)}", 80),
        )
        a, b = (a, b) if chance.random() < 0.6 else (b, a)
        packets.append((now, chance.choice([6, 17]), a, b, chance.choice([2, 16, 18, 17, 4]), chance.randrange(9)))
    run = Run()
    run.feed(packets, 1500)
    assert run.table.counts.begun > 2000
    run.end()
    same(run, flows_of([(n, p, s, t, f if p == 6 else 0, q) for n, p, s, t, f, q in packets]))


class Weak(Hasher):
    """Everything collides."""

    def _mix(self, one: object, two: object, three: object) -> np.ndarray:  # type: ignore[override,type-arg]
        return np.zeros(len(one), np.uint64)  # type: ignore[arg-type]


def test_keys_that_collide_stay_apart() -> None:
    chance = random.Random(3)
    hosts = [f"2001:db8::{number:x}" for number in range(1, 9)]
    packets: list[Seen] = [
        (SECOND + at, 17, (chance.choice(hosts[:4]), 1), (chance.choice(hosts[4:]), 1), 0, 0) for at in range(300)
    ]
    run = Run()
    run.table._hasher = Weak(bytes(64))
    run.feed(packets, 50)
    run.end()
    assert len(run.flows) == len(flows_of(packets)) == 16


def test_the_table_is_bounded_and_says_what_it_forgot() -> None:
    run = Run(FlowOptions(max_flows=1000))
    established: list[Seen] = []
    for port in range(200):
        one, other = ("10.0.0.1", 1000 + port), ("10.0.0.2", 80)
        established += [(SECOND, 6, one, other, 2, 1), (SECOND, 6, other, one, 18, 1), (SECOND, 6, one, other, 16, 2)]
    run.feed(established, 300)
    flood: list[Seen] = [
        (2 * SECOND + n, 6, (f"172.16.{n >> 8 & 255}.{n & 255}", 5), ("10.0.0.2", 80), 2, n) for n in range(20_000)
    ]
    run.feed(flood, 500)
    assert len(run.table) <= 1000
    assert run.table.emergency and run.table.counts.emergencies == 1
    assert run.table.counts.evicted > 18_000
    assert run.table.memory_bytes() < 4_000_000
    evicted = [flow for serial, flow in run.flows.items() if run.reasons[serial] == EVICTED]
    assert all(flow["state"] == 0 for flow in evicted), "flows that both sides have spoken in outlive a flood"
    run.block([frame((200 * SECOND, 17, ("10.0.0.1", 1), ("10.0.0.2", 2), 0, 0))], [200 * SECOND])
    assert not run.table.emergency


def test_every_ended_flow_has_its_reason() -> None:
    run = Run()
    one, other = ("10.0.0.1", 1), ("10.0.0.2", 2)
    run.feed(
        [
            (0, 6, one, other, 2, 1),
            (1, 6, other, one, 20, 9),
            (2, 6, one, other, 2, 5),
            (100 * SECOND, 17, one, other, 0, 0),
        ]
    )
    run.end()
    assert sorted(run.reasons.values()) == [REUSED, TIMED_OUT, SHUT_DOWN]


def test_reopening_without_end_is_bounded() -> None:
    run = Run()
    one, other = ("10.0.0.1", 1), ("10.0.0.2", 2)
    packets: list[Seen] = [(at, 6, one, other, 4 if at % 2 else 2, at) for at in range(4000)]
    run.feed(packets, 4000)
    assert run.table.counts.begun == states.MAX_CUTS + 1
    assert run.table.counts.cuts_left_out > 1000


def test_a_syn_ack_comes_from_the_server() -> None:
    run = Run()
    run.feed([(0, 6, ("10.0.0.1", 80), ("10.0.0.2", 5000), 18, 1)])
    run.end()
    assert run.flows[1]["sport"] == 5000 and run.flows[1]["packets_to_client"] == 1


def test_an_icmp_error_belongs_to_the_flow_it_quotes() -> None:
    run = Run()
    probe = frame((0, 17, ("10.0.0.1", 1000), ("10.0.0.2", 53), 0, 0))
    quote = IPerror(src="10.0.0.1", dst="10.0.0.2") / UDPerror(sport=1000, dport=53)
    error = bytes(ether() / IP(src="10.0.0.2", dst="10.0.0.1") / ICMP(type=3, code=3) / quote)
    batch = run.block([probe, error], [0, 10])
    assert batch.related.tolist() == [1] and batch.related_to_client.tolist() == [True]
    assert batch.related_flow.tolist() == batch.flow.tolist()
    columns = run.table.columns
    assert (columns.icmp_errors[batch.flow[0]], columns.packets_to_client[batch.flow[0]]) == (1, 0)
    stranger = bytes(
        ether()
        / IP(src="10.0.0.2", dst="10.0.0.1")
        / ICMP(type=3, code=3)
        / IPerror(src="10.0.0.1", dst="9.9.9.9")
        / UDPerror()
    )
    batch = run.block([stranger], [20])
    assert not len(batch.related) and batch.new.tolist() == [True]


@pytest.mark.parametrize("kinds", [(8, 0), (13, 14)])
def test_an_answer_to_a_ping_is_in_its_flow(kinds: tuple[int, int]) -> None:
    run = Run()
    ask = bytes(ether() / IP(src="10.0.0.1", dst="10.0.0.2") / ICMP(type=kinds[0]))
    answer = bytes(ether() / IP(src="10.0.0.2", dst="10.0.0.1") / ICMP(type=kinds[1]))
    batch = run.block([ask, answer], [0, 1])
    assert len(batch.flow) == 1 and batch.to_client.tolist() == [False, True]


def test_vlans_keep_flows_apart() -> None:
    from scapy.layers.l2 import Dot1Q

    run = Run()
    frames = [
        bytes(ether() / Dot1Q(vlan=tag) / IP(src="10.0.0.1", dst="10.0.0.2") / UDP(sport=1, dport=2))
        for tag in (1, 2, 1)
    ]
    assert len(run.block(frames, [0, 1, 2]).flow) == 2


def test_tunnels_and_what_they_carry_are_flows_each() -> None:
    run = Run()
    inner = IPv6(src="2001:db8::1", dst="2001:db8::2") / TCP(sport=1, dport=2)
    batch = run.block([bytes(ether() / IP(src="10.0.0.1", dst="10.0.0.2") / inner)], [0])
    protocols = run.table.columns.protocol[batch.flow].tolist()
    assert sorted(protocols) == [6, 41]
