"""The fields of all packets at one moment of their way: what a first packet determines, what it leaves open, what rules changed."""

from collections.abc import Mapping
from typing import TypeAlias

from analysis.firewall.cohort import NOTHING, Spread, constant, grouped
from analysis.firewall.model import Expression, Link

TRACKED = "@tracked"
"""0 before connection tracking, 1 taken out of it, 2 tracked, 3 passed by without a connection (an answer nobody knows), 4 before it too,
but with a zone: the kernel then has a template at the packet, which no later rule replaces."""

INVALID, ESTABLISHED, NEW, UNTRACKED = 1, 2, 8, 64
_ICMPV6, _SOLICITATION = 58, 135
_ALIAS = {
    "meta iif": "meta iifname",
    "meta oif": "meta oifname",
    "meta sdif": "meta sdifname",
    "meta secpath": "meta ipsec",
}
_FOUR = ("ip ttl", "ip length", "ip dscp", "ip ecn", "ip id", "ip checksum")
_SIX = ("ip6 hoplimit", "ip6 length", "ip6 dscp", "ip6 ecn", "ip6 flowlabel")
_TCP = ("tcp sequence", "tcp ackseq", "tcp window", "tcp doff", "tcp checksum", "tcp urgptr")
_UDP = ("udp length", "udp checksum")
_ANYBODY = (
    "meta length", "meta priority", "meta cpu", "meta time", "meta day", "meta hour", "meta random", "meta rtclassid", "meta ibrname",
    "meta obrname",
)  # fmt: skip
_TRACKED_OPEN = ("ct expiration", "ct id", "ct packets", "ct bytes", "ct avgpkt", "ct timeout")
State: TypeAlias = tuple[dict[str, Spread], list[tuple[str, Expression, Spread, int, int, bool]]]
"""The fields at one moment, and what was added to sets until then."""

_DIRECTIONS = ("original", "reply")
ZONES = ("", "original ", "reply ")


