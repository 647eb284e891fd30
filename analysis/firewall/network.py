"""Routing as the kernel does it: rules, tables, routes, own addresses, reverse path filters, martians and the switches for forwarding."""

from bisect import bisect_right
from typing import NamedTuple

from analysis.firewall.model import Link, Network, Route, RoutingRule

LOCAL, MAIN, DEFAULT = 255, 254, 253
UNICAST, LOCAL_TYPE, BROADCAST, ANYCAST, MULTICAST = 1, 2, 3, 4, 5
BLACKHOLE, UNREACHABLE, PROHIBIT, THROW = 6, 7, 8, 9

_LIMITED_BROADCAST = 0xFFFFFFFF
_DEFAULT_RULES = (
    RoutingRule(family=0, priority=0, table=LOCAL),
    RoutingRule(family=0, priority=32766, table=MAIN),
    RoutingRule(family=0, priority=32767, table=DEFAULT),
)
_STEPS = 1000


class Flow(NamedTuple):
    """What a route is looked up for; `oif` "" for any, `iif` "" for own packets."""

    family: int
    destination: int
    source: int = 0
    iif: str = ""
    oif: str = ""
    mark: int = 0
    protocol: int = 0
    source_port: int = 0
    destination_port: int = 0


class Found(NamedTuple):
    """The result of a lookup: a kind as in `Route`, 0 for no route, and devices it may leave by. `unsure` names what was undecided."""

    kind: int
    devices: tuple[str, ...] = ()
    text: str = ""
    length: int = 0
    unsure: str = ""


class _Table:
    """The routes of one table of one family, most specific first."""

    def __init__(self, routes: list[Route]) -> None:
        lengths: dict[int, list[Route]] = {}
        for route in routes:
            lengths.setdefault(route.length, []).append(route)
        self.lengths = [
            (length, _starts(sorted(group, key=lambda one: one.low)))
            for length, group in sorted(lengths.items(), reverse=True)
        ]

    def candidates(self, destination: int, floor: int) -> list[tuple[int, list[Route]]]:
        """Return the routes that cover `destination` by descending length of more than `floor`, each length by metric."""
        found = []
        for length, (starts, groups) in self.lengths:
            if length <= floor:
                break
            place = bisect_right(starts, destination) - 1
            if place >= 0 and destination <= groups[place][0].high:
                found.append((length, groups[place]))
        return found


def _starts(routes: list[Route]) -> tuple[list[int], list[list[Route]]]:
    groups: dict[int, list[Route]] = {}
    for route in routes:
        groups.setdefault(route.low, []).append(route)
    for group in groups.values():
        group.sort(key=lambda one: one.metric)
    return list(groups), list(groups.values())


