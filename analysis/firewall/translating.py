"""Address translation: what dnat, redirect, snat and masquerade make of the packets' addresses and ports, and the way back for answers."""

from typing import Any, NamedTuple

from analysis.firewall.cohort import Spread, constant
from analysis.firewall.expressions import Expressions
from analysis.firewall.fields import Packets
from analysis.firewall.model import Constant, Expression, Link, Nat, Range
from analysis.firewall.network import Router

SNAT_BIT, DNAT_BIT = 16, 32
_FEW = 16
_LOOPBACK = {4: 0x7F000001, 6: 1}


class Done(NamedTuple):
    """What a translation did: `reached` are the packets it is for, `left` those for which a map held nothing (the rule is left).

    `dropped` have no address to go to, `unsure` go where nobody knows; `text` says why.
    """

    reached: int
    left: int = 0
    dropped: int = 0
    unsure: int = 0
    text: str = ""


class Translator:
    """Translates `packets`."""

    def __init__(self, packets: Packets, expressions: Expressions, router: Router) -> None:
        self.packets = packets
        self.expressions = expressions
        self.router = router

    def apply(self, nat: Nat, table: str, hook: str, certain: int, may: int) -> Done:
        """Translate the `may` bits, those of them that are `certain` without the former value left."""
        family = nat.family or (4 if table.endswith("ip") else 6 if table.endswith("ip6") else 0)
        bits = {4: self.packets.four, 6: self.packets.six}.get(family, self.packets.everyone) & may
        if nat.kind == "redirect":
            return self._redirect(nat, hook, certain, bits)
        if nat.kind == "masquerade":
            return self._masquerade(nat, certain, bits)
        done = Done(0)
        for one in (4, 6):
            part = bits & (self.packets.four if one == 4 else self.packets.six)
            if part:
                done = _both(done, self._to(nat, one, certain & part, part))
        return done

    def _to(self, nat: Nat, family: int, certain: int, bits: int) -> Done:
        """Translate packets of one family to what the expressions give."""
        end, port_end = ("daddr", "th dport") if nat.kind == "dnat" else ("saddr", "th sport")
        target, ports = (None if one is None else self._value(one) for one in (nat.address, nat.port))
        bits, left, certain = self._given(bits, certain, target, ports)
        former = self.packets.address(end, family).within(bits)
        address, port = former, ports.within(bits) if ports else None
        if target is not None:
            given = target.within(bits)
            pair = any(isinstance(value, tuple) for value in given.values)
            address = _pick(given, 0) if pair else given
            port = _pick(given, 1) if pair else port
            address = _netmapped(former, address) if nat.netmap else _settled(address)
        if port is not None:
            port = _ports(self.packets.base[port_end].within(bits), port, is_random=nat.random)
        self._put(f"{'ip' if family == 4 else 'ip6'} {end}", address, certain, bits)
        if port is not None:
            self._put(port_end, port, certain, bits)
        unsure = (address.unknown | (port.unknown if port else 0)) & bits
        return Done(bits, left, 0, unsure, f"{nat.kind} goes to one of several addresses or ports")

    def _given(self, bits: int, certain: int, *parts: Spread | None) -> tuple[int, int, int]:
        """Return the packets for which every part has a value, those for which one has none, and those for which all surely have one.

        A map that holds nothing for a packet ends its rule before anything is translated.
        """
        there = bits
        for part in parts:
            there &= bits if part is None else part.present
        return there, bits & ~there, certain & there & ~self.expressions.partial

    def _put(self, name: str, value: Spread, certain: int, bits: int) -> None:
        """Set an address or port, and note in the connection's status whether that changed anything."""
        packets = self.packets
        former = packets.base[name]
        same = 0
        for one, had in value.values.items():
            same |= had & former.values.get(one, 0)
        packets.assign(name, value, certain, bits)
        is_target = name.endswith(("daddr", "dport"))
        mark = DNAT_BIT if is_target else SNAT_BIT
        changed = bits & ~same
        status = packets.base["ct status"]
        packets.assign("ct status", status.within(changed).mapped(lambda had: had | mark), changed & certain, changed)
        mirror = {
            "ip daddr": "ct reply ip saddr", "ip6 daddr": "ct reply ip6 saddr", "ip saddr": "ct reply ip daddr",
            "ip6 saddr": "ct reply ip6 daddr", "th dport": "ct reply proto-src", "th sport": "ct reply proto-dst",
        }[name]  # fmt: skip
        packets.assign(mirror, value, certain, bits)

    def _value(self, expression: Expression) -> Spread:
        if isinstance(expression, Constant) and not isinstance(expression.value, int):
            return Spread({}, self.packets.everyone)
        return self.expressions.value(expression)

    def _redirect(self, nat: Nat, hook: str, certain: int, bits: int) -> Done:
        dropped = 0
        done = Done(bits)
        if nat.port is not None:
            given = self._value(nat.port).within(bits)
            bits, left, certain = self._given(bits, certain, given)
            done = Done(bits, left)
            port = _ports(self.packets.base["th dport"].within(bits), given, is_random=nat.random)
            self._put("th dport", port, certain & bits, bits)
            done = done._replace(unsure=port.unknown, text="redirect goes to one of several ports")
        for family, part in ((4, bits & self.packets.four), (6, bits & self.packets.six)):
            name = "ip daddr" if family == 4 else "ip6 daddr"
            if hook == "output" and part:
                self._put(name, constant(_LOOPBACK[family], part), certain & part, part)
                continue
            for device, had in self.packets.base["meta iifname"].within(part).values.items():
                found = self._own(family, device, had)
                self._put(name, found, certain & found.present, had & found.present)
                dropped |= had & ~found.present
        return done._replace(dropped=dropped, text="redirect: the interface has no address" if dropped else done.text)

    def _own(self, family: int, device: str, bits: int) -> Spread:
        """Return the address of a link that a redirect chooses: its first, for IPv6 of those of the source's scope."""
        link = self.router.links.get(device)
        own = [entry for entry in (link.addresses if link else ()) if entry[3] == family]
        if family == 4:
            return constant(own[0][0], bits) if own else Spread({})
        values: dict[int, int] = {}
        for source, had in self.packets.base["ip6 saddr"].within(bits).values.items():
            near = source >> 118 == 0xFE80 >> 6
            fitting = [entry[0] for entry in own if (entry[0] >> 118 == 0xFE80 >> 6) == near]
            if fitting:
                values[fitting[0]] = values.get(fitting[0], 0) | had
        return Spread(values)

    def _masquerade(self, nat: Nat, certain: int, bits: int) -> Done:
        lost = 0
        for family, part in ((4, bits & self.packets.four), (6, bits & self.packets.six)):
            value = Spread({})
            for device, had in self.packets.base["meta oifname"].within(part).values.items():
                value = value.joined(self._sources(family, device, had))
            self._put("ip saddr" if family == 4 else "ip6 saddr", value, certain & value.present, value.present)
            lost |= part & ~value.present
        if nat.port is not None:
            self._put("th sport", Spread({}, bits), certain, bits)
        return Done(bits, dropped=lost, text="masquerade: no interface has an address for it" if lost else "")

    def _sources(self, family: int, device: str, bits: int) -> Spread:
        """Return the addresses one of which the kernel chooses as the source of what leaves by `device`; none where it has none."""
        link = self.router.links.get(device)
        if link is None:
            return Spread({}, bits)
        if family == 4:
            return Spread(dict.fromkeys(_global(link, 4) or self._elsewhere(4), bits))
        targets = self.packets.base["ip6 daddr"].within(bits)
        values: dict[int, int] = {}
        for target, had in targets.values.items():
            for one in self._sources6(link, target):
                values[one] = values.get(one, 0) | had
        return Spread(values, targets.unknown)

    def _sources6(self, link: Link, target: int) -> list[int]:
        """Return the sources to choose from for one destination (RFC 6724): itself, else those of the interface and scope."""
        own = [entry[0] for entry in link.addresses if entry[3] == 6]
        if _is_near(target):
            return [target] if target in own else [one for one in own if one != 1 and _is_near(one)] or own
        if self.router.is_own(6, target):
            return [target]
        return _global(link, 6) or self._elsewhere(6) or own

    def _elsewhere(self, family: int) -> list[int]:
        """Return the addresses of all interfaces by which others may answer."""
        return [one for link in self.router.links.values() for one in _global(link, family)]