class Packets:
    """What every field is now. `everyone` are the bits of all packets, `four`, `six`, `tcp`, `udp` of those that are such.

    `asking` are neighbour solicitations, which have no ports and are never tracked.
    """

    def __init__(self, everyone: int, six: int, tcp: int, asking: int = 0) -> None:
        self.everyone = everyone
        self.six, self.four = six, everyone & ~six
        self.tcp, self.udp, self.asking = tcp, everyone & ~tcp & ~asking, asking
        self.base: dict[str, Spread] = {}
        self.updates: list[tuple[str, Expression, Spread, int, int, bool]] = []
        """Dynamic additions to sets: set, key, its values then, bits that surely and may have, whether it was a deletion."""
        self._start()

    def get(self, name: str) -> Spread | None:
        """Return the field `name`, or None if no such field is known."""
        name = _ALIAS.get(name, name)
        found = self.base.get(name)
        if found is not None:
            return found
        if name.startswith("ct "):
            for direction in _DIRECTIONS:
                if (
                    name == f"ct {direction} packets"
                    or name == f"ct {direction} bytes"
                    or name == f"ct {direction} avgpkt"
                ):
                    return self.base["ct packets"]
            return (
                NOTHING if any(name == f"ct {direction} {key}" for direction in _DIRECTIONS for key in _TUPLE) else None
            )
        if name.split(" ")[0] in _OTHERS:
            return NOTHING
        return None

    def put(self, name: str, spread: Spread) -> None:
        """Set a field, and what is the same by another name."""
        name = _ALIAS.get(name, name)
        if name in ("tcp sport", "udp sport", "tcp dport", "udp dport"):
            part = self.tcp if name.startswith("tcp") else self.udp
            name = "th " + name[4:]
            spread = self.base[name].merged(spread, part, part)
        self.base[name] = spread
        if name in ("th sport", "th dport"):
            self.base["tcp " + name[3:]] = spread.within(self.tcp)
            self.base["udp " + name[3:]] = spread.within(self.udp)

    def assign(self, name: str, spread: Spread, sure: int, may: int) -> None:
        """Give the `may` bits the value in `spread`; those of them that are `sure` lose the former one."""
        former = self.get(name) or NOTHING
        self.put(name, former.merged(spread, sure, may))

    def address(self, end: str, family: int) -> Spread:
        """Return the field `saddr` or `daddr` of one family."""
        return self.base[f"ip {end}" if family == 4 else f"ip6 {end}"]

    def snapshot(self) -> State:
        """Return what `restore` takes."""
        return dict(self.base), list(self.updates)

    def restore(self, state: State) -> None:
        """Go back to a snapshot."""
        self.base, self.updates = dict(state[0]), list(state[1])

    def join(self, state: State) -> None:
        """Take the fields as they are or as they were in `state`: nobody knows which."""
        for name, spread in state[0].items():
            self.base[name] = self.base.get(name, NOTHING).joined(spread)
        self.updates += [
            (name, key, values, 0, may, gone)
            for name, key, values, _, may, gone in state[1]
            if (name, key) not in self._had()
        ]

    def differ(self, state: State) -> int:
        """Return the packets of which a field is not what it is in `state`."""
        bits = 0
        for name, spread in state[0].items():
            bits |= self.base.get(name, NOTHING).compared(spread)[0]
        return bits

    def take(self, state: State, bits: int, *, keep: bool = False) -> None:
        """Give `bits` the fields as they were in `state`; with `keep` they may also be as they are now, nobody knows which."""
        for name, spread in state[0].items():
            self.base[name] = self.base.get(name, NOTHING).merged(spread, 0 if keep else bits, bits)
        if not keep:
            for name in self.base.keys() - state[0].keys():
                self.base[name] = self.base[name].within(~bits)
            since = self.updates[len(state[1]) :]
            kept = [
                (name, key, values, sure & ~bits, may & ~bits, gone) for name, key, values, sure, may, gone in since
            ]
            self.updates = [*self.updates[: len(state[1])], *kept]

    def _had(self) -> set[tuple[str, Expression]]:
        return {(name, key) for name, key, *_ in self.updates}

    def _start(self) -> None:
        put, everyone, four, six = self.put, self.everyone, self.four, self.six
        both = Spread({6: self.tcp, 17: self.udp, _ICMPV6: self.asking} if self.asking else {6: self.tcp, 17: self.udp})
        self.base.update({"ip protocol": both.within(four), "ip6 nexthdr": both.within(six), "meta l4proto": both})
        put("meta nfproto", Spread({2: four, 10: six}))
        put("meta protocol", Spread({0x0800: four, 0x86DD: six}))
        put("ether type", Spread({0x0800: four, 0x86DD: six}))
        put("ip version", constant(4, four))
        put("ip6 version", constant(6, six))
        put("ip hdrlength", constant(5, four))
        put("ip frag-off", Spread({0: four, 0x4000: four}))
        put("tcp flags", constant(2, self.tcp))
        for names, bits in ((_FOUR, four), (_SIX, six), (_TCP, self.tcp), (_UDP, self.udp), (_ANYBODY, everyone)):
            for name in names:
                put(name, Spread({}, bits))
        if self.asking:
            put("icmpv6 type", constant(_SOLICITATION, self.asking))
            put("icmpv6 code", constant(0, self.asking))
            put("ip6 hoplimit", Spread({255: self.asking}, six & ~self.asking))
        for name in ("ether saddr", "ether daddr"):
            put(name, Spread({}, everyone))
        for name in ("meta mark", "meta pkttype", "meta nftrace", "meta ipsec"):
            put(name, constant(0, everyone))
        for name in ("exthdr frag", "exthdr hbh", "exthdr rt", "exthdr dst", "exthdr mh", "exthdr srh"):
            put(name, constant(0, everyone))
        for kind in ("lsrr", "ssrr", "rr", "ra"):
            put(f"ip option {kind}", constant(0, four))
        for name in ("meta sdifname", "meta iifname", "meta oifname"):
            put(name, constant("", everyone))
        for name in ("meta skuid", "meta skgid", "meta cgroup", "meta iifkind", "meta oifkind"):
            put(name, NOTHING)
        self.untrack()

    def untrack(self) -> None:
        """Put everything as it is before connection tracking."""
        self.put(
            TRACKED, Spread({0: self.everyone & ~self.asking, 1: self.asking} if self.asking else {0: self.everyone})
        )
        self.put("ct state", constant(INVALID, self.everyone))
        for name in (*_TRACKED_OPEN, *_CT_ZERO, "ct helper", "ct direction", "ct status", "ct l3proto", "ct protocol"):
            self.put(name, NOTHING)
        for direction in ZONES:
            self.put(f"ct {direction}zone", NOTHING)
            self.put(f"@{direction}zone", constant(0, self.everyone))

    def put_in_zone(self, field: str, zone: Spread, sure: int, may: int) -> None:
        """Give `may` packets, those of them surely that are `sure`, the zone that connection tracking will look in.

        `field` is `ct zone`, or `ct original zone` or `ct reply zone`, which leave the other direction in zone 0.
        """
        tracked = self.base[TRACKED]
        may &= tracked.values.get(0, 0) | tracked.values.get(1, 0)
        sure &= may & ~tracked.multi & ~tracked.values.get(1, 0)
        for direction in ZONES:
            applies = not direction or field in ("ct zone", f"ct {direction}zone")
            self.assign(f"@{direction}zone", zone if applies else constant(0, may), sure, may)
        self.assign(TRACKED, constant(4, may), sure, may)
        self.assign("ct state", constant(NEW, may), sure, may)

    def track(self, bits: int, state: int, status: int, direction: int) -> None:
        """Let connection tracking see `bits`: those that were not taken out get a connection."""
        tracked = self.base[TRACKED]
        out, inside = tracked.values.get(1, 0) & bits, (tracked.values.get(0, 0) | tracked.values.get(4, 0)) & bits
        if not inside and not out:
            return
        sure = inside & ~tracked.multi
        self.assign(TRACKED, Spread({2: inside, 1: inside & out}), inside, inside)
        self.assign("ct state", Spread({state: inside, UNTRACKED: out}), bits & (inside | out), inside | out)
        self.assign("ct status", constant(status, inside), sure, inside)
        for name in _CT_ZERO:
            self.assign(name, constant(0, inside), sure, inside)
        for side in ZONES:
            self.assign(f"ct {side}zone", self.base[f"@{side}zone"].within(inside), sure, inside)
        self.describe(inside, sure, direction=direction)
        self._remember(inside)

    def describe(self, bits: int, sure: int, *, direction: int) -> None:
        """Set what every packet of a connection has: its direction, its protocols, and what nobody can foretell."""
        self.assign("ct direction", constant(direction, bits), sure, bits)
        self.assign("ct l3proto", Spread({2: bits & self.four, 10: bits & self.six}), sure, bits)
        self.assign("ct protocol", Spread({6: bits & self.tcp, 17: bits & self.udp}), sure, bits)
        for name in _TRACKED_OPEN:
            self.assign(name, Spread({}, bits), sure, bits)

    def _remember(self, bits: int) -> None:
        """Keep the tuple of the connection as it begins."""
        found: dict[str, Spread] = {}
        for family in ("ip", "ip6"):
            source, target = self.base[f"{family} saddr"].within(bits), self.base[f"{family} daddr"].within(bits)
            found |= {f"original {family} saddr": source, f"original {family} daddr": target}
            found |= {f"reply {family} saddr": target, f"reply {family} daddr": source}
        source, target = self.base["th sport"].within(bits), self.base["th dport"].within(bits)
        found |= {"original proto-src": source, "original proto-dst": target}
        found |= {"reply proto-src": target, "reply proto-dst": source}
        for name, spread in found.items():  # packets that were seen before (sent by this host to itself) keep theirs
            self.assign(f"ct {name}", spread, bits, bits)

    def enter(self, end: str, devices: Spread, links: Mapping[str, Link]) -> None:
        """Set the interface packets came by (`end` iif) or leave by (oif), with what is known of it."""
        self.put(f"meta {end}name", devices)
        rows: dict[str, dict[object, int]] = {"group": {}, "type": {}, "kind": {}}
        unknown = {"group": devices.unknown, "type": devices.unknown, "kind": devices.unknown}
        for name, bits in devices.values.items():
            if not name:
                continue
            link = links.get(name)
            for key, value in (
                ("group", link.group if link else -1),
                ("type", link.type if link else -1),
                ("kind", link.kind if link else ""),
            ):
                if value == -1:
                    unknown[key] |= bits
                elif value != "":
                    rows[key][value] = rows[key].get(value, 0) | bits
        for key, values in rows.items():
            self.put(f"meta {end}{key}", Spread(values, unknown[key]))


_CT_ZERO = ("ct mark", "ct label", "ct secmark", "ct event")
_TUPLE = (
    "ip saddr", "ip daddr", "ip6 saddr", "ip6 daddr", "proto-src", "proto-dst", "saddr", "daddr",
)  # fmt: skip
_OTHERS = frozenset(
    [
        "icmp",
        "icmpv6",
        "igmp",
        "arp",
        "vlan",
        "sctp",
        "dccp",
        "udplite",
        "ah",
        "esp",
        "comp",
        "gre",
        "geneve",
        "gretap",
        "vxlan",
        "exthdr",
    ]
)
"""Headers that the first packet of a TCP or UDP connection has not got."""

__all__ = ["ESTABLISHED", "INVALID", "NEW", "TRACKED", "UNTRACKED", "ZONES", "Packets", "grouped"]
