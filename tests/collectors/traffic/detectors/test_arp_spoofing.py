"""ARP: a claim against another's, announcements, failover, and memory that is bounded."""

from collectors.traffic.detectors.arp_spoofing import _MOST, mac
from tests.collectors.traffic.detectors.crowd import Listener, Packet, arp, hear

REAL, LIAR, OURS = 0x020000000001, 0x0200000000EE, 0x020000000010
GATEWAY, US = "10.0.0.1", "10.0.0.10"
ASKED = [(0.0, arp(1, OURS, US, 0, GATEWAY)), (0.01, arp(2, REAL, GATEWAY, OURS, US))]


def lies(count: int, begin: float = 1.0) -> list[Packet]:
    """Return answers that nobody asked for."""
    return [(begin + number * 2, arp(2, LIAR, GATEWAY, OURS, US)) for number in range(count)]


def names(packets: list[Packet]) -> list[tuple[str, str]]:
    """Return kind and sender of what is found."""
    return [(one.kind.name.removeprefix("traffic."), one.sender) for one in hear(packets)]


def test_answers_nobody_asked_for_against_a_known_owner_are_spoofed() -> None:
    assert names(ASKED + lies(2)) == [("arp_address_moved", mac(LIAR))]
    # (The first may answer what was asked just now.)
    assert names(ASKED + lies(3, 10.0)) == [("arp_address_moved", mac(LIAR)), ("arp_spoofed", mac(LIAR))]


def test_who_claims_without_contradiction_needs_more() -> None:
    assert names(lies(8)) == []
    assert names(lies(9)) == [("arp_spoofed", mac(LIAR))]
    assert [one.severity.name for one in hear(lies(9))] == ["MEDIUM"]


def test_the_liar_is_named_even_if_the_owner_speaks_last() -> None:
    fight = ASKED + lies(3, 10.0)
    fight += [(17.0, arp(1, OURS, US, 0, GATEWAY)), (17.1, arp(2, REAL, GATEWAY, OURS, US))]
    spoofed = [one for one in hear(fight) if one.kind.name == "traffic.arp_spoofed"]
    assert {one.sender for one in spoofed} == {mac(LIAR)}


def test_an_address_that_goes_to_and_fro_is_spoofed() -> None:
    fro = [
        (turn * 2.0, arp(1, card, GATEWAY, 0, "10.0.0.77")) for turn, card in enumerate([REAL, LIAR, REAL, LIAR, REAL])
    ]
    assert "arp_spoofed" in [name for name, _ in names(fro)]


def test_of_cards_in_turns_the_later_one_is_named_though_the_owner_speaks_last() -> None:
    fro = list(ASKED)
    for turn in range(4):
        fro += [(5 + turn * 4.0, arp(1, LIAR, GATEWAY, 0, GATEWAY))]
        fro += [(7 + turn * 4.0, arp(1, OURS, US, 0, GATEWAY)), (7.1 + turn * 4.0, arp(2, REAL, GATEWAY, OURS, US))]
    assert [sender for name, sender in names(fro) if name == "arp_spoofed"] == [mac(LIAR)]


def test_failover_announces_and_is_not_spoofing() -> None:
    moved = [(number * 0.2, arp(1, REAL, GATEWAY, 0, GATEWAY)) for number in range(5)]
    moved += [(20 + number * 0.2, arp(2, LIAR, GATEWAY, LIAR, GATEWAY)) for number in range(10)]
    assert names(moved) == [("arp_address_moved", mac(LIAR))]


def test_probes_claim_nothing() -> None:
    assert names([(number * 1.0, arp(1, OURS + number, "0.0.0.0", 0, GATEWAY)) for number in range(20)]) == []


def test_the_same_claim_on_several_interfaces_counts_once() -> None:
    listener = Listener()
    found = []
    for at, packet in ASKED + lies(2, 10.0):
        found += listener.block([(at, packet)], 0)
        found += listener.block([(at + 0.0001, packet)], 1)
    assert [one.kind.name for one in found] == ["traffic.arp_address_moved"]


def test_addresses_beyond_the_bound_are_forgotten_and_counted() -> None:
    listener = Listener()
    packets = [(n * 0.001, arp(2, OURS + n, f"10.1.{n >> 8}.{n & 255}", OURS, US)) for n in range(_MOST + 50)]
    listener.hear(packets, settle_s=0)
    assert listener.detectors.counts().evicted["arp"] > 0
