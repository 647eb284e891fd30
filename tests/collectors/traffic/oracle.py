"""What scapy says about a packet, in the terms of the column table; and strategies that make packets with it."""

import logging
from typing import Any

logging.getLogger("scapy").setLevel(logging.ERROR)

from hypothesis import strategies as st  # noqa: E402
from scapy.config import conf  # noqa: E402
from scapy.layers.inet import ICMP, IP, TCP, UDP, IPOption_NOP  # noqa: E402
from scapy.layers.inet6 import (  # noqa: E402
    ICMPv6EchoRequest,
    IPv6,
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrHopByHop,
    IPv6ExtHdrRouting,
    PadN,
)
from scapy.layers.l2 import GRE, Dot1AD, Dot1Q, Ether  # noqa: E402
from scapy.layers.ppp import PPP, PPPoE  # noqa: E402
from scapy.layers.sctp import SCTP, SCTPChunkInit  # noqa: E402
from scapy.layers.vxlan import VXLAN  # noqa: E402
from scapy.packet import Packet, Raw  # noqa: E402

from collectors.traffic.block import LINK_ETHERNET, from_packets  # noqa: E402
from collectors.traffic.decode.decoder import DecodeOptions, Decoder  # noqa: E402
from collectors.traffic.decode.table import Table  # noqa: E402

conf.verb = 0
# Ports that scapy takes for tunnels or other protocols must not be met by chance.
PORTS = st.integers(1, 65535).filter(
    lambda port: port not in {3544, 4789, 53, 67, 68, 69, 123, 179, 500, 520, 646, 1812, 2055, 4500, 8472}
)
V4 = st.ip_addresses(v=4).map(str)
V6 = st.ip_addresses(v=6).map(str)
BYTES = st.binary(max_size=64)


def ether() -> Packet:
    """Return an Ethernet header with its addresses given: scapy would look for missing ones by sending ARP requests."""
    return Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")


def decode(*packets: bytes, link: int = LINK_ETHERNET, options: DecodeOptions | None = None) -> Table:
    """Return the table of some packets, decoded as one block."""
    return Decoder(options or DecodeOptions()).decode(from_packets(list(packets), link))


def number(address: str) -> tuple[int, int]:
    """Return an address as its two halves."""
    import ipaddress

    value = int(ipaddress.ip_address(address))
    return value >> 64, value & (1 << 64) - 1


TRANSPORTS = st.one_of(
    st.builds(
        lambda sport, dport, seq, ack, flags, window, options: TCP(
            sport=sport, dport=dport, seq=seq, ack=ack, flags=flags, window=window, options=options
        ),
        PORTS,
        PORTS,
        st.integers(0, 2**32 - 1),
        st.integers(0, 2**32 - 1),
        st.integers(0, 255),
        st.integers(0, 65535),
        st.lists(
            st.sampled_from([("MSS", 1460), ("NOP", None), ("WScale", 7), ("SAckOK", b""), ("Timestamp", (1, 2))]),
            max_size=4,
        ),
    ),
    st.builds(lambda sport, dport: UDP(sport=sport, dport=dport), PORTS, PORTS),
)


@st.composite
def ip4(draw: Any) -> Packet:
    """Return an IPv4 packet with TCP, UDP, ICMP or SCTP."""
    options = [IPOption_NOP()] * draw(st.integers(0, 4))
    header = IP(
        src=draw(V4),
        dst=draw(V4),
        ttl=draw(st.integers(0, 255)),
        tos=draw(st.integers(0, 255)),
        id=draw(st.integers(0, 65535)),
        options=options,
    )
    kind = draw(st.integers(0, 9))
    if kind == 0:
        return header / ICMP(type=draw(st.sampled_from([0, 8])), code=0) / Raw(draw(BYTES))
    if kind == 1:
        return header / SCTP(sport=draw(PORTS), dport=draw(PORTS)) / SCTPChunkInit()
    return header / draw(TRANSPORTS) / Raw(draw(BYTES))


