"""One direction of a connection: its packets through the hooks, with connection tracking and translation at their places."""

from collections.abc import Callable, Mapping
from copy import copy
from functools import partial

from analysis.firewall import hooks
from analysis.firewall.bridges import may_stop
from analysis.firewall.cohort import NOTHING, Spread
from analysis.firewall.expressions import Expressions
from analysis.firewall.fields import ESTABLISHED, INVALID, NEW, TRACKED, UNTRACKED, Packets
from analysis.firewall.hooks import CONNTRACK, FAMILIES, NAT, Hooks, Step
from analysis.firewall.model import Base, Chain, Datapath, Table
from analysis.firewall.network import Router
from analysis.firewall.translating import DNAT_BIT, SNAT_BIT, Translator
from analysis.firewall.walking import Leg, Walker

_TARGET = ("prerouting", "output")
_ROUTED = ("ip saddr", "ip daddr", "ip6 saddr", "ip6 daddr", "meta mark")
_DESTINATIONS = ("ip daddr", "ip6 daddr")
_DONE = {"prerouting": 256, "output": 256, "input": 128, "postrouting": 128}
_CONFIRMED = 8
_SEEN_REPLY = 2
_ASSURED = 4
_KEPT = ("ct mark", "ct zone", "ct label", "ct helper", "ct event", "ct secmark")


class Known:
    """What connection tracking remembers of the first packets: their tuples, marks, and who has a connection."""

    def __init__(self, packets: Packets) -> None:
        tracked = packets.base[TRACKED]
        self.tracked = tracked.values.get(2, 0)
        self.unsure = self.tracked & tracked.multi
        self.fields = {
            name: spread for name, spread in packets.base.items() if name.startswith(("ct original", "ct reply"))
        }
        self.fields |= {name: packets.base[name] for name in _KEPT}
        self.status = packets.base["ct status"]

    def answered(self, packets: Packets) -> "Known":
        """Return what is remembered after the answer, whose fields `packets` are: an answer that was not tracked leaves no connection."""
        later = copy(self)
        tracked = packets.base[TRACKED]
        later.tracked = self.tracked & tracked.values.get(2, 0)
        later.unsure = later.tracked & (self.unsure | tracked.multi)
        later.fields = {**self.fields, **{name: packets.base[name] for name in _KEPT}}
        return later


