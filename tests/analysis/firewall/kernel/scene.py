"""What a generated ruleset and its probes have in common: small pools of addresses, ports and marks, so that rules hit probes."""

import ipaddress
from dataclasses import dataclass, field

from analysis.firewall.probe import Probe
from tests.analysis.firewall.kernel.choosing import Chooser
from tests.analysis.firewall.kernel.probing import Shot
from tests.analysis.firewall.kernel.topology import ADDRESSES, INTERFACES, PORTS, SPOOFED

MARKS = (0x1, 0x2, 0x10, 0x11, 0x100, 0xFF)
OUTSIDE = ("internet", "lan", "container")
OWN = {"internet": (0, 1), "lan": (2,), "container": (3,)}
"""Which of the host's addresses is on the side of each neighbour."""


@dataclass
class Pools:
    """What probes are made of in one round; rules draw their values from it."""

    ports: list[int] = field(default_factory=list)
    sources: dict[int, list[str]] = field(default_factory=dict)
    destinations: dict[int, list[str]] = field(default_factory=dict)
    translated: dict[int, list[str]] = field(default_factory=dict)
    marks: list[int] = field(default_factory=list)


def draw_pools(chooser: Chooser) -> Pools:
    """Return pools for one round."""
    pools = Pools(ports=chooser.some(PORTS, 3, 5), marks=chooser.some(MARKS, 2, 3))
    for family in (4, 6):
        outside = [address for name in OUTSIDE for address in ADDRESSES[name][family]]
        pools.sources[family] = chooser.some(outside, 4, 7)
        pools.destinations[family] = chooser.some(ADDRESSES["host"][family][:4], 2, 4)
        pools.translated[family] = [
            ADDRESSES["container"][family][0],
            ADDRESSES["lan"][family][0],
            ADDRESSES["host"][family][1],
            ADDRESSES["internet"][family][1],
        ]
    return pools


def sender_of(address: str) -> str:
    """Return the namespace that has `address`, "" when none has."""
    family = ipaddress.ip_address(address).version
    return next((name for name, families in ADDRESSES.items() if address in families[family]), "")


def draw_shots(chooser: Chooser, pools: Pools, count: int) -> list[Shot]:
    """Return `count` shots: mostly from neighbours to the host, some through it, some to itself, a few by the wrong interface."""
    return [_shot(chooser, pools, chooser.pick((4, 4, 4, 6, 6))) for _ in range(count)]


def _shot(chooser: Chooser, pools: Pools, family: int) -> Shot:
    way = chooser.tag({"to host": 60, "through": 22, "loopback": 14, "outgoing": 5, "spoofed": 4})
    protocol = chooser.pick(("tcp", "tcp", "udp"))
    port = chooser.pick(pools.ports)
    band = chooser.pick((2, 2, 2, 0, 1, 3))
    source = chooser.pick(pools.sources[family])
    sender = sender_of(source)
    destination = chooser.pick(pools.destinations[family])
    if way == "through":
        others = [address for name in OUTSIDE if name != sender for address in ADDRESSES[name][family]]
        destination = chooser.pick(others)
    elif way == "loopback":
        sender = "host"
        source = chooser.pick(ADDRESSES["host"][family][::-1])
        destination = chooser.pick((source, source, *pools.destinations[family]))
    elif way == "outgoing":
        sender, other = "host", sender
        source, destination = ADDRESSES["host"][family][OWN[other][0]], chooser.pick(ADDRESSES[other][family])
    elif way == "spoofed":
        sender, source, protocol = "lan", SPOOFED[family], "udp"
    probe = Probe(
        family=family,
        protocol=protocol,
        source=source,
        destination=destination,
        port=port,
        interface=INTERFACES[sender],
    )
    return Shot(sender, probe, band)
