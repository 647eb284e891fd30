"""One leg of a connection through this host: out of its processes or in from the wire, routed, delivered, forwarded, and out again."""

from collections.abc import Iterable

from analysis.firewall.arriving import decide
from analysis.firewall.cohort import NOTHING, Spread, constant, product
from analysis.firewall.fields import Packets, State
from analysis.firewall.network import ANYCAST, LOCAL_TYPE, Flow
from analysis.firewall.passage import Passage
from analysis.firewall.stacked import Level, levels
from analysis.firewall.values import written
from analysis.firewall.walking import Leg

_OF_FRAMES = ("ether type", "meta protocol", "vlan id", "vlan type", "vlan pcp", "vlan dei", "vlan cfi")
_OF_SOCKETS = ("meta skuid", "meta skgid", "meta cgroup")
_ROUTED_BY = ("ip daddr", "ip6 daddr", "ip saddr", "ip6 saddr", "meta mark", "th sport", "th dport")
_LOOPBACK4, _LOOPBACK6 = 127, 1
_TCP = 6


class Trip:
    """Takes the packets of one leg. `own` are connections that this host itself makes, `came` the interface that the others came by.

    `ports` tells the port of a bridge by which those came of which it is known.
    `leaves` is by which interface packets left or were forwarded.
    """

    def __init__(self, passage: Passage, own: int, came: Spread, ports: Spread = NOTHING) -> None:
        self.passage = passage
        self.packets: Packets = passage.packets
        self.walker = passage.walker
        self.router = passage.router
        self.own = own
        self.came = came
        self.ports = ports
        self.leaves = NOTHING
        self._nowhere = constant("", self.packets.everyone)
        self._local = self._leaving = 0
        self._oif = NOTHING

    # ---- out of this host's processes

    def outgoing(self, live: int) -> tuple[int, int]:
        """Take packets that processes send; return those that come in again by the loopback interface, and those that left."""
        if not live:
            return 0, 0
        for name in _OF_SOCKETS:
            self.packets.put(name, Spread({}, live))
        live, self._local, self._leaving, self._oif = self._route_out(live)
        if self.passage.leg is Leg.ANSWER:
            self._foreign_sources(live)
        self.packets.enter("oif", self._oif, self.router.links)  # the hook keeps it, whatever way is found there
        guarded = self.passage.protected(live, "out")
        self.passage.cgroups(live, "egress")
        self.passage.reroute = self._route_again
        live = self.passage.hook("output", live)
        self.packets.enter("oif", self._oif, self.router.links)
        live = self._astray(live, self._local & ~self.own, self._leaving)
        live = self.passage.hook("postrouting", live)
        self._guard(live, [*guarded, *self.passage.protected(live, "out")])
        away = self._out(live & self._leaving, self._oif)
        for name in _OF_SOCKETS:
            self.packets.put(name, NOTHING)
        return live & self._local & self.own, away

    def _route_again(self, sure: int, may: int) -> int:
        """Find a new way for packets that surely or perhaps need one; return those of `sure` that have none."""
        hook = self.walker.hook
        sure = 0 if self.walker.unordered else sure
        there, local, leaving, oif = self._route_out(may)
        self._local = (self._local & ~sure) | local
        self._leaving = (self._leaving & ~sure) | leaving
        self._oif = self._oif.merged(oif, sure, may)
        parted = (may & ~there) | (self._local & self._leaving)
        self.walker.doubt(
            parted & may & ~sure, "whether the packet is routed anew after what was set in the hook output"
        )
        self.walker.hook = hook
        return sure & ~there

    def _foreign_sources(self, live: int) -> None:
        """Name answers over IPv4 from an address that the table `local` does not hold: only a transparent socket may send them."""
        for source, bits in self.packets.address("saddr", 4).values.items():
            if bits & live and self.router.type_of(4, source) != LOCAL_TYPE:
                text = f"{written(4, source)} is not among this host's own addresses: only a transparent socket answers"
                self.passage.name(bits & live, text)

    def _guard(self, live: int, guarded: Iterable[tuple[int, str]]) -> None:
        """Name the IPsec policies that may end the way of packets."""
        for bits, text in guarded:
            self.passage.name(bits & live, text)

    def _out(self, live: int, oif: Spread) -> int:
        """Take packets to the wire; return those that may get there."""
        self.passage.programs(live, oif, "egress")
        self.passage.bridges(live, oif)
        live = self._from_loopback(self.passage.device_hook("egress", live, oif))
        for level in levels(self.router.links, oif.within(live), NOTHING):
            live = self._at_level("egress", live, level)
        self.packets.enter("oif", oif, self.router.links)
        self.leaves = self.leaves.merged(oif.within(live), 0, live)
        if self.passage.leg is Leg.ANSWER:
            self._elsewhere(live, oif)
        return live

    def _from_loopback(self, live: int) -> int:
        """End packets that leave with a loopback address as their source; return the others.

        Nobody takes ::1 from the wire. 127.0.0.1 only who has `route_localnet` set, too, and then his answer stays with him.
        """
        six, four = self.packets.base["ip6 saddr"], self.packets.base["ip saddr"]
        near = 0
        for source, bits in four.values.items():
            near |= bits if source >> 24 == _LOOPBACK4 else 0
        self.passage.name(live & near & ~self.packets.tcp, "whether a packet from 127.0.0.0/8 is taken from the wire")
        lost = live & (six.values.get(_LOOPBACK6, 0) | (near & self.packets.tcp))
        if lost:
            sure = lost & ~six.multi & ~four.multi
            self.walker.ended |= lost
            self.walker.hook = "routing"
            text = "a loopback address leaves this host as source, and no answer to it comes back"
            self.walker.note("martian", sure, text, may=lost)
            self.walker.doubt(lost & ~sure, "whether the packet leaves with a loopback address as its source")
            live &= ~sure
        return live

    def _elsewhere(self, live: int, oif: Spread) -> None:
        """Name answers that leave by another interface than the one their connection came by: whether they get back nobody knows here."""
        for device, bits in oif.values.items():
            for name, arrived in self.came.values.items():
                if name != device:
                    text = f"the answer leaves by {device}, the connection came by {name}"
                    self.passage.name(arrived & bits & live & ~self.own, text)

    def _astray(self, live: int, local: int, leaving: int) -> int:
        """End the answers that would go to this host itself instead of who called; return the others."""
        astray = live & local
        self.walker.hook = "routing"
        self.walker.ended |= astray
        self.walker.note("routing", astray & ~leaving, "the answer is routed to this host itself", may=astray)
        return live & ~(astray & ~leaving)

    def _past(self, live: int, here: int) -> int:
        """End the answers to this host's own connections that would be sent on past it; return the others."""
        past = live & self.own
        self.walker.hook = "routing"
        self.walker.ended |= past
        self.walker.note("routing", past & ~here, "the answer is routed past this host", may=past)
        return live & ~(past & ~here)

    def _route_out(self, live: int) -> tuple[int, int, int, Spread]:
        """Return who has a route, who is sent to this host itself, who leaves, and by which interface."""
        local = leaving = dropped = 0
        devices: dict[str, int] = {}
        for family in (4, 6):
            rows = self._flows(family, live)
            for (target, source, mark, sport, dport, protocol), bits in rows.values.items():
                near = family == 6 and target >> 118 == 0xFE80 >> 6
                for oif, mine in self._near(bits) if near else [("", bits)]:
                    flow = Flow(family, target, source, "", oif, mark, protocol, sport, dport)
                    here, ways = self._way_out(flow, mine, near)
                    local |= mine if here else 0
                    leaving |= mine if ways else 0
                    dropped |= 0 if here or ways else mine
                    for device in ("lo",) if here else ways:
                        devices[device] = devices.get(device, 0) | mine
            self.passage.name(rows.unknown & live, "where the packet is sent to")
            leaving |= rows.unknown & live
        self.walker.ended |= dropped
        self._parted((local & leaving) | (local & dropped) | (leaving & dropped))
        return (local | leaving) & live, local, leaving, Spread(devices)

    def _way_out(self, flow: Flow, bits: int, near: bool) -> tuple[bool, tuple[str, ...]]:
        """Return whether a packet of this host is for itself, and otherwise by which interfaces it leaves: by none if it is dropped."""
        found = self.router.lookup(flow)
        if near and not flow.oif:
            self.passage.name(bits, "the interface of a link-local address")
        if found.unsure:
            self.passage.name(bits, found.unsure)
        self.walker.hook = "routing"
        if found.kind == ANYCAST and flow.protocol == _TCP and self.passage.leg is not Leg.ANSWER:
            self.walker.note("routing", bits, "TCP to an anycast address is not answered")
            return False, ()
        if found.kind in (LOCAL_TYPE, ANYCAST):
            return True, ()
        if found.kind not in (1, 3, 5):
            self.walker.note("routing", bits, f"no route to {written(flow.family, flow.destination)}")
            return False, ()
        bound = flow.family == 4 and flow.source >> 24 == 127
        if bound and not any(name == "lo" or self.router.any_of(name, "route_localnet") for name in found.devices):
            self.walker.note("routing", bits, f"loopback addresses do not leave by {', '.join(found.devices)}")
            return False, ()
        return False, found.devices

    def _near(self, bits: int) -> list[tuple[str, int]]:
        """Return the interfaces that packets to link-local addresses leave by: those their connection came by."""
        rows = [(name, had & bits) for name, had in self.came.values.items() if had & bits]
        rest = bits & ~self.came.known
        return [*rows, ("", rest)] if rest else rows

    def _flows(self, family: int, live: int) -> Spread:
        """Return the tuples (destination, source, mark, ports, protocol) that routing may look at."""
        packets, zero = self.packets, constant(0, self.packets.everyone)
        ports = any(rule.source_ports or rule.destination_ports for rule in self.router.rules[family])
        bits = live & (packets.four if family == 4 else packets.six)
        parts = [
            packets.address("daddr", family),
            packets.address("saddr", family),
            packets.base["meta mark"] if self.router.by_mark[family] else zero,
            packets.base["th sport"].joined(constant(0, packets.asking)) if ports else zero,
            packets.base["th dport"].joined(constant(0, packets.asking)) if ports else zero,
            packets.base["meta l4proto"],
        ]
        return product([part.within(bits) for part in parts])

    # ---- in

    def arrive(self, live: int, devices: Spread) -> int:
        """Take packets from the wire to their interfaces; return those still alive."""
        if not live:
            return 0
        self._broadcasts(live)
        self.passage.neighbours(live)
        for level in reversed(levels(self.router.links, devices.within(live), self.ports)):
            live = self._at_level("ingress", live, level)
        self.packets.enter("iif", devices.within(live), self.router.links)
        self.passage.programs(live, devices, "ingress")
        self.passage.bridges(live, devices)
        return self.passage.device_hook("ingress", live, devices)

    def _at_level(self, hook: str, live: int, level: Level) -> int:
        """Take packets through ingress or egress of interfaces below those that they count for; return those still alive."""
        devices, bits = level.devices.within(live), level.tagged & live
        self.packets.enter("iif" if hook == "ingress" else "oif", devices, self.router.links)
        tagged = {name: self.packets.base.get(name, NOTHING) for name in _OF_FRAMES}
        for name, had in tagged.items():  # how a tag is kept depends on the device
            self.packets.put(name, had.merged(Spread({}, bits), bits, bits))
        self.passage.programs(live, devices, hook)
        live = self.passage.device_hook(hook, live, devices)
        for name, had in tagged.items():
            self.packets.put(name, had)
        return live

    def _broadcasts(self, live: int) -> None:
        """Set the link layer's type of packet by where it is sent to."""
        kinds: dict[int, int] = {}
        for family in (4, 6):
            for target, bits in self.packets.address("daddr", family).values.items():
                kind = {3: 1, 5: 2}.get(self.router.type_of(family, target), 0)
                kinds[kind] = kinds.get(kind, 0) | (bits & live)
        kinds[0] = kinds.get(0, 0) | (self.packets.everyone & ~live)
        self.packets.put("meta pkttype", Spread({kind: bits for kind, bits in kinds.items() if bits}))

    def incoming(self, arriving: int, looped: int) -> tuple[int, int]:
        """Take packets from prerouting on; return those that may be delivered here and those that may be forwarded."""
        devices = dict(self.packets.base["meta iifname"].within(arriving).values)
        devices["lo"] = devices.get("lo", 0) | looped
        self.packets.enter("iif", Spread({name: bits for name, bits in devices.items() if bits}), self.router.links)
        self.packets.enter("oif", self._nowhere, self.router.links)
        # Where an address is translated, a policy sees it once as it was and once as it is.
        guarded, passing = (self.passage.protected(arriving | looped, way) for way in ("in", "fwd"))
        live = self.passage.hook("prerouting", arriving | looped)
        here, ahead, oif = self._route_in(live & arriving)
        here |= live & looped
        if self.passage.leg is Leg.ANSWER:
            here = self._astray(here, here & ~self.own, ahead)
            ahead = self._past(ahead, here)
        self._guard(here, [*guarded, *self.passage.protected(here, "in")])
        both = here & ahead
        before = self._moment() if both else None
        here = self.passage.hook("input", here)
        self.passage.cgroups(here, "ingress")
        inside = self._moment() if both else None
        if before is not None:  # who is forwarded never was at the hook input
            self._return_to(before, both)
        if ahead:
            self.packets.enter("oif", oif, self.router.links)
            self._guard(ahead, [*passing, *self.passage.protected(ahead, "fwd"), *self.passage.protected(ahead, "out")])
            ahead = self.passage.hook("forward", ahead)
            ahead = self.passage.hook("postrouting", ahead)
            ahead = self._out(ahead, oif)
        if inside is not None:
            self._return_to(inside, both & here, keep=True)
        return here, ahead

    def _moment(self) -> tuple[State, dict[bool, int]]:
        return self.packets.snapshot(), dict(self.walker.initialised)

    def _return_to(self, moment: tuple[State, dict[bool, int]], bits: int, *, keep: bool = False) -> None:
        """Let packets be as they were at a former moment, or with `keep` perhaps."""
        state, begun = moment
        self.packets.take(state, bits, keep=keep)
        for side, now in self.walker.initialised.items():
            self.walker.initialised[side] = (now if keep else now & ~bits) | (begun[side] & bits)

    def _route_in(self, live: int) -> tuple[int, int, Spread]:
        """Return who may be delivered here, who may be forwarded, and by which interfaces."""
        here = ahead = ended = 0
        devices: dict[str, int] = {}
        walker = self.walker
        walker.hook = "routing"
        for family in (4, 6):
            rows = product([self._flows(family, live), self.packets.base["meta iifname"]])
            for ((target, source, mark, sport, dport, protocol), device), bits in rows.values.items():
                decision = decide(self.router, Flow(family, target, source, device, "", mark, protocol, sport, dport))
                if decision.way == "drop":
                    ended |= bits
                    walker.note(decision.cause, bits, decision.text)
                elif decision.way == "forward":
                    ahead |= bits
                    for name in decision.devices:
                        devices[name] = devices.get(name, 0) | bits
                else:
                    here |= bits
                    if decision.way == "unsure":
                        self.passage.name(bits, decision.text)
            self.passage.name(rows.unknown & live, "where the packet is sent to after address translation")
            here |= rows.unknown & live
        walker.ended |= ended
        self._parted((here & ahead) | (here & ended) | (ahead & ended))
        return here, ahead, Spread(devices)

    def _parted(self, bits: int) -> None:
        """Name the fields for which packets are routed by several ways."""
        for name in _ROUTED_BY if bits else ():
            self.walker.doubt(bits & self.packets.base[name].multi, f"{name}, by which the packet is routed")
