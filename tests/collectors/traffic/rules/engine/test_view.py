"""A packet as the rules see it is what scapy put into it."""

from hypothesis import given, settings
from hypothesis import strategies as st
from scapy.layers.inet import ICMP, IP, TCP, UDP, IPOption_NOP, IPOption_RR
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import ARP

from collectors.traffic.rules.engine.view import BUFFERS
from tests.collectors.traffic.oracle import PORTS, V4, V6, ether, number
from tests.collectors.traffic.rules.engine import scene


@settings(max_examples=25, deadline=None)
@given(V4, V4, PORTS, PORTS, st.binary(max_size=30))
def test_ends_and_payload(source: str, destination: str, sport: int, dport: int, data: bytes) -> None:
    (packet,) = scene.seen(bytes(ether() / IP(src=source, dst=destination) / UDP(sport=sport, dport=dport) / data))
    assert (packet.source, packet.destination) == (number(source)[1], number(destination)[1])
    assert (packet.sport, packet.dport, packet.payload, packet.family) == (sport, dport, data, 4)


@settings(max_examples=15, deadline=None)
@given(V6, V6, st.binary(max_size=30))
def test_ends_of_ipv6(source: str, destination: str, data: bytes) -> None:
    (packet,) = scene.seen(bytes(ether() / IPv6(src=source, dst=destination) / TCP(sport=1, dport=2) / data))
    ends = [high << 64 | low for high, low in (number(source), number(destination))]
    assert [packet.source, packet.destination] == ends
    assert (packet.payload, packet.family, packet.ip_options) == (data, 6, [])


def test_headers_end_where_they_end() -> None:
    tcp = TCP(sport=1, dport=2, options=[("MSS", 1460), ("NOP", None), ("WScale", 7)])
    whole = ether() / IP(src="10.0.0.1", dst="10.0.0.2", options=[IPOption_NOP()] * 4) / tcp / b"data"
    data = bytes(whole)
    (packet,) = scene.seen(data)
    assert (packet.header3, packet.header4, packet.payload) == (data[14:38], data[38:66], b"data")
    assert packet.tcp_options == {2: (1460).to_bytes(2, "big"), 3: b"\x07"}
    assert BUFFERS["ether.hdr"](packet) == data[:14]
    have = {name for name, part in BUFFERS.items() if part(packet)}
    assert have == {"ether.hdr", "ipv4.hdr", "tcp.hdr", "ip.src", "ip.dst"}


def test_ip_options_are_told_by_kind() -> None:
    options = [IPOption_NOP(), IPOption_RR(routers=["1.1.1.1"])]
    (packet,) = scene.seen(bytes(ether() / IP(src="10.0.0.1", dst="10.0.0.2", options=options) / UDP(sport=7, dport=8)))
    assert packet.ip_options[:2] == [1, 7]


def test_options_that_lie_about_their_length_end_the_walk() -> None:
    data = bytearray(bytes(ether() / IP(src="10.0.0.1", dst="10.0.0.2") / TCP(options=[("MSS", 1), ("SAckOK", b"")])))
    data[14 + 20 + 20 + 5] = 0  # the length of the second option
    (packet,) = scene.seen(bytes(data))
    assert packet.tcp_options == {2: b"\x00\x01"}


def test_packets_without_ports_have_none() -> None:
    packets = scene.seen(
        bytes(ether() / IP(src="10.0.0.1", dst="10.0.0.2") / ICMP(type=8, id=5)),
        bytes(ether() / ARP(psrc="10.0.0.1", pdst="10.0.0.2")),
    )
    assert [(one.sport, one.dport, one.ported) for one in packets] == [(-1, -1, False)] * 2
    assert packets[0].family == 4
    assert BUFFERS["icmpv4.hdr"](packets[0])[:1] == b"\x08" and packets[0].word(4, 2, packets[0].header4) == 5
    assert packets[0].word(7, 2, packets[0].header4) is None


def test_the_flow_counts_its_packets_by_direction() -> None:
    packets = scene.seen(scene.udp(b"a"), scene.udp_back(b"bb"), scene.udp(b"c"))
    assert [one.to_client for one in packets] == [False, True, False]
    last = packets[-1]
    assert (last.counted("pkts", False), last.counted("pkts", True)) == (2, 1)
    assert last.counted("bytes", True) == len(scene.udp_back(b"bb"))
