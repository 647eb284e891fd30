"""From where to judge: which sources stand for a vantage, where they arrive, and which own addresses they meet there.

A vantage is judged for *anybody*: an address of it that no rule, set or route names. Beside it stands each network that rules name within
the vantage, up to `MOST_NAMED`, so that "blocked, but reachable from 203.0.113.0/24" comes out.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from analysis.firewall.addresses import is_public, number, span, span_text, text
from analysis.firewall.model import Datapath, Link, Network
from analysis.firewall.named import Named
from analysis.firewall.network import UNICAST, Flow, Router
from contracts.subjects.datapath import Vantage

MOST_NAMED = 32
"""Of more networks that rules name within one vantage, the rest is not tried; the rows say so."""
MOST_ADDRESSES = 8
"""A listener on every address is judged at so many of the vantage's interface; a host with more has them by the hundred."""
ANYBODY = {4: (0, (1 << 32) - 1), 6: (0, (1 << 128) - 1)}
_STRIDE = 2654435761
_CANDIDATES = 64


class Somebody(NamedTuple):
    """One source to try besides anybody: `network` in the words of the rules, `named` what the rules say of it."""

    network: str
    source: str
    named: Named


class Viewpoint(NamedTuple):
    """One vantage in one family, ready to be probed.

    `interface` is where its packets arrive, "" when this host itself is the vantage. `source` is anybody's address. `addresses` are the
    own addresses that are met there, `unmet` counts those beyond `MOST_ADDRESSES`. `everywhere` when the vantage is the whole internet.
    `is_all` is false when rules name more networks than `MOST_NAMED` there.
    """

    vantage: str
    family: int
    interface: str
    source: str
    addresses: tuple[str, ...]
    everywhere: bool = False
    somebodies: tuple[Somebody, ...] = ()
    is_all: bool = True
    unmet: int = 0


def viewpoints(
    vantages: Sequence[Vantage],
    datapath: Datapath,
    named: Sequence[Named],
    spans: Sequence[tuple[int, int, int]],
) -> tuple[Viewpoint, ...]:
    """Return a viewpoint per vantage and family that is attached; one that no route leads back to is left out (see `detached`)."""
    ground = _Ground(datapath, named, spans)
    territory = [(vantage.name, *span(source)) for vantage in vantages for source in vantage.sources]
    made = (ground.viewpoint(vantage, family, territory) for vantage in vantages for family in (4, 6))
    return tuple(each for each in made if each is not None)


def detached(vantages: Sequence[Vantage], points: Iterable[Viewpoint]) -> tuple[tuple[str, int], ...]:
    """Return the vantages (name and family) that nothing leads to, so that nothing was judged from there."""
    reached = {(point.vantage, point.family) for point in points}
    wanted = {(vantage.name, span(source)[0]) for vantage in vantages for source in vantage.sources}
    return tuple(sorted(wanted - reached))


def route_back(network: Network | Router, family: int, address: int) -> str:
    """Return the interface that the route to `address` leads out of, "" when there is none. A router is asked faster than a network."""
    router = network if isinstance(network, Router) else Router(network)
    found = router.lookup(Flow(family=family, destination=address))
    return found.devices[0] if found.kind == UNICAST and found.devices else ""


def _router(datapath: Datapath) -> Router:
    """Return the router that the evaluator keeps with the datapath, too."""
    known = datapath.cache.get("router")
    if not isinstance(known, Router) or known.network is not datapath.network:
        known = datapath.cache["router"] = Router(datapath.network)
    return known


