"""The whole way of all probes: in, or out and in again; routing; delivery or forwarding; and the answer's way back."""

from collections.abc import Sequence

from analysis.firewall.arriving import decide
from analysis.firewall.cohort import Spread, constant, grouped, numbers, product
from analysis.firewall.fields import Packets
from analysis.firewall.hooks import Hooks
from analysis.firewall.model import Datapath
from analysis.firewall.network import LOCAL_TYPE, Flow, Router
from analysis.firewall.passage import Known, Passage
from analysis.firewall.probe import Probe
from analysis.firewall.values import address, written
from contracts.errors import UsageError


class Journey:
    """Takes `probes` the whole way. Afterwards `alive` and `ended` tell, per bit, whether each may have arrived or not."""

    def __init__(self, datapath: Datapath, probes: Sequence[Probe]) -> None:
        self.datapath = datapath
        self.probes = probes
        self.router = _router(datapath)
        self.hooks = Hooks(datapath)
        self.everyone = (1 << len(probes)) - 1
        self.alive = self.ended = 0
        self.forwarded = 0
        self.packets = self._packets()
        self.passage = Passage(datapath, self.router, self.hooks, self.packets)
        self.answers: Passage | None = None
        loopback = {name for name, link in self.router.links.items() if link.loopback} | {"", "lo"}
        self.own = sum(1 << number for number, probe in enumerate(probes) if probe.interface in loopback)
        self.leaves = Spread({})

    def run(self) -> None:
        """Go the way, and back with the answer for TCP."""
        walker = self.passage.walker
        for text in self.datapath.unread:
            walker.ended |= self.everyone
            walker.doubt(self.everyone, text)
            walker.note("unknown", 0, text, may=self.everyone)
        local, left = self._outgoing(self.own)
        arriving = self._arrive(self.everyone & ~self.own)
        delivered, forwarded = self._incoming(arriving, local)
        self.forwarded = forwarded
        self._ends(delivered | forwarded)
        there = delivered | forwarded | left
        tcp = there & self.packets.tcp
        ended = walker.ended
        if tcp:
            back = self._answer(delivered & tcp, (forwarded | left) & tcp)
            if self.answers is not None:
                ended |= self.answers.walker.ended
            there = (there & ~tcp) | back
        self.alive, self.ended = there, ended

    # ---- the beginning

    def _packets(self) -> Packets:
        six = tcp = 0
        source: dict[int, dict[int, int]] = {4: {}, 6: {}}
        target: dict[int, dict[int, int]] = {4: {}, 6: {}}
        for number, probe in enumerate(self.probes):
            place = f"probe {number}"
            source[probe.family][number] = _address(place, probe.family, probe.source)
            target[probe.family][number] = _address(place, probe.family, probe.destination)
            six |= (probe.family == 6) << number
            tcp |= (_protocol(place, probe) == 6) << number
            if not (0 <= probe.port <= 65535 and 0 <= probe.source_port <= 65535):
                raise UsageError(f"{place}: port {probe.port} is not one", advice="Give a port from 0 to 65535.")
        packets = Packets(self.everyone, six, tcp)
        for family, name in ((4, "ip"), (6, "ip6")):
            packets.put(f"{name} saddr", grouped(source[family]))
            packets.put(f"{name} daddr", grouped(target[family]))
        packets.put("th sport", grouped({number: probe.source_port for number, probe in enumerate(self.probes)}))
        packets.put("th dport", grouped({number: probe.port for number, probe in enumerate(self.probes)}))
        return packets

    def _arrive(self, live: int) -> int:
        """Take packets from the wire to the interface they come by; return those still alive."""
        names = {number: self.probes[number].interface for number in numbers(live)}
        passage, links = self.passage, self.router.links
        for number, name in names.items():
            link = links.get(name)
            if link is None:
                passage.name(1 << number, f"there is no interface {name}")
            elif link.master_kind == "bridge":
                names[number] = link.master
        devices = grouped(names)
        self.packets.enter("iif", self._iif(devices), passage.links)
        self._broadcasts(live)
        passage.programs(live, devices, "ingress")
        passage.bridges(live, devices)
        return passage.device_hook("ingress", live, devices)

    def _iif(self, devices: Spread) -> Spread:
        values = dict(devices.values)
        values["lo"] = values.get("lo", 0) | self.own
        return Spread({name: bits for name, bits in values.items() if bits}, devices.unknown)

    def _broadcasts(self, live: int) -> None:
        """Set the link layer's type of packet by where it is sent to."""
        kinds: dict[int, int] = {}
        for family in (4, 6):
            for target, bits in self.packets.address("daddr", family).values.items():
                kind = {3: 1, 5: 2}.get(self.router.type_of(family, target), 0)
                kinds[kind] = kinds.get(kind, 0) | (bits & live)
        kinds[0] = kinds.get(0, 0) | (self.everyone & ~live)
        self.packets.put("meta pkttype", Spread({kind: bits for kind, bits in kinds.items() if bits}))

    # ---- own packets

    def _outgoing(self, own: int) -> tuple[int, int]:
        """Take own packets out; return those that come in again by the loopback interface, and those that left."""
        if not own:
            return 0, 0
        for name in ("meta skuid", "meta skgid", "meta cgroup"):
            self.packets.put(name, Spread({}, own))
        live, local, leaving, oif = self._route_out(self.passage, own)
        self.packets.enter("oif", oif, self.passage.links)
        before = (self.packets.base["ip daddr"], self.packets.base["ip6 daddr"], self.packets.base["meta mark"])
        self.passage.cgroups(live, "egress")
        live = self.passage.hook("output", live)
        after = (self.packets.base["ip daddr"], self.packets.base["ip6 daddr"], self.packets.base["meta mark"])
        if any(a is not b for a, b in zip(before, after, strict=True)):
            live, local, leaving, oif = self._route_out(self.passage, live)
            self.packets.enter("oif", oif, self.passage.links)
        live = self.passage.hook("postrouting", live)
        away = live & leaving
        self.passage.programs(away, oif, "egress")
        self.passage.bridges(away, oif)
        away = self.passage.device_hook("egress", away, oif)
        self.leaves = oif.within(away)
        for name in ("meta skuid", "meta skgid", "meta cgroup"):
            self.packets.put(name, Spread({}))
        return live & local, away

    def _elsewhere(self, passage: Passage, live: int, oif: Spread) -> None:
        """Name answers that leave by another interface than the one their connection came by: whether they get back nobody knows here."""
        came: dict[str, int] = {}
        for number in numbers(live & ~self.own):
            name = self.probes[number].interface
            link = self.router.links.get(name)
            name = link.master if link is not None and link.master_kind == "bridge" else name
            came[name] = came.get(name, 0) | (1 << number)
        for device, bits in oif.values.items():
            for name, arrived in came.items():
                if name != device:
                    passage.name(arrived & bits & live, f"the answer leaves by {device}, the connection came by {name}")

    def _route_out(self, passage: Passage, live: int) -> tuple[int, int, int, Spread]:
        """Return who has a route, who is sent to this host itself, who leaves, and by which interface."""
        local = leaving = dropped = 0
        devices: dict[str, int] = {}
        packets = passage.packets
        for family in (4, 6):
            rows = self._flows(packets, family, live)
            for (target, source, mark, sport, dport, protocol), bits in rows.values.items():
                near = family == 6 and target >> 118 == 0xFE80 >> 6
                for oif, mine in self._near_devices(bits) if near else (("", bits),):
                    flow = Flow(family, target, source, "", oif, mark, protocol, sport, dport)
                    found = self.router.lookup(flow)
                    if found.unsure or (near and not oif):
                        text = found.unsure or "the interface of a link-local address"
                        passage.name(mine, text)
                    if found.kind in (LOCAL_TYPE, 4):
                        local |= mine
                        devices["lo"] = devices.get("lo", 0) | mine
                    elif found.kind in (1, 3, 5):
                        if family == 4 and source >> 24 == 127 and not self._may_leave(found.devices):
                            self._drop(passage, mine, f"loopback addresses do not leave by {', '.join(found.devices)}")
                            dropped |= mine
                            continue
                        leaving |= mine
                        for device in found.devices:
                            devices[device] = devices.get(device, 0) | mine
                    elif not found.unsure:
                        dropped |= mine
                        self._drop(passage, mine, f"no route to {written(family, target)}")
            passage.name(rows.unknown & live, "where the packet is sent to")
            leaving |= rows.unknown & live
        passage.walker.ended |= dropped
        return (local | leaving) & live, local, leaving, Spread(devices)

    def _may_leave(self, devices: tuple[str, ...]) -> bool:
        """Say whether packets from 127.0.0.0/8 may leave by these interfaces."""
        return any(device == "lo" or self.router.any_of(device, "route_localnet") for device in devices)

    def _drop(self, passage: Passage, bits: int, text: str) -> None:
        passage.walker.hook = "routing"
        passage.walker.note("routing", bits, text)

    def _near_devices(self, bits: int) -> list[tuple[str, int]]:
        """Return the interfaces that packets to link-local addresses leave by: those their connection came by."""
        groups: dict[str, int] = {}
        for number in numbers(bits):
            name = self.probes[number].interface
            groups[name] = groups.get(name, 0) | (1 << number)
        return list(groups.items())

    def _flows(self, packets: Packets, family: int, live: int) -> Spread:
        """Return the tuples (destination, source, mark, ports, protocol) that routing may look at."""
        everyone = packets.everyone
        zero = constant(0, everyone)
        ports = any(rule.source_ports or rule.destination_ports for rule in self.router.rules[family])
        mark = packets.base["meta mark"] if self.router.by_mark[family] else zero
        sport = packets.base["th sport"] if ports else zero
        dport = packets.base["th dport"] if ports else zero
        bits = live & (packets.four if family == 4 else packets.six)
        protocol = packets.base["meta l4proto"]
        parts = [packets.address("daddr", family), packets.address("saddr", family), mark, sport, dport, protocol]
        return product([part.within(bits) for part in parts])

    # ---- in

    def _incoming(self, arriving: int, local: int) -> tuple[int, int]:
        """Take packets from prerouting on; return those that may be delivered here and those that may be forwarded."""
        live = self._prerouting(self.passage, arriving, local)
        here, ahead, oif = self._route_in(self.passage, live & arriving)
        here |= live & local
        self.packets.enter("oif", constant("", self.everyone), self.passage.links)
        here = self.passage.hook("input", here)
        self.passage.cgroups(here, "ingress")
        ahead = self._forward(self.passage, ahead, oif)
        return here, ahead

    def _prerouting(self, passage: Passage, arriving: int, local: int) -> int:
        """Run the hook that both arriving and looped packets see."""
        packets = passage.packets
        if not arriving:
            packets.enter("iif", constant("lo", local), passage.links)
        packets.enter("oif", constant("", packets.everyone), passage.links)
        return passage.hook("prerouting", arriving | local)

    def _route_in(self, passage: Passage, live: int) -> tuple[int, int, Spread]:
        """Return who may be delivered here, who may be forwarded, and by which interfaces."""
        here = ahead = ended = 0
        devices: dict[str, int] = {}
        packets, walker = passage.packets, passage.walker
        walker.hook = "routing"
        iif = packets.base["meta iifname"]
        for family in (4, 6):
            rows = product([self._flows(packets, family, live), iif])
            for ((target, source, mark, sport, dport, protocol), device), bits in rows.values.items():
                bits &= live
                if not bits:
                    continue
                flow = Flow(family, target, source, device, "", mark, protocol, sport, dport)
                decision = decide(self.router, flow)
                if decision.way == "drop":
                    ended |= bits
                    walker.note(decision.cause, bits, decision.text)
                elif decision.way == "unsure":
                    passage.name(bits, decision.text)
                    here |= bits
                elif decision.way == "local":
                    here |= bits
                else:
                    ahead |= bits
                    for name in decision.devices:
                        devices[name] = devices.get(name, 0) | bits
            open_bits = rows.unknown & live
            passage.name(open_bits, "where the packet is sent to after address translation")
            here |= open_bits
        walker.ended |= ended
        return here, ahead, Spread(devices)

    def _forward(self, passage: Passage, live: int, oif: Spread) -> int:
        """Take packets through forward and postrouting and out; return those that may leave."""
        if not live:
            return 0
        passage.packets.enter("oif", oif, passage.links)
        live = passage.hook("forward", live)
        live = passage.hook("postrouting", live)
        passage.programs(live, oif, "egress")
        passage.bridges(live, oif)
        live = passage.device_hook("egress", live, oif)
        if passage is self.passage:
            self.leaves = self.leaves.merged(oif.within(live), 0, live)
        return live

    def _ends(self, live: int) -> None:
        """Name the packets of which address translation leaves open where they go."""
        several = self.packets.base["th dport"].multi
        for family in (4, 6):
            several |= self.packets.address("daddr", family).multi
        self.passage.name(several & live, "to which address and port it is translated")

    # ---- the answer

    def _answer(self, from_here: int, from_there: int) -> int:
        """Send the answers of TCP connections back; return those that may arrive."""
        packets = Packets(self.everyone, self.packets.six, self.packets.tcp)
        former = self.packets.base
        for name in ("ip", "ip6"):
            packets.put(f"{name} saddr", former[f"{name} daddr"])
            packets.put(f"{name} daddr", former[f"{name} saddr"])
        packets.put("th sport", former["th dport"])
        packets.put("th dport", former["th sport"])
        packets.put("tcp flags", constant(0x12, packets.tcp))
        if self.router.switch("net.ipv4.tcp_fwmark_accept", 0):
            packets.put(
                "meta mark", former["meta mark"].within(from_here).joined(constant(0, self.everyone & ~from_here))
            )
        passage = self.answers = Passage(self.datapath, self.router, self.hooks, packets, Known(self.packets))
        back = self._answer_from_here(passage, from_here)
        if from_there:
            back |= self._answer_from_there(passage, from_there)
        return passage.untranslated(back)

    def _answer_from_here(self, passage: Passage, live: int) -> int:
        if not live:
            return 0
        packets = passage.packets
        for name in ("meta skuid", "meta skgid", "meta cgroup"):
            packets.put(name, Spread({}, live))
        live = self._own_sources(passage, live)
        live, local, leaving, oif = self._route_out(passage, live)
        passage.walker.hook = "routing"
        packets.enter("oif", oif, passage.links)
        passage.cgroups(live, "egress")
        before = (packets.base["ip daddr"], packets.base["ip6 daddr"], packets.base["meta mark"])
        live = passage.hook("output", live)
        after = (packets.base["ip daddr"], packets.base["ip6 daddr"], packets.base["meta mark"])
        if any(a is not b for a, b in zip(before, after, strict=True)):
            live, local, leaving, oif = self._route_out(passage, live)
            packets.enter("oif", oif, passage.links)
        live = self._astray(passage, live, local & ~self.own, leaving)
        live = passage.hook("postrouting", live)
        away = live & ~self.own
        self._elsewhere(passage, away, oif)
        passage.programs(away, oif, "egress")
        passage.bridges(away, oif)
        away = passage.device_hook("egress", away, oif)
        looped = live & self.own
        if looped:
            for name in ("meta skuid", "meta skgid", "meta cgroup"):
                packets.put(name, Spread({}))
            looped = self._prerouting(passage, 0, looped)
            looped = passage.hook("input", looped)
        return away | looped

    def _own_sources(self, passage: Passage, live: int) -> int:
        """Leave out answers over IPv4 from an address that the table `local` does not hold: the kernel finds no route for them.

        A socket made for it (`IP_TRANSPARENT`) would be excepted, so it is not certain.
        """
        for source, bits in passage.packets.address("saddr", 4).values.items():
            if bits & live and self.router.type_of(4, source) != LOCAL_TYPE:
                text = f"{written(4, source)} is not among this host's own addresses: only a transparent socket answers"
                passage.name(bits & live, text)
        return live

    def _astray(self, passage: Passage, live: int, local: int, leaving: int) -> int:
        """End the answers that would go to this host itself instead of who called; return the others."""
        astray = live & local
        passage.walker.hook = "routing"
        passage.walker.ended |= astray
        passage.walker.note("routing", astray & ~leaving, "the answer is routed to this host itself", may=astray)
        return live & ~(astray & ~leaving)

    def _answer_from_there(self, passage: Passage, live: int) -> int:
        """Answers of those to whom a packet was forwarded, or that this host itself called: they arrive, and go on as they came."""
        packets = passage.packets
        devices = self.leaves.within(live)
        packets.enter("iif", devices, passage.links)
        packets.enter("oif", constant("", self.everyone), passage.links)
        passage.programs(live, devices, "ingress")
        passage.bridges(live, devices)
        live = passage.device_hook("ingress", live, devices)
        live = passage.hook("prerouting", live)
        here, ahead, oif = self._route_in(passage, live)
        packets.enter("oif", constant("", self.everyone), passage.links)
        here = passage.hook("input", here)
        ahead = self._forward(passage, ahead, oif)
        self._elsewhere(passage, ahead, oif)
        return here | ahead

    # ---- what is asked afterwards

    def end_of(self, number: int) -> tuple[str, int, str]:
        """Return address, port and interface where a packet went, each "" or 0 if it may be several."""
        bit, probe = 1 << number, self.probes[number]
        addresses = self.packets.address("daddr", probe.family)
        found, ports = addresses.at(bit), self.packets.base["th dport"].at(bit)
        open_address, open_port = addresses.unknown & bit, self.packets.base["th dport"].unknown & bit
        target = written(probe.family, found[0]) if len(found) == 1 and not open_address else ""
        port = ports[0] if len(ports) == 1 and not open_port else 0
        devices = self.leaves.at(bit) if self.forwarded & bit else []
        return target, port, devices[0] if len(devices) == 1 else ""


def _router(datapath: Datapath) -> Router:
    """Return the router of a datapath, made once as long as its network stays the same."""
    known = datapath.cache.get("router")
    if isinstance(known, Router) and known.network is datapath.network:
        return known
    router = datapath.cache["router"] = Router(datapath.network)
    return router


def _address(place: str, family: int, text: str) -> int:
    found = address(text)
    if found is None or found[0] != family:
        raise UsageError(
            f"{place}: {text[:80]!r} is not an IPv{family} address", advice="Write an address, for example 203.0.113.7."
        )
    return found[1]


def _protocol(place: str, probe: Probe) -> int:
    if probe.protocol not in ("tcp", "udp"):
        raise UsageError(f"{place}: protocol {probe.protocol[:40]!r}", advice="Give tcp or udp.")
    return 6 if probe.protocol == "tcp" else 17