class Passage:
    """Takes packets of one leg through hooks: the first packet, the answer, or the packet after it.

    `known` is given for the later ones: what the first packets left in connection tracking.
    """

    def __init__(
        self, datapath: Datapath, router: Router, order: Hooks, packets: Packets, leg: Leg, known: Known | None = None
    ) -> None:
        self.datapath = datapath
        self.router = router
        self.hooks = order
        self.packets = packets
        self.leg = leg
        self.known = known
        self.expressions = Expressions(packets, router, lambda ref: self.walker.find_set(ref), datapath.cache)
        self.walker = Walker(packets, self.expressions, Translator(packets, self.expressions, router), datapath.ipsets)
        self.walker.leg = leg
        self.reroute: Callable[[int, int], int] = lambda _sure, _may: 0
        """Told who is surely and who perhaps routed again on its way out; returns those who then surely have no route."""

    # ---- hooks

    def hook(self, name: str, live: int) -> int:
        """Take `live` packets through a hook of the IP families; return those that may come out."""
        if not live:
            return 0
        self._at(name)
        steps = [
            _step(base, table, chain, partial(self._filter, table, chain), self.hooks.writes(table))
            for table, chain, base in self.hooks.filters(name)
        ]
        if name in _TARGET:
            steps.append(Step(CONNTRACK, self._track, True, "connection tracking"))
        if name in NAT and any(self.hooks.translates.values()):
            steps.append(Step(NAT[name], partial(self._translate, name), True, "address translation"))
        live = hooks.run(steps, live, self.walker)
        if name in ("input", "postrouting") and self.known is None:
            self._mark(live, _CONFIRMED)
        return live

    def device_hook(self, name: str, live: int, devices: Spread) -> int:
        """Take packets through ingress or egress of the device they are at."""
        self._at(name)
        for table, chain, base in self.hooks.of_device(name):
            at = elsewhere = devices.unknown
            for device, bits in devices.values.items():
                if device in base.devices:
                    at |= bits
                else:
                    elsewhere |= bits
            here = live & at if base.devices else live
            if here and name == "ingress" and (late := self._after_prerouting(devices) & here):
                self.name(
                    late, f"chain {chain.name} of a bridge sees packets after prerouting (bridge-nf-call-iptables)"
                )
                here &= ~late
            if here:
                doubtful = here & elsewhere if base.devices else here
                walk = partial(self.walker.base, table, chain, sure=here & ~doubtful)
                kept, ended = self.walker.fates(walk, here)
                self.walker.doubt(ended & doubtful, f"whether it passes an interface of chain {chain.name} ({name})")
                live = (live & ~here) | kept
        return live

    def _after_prerouting(self, devices: Spread) -> int:
        """Return the packets that came by a bridge that has sent them through prerouting before its own ingress."""
        bits = 0
        for name, had in devices.values.items():
            link = self.router.links.get(name)
            if link is not None and link.kind == "bridge":
                bits |= had
        four = self.packets.four if self.router.switch("net.bridge.bridge-nf-call-iptables", 0) else 0
        six = self.packets.six if self.router.switch("net.bridge.bridge-nf-call-ip6tables", 0) else 0
        return bits & (four | six)

    def _at(self, name: str) -> None:
        self.walker.hook = self.expressions.hook = name

    def _filter(self, table: Table, chain: Chain, live: int) -> int:
        mine = self._of(table, live)
        if not mine:
            return live
        before = [self.packets.base[name] for name in _ROUTED]
        live = (live & ~mine) | self.walker.base(table, chain, mine)
        routes = chain.base is not None and chain.base.kind == "route"
        return self._routed_anew(dict(zip(_ROUTED, before, strict=True)), live) if routes else live

    def _routed_anew(self, before: Mapping[str, Spread], live: int) -> int:
        """Have those of `live` routed again of which a field is not any more what it was `before`; return those still alive."""
        sure = may = 0
        for name, former in before.items():
            changed, kept = former.compared(self.packets.base[name])
            sure |= changed & ~kept
            may |= changed
        return live & ~self.reroute(sure & live, may & live) if may & live else live

    def _of(self, table: Table, live: int) -> int:
        family = FAMILIES.get(table.family, 0)
        return live & (self.packets.four if family == 4 else self.packets.six if family == 6 else -1)

    # ---- connection tracking

    def _track(self, live: int) -> int:
        if self.known is None:
            self.packets.track(live, NEW, 0, 0)
            return live
        packets, known = self.packets, self.known
        tracked = packets.base[TRACKED]
        here, out = (tracked.values.get(0, 0) | tracked.values.get(4, 0)) & live, tracked.values.get(1, 0) & live
        astray, lost = self._in_another_zone(here & known.tracked, known)
        mine, sure = here & known.tracked & ~lost, here & ~tracked.multi & ~(astray & ~lost)
        strangers = here & (~known.tracked | known.unsure | astray)
        packets.assign(TRACKED, Spread({2: mine, 3: strangers}), sure, here)
        picked_up = strangers if self.leg is Leg.THIRD else 0
        state = Spread({ESTABLISHED: mine, INVALID: strangers, UNTRACKED: out, NEW: picked_up})
        packets.assign("ct state", state, (here | out) & live, here | out)
        for name, spread in known.fields.items():
            packets.put(name, (packets.get(name) or NOTHING).merged(spread, mine & sure, mine))
        packets.describe(mine, mine & sure, direction=int(self.leg is Leg.ANSWER))
        flags = _SEEN_REPLY | _CONFIRMED | (_ASSURED if self.leg is Leg.THIRD else 0)
        if any(self.hooks.translates.values()):
            flags |= _DONE["prerouting"] | _DONE["input"]
        packets.assign("ct status", known.status.mapped(lambda had: had | flags), mine & sure, mine)
        return live

    def _in_another_zone(self, bits: int, known: Known) -> tuple[int, int]:
        """Return the packets that may be looked for in another zone than the one their connection is in, and those that surely are."""
        direction = "reply" if self.leg is Leg.ANSWER else "original"
        asked = self.packets.base[f"@{direction} zone"].within(bits)
        differ, same = asked.compared(known.fields[f"ct {direction} zone"].within(bits))
        return differ & bits, differ & bits & ~same

    def _mark(self, bits: int, flag: int) -> None:
        status = self.packets.base["ct status"]
        here = bits & status.present
        if here:
            self.packets.assign("ct status", status.within(here).mapped(lambda had: had | flag), here, here)

    # ---- address translation

    def _translate(self, name: str, live: int) -> int:
        if self.known is not None:
            return self._restore(name, live, self.known)
        target = name in _TARGET
        tracked = self.packets.base[TRACKED]
        mine = live & tracked.values.get(2, 0) & ~self.walker.initialised[target]
        for family, bits in ((4, self.packets.four), (6, self.packets.six)):
            if not self.hooks.translates[family]:
                mine &= ~bits
        self.walker.initialised[target] |= mine
        self.walker.begin_nat(mine & tracked.multi)
        rest = mine
        before = {end: self.packets.base[end] for end in _DESTINATIONS}
        chains = self.hooks.translations(name)
        at = 0
        while at < len(chains) and rest:
            group = [entry for entry in chains[at:] if entry[2].priority == chains[at][2].priority]
            steps = [
                _step(base, table, chain, partial(self._nat_chain, table, chain), True) for table, chain, base in group
            ]
            rest = hooks.run(steps, rest, self.walker)
            at += len(group)
        self.walker.begin_nat()
        self._mark(mine, _DONE[name])
        live = (live & ~mine) | rest | (live & mine & tracked.multi)
        return self._routed_anew(before, live) if name == "output" else live

    def _nat_chain(self, table: Table, chain: Chain, live: int) -> int:
        """Take through a nat chain who is not surely translated already; the others are past it."""
        mine = self._of(table, live) & ~self.walker.bound[1]
        return (live & ~mine) | self.walker.base(table, chain, mine)

    def _restore(self, name: str, live: int, known: Known) -> int:
        """Translate later packets as their connection is: their destination before routing, their source after it.

        Answers go to who began the connection and come from what he had addressed; what he sends goes where his first packet went.
        """
        mine = live & known.tracked & self.packets.base[TRACKED].values.get(2, 0)
        before = {one: self.packets.base[one] for one in _DESTINATIONS}
        side = "original" if self.leg is Leg.ANSWER else "reply"
        end, other = ("daddr", "saddr") if name in _TARGET else ("saddr", "daddr")
        for family in ("ip", "ip6"):
            self._set(f"{family} {end}", known.fields.get(f"ct {side} {family} {other}", NOTHING), mine, known)
        port, proto = ("th dport", "proto-src") if name in _TARGET else ("th sport", "proto-dst")
        self._set(port, known.fields.get(f"ct {side} {proto}", NOTHING), mine, known)
        return self._routed_anew(before, live) if name == "output" else live

    def _set(self, name: str, spread: Spread, mine: int, known: Known) -> None:
        self.packets.assign(name, spread, mine & spread.known & ~known.unsure, mine & spread.present)

    def untranslated(self, live: int) -> int:
        """End the answers of translated connections that were not translated back, since nobody expects them; return the others."""
        if self.known is None or self.leg is not Leg.ANSWER:
            return live
        translated = 0
        for status, bits in self.known.status.values.items():
            translated |= bits if status & (SNAT_BIT | DNAT_BIT) else 0
        tracked = self.packets.base[TRACKED]
        astray = live & translated & ~(tracked.values.get(2, 0) & ~tracked.multi)
        unsure = astray & (tracked.multi | self.known.status.multi)
        lost = astray & ~unsure
        self.walker.ended |= astray
        self.walker.hook = "postrouting"
        text = "the answer is not tracked, so its address is not translated back"
        self.walker.note("routing", lost, text, may=astray)
        self.walker.doubt(unsure, "whether the answer is tracked")
        return live & ~lost

    # ---- what is not evaluated, but named

    def programs(self, live: int, devices: Spread, direction: str) -> None:
        """Name the programs that see packets of these devices: nobody knows what they do."""
        for kind, place, text in self.datapath.programs:
            device, _, way = place.partition(" ")
            if (
                kind in ("cgroup", "unit", "sk_lookup")
                or (kind == "xdp" and direction != "ingress")
                or (way and way != direction)
            ):
                continue
            if kind != "xdp" and not way and direction == "ingress":
                continue  # the queue of a device sees what leaves
            self.name(live & (devices.values.get(device, 0) | devices.unknown), text)

    def protected(self, live: int, direction: str) -> list[tuple[int, str]]:
        """Return those of `live` packets for whom an IPsec policy asks that they be protected or blocked, with its words."""
        found = []
        loopback = self.packets.base["meta iifname"].values.get("lo", 0) | self.packets.base["meta oifname"].values.get(
            "lo", 0
        )
        rest = live & ~(
            self.packets.four & loopback
        )  # of which IPv4 exempts its loopback interface (disable_policy, disable_xfrm)
        for policy in self.datapath.policies:
            if policy.direction != direction or not rest:
                continue
            sure, may = self.walker.meets(policy.conditions, rest)
            if may and not policy.passes:
                found.append((may, f"IPsec policy: {policy.text}"))
            rest &= ~sure
        return found

    def cgroups(self, live: int, direction: str) -> None:
        """Name the programs of the root cgroup, which see the packets of all processes, and those that choose sockets.

        Those of other cgroups see what some service's sockets get; who knows the listener has to look for them.
        """
        for kind, place, text in self.datapath.programs:
            path, _, way = place.rpartition(" ")
            if way == direction and (kind == "sk_lookup" or (kind == "cgroup" and path in ("", "/"))):
                self.name(live, text)

    def bridges(self, live: int, devices: Spread) -> None:
        """Name the chains of the bridge family where packets pass a bridge."""
        for table, chain in self.hooks.bridge:
            if chain.base is None or not may_stop(table, chain):
                continue
            for device, bits in devices.values.items():
                link = self.router.links.get(device)
                if link is not None and "bridge" in (link.kind, link.master_kind):
                    self.name(live & bits, f"chain bridge {table.name} {chain.name} (frames of {device})")

    def neighbours(self, live: int) -> None:
        """Name the chains of the arp family that may keep this host and its neighbours from learning each other's link address."""
        for table, chain in self.hooks.arp:
            if may_stop(table, chain):
                self.name(live & self.packets.four, f"chain arp {table.name} {chain.name} (who has which link address)")

    def name(self, bits: int, text: str) -> None:
        """Note that something not understood may end the way of `bits`."""
        if bits:
            self.walker.ended |= bits
            self.walker.doubt(bits, text)
            self.walker.note("unknown", 0, text, may=bits)


def _step(base: Base, table: Table, chain: Chain, run: Callable[[int], int], writes: bool) -> Step:
    place = f"{table.family} {table.name}"
    return Step(base.priority, run, writes, f"{place} {chain.name}", place, chain.handle, FAMILIES.get(table.family, 0))
