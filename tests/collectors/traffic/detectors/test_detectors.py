"""All detectors together: bans, settings, empty blocks, damaged input, bounded memory."""

import random

import numpy as np
import pytest
from msgspec.structs import replace

from collectors.traffic.block import from_packets
from collectors.traffic.detectors.detectors import EVIDENCE
from collectors.traffic.detectors.kinds import KINDS
from collectors.traffic.detectors.options import DetectorOptions
from tests.collectors.traffic.detectors.crowd import ACK, RST, SYN, Listener, hear, segment
from tests.collectors.traffic.detectors.labelled import ATTACKS, OPTIONS

SCENES = {
    "scans": "SYN scan",
    "floods": "ICMP flood",
    "rates": "HTTP flood",
    "held": "slow headers",
    "logins": "FTP guessing",
    "arp": "ARP spoofing",
    "dns": "DNS tunnel",
    "beacons": "implant calling home",
    "volume": "exfiltration",
    "amplification": "open resolver abused",
    "credentials": "password in plain text",
    "load": "one client has most of the load",
    "web": "injections",
}


def test_who_is_banned_does_not_fire_again() -> None:
    packets = ATTACKS["connect scan"].make(random.Random(1))
    sender = hear(packets)[0].sender
    listener = Listener()
    listener.detectors.ban([f"{sender}/32"])
    assert listener.hear(packets) == []
    assert listener.detectors.counts().voice.banned > 0
    listener.detectors.ban([])
    assert listener.hear([(100 + at, packet) for at, packet in packets]) != []


def test_our_networks_can_be_told_anew() -> None:
    listener = Listener(OPTIONS)
    listener.detectors.ours(["192.0.2.0/24"])
    assert listener.hear(ATTACKS["implant calling home"].make(random.Random(1))) == []


@pytest.mark.parametrize("name", SCENES)
def test_a_detector_that_is_off_says_nothing_and_the_others_work(name: str) -> None:
    off = replace(OPTIONS, **{name: replace(getattr(OPTIONS, name), enabled=False)})
    scene = SCENES[name]
    expected = f"traffic.{ATTACKS[scene].expected}"
    assert expected not in {one.kind.name for one in hear(ATTACKS[scene].make(random.Random(1)), off)}


def test_findings_are_counted_by_kind() -> None:
    listener = Listener()
    listener.hear(ATTACKS["DNS tunnel"].make(random.Random(1)))
    counts = listener.detectors.counts()
    assert counts.findings == {"traffic.dns_tunnelled": 1}
    assert set(counts.findings) <= {kind.name for kind in KINDS}


def test_a_finding_knows_its_interface_and_the_senders_packets() -> None:
    listener = Listener()
    (found,) = listener.block([(n * 0.01, packet) for n, packet in enumerate(_tries())], interface=3)
    assert found.interface == 3
    assert len(found.rows) == EVIDENCE and found.rows[:3] == (0, 2, 4), "the answers between are the victim's"


def _tries() -> list[bytes]:
    made = []
    for port in range(100, 160):
        made.append(segment("203.0.113.9", "10.0.0.10", 40_000, port, SYN, 5))
        made.append(segment("10.0.0.10", "203.0.113.9", port, 40_000, RST | ACK, 0, 6))
    return made


def test_blocks_without_flows_and_without_packets_are_fine() -> None:
    listener = Listener()
    assert listener.block([(0.0, b"\xff" * 60)]) == []
    block = from_packets([])
    table = listener.decoder.decode(block)
    batch = listener.flows.update(block, table)
    news = listener.streams.feed(block, table, batch)
    assert listener.detectors.feed(block, table, batch, news, []) == []


def test_findings_do_not_depend_on_how_packets_come_in_blocks() -> None:
    for name in ("SYN scan", "FTP guessing", "DNS tunnel", "UDP scan", "injections"):
        packets = ATTACKS[name].make(random.Random(2))
        kinds = [sorted({one.kind.name for one in hear(packets, size=size)}) for size in (13, 200, 5000)]
        assert kinds[0] == kinds[1] == kinds[2], name


def test_mutated_packets_break_nothing() -> None:
    chance = random.Random(11)
    packets = [packet for scene in list(ATTACKS.values())[::4] for packet in scene.make(random.Random(1))[:150]]
    listener = Listener()
    for number in range(0, len(packets), 100):
        part = []
        for at, packet in sorted(packets[number : number + 100]):
            broken = bytearray(packet)
            for _ in range(chance.randrange(4)):
                broken[chance.randrange(len(broken))] = chance.randrange(256)
            part.append((at, bytes(broken[: chance.randrange(14, len(broken) + 1)])))
        listener.block(part)


def test_a_flood_of_senders_keeps_memory_bounded_and_hides_no_scanner() -> None:
    chance, listener = random.Random(5), Listener(DetectorOptions())
    found = []
    for turn in range(12):
        part = [
            (
                turn + n * 1e-5,
                segment(
                    f"{chance.randrange(1, 220)}.{chance.randrange(256)}.{chance.randrange(256)}.7",
                    "10.0.0.10",
                    n,
                    80,
                    SYN,
                    n,
                ),
            )
            for n in range(8000)
        ]
        part += [
            (turn + 0.09 + n * 1e-3, segment("203.0.113.9", "10.0.0.10", 40_000, 1000 + turn * 5 + n, SYN, 5))
            for n in range(5)
        ]
        found += listener.block(part)
    found += listener.hear([(30.0, segment("198.51.100.1", "10.0.0.10", 5, 5, SYN, 5))])
    kinds = {(one.kind.name, one.sender) for one in found}
    assert ("traffic.ports_scanned", "203.0.113.9") in kinds
    assert ("traffic.service_flooded", "") in kinds
    scans = listener.detectors._scans
    assert scans is not None
    sizes = [len(part._keys) for _, table, _, _ in scans._tables for part in (table.keys, table.pairs)]
    assert max(sizes) <= 131_072
    assert int(np.sum(list(listener.detectors.counts().evicted.values()))) > 0, "what had to go is counted"
