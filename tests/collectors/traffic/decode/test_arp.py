"""ARP: who says which address is whose, and what is not ARP as Ethernet knows it."""

import pytest
from scapy.layers.l2 import ARP

from tests.collectors.traffic.oracle import decode, ether, number

GOOD = bytes(
    ether() / ARP(op=2, hwsrc="02:00:00:00:00:07", psrc="10.0.0.1", hwdst="02:00:00:00:00:08", pdst="10.0.0.2")
)


def test_every_field_is_kept() -> None:
    table = decode(GOOD)
    (arp,) = table.arps.fields
    assert (arp["operation"], arp["sender_mac"], arp["target_mac"]) == (2, 0x020000000007, 0x020000000008)
    assert (arp["sender_ip"], arp["target_ip"]) == (number("10.0.0.1")[1], number("10.0.0.2")[1])
    assert (table.ether_type[0], table.family[0]) == (0x0806, 0)


@pytest.mark.parametrize(
    ("place", "value", "event"),
    [
        (15, 6, "unsupported_hardware"),
        (16, 9, "unsupported_protocol"),
        (18, 8, "invalid_hardware_size"),
        (19, 6, "invalid_protocol_size"),
        (21, 99, "unsupported_opcode"),
    ],
)
def test_what_does_not_hold_is_named(place: int, value: int, event: str) -> None:
    changed = bytearray(GOOD)
    changed[place] = value
    table = decode(bytes(changed), GOOD[:40], GOOD)
    assert table.event_names(0) == (f"arp.{event}",)
    assert table.event_names(1) == ("arp.pkt_too_small",)
    assert table.arps.rows.tolist() == [2]