def _global(link: Link, family: int) -> list[int]:
    """Return the addresses of a link that are valid everywhere; over IPv4 the kernel goes by their scope as it was configured."""
    return [
        one
        for one, _, _, kind, scope in link.addresses
        if kind == family and (scope == "global" if family == 4 else not _is_near(one))
    ]


def _is_near(address: int) -> bool:
    """Say whether an IPv6 address is of its link or host alone."""
    return address == 1 or address >> 118 == 0xFE80 >> 6


def _both(first: Done, second: Done) -> Done:
    return Done(
        first.reached | second.reached,
        first.left | second.left,
        first.dropped | second.dropped,
        first.unsure | second.unsure,
        first.text or second.text,
    )


def _pick(given: Spread, place: int) -> Spread:
    values: dict[Any, int] = {}
    unknown = given.unknown
    for value, bits in given.values.items():
        if isinstance(value, tuple) and len(value) > place and value[place] is not None:
            values[value[place]] = values.get(value[place], 0) | bits
        else:
            unknown |= bits
    return Spread(values, unknown)


def _settled(given: Spread) -> Spread:
    """Return addresses in which a small range is each of its addresses and a large one unknown."""
    values: dict[Any, int] = {}
    unknown = given.unknown
    for value, bits in given.values.items():
        if isinstance(value, int):
            values[value] = values.get(value, 0) | bits
        elif isinstance(value, Range) and value.high - value.low < _FEW:
            for one in range(value.low, value.high + 1):
                values[one] = values.get(one, 0) | bits
        else:
            unknown |= bits
    return Spread(values, unknown)


def _netmapped(former: Spread, given: Spread) -> Spread:
    """Return the host part of the former address in the network that is given."""
    values: dict[Any, int] = {}
    unknown = given.unknown | former.unknown
    for network, bits in given.values.items():
        if isinstance(network, int):
            network = Range(network, network)
        if not isinstance(network, Range):
            unknown |= bits
            continue
        for address, had in former.values.items():
            if had & bits:
                new = network.low | (address & (network.high - network.low))
                values[new] = values.get(new, 0) | (had & bits)
    return Spread(values, unknown)


def _ports(former: Spread, given: Spread, *, is_random: bool) -> Spread:
    """Return the ports chosen: of a range the former one if it is in it, else the first."""
    values: dict[Any, int] = {}
    unknown = given.unknown
    for value, bits in given.values.items():
        if isinstance(value, int):
            values[value] = values.get(value, 0) | bits
        elif not isinstance(value, Range) or (is_random and value.high != value.low):
            unknown |= bits
        else:
            within = former.between(value.low, value.high) & bits
            for port, had in former.values.items():
                if value.low <= port <= value.high and had & bits:
                    values[port] = values.get(port, 0) | (had & bits)
            values[value.low] = values.get(value.low, 0) | (bits & ~within)
    return Spread(values, unknown)
