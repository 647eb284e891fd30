"""The whole way of all probes: the first packet, and for TCP the answer to it and the packet that completes the connection."""

from collections.abc import Sequence
from typing import Any

from analysis.firewall.cohort import Spread, constant, grouped, numbers
from analysis.firewall.fields import Packets
from analysis.firewall.hooks import Hooks
from analysis.firewall.legs import Trip
from analysis.firewall.model import Datapath
from analysis.firewall.network import Router
from analysis.firewall.passage import Known, Passage
from analysis.firewall.probe import SOLICITATION, Probe
from analysis.firewall.translating import DNAT_BIT, SNAT_BIT
from analysis.firewall.values import address, written
from analysis.firewall.walking import Leg, Walker
from contracts.errors import UsageError

_SYN_ACK, _ACK = 0x12, 0x10


class Journey:
    """Takes `probes` the whole way. Afterwards `alive` and `ended` tell, per bit, whether each may have arrived or not."""

    def __init__(self, datapath: Datapath, probes: Sequence[Probe]) -> None:
        self.datapath = datapath
        self.probes = probes
        self.router = _router(datapath)
        self.hooks = Hooks(datapath)
        self.everyone = (1 << len(probes)) - 1
        self.alive = self.ended = self.forwarded = 0
        loopback = {name for name, link in self.router.links.items() if link.loopback} | {"", "lo"}
        self.own = sum(1 << number for number, probe in enumerate(probes) if probe.interface in loopback)
        self.came, self.ports = self._came(loopback)
        self.walkers: list[Walker] = []
        self.packets = self._packets()
        self.first = self._trip(self.packets, Leg.FIRST)

    def run(self) -> None:
        """Go all legs."""
        for text in self.datapath.unread:
            self.first.passage.name(self.everyone, text)
        for number, probe in enumerate(self.probes):
            if not self.own >> number & 1 and probe.interface not in self.router.links:
                self.first.passage.name(1 << number, f"there is no interface {probe.interface}")
        delivered, forwarded, left = self._forth(self.first, self.everyone)
        self.forwarded = forwarded
        self._ends(delivered | forwarded)
        there = delivered | forwarded | left
        tcp = there & self.packets.tcp
        if tcp:
            there = (there & ~tcp) | self._connect(delivered & tcp, (forwarded | left) & tcp)
        self.alive |= there
        for walker in self.walkers:
            if walker.leg is not Leg.THIRD:
                self.ended |= walker.ended | walker.refused

    def _forth(self, trip: Trip, live: int) -> tuple[int, int, int]:
        """Take packets of who makes the connections: return those delivered here, forwarded, and gone out of this host."""
        looped, left = trip.outgoing(live & self.own)
        arriving = trip.arrive(live & ~self.own, self.came)
        delivered, forwarded = trip.incoming(arriving, looped)
        return delivered, forwarded, left

    def _connect(self, from_here: int, from_there: int) -> int:
        """Take the answers back and the packets after them forth; return the connections that may be made.

        If the packet that completes a connection is dropped, the first one was delivered and its answer got out all the same. If it is
        rejected, it is a matter of time whether who calls sees a connection or an error first: undecided.
        """
        former = self.packets
        packets = self._fresh()
        for name in ("ip", "ip6"):
            packets.put(f"{name} saddr", former.base[f"{name} daddr"])
            packets.put(f"{name} daddr", former.base[f"{name} saddr"])
        packets.put("th sport", former.base["th dport"])
        packets.put("th dport", former.base["th sport"])
        packets.put("tcp flags", constant(_SYN_ACK, packets.tcp))
        if self.router.switch("net.ipv4.tcp_fwmark_accept", 0):
            marks = former.base["meta mark"].within(from_here)
            packets.put("meta mark", marks.joined(constant(0, self.everyone & ~from_here)))
        known = Known(former)
        from_there = self._turned_back(from_there, known)
        trip = self._trip(packets, Leg.ANSWER, known)
        before, both = packets.snapshot(), from_here & from_there
        looped, back = trip.outgoing(from_here)
        gone = packets.snapshot()
        if both:  # where nobody knows who answers, the answer of another never was at the hook output
            packets.take(before, both)
            packets.take(gone, both & looped, keep=True)
        arriving = trip.arrive(from_there, self.first.leaves)
        here, ahead = trip.incoming(arriving, looped)
        if both:
            packets.take(gone, both & back, keep=True)
        back = trip.passage.untranslated(back | here | ahead)
        if not back:
            return 0
        last = self._packets()
        last.put("tcp flags", constant(_ACK, last.tcp))
        third = self._trip(last, Leg.THIRD, known.answered(packets))
        self._forth(third, back)
        self.ended |= third.walker.refused
        third.walker.doubt(third.walker.refused, "the packet that completes the connection is rejected")
        return back

    def _turned_back(self, live: int, known: Known) -> int:
        """End or name connections that are sent on, translated, by the interface they came by; return the others.

        Neighbours on one link answer each other directly, so that nobody translates the answer back.
        """
        translated = 0
        for status, bits in known.status.values.items():
            translated |= bits if status & DNAT_BIT and not status & SNAT_BIT else 0
        for device, out in self.first.leaves.values.items():
            for number in numbers(translated & out & live & self.came.values.get(device, 0)):
                several = known.status.multi | self.first.leaves.multi
                if self._are_neighbours(device, number) and not several >> number & 1:
                    self.first.walker.hook = "routing"
                    self.first.walker.ended |= 1 << number
                    self.first.walker.note(
                        "routing", 1 << number, f"neighbours at {device}: the answer is not translated back"
                    )
                    live &= ~(1 << number)
                else:
                    self.first.passage.name(
                        1 << number, f"whether the answer, which comes by {device} as the call did, passes here"
                    )
        return live

    def _are_neighbours(self, device: str, number: int) -> bool:
        """Say whether both ends of a connection are in one network at `device` whose frames netfilter does not see."""
        link, probe = self.router.links.get(device), self.probes[number]
        target = _only(self.packets.address("daddr", probe.family), 1 << number)
        source = _only(self.packets.address("saddr", probe.family), 1 << number)
        seen = "net.bridge.bridge-nf-call-iptables" if probe.family == 4 else "net.bridge.bridge-nf-call-ip6tables"
        if link is None or target is None or source is None or (link.kind == "bridge" and self.router.switch(seen, 0)):
            return False
        bits = 32 if probe.family == 4 else 128
        shifts = [bits - entry[1] for entry in link.addresses if entry[3] == probe.family]
        bases = [entry[0] for entry in link.addresses if entry[3] == probe.family]
        return any(
            base >> shift == target >> shift == source >> shift for base, shift in zip(bases, shifts, strict=True)
        )

    def _trip(self, packets: Packets, leg: Leg, known: Known | None = None) -> Trip:
        passage = Passage(self.datapath, self.router, self.hooks, packets, leg, known)
        self.walkers.append(passage.walker)
        return Trip(passage, self.own, self.came, self.ports)

    def _fresh(self) -> Packets:
        return Packets(self.everyone, self.packets.six, self.packets.tcp)

    def _came(self, loopback: set[str]) -> tuple[Spread, Spread]:
        """Return the interfaces that the probes arrive by (what comes by a bridge's port comes by the bridge), and such ports."""
        names: dict[int, str] = {}
        ports: dict[int, str] = {}
        for number, probe in enumerate(self.probes):
            link = self.router.links.get(probe.interface)
            if link is not None and link.master_kind == "bridge":
                names[number], ports[number] = link.master, probe.interface
            elif probe.interface not in loopback:
                names[number] = probe.interface
        return grouped(names), grouped(ports)

    def _packets(self) -> Packets:
        six = tcp = asking = 0
        source: dict[int, dict[int, int]] = {4: {}, 6: {}}
        target: dict[int, dict[int, int]] = {4: {}, 6: {}}
        for number, probe in enumerate(self.probes):
            place = f"probe {number}"
            if probe.family not in source:
                raise UsageError(f"{place}: family {probe.family}", advice="Give 4 or 6.")
            source[probe.family][number] = _address(place, probe.family, probe.source)
            target[probe.family][number] = _address(place, probe.family, probe.destination)
            six |= (probe.family == 6) << number
            tcp |= (_protocol(place, probe) == 6) << number
            asking |= (probe.protocol == SOLICITATION) << number
            if not (0 <= probe.port <= 65535 and 0 <= probe.source_port <= 65535):
                raise UsageError(f"{place}: port {probe.port} is not one", advice="Give a port from 0 to 65535.")
        packets = Packets(self.everyone, six, tcp, asking)
        for family, name in ((4, "ip"), (6, "ip6")):
            packets.put(f"{name} saddr", grouped(source[family]))
            packets.put(f"{name} daddr", grouped(target[family]))
        ports = [(number, probe) for number, probe in enumerate(self.probes) if not asking >> number & 1]
        packets.put("th sport", grouped({number: probe.source_port for number, probe in ports}))
        packets.put("th dport", grouped({number: probe.port for number, probe in ports}))
        return packets

    def _ends(self, live: int) -> None:
        """Name the packets of which address translation leaves open where they go."""
        several = self.packets.base["th dport"].multi
        for family in (4, 6):
            several |= self.packets.address("daddr", family).multi
        self.first.passage.name(several & live, "to which address and port it is translated")

    def end_of(self, number: int) -> tuple[str, int, str]:
        """Return address, port and interface where a packet went, each "" or 0 if it may be several."""
        bit, probe = 1 << number, self.probes[number]
        addresses, ports = self.packets.address("daddr", probe.family), self.packets.base["th dport"]
        target, port = _only(addresses, bit), _only(ports, bit)
        device = _only(self.first.leaves, bit) if self.forwarded & bit else None
        return "" if target is None else written(probe.family, target), port or 0, device or ""


def _only(spread: Spread, bit: int) -> Any:
    """Return the value that a packet has, None if it may be several."""
    found = spread.at(bit)
    return found[0] if len(found) == 1 and not spread.unknown & bit else None


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
    known = {"tcp": 6, "udp": 17} | ({SOLICITATION: 58} if probe.family == 6 else {})
    if probe.protocol not in known:
        raise UsageError(f"{place}: protocol {probe.protocol[:40]!r}", advice="Give tcp or udp.")
    return known[probe.protocol]
