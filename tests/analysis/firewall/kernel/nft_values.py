"""The values that rules of nftables compare with, around what is probed, and where the rules stand."""

import ipaddress
from dataclasses import dataclass, field

from tests.analysis.firewall.kernel.choosing import Chooser
from tests.analysis.firewall.kernel.scene import Pools

Piece = tuple[str, tuple[str, ...]]
"""A part of a rule, and its tags."""

PLACES = ("lo", "wan0", "lan0", "br0")
KINDS = {4: "ipv4_addr", 6: "ipv6_addr"}


@dataclass
class Scene:
    """What one table's rules draw from."""

    choose: Chooser
    pools: Pools
    family: str
    sets: list[str] = field(default_factory=list)
    subchains: list[str] = field(default_factory=list)
    count: int = 0
    layer3: int = 4
    layer4: str = "tcp"

    def begin_rule(self) -> None:
        """Choose the address family and the protocol of the next rule: nft refuses a rule that contradicts itself."""
        self.layer3 = {"ip": 4, "ip6": 6}.get(self.family) or self.choose.pick((4, 4, 6))
        self.layer4 = self.choose.pick(("tcp", "tcp", "udp"))

    def name(self, letter: str) -> str:
        """Return a new name within the table."""
        self.count += 1
        return f"{letter}{self.count}"

    def version(self) -> int:
        """Return 4 or 6, the same throughout a rule."""
        return self.layer3


@dataclass(frozen=True)
class Place:
    """Where a rule stands."""

    hook: str
    priority: int
    kind: str = "filter"

    @property
    def tracked(self) -> bool:
        """Whether connection tracking has seen the packet before."""
        if self.hook in ("ingress", "egress"):
            return False
        return self.hook not in ("prerouting", "output") or self.priority > -200


def port_spans(scene: Scene, count: int) -> list[tuple[int, int]]:
    """Return up to `count` spans of ports that do not overlap, most of them around ports that are probed."""
    spans: list[tuple[int, int]] = []
    for _ in range(count):
        low = scene.choose.pick(scene.pools.ports)
        high = low + scene.choose.pick((0, 0, 0, 1, 50, 400))
        if all(high < other_low - 1 or low > other_high + 1 for other_low, other_high in spans):
            spans.append((low, high))
    return spans


def address_spans(scene: Scene, version: int, count: int, where: str) -> list[str]:
    """Return up to `count` addresses, prefixes or ranges that do not overlap."""
    taken: list[tuple[int, int]] = []
    texts = []
    for _ in range(count):
        text = address_span(scene, version, where)
        low, high = bounds(text)
        if all(high < other_low - 1 or low > other_high + 1 for other_low, other_high in taken):
            taken.append((low, high))
            texts.append(text)
    return texts


def address(scene: Scene, version: int, where: str) -> str:
    """Return an address that probes come from (`saddr`) or go to (`daddr`)."""
    pools = scene.pools
    if where == "saddr":
        return scene.choose.pick(pools.sources[version] + pools.destinations[version][:1])
    return scene.choose.pick(pools.destinations[version] + pools.translated[version][:2])


def address_span(scene: Scene, version: int, where: str) -> str:
    """Return an address, a prefix or a range around one that is probed."""
    base = address(scene, version, where)
    form = scene.choose.pick(("one", "one", "prefix", "range"))
    if form == "prefix":
        lengths = (8, 16, 24, 31) if version == 4 else (16, 32, 48, 64, 127)
        return str(ipaddress.ip_network(f"{base}/{scene.choose.pick(lengths)}", strict=False))
    if form == "range":
        number = int(ipaddress.ip_address(base))
        low, high = number - scene.choose.number(0, 3), number + scene.choose.number(0, 200)
        kind = ipaddress.IPv4Address if version == 4 else ipaddress.IPv6Address
        return f"{kind(low)}-{kind(high)}"
    return base


def bounds(text: str) -> tuple[int, int]:
    """Return the first and last number of an address, prefix or range."""
    if "-" in text:
        low, high = text.split("-")
        return int(ipaddress.ip_address(low)), int(ipaddress.ip_address(high))
    network = ipaddress.ip_network(text)
    return int(network.network_address), int(network.broadcast_address)


def span_text(span: tuple[int, int]) -> str:
    """Return a span of ports as nft writes it."""
    return str(span[0]) if span[0] == span[1] else f"{span[0]}-{span[1]}"


def verdict(scene: Scene, place: Place) -> Piece:
    """Return a verdict that may stand as the data of a map; its tag does not count, as another element may have decided."""
    weights = {"accept": 40, "drop": 40, "return": 6, "continue": 5}
    if scene.subchains:
        weights |= {"jump": 20, "goto": 10}
    kind = scene.choose.tag(weights)
    if kind in ("jump", "goto"):
        return f"{kind} {scene.choose.pick(scene.subchains)}", ()
    return kind, ()
