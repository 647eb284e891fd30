"""Keys are the same whichever side sends, and differ where flows do."""

import numpy as np
from hypothesis import HealthCheck, given, settings
from scapy.layers.inet import IP, UDP
from scapy.packet import Packet

from collectors.traffic.block import LINK_RAW
from collectors.traffic.flows.keys import Hasher
from tests.collectors.traffic.oracle import NETWORKS, decode

SEED = bytes(range(64))


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(NETWORKS)
def test_an_answer_has_the_key_of_its_question(packet: Packet) -> None:
    there = decode(bytes(packet), link=LINK_RAW)
    keys = Hasher(SEED).keys(there, np.array([0]))
    for name in ("hi", "lo"):
        source, target = getattr(there, f"src_{name}"), getattr(there, f"dst_{name}")
        source[0], target[0] = target[0], source[0]
    if there.protocol[0] in (6, 17, 132):
        there.sport[0], there.dport[0] = there.dport[0], there.sport[0]
        back = Hasher(SEED).keys(there, np.array([0]))
        assert (keys.low, keys.high, keys.rest, keys.hash) == (back.low, back.high, back.rest, back.hash)
        assert keys.low == keys.high or keys.swapped != back.swapped


def test_ports_addresses_and_protocols_make_other_keys() -> None:
    packets = [
        bytes(IP(src=source, dst="10.0.0.9", proto=protocol) / UDP(sport=sport, dport=2) / bytes(20))
        for source in ("10.0.0.1", "10.0.0.2")
        for sport in (1, 3)
        for protocol in (17, 132)
    ]
    keys = Hasher(SEED).keys(decode(*packets, link=LINK_RAW), np.arange(len(packets)))
    assert len(set(keys.hash.tolist())) == len(packets)
    others = Hasher().keys(decode(*packets, link=LINK_RAW), np.arange(len(packets)))
    assert not set(keys.hash.tolist()) & set(others.hash.tolist()), "without a seed the secret is a new one"