class Router:
    """Answers for one network; lookups are remembered."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.links = network.links
        self._tables: dict[tuple[int, int], _Table] = {}
        grouped: dict[tuple[int, int], list[Route]] = {}
        for route in (*network.routes, *_implied(network)):
            if not route.dead:
                grouped.setdefault((route.family, route.table), []).append(route)
        self._tables = {key: _Table(routes) for key, routes in grouped.items()}
        self.rules = {family: _rules(network, family) for family in (4, 6)}
        self.custom = {family: _is_custom(self.rules[family]) for family in (4, 6)}
        self.by_mark = {family: any(r.mark is not None for r in self.rules[family]) for family in (4, 6)}
        self._memory: dict[tuple[Flow, bool], Found] = {}
        self._own = {(a[3], a[0]) for link in self.links.values() for a in link.addresses}
        self.validates = self.custom[4] or any(self._is_added(route) for route in network.routes)
        """Whether sources over IPv4 are looked up even without rp_filter: so the kernel does once rules or local routes were added."""

    def _is_added(self, route: Route) -> bool:
        """Say whether a route makes addresses local that no link has."""
        if route.family != 4 or route.kind != LOCAL_TYPE or route.low >> 24 == 127:
            return False
        return route.low != route.high or not self.is_own(4, route.low)

    # ---- switches

    def switch(self, name: str, default: int) -> int:
        """Return a sysctl as a number."""
        try:
            return int(self.network.switches.get(name, default))
        except ValueError:
            return default

    def _both(self, device: str, name: str, default: int = 0) -> tuple[int, int]:
        return (
            self.switch(f"net.ipv4.conf.all.{name}", default),
            self.switch(f"net.ipv4.conf.{device}.{name}", default),
        )

    def rp_filter(self, device: str) -> int:
        """Return 0 off, 1 strict, 2 loose: the greater of the link's and everybody's value."""
        return max(self._both(device, "rp_filter"))

    def any_of(self, device: str, name: str) -> bool:
        """Return whether the switch is on for the link or for all."""
        return any(self._both(device, name))

    def all_of(self, device: str, name: str) -> bool:
        """Return whether the switch is on for the link and for all."""
        return all(self._both(device, name))

    def forwards(self, family: int, device: str) -> bool:
        """Return whether packets that came by `device` are forwarded."""
        if family == 6:
            return self.switch("net.ipv6.conf.all.forwarding", 0) != 0 or bool(
                self.switch(f"net.ipv6.conf.{device}.force_forwarding", 0)
            )
        whole = self.switch("net.ipv4.ip_forward", self.switch("net.ipv4.conf.all.forwarding", 0))
        return self.switch(f"net.ipv4.conf.{device}.forwarding", whole) != 0

    def is_own(self, family: int, address: int) -> bool:
        """Return whether the address is configured on any link."""
        return (family, address) in self._own

    # ---- lookups

    def lookup(self, flow: Flow, *, keep_local: bool = True) -> Found:
        """Return the route for `flow` by all rules; without `keep_local` the table of own addresses is left out."""
        known = self._memory.get((flow, keep_local))
        if known is None:
            known = self._memory[flow, keep_local] = self._look(flow, keep_local)
        return known

    def in_table(self, flow: Flow, table: int) -> Found | None:
        """Return the route of one table, None without one."""
        return self._in_table(flow, table, -1)

    def _look(self, flow: Flow, keep_local: bool) -> Found:
        rules = self.rules[flow.family]
        place, steps = 0, 0
        doubts: list[str] = []
        while place < len(rules) and steps < _STEPS:
            rule, steps = rules[place], steps + 1
            place += 1
            if rule.unsure:
                if not _certainly_not(rule, flow):
                    doubts.append(f"routing rule {rule.priority}: {rule.unsure}")
                continue
            if not _applies(rule, flow):
                continue
            if rule.action == "goto":
                place = next(
                    (n for n, one in enumerate(rules) if n >= place and one.priority >= rule.target), len(rules)
                )
                continue
            if rule.action == "nop" or (rule.table == LOCAL and not keep_local):
                continue
            if rule.action != "lookup":
                kind = {"blackhole": BLACKHOLE, "prohibit": PROHIBIT}.get(rule.action, UNREACHABLE)
                return Found(kind, text=f"routing rule {rule.priority}: {rule.action}", unsure="; ".join(doubts))
            found = self._in_table(flow, rule.table, rule.suppress_length)
            if found is not None:
                return found._replace(unsure="; ".join([*doubts, *([found.unsure] if found.unsure else [])]))
        return Found(0, unsure="; ".join(doubts))

    def _in_table(self, flow: Flow, table: int, floor: int) -> Found | None:
        known = self._tables.get((flow.family, table))
        if known is None:
            return None
        doubts = []
        for length, routes in known.candidates(flow.destination, floor):
            for route in routes:
                if flow.oif and route.devices and flow.oif not in route.devices and route.kind in (UNICAST, ANYCAST):
                    continue
                near = flow.family == 6 and flow.oif and _is_link_local(flow.destination)
                if near and route.kind == LOCAL_TYPE and route.device not in (flow.oif, "lo"):
                    continue
                if route.unsure:
                    doubts.append(f"route {route.text}: {route.unsure}")
                if route.kind == THROW:
                    return None
                devices = (flow.oif,) if flow.oif in route.devices else route.devices
                return Found(route.kind, devices, route.text, length, "; ".join(doubts))
        return None

    # ---- types of addresses

    def type_of(self, family: int, address: int, device: str = "") -> int:
        """Return the type of an address as `fib … type` gives it; with `device` own addresses of other links are unicast."""
        if family == 6:
            return self._type_of_6(address, device)
        if address >> 24 == 0 or address == _LIMITED_BROADCAST:
            return BROADCAST
        if address >> 28 == 0xE:
            return MULTICAST
        found = self._in_table(Flow(4, address), LOCAL, -1)
        if found is None or (device and device not in found.devices):
            return UNICAST
        return found.kind

    def _type_of_6(self, address: int, device: str) -> int:
        if device and any(a[0] == address and a[3] == 6 for a in self._link(device).addresses):
            return LOCAL_TYPE
        oif = device if _is_link_local(address) else ""
        found = self.lookup(Flow(6, address, oif=oif))
        if found.kind in (BLACKHOLE, PROHIBIT, THROW):
            return found.kind
        if found.kind in (0, UNREACHABLE):
            return MULTICAST if address >> 120 == 0xFF else UNREACHABLE
        if found.kind == ANYCAST or (found.kind == LOCAL_TYPE and not device):
            return found.kind
        return MULTICAST if address >> 120 == 0xFF else UNICAST

    def _link(self, device: str) -> Link:
        return self.links.get(device, Link(name=device))


def _is_link_local(address: int) -> bool:
    return address >> 118 == 0xFE80 >> 6


def _applies(rule: RoutingRule, flow: Flow) -> bool:
    matched = all(_selectors(rule, flow))
    return matched != rule.inverted


def _certainly_not(rule: RoutingRule, flow: Flow) -> bool:
    """Say whether what is understood of a rule shows that it does not apply."""
    return not rule.inverted and not all(_selectors(rule, flow))


def _selectors(rule: RoutingRule, flow: Flow) -> tuple[bool, ...]:
    return (
        rule.source is None or rule.source.low <= flow.source <= rule.source.high,
        rule.destination is None or rule.destination.low <= flow.destination <= rule.destination.high,
        not rule.iif or rule.iif == (flow.iif or "lo"),
        not rule.oif or rule.oif == flow.oif,
        rule.mark is None or flow.mark & rule.mask == rule.mark & rule.mask,
        not rule.protocol or rule.protocol == flow.protocol,
        rule.source_ports is None or rule.source_ports.low <= flow.source_port <= rule.source_ports.high,
        rule.destination_ports is None
        or rule.destination_ports.low <= flow.destination_port <= rule.destination_ports.high,
    )


def _rules(network: Network, family: int) -> tuple[RoutingRule, ...]:
    found = tuple(rule for rule in network.rules if rule.family == family)
    return found or _DEFAULT_RULES


def _is_custom(rules: tuple[RoutingRule, ...]) -> bool:
    return any(
        (rule.priority, rule.table) not in ((0, LOCAL), (32766, MAIN), (32767, DEFAULT)) or rule.inverted
        for rule in rules
    )


def _implied(network: Network) -> list[Route]:
    """Return routes to own addresses for a family whose table of them was not read."""
    families = {route.family for route in network.routes if route.table == LOCAL}
    made = []
    for link in network.links.values():
        for address, length, wide, family, _ in link.addresses:
            if family in families:
                continue
            bits = 32 if family == 4 else 128
            low, high = (
                (address, address) if not (family == 4 and address >> 24 == 127) else (127 << 24, (128 << 24) - 1)
            )
            size = bits if low == high else 8
            made.append(_own(family, link.name, LOCAL_TYPE, low, high, size))
            if wide >= 0 and length < 31:
                made.append(_own(family, link.name, BROADCAST, wide, wide, bits))
    return made


def _own(family: int, device: str, kind: int, low: int, high: int, length: int) -> Route:
    return Route(
        family=family,
        table=LOCAL,
        low=low,
        high=high,
        length=length,
        kind=kind,
        device=device,
        devices=(device,),
        text=f"own address of {device}",
    )
