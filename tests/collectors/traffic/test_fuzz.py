"""Mutated captures, thousands of them: reading, decoding and flows raise nothing, keep their bounds, and end.

HOLDFAST_FUZZ_TRAFFIC sets how many (10,000 otherwise), HOLDFAST_SEED where they start; a failure names its seed.
"""

import io
import os
import random
import struct

from scapy.contrib.mpls import MPLS
from scapy.layers.inet import ICMP, IP, TCP, UDP, IPerror, TCPerror, fragment
from scapy.layers.inet6 import (
    ICMPv6DestUnreach,
    ICMPv6EchoRequest,
    IPerror6,
    IPv6,
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrFragment,
    IPv6ExtHdrHopByHop,
    IPv6ExtHdrRouting,
    PadN,
    RouterAlert,
)
from scapy.layers.l2 import ARP, GRE, CookedLinux, Dot1AD, Dot1Q, Ether, Loopback
from scapy.layers.ppp import PPP, PPPoE
from scapy.layers.sctp import SCTP, SCTPChunkInit
from scapy.layers.vxlan import VXLAN
from scapy.packet import Raw

from collectors.traffic.captures import open_capture
from collectors.traffic.decode.decoder import DecodeOptions, Decoder
from collectors.traffic.decode.fragments import FragmentLimits
from collectors.traffic.flows.table import FlowOptions, FlowTable
from contracts.errors import Malformed
from tests.collectors.traffic.decode.test_decoder import bounded, mutate
from tests.collectors.traffic.oracle import ether
from tests.collectors.traffic.test_pcapng import enhanced, interface, section

IP4, IP6 = IP(src="10.0.0.1", dst="10.0.0.2"), IPv6(src="2001:db8::1", dst="2001:db8::2")
SEGMENT = TCP(
    sport=1, dport=2, options=[("MSS", 1460), ("SAckOK", b""), ("Timestamp", (1, 2)), ("NOP", None), ("WScale", 7)]
)
EXTENDED = (
    IP6
    / IPv6ExtHdrHopByHop(options=[RouterAlert(), PadN(optdata=b"\0\0")])
    / IPv6ExtHdrRouting(addresses=["::1"], type=0)
)
ETHERNET = [
    ether() / IP4 / SEGMENT / Raw(b"data"),
    ether() / IP4 / UDP(sport=1, dport=2) / Raw(b"data"),
    ether() / Dot1AD(vlan=3) / Dot1Q(vlan=4) / IP6 / SEGMENT,
    ether() / PPPoE() / PPP(proto=0x21) / IP4 / UDP(),
    ether() / MPLS(label=16, s=0) / MPLS(label=17, s=1) / IP4 / UDP(),
    ether() / EXTENDED / IPv6ExtHdrDestOpt(options=[PadN(optdata=b"\0")]) / IPv6ExtHdrFragment(id=5) / SEGMENT,
    ether() / IP4 / GRE(chksum_present=1, key_present=1, seqnum_present=1) / IP4 / UDP(),
    ether() / IP4 / GRE(routing_present=1) / Raw(bytes(24)),
    ether() / IP4 / GRE(proto=0x880B, key_present=1, version=1) / PPP() / IP4 / UDP(),
    ether() / IP4 / UDP(dport=4789) / VXLAN(vni=1) / ether() / IP4 / SEGMENT,
    ether()
    / IP4
    / UDP(dport=6081)
    / Raw(bytes.fromhex("030065580000000000010201" + "0" * 8 + "00010200"))
    / ether()
    / IP4
    / SEGMENT,
    ether()
    / IP4
    / GRE(seqnum_present=1, proto=0x88BE)
    / Raw(bytes.fromhex("1005000100000000"))
    / ether()
    / IP4
    / SEGMENT,
    Ether(type=0x8926) / Raw(bytes(4) + b"\x89\x3f" + bytes(6) + b"\x88\xe7" + bytes(16) + b"\x08\0") / IP4 / UDP(),
    ether() / IP4 / UDP(sport=9, dport=3544) / Raw(bytes([0, 0]) + bytes(6) + bytes(IP6 / ICMPv6EchoRequest())),
    ether() / IP4 / IP6 / IP4 / IP6 / IP4 / UDP(),
    ether() / IP4 / ICMP(type=3) / IPerror(src="10.0.0.2", dst="10.0.0.1") / TCPerror(sport=2, dport=1),
    ether() / IP6 / ICMPv6DestUnreach() / IPerror6(src="2001:db8::2", dst="2001:db8::1") / TCPerror(),
    ether() / IP4 / SCTP(sport=1, dport=2) / SCTPChunkInit(),
    ether() / ARP(psrc="10.0.0.1", pdst="10.0.0.2", hwsrc="02:00:00:00:00:01"),
    *(ether() / piece for piece in fragment(IP4 / UDP(sport=1, dport=2) / Raw(b"x" * 600), fragsize=200)),
]
BASES = {
    1: [bytes(packet) for packet in ETHERNET],
    113: [bytes(CookedLinux(proto=0x0800) / IP4 / SEGMENT)],
    276: [struct.pack("!HHIHBB8s", 0x86DD, 0, 1, 1, 0, 6, b"") + bytes(IP6 / SEGMENT)],
    0: [bytes(Loopback(type=2) / IP4 / UDP())],
    101: [bytes(IP4 / SEGMENT), bytes(IP6 / UDP())],
    228: [bytes(IP4 / SEGMENT)],
    229: [bytes(EXTENDED / SEGMENT)],
    147: [b"a link type that nobody knows"],
}