@st.composite
def ip6(draw: Any) -> Packet:
    """Return an IPv6 packet with up to three extension headers."""
    packet = IPv6(src=draw(V6), dst=draw(V6), hlim=draw(st.integers(0, 255)), tc=draw(st.integers(0, 255)))
    if draw(st.booleans()):
        packet /= IPv6ExtHdrHopByHop(options=[PadN(optdata=b"\0" * draw(st.integers(0, 20)))])
    if draw(st.booleans()):
        packet /= IPv6ExtHdrRouting(addresses=[draw(V6)], type=4)
    if draw(st.booleans()):
        packet /= IPv6ExtHdrDestOpt(options=[PadN(optdata=b"\0" * draw(st.integers(0, 20)))])
    if draw(st.integers(0, 5)) == 0:
        return packet / ICMPv6EchoRequest(data=draw(BYTES))
    return packet / draw(TRANSPORTS) / Raw(draw(BYTES))


NETWORKS = st.one_of(ip4(), ip6())


@st.composite
def frames(draw: Any) -> Packet:
    """Return an Ethernet frame: plain, tagged, PPPoE, or with a tunnel inside."""
    inner = draw(NETWORKS)
    kind = draw(st.integers(0, 7))
    vlan = st.integers(0, 4095)
    if kind == 0:
        return ether() / Dot1Q(vlan=draw(vlan)) / inner
    if kind == 1:
        return ether() / Dot1AD(vlan=draw(vlan)) / Dot1Q(vlan=draw(vlan)) / inner
    if kind == 2:
        return ether() / PPPoE(sessionid=1) / PPP(proto=0x21 if IP in inner else 0x57) / inner
    if kind == 3:
        return ether() / IP(src=draw(V4), dst=draw(V4)) / GRE() / inner
    if kind == 4:
        return ether() / IP(src=draw(V4), dst=draw(V4)) / inner
    if kind == 5:
        return (
            ether()
            / IPv6(src=draw(V6), dst=draw(V6))
            / UDP(sport=draw(PORTS), dport=4789)
            / VXLAN(vni=7)
            / ether()
            / inner
        )
    return ether() / inner


def expected(packet: Packet) -> list[dict[str, Any]]:
    """Return, for a packet as scapy dissects it, the columns of each IP layer from the outside in."""
    found: list[dict[str, Any]] = []
    vlans: list[int] = []
    layer: Any = packet
    while layer is not None and layer.name != "NoPayload":
        if isinstance(layer, Dot1Q):
            vlans.append(layer.vlan)
        elif isinstance(layer, IP | IPv6):
            found.append(_network(layer, vlans, len(found)))
        elif isinstance(layer, TCP | UDP | ICMP | SCTP | ICMPv6EchoRequest):
            found[-1] |= _transport(layer)
        layer = layer.payload
    return found


def _network(layer: Any, vlans: list[int], depth: int) -> dict[str, Any]:
    (src_hi, src_lo), (dst_hi, dst_lo) = number(layer.src), number(layer.dst)
    four = isinstance(layer, IP)
    return {
        "family": 4 if four else 6,
        "src_hi": src_hi,
        "src_lo": src_lo,
        "dst_hi": dst_hi,
        "dst_lo": dst_lo,
        "ttl": layer.ttl if four else layer.hlim,
        "tos": layer.tos if four else layer.tc,
        "ip_len": layer.len if four else layer.plen + 40,
        "depth": depth,
        "vlan_count": len(vlans),
        "vlan": sum(tag << (16 * place) for place, tag in enumerate(vlans)),
    } | ({"ip_id": layer.id} if four else {})


def _transport(layer: Any) -> dict[str, Any]:
    if isinstance(layer, TCP):
        return {
            "protocol": 6,
            "sport": layer.sport,
            "dport": layer.dport,
            "seq": layer.seq,
            "ack": layer.ack,
            "window": layer.window,
            "tcp_flags": int(layer.flags) & 255,
            "payload_len": len(layer.payload),
        }
    if isinstance(layer, UDP):
        return {"protocol": 17, "sport": layer.sport, "dport": layer.dport, "payload_len": layer.len - 8}
    if isinstance(layer, SCTP):
        return {"protocol": 132, "sport": layer.sport, "dport": layer.dport}
    if isinstance(layer, ICMP):
        return {"protocol": 1, "sport": layer.type, "dport": layer.code}
    return {"protocol": 58, "sport": layer.type, "dport": layer.code}


def row(table: Table, index: int, names: Any) -> dict[str, int]:
    """Return some columns of one row as Python numbers."""
    return {name: int(getattr(table, name)[index]) for name in names}