class _Ground:
    """What all viewpoints share: links and routes, what rules name, which addresses are this host's own."""

    def __init__(self, datapath: Datapath, named: Sequence[Named], spans: Sequence[tuple[int, int, int]]) -> None:
        self._network, self._router, self._spans = datapath.network, _router(datapath), spans
        self._named = {family: [each for each in named if each.family == family] for family in (4, 6)}
        self._own = {
            (family, address) for link in self._network.links.values() for address, _, _, family, _ in link.addresses
        }
        self._loops = {name for name, link in self._network.links.items() if link.loopback} | {"lo"}

    def viewpoint(
        self, vantage: Vantage, family: int, territory: Sequence[tuple[str, int, int, int]]
    ) -> Viewpoint | None:
        """Return how `vantage` is probed in `family`, or None when nothing of it is attached."""
        sources = [(low, high) for kind, low, high in map(span, vantage.sources) if kind == family]
        if not sources:
            return None
        if vantage.interface in self._loops:
            address = "127.0.0.1" if family == 4 else "::1"
            known = number(address) in self._own
            return Viewpoint(vantage.name, family, "", address, (address,)) if known else None
        stranger = self._stranger(family, sources, vantage.interface)
        if stranger is None:
            return None
        source, interface = stranger
        addresses = tuple(self._addresses(family, interface, sources))
        somebodies, is_all = self._somebodies(vantage, family, interface, source, sources, territory)
        return Viewpoint(
            vantage=vantage.name,
            family=family,
            interface=interface,
            source=text(family, source),
            addresses=addresses[:MOST_ADDRESSES],
            everywhere=ANYBODY[family] in sources,
            somebodies=somebodies,
            is_all=is_all,
            unmet=len(addresses[MOST_ADDRESSES:]),
        )

    def _stranger(self, family: int, sources: Sequence[tuple[int, int]], interface: str) -> tuple[int, str] | None:
        """Return an address of `sources` that nothing names, and where it arrives; the least named one where all are named."""
        whole = [(low, high) for low, high in sources]
        spans = [
            (low, high)
            for kind, low, high in self._spans
            if kind == family and not any(low <= first and last <= high for first, last in whole)
        ]
        best: tuple[int, int, str] | None = None
        for candidate in _candidates(family, sources):
            if (family, candidate) in self._own:
                continue
            device = interface or route_back(self._router, family, candidate)
            if not device or device in self._loops or not self._is_up(device):
                continue
            times = sum(low <= candidate <= high for low, high in spans)
            if best is None or times < best[0]:
                best = times, candidate, device
            if times == 0:
                break
        return None if best is None else best[1:]

    def _is_up(self, device: str) -> bool:
        link: Link | None = self._network.links.get(device)
        return link is not None and link.up

    def _addresses(self, family: int, interface: str, sources: Sequence[tuple[int, int]]) -> Iterator[str]:
        """Yield the own addresses that a packet from `sources` by `interface` is sent to: those of the same network, else its wide ones."""
        link = self._network.links.get(interface)
        master = self._network.links.get(link.master) if link is not None and link.master else None
        found = [each for holder in (link, master) if holder is not None for each in holder.addresses]
        mine = [(scope, address) for address, _, _, kind, scope in found if kind == family]
        wide = [address for scope, address in mine if scope != "link"]
        if ANYBODY[family] not in sources:
            wide = [address for _, address in mine if any(low <= address <= high for low, high in sources)] or wide
        yield from (text(family, address) for address in wide)

    def _somebodies(
        self,
        vantage: Vantage,
        family: int,
        interface: str,
        anybody: int,
        sources: Sequence[tuple[int, int]],
        territory: Sequence[tuple[str, int, int, int]],
    ) -> tuple[tuple[Somebody, ...], bool]:
        """Return who is named within the vantage, and whether that is everybody: false when there were too many networks."""
        found: dict[tuple[int, int], Somebody] = {}
        is_all = True
        for each in self._named[family]:
            known = found.get((each.low, each.high))
            if known is not None:
                ports = known.named.ports + each.ports if known.named.ports and each.ports else ()
                found[each.low, each.high] = known._replace(named=known.named._replace(ports=ports))
                continue
            if each.low <= anybody <= each.high or not _overlaps(each, sources):
                continue
            if len(found) >= MOST_NAMED:
                is_all = False
                continue
            source = self._within(vantage, each, interface, territory)
            if source is not None:
                network = each.label or span_text(family, each.low, each.high)
                found[each.low, each.high] = Somebody(network, text(family, source), each)
        return tuple(found.values()), is_all

    def _within(
        self, vantage: Vantage, each: Named, interface: str, territory: Sequence[tuple[str, int, int, int]]
    ) -> int | None:
        """Return an address of a named network that belongs to `vantage` and to no narrower one, None when there is none."""
        for candidate in dict.fromkeys((each.low + (each.high > each.low), (each.low + each.high) // 2, each.high)):
            if (each.family, candidate) in self._own:
                continue
            holders = [
                (high - low, name)
                for name, kind, low, high in territory
                if kind == each.family and low <= candidate <= high
            ]
            if not holders or all(name != vantage.name for size, name in holders if size == min(holders)[0]):
                continue
            if vantage.interface or route_back(self._router, each.family, candidate) == interface:
                return candidate
        return None


def _candidates(family: int, sources: Sequence[tuple[int, int]]) -> Iterator[int]:
    """Yield addresses of `sources`, spread over them, the same ones every time; of the internet only public ones."""
    for low, high in sources:
        if (low, high) == ANYBODY[family]:
            yield from _public(family)
            continue
        first, last = (low + 1, high - 1) if high - low > 1 else (low, high)
        count = last - first + 1
        start, step = min(9, count - 1), max(1, count // _CANDIDATES)
        yield from range(first + start, min(last, first + start + step * (_CANDIDATES - 1)) + 1, step)
        yield from range(first, first + start)


def _public(family: int) -> Iterator[int]:
    count, place = 0, 0
    while count < _CANDIDATES:
        place += 1
        scattered = place * _STRIDE % (1 << 32)
        value = scattered if family == 4 else (0x2A00 << 112) | (scattered << 80) | 0x10
        if is_public(family, value) and (family == 6 or value >> 28 < 14):
            count += 1
            yield value


def _overlaps(each: Named, sources: Sequence[tuple[int, int]]) -> bool:
    return any(low <= each.high and each.low <= high for low, high in sources)
