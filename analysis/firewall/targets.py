"""What to probe: every listener of this host's own network namespace at the addresses a vantage meets, and every published port."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from analysis.firewall.addresses import (
    is_link_local,
    is_loopback,
    is_multicast,
    is_public,
    number,
    text,
    why_not_routed,
)
from analysis.firewall.model import Network
from analysis.firewall.probe import SOURCE_PORT, Probe
from analysis.firewall.published import Candidate
from analysis.firewall.vantages import Viewpoint
from contracts.subjects.ports import Listener

PROTOCOLS = ("tcp", "udp")
"""What the evaluator follows; listeners of other protocols are uncertain, and named."""


class Place(NamedTuple):
    """Where a connection is sent to."""

    family: int
    protocol: str
    address: str
    port: int


class Aim(NamedTuple):
    """One place seen from one viewpoint.

    `listener` is the key of a socket that is bound there, "" for a port that only a rule publishes. `barred` says why nobody there can even
    send to it, `unjudged` why it cannot be judged; either way there is nothing to probe.
    """

    point: Viewpoint
    place: Place
    listener: str = ""
    published: bool = False
    barred: str = ""
    unjudged: str = ""

    def probe(self, source: str = "", source_port: int = SOURCE_PORT) -> Probe:
        """Return the first packet of a connection from `source`, by default from anybody at the viewpoint."""
        point, place = self.point, self.place
        if not point.interface:  # this host to itself: the kernel takes the address that it sends to
            source = place.address
        return Probe(
            family=place.family,
            protocol=place.protocol,
            source=source or point.source,
            destination=place.address,
            port=place.port,
            interface=point.interface,
            source_port=source_port,
        )


def counted(listeners: Mapping[str, Listener]) -> dict[str, Listener]:
    """Return the listeners that count: of this host's own namespace, and no client's socket that waits for an answer."""
    return {
        key: row
        for key, row in listeners.items()
        if "#" not in key and not (row.ephemeral and not row.settled) and row.port
    }


class Sockets:
    """Which listener takes a packet that has arrived: the most particular one, as the kernel's own lookup chooses it."""

    def __init__(self, listeners: Mapping[str, Listener]) -> None:
        self._by_port: dict[tuple[str, int], list[tuple[str, Listener, int, int]]] = defaultdict(list)
        for key, row in listeners.items():
            family, address = number(row.address)
            self._by_port[row.protocol, row.port].append((key, row, family, address))

    def taker(self, place: Place, interface: str) -> tuple[str, str]:
        """Return the key of the listener that takes what arrives by `interface` at `place`, or "" and why none does."""
        wanted = number(place.address)[1]
        best, chosen, bound = -1, "", ""
        for key, row, family, address in self._by_port.get((place.protocol, place.port), ()):
            if not _covers(row, family, address, place.family, wanted):
                continue
            if row.interface and row.interface != (interface or "lo"):
                bound = row.interface
                continue
            score = 4 * (address != 0) + 2 * bool(row.interface) + (family == place.family)
            if score > best:
                best, chosen = score, key
        return chosen, "" if chosen else f"listens on {bound} alone" if bound else "nothing listens there"


class Targets:
    """Every aim for the given listeners and published candidates."""

    def __init__(self, listeners: Mapping[str, Listener], candidates: Sequence[Candidate], network: Network) -> None:
        self._candidates = candidates
        self._own = {
            (family, address): link.name
            for link in network.links.values()
            for address, _, _, family, _ in link.addresses
        }
        self._broadcasts = {
            (family, broadcast) for link in network.links.values() for _, _, broadcast, family, _ in link.addresses
        }
        self._listeners = [(key, row, *number(row.address)) for key, row in listeners.items()]

    def aims(self, points: Iterable[Viewpoint]) -> list[Aim]:
        """Return one aim per viewpoint and place, in the order of the listeners; published places after them."""
        return [aim for point in points for aim in self._seen_from(point)]

    def _seen_from(self, point: Viewpoint) -> Iterator[Aim]:
        found: dict[Place, Aim] = {}
        for key, row, family, address in self._listeners:
            for at in self._addresses(row, family, address, point):
                place = Place(point.family, row.protocol, at, row.port)
                if place not in found or address:
                    barred, unjudged = self._barred(place, point)
                    found[place] = Aim(point, place, key, barred=barred, unjudged=unjudged)
        for candidate in self._candidates:
            if candidate.family != point.family:
                continue
            for at in self._named_by(candidate, point):
                place = Place(point.family, candidate.protocol, at, candidate.port)
                known = found.get(place)
                if known is None:
                    barred, unjudged = self._barred(place, point)
                    known = Aim(point, place, barred=barred, unjudged=unjudged)
                found[place] = known._replace(published=True)
        yield from found.values()

    def _addresses(self, row: Listener, family: int, address: int, point: Viewpoint) -> Iterator[str]:
        """Yield the addresses at which `point` meets a listener that is bound to `address`."""
        if address:
            if family == point.family:
                yield text(family, address)
        elif family == point.family or (family == 6 and not row.v6only):
            yield from point.addresses

    def _named_by(self, candidate: Candidate, point: Viewpoint) -> Iterator[str]:
        """Yield the addresses at which `point` meets what a rule publishes."""
        if not candidate.high:
            yield from point.addresses
        elif not point.interface:  # this host to itself
            yield from (text(family, address) for family, address in self._own if _is_named(candidate, family, address))
        elif candidate.low == candidate.high:
            yield text(candidate.family, candidate.low)
        else:
            mine = [address for family, address in self._own if _is_named(candidate, family, address)]
            yield from (text(candidate.family, address) for address in mine or [candidate.low + 1])

    def _barred(self, place: Place, point: Viewpoint) -> tuple[str, str]:
        """Return why nobody at `point` can send to `place`, and why it cannot be judged; both "" for what is to be probed."""
        family, address = number(place.address)
        if place.protocol not in PROTOCOLS:
            return "", f"connections of {place.protocol} are not followed"
        if is_multicast(family, address) or (family, address) in self._broadcasts:
            return "", "packets to a group or to everybody are not followed"
        on = self._own.get((family, address), "")
        if not point.interface:
            return "", ""
        is_here = on == point.interface or place.address in point.addresses
        if is_here or (not point.everywhere and not is_link_local(family, address)) or is_public(family, address):
            return "", ""
        where = f" of {on}" if on and not is_loopback(family, address) else ""
        return (
            f"{place.address} is {why_not_routed(family, address)}{where}: no router leads there from {point.vantage}",
            "",
        )


def _is_named(candidate: Candidate, family: int, address: int) -> bool:
    return family == candidate.family and candidate.low <= address <= candidate.high


def _covers(row: Listener, family: int, address: int, wanted_family: int, wanted: int) -> bool:
    if address:
        return family == wanted_family and address == wanted
    return family == wanted_family or (family == 6 and not row.v6only)