def capture(chance: random.Random) -> bytes:
    """Return a capture file of some mutated packets; now and then its own structure is mutated, too."""
    link = 1 if chance.random() < 0.7 else chance.choice(list(BASES))
    packets = [chance.choice(BASES[link]) for _ in range(chance.randint(1, 12))]
    packets = [mutate(packet, chance) if chance.random() < 0.8 else packet for packet in packets]
    if chance.random() < 0.3:
        text = (
            section("<")
            + interface("<", link)
            + b"".join(enhanced("<", packet, chance.getrandbits(50)) for packet in packets)
        )
    else:
        text = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, link)
        for packet in packets:
            text += (
                struct.pack("<IIII", chance.getrandbits(20), 0, len(packet), len(packet) + chance.choice([0, 0, 0, 50]))
                + packet
            )
    return mutate(text, chance) if chance.random() < 0.2 else text


def test_mutated_captures_raise_nothing_and_keep_every_bound() -> None:
    count, seed = int(os.environ.get("HOLDFAST_FUZZ_TRAFFIC", "10000")), int(os.environ.get("HOLDFAST_SEED", "1"))
    decoder = Decoder(DecodeOptions(fragments=FragmentLimits(datagrams=50, memory_bytes=50_000)))
    flows = FlowTable(FlowOptions(max_flows=500), seed=bytes(range(64)))
    rows = 0
    for number in range(seed, seed + count // 10):
        # Ten captures by one seed: making generators is what takes the time.
        chance = random.Random(number)
        for _ in range(10):
            try:
                _one(capture(chance), decoder, flows)
            except Exception as problem:
                raise AssertionError(f"seed {number}") from problem
        rows += 1
        assert len(flows) <= 500
        assert len(decoder.fragments) <= 50 and decoder.fragments.memory_bytes <= 50_000
    assert flows.memory_bytes() < 8_000_000
    assert decoder.counts.inside > rows, "tunnels and fragments were met"
    assert flows.counts.begun > rows


def _one(text: bytes, decoder: Decoder, flows: FlowTable) -> None:
    try:
        source = open_capture(io.BytesIO(text))
    except Malformed:
        return
    for block in source.blocks():
        table = decoder.decode(block)
        bounded(table, block.offset, block.captured)
        flows.update(block, table)
