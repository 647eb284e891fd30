"""Sets of addresses and ports, and the headers made of them, asked for one packet (`headers.py` asks for many)."""

from bisect import bisect_right
from collections.abc import Iterable
from itertools import chain

import numpy as np

from collectors.traffic.block import U64
from collectors.traffic.rules.language.rule import Addresses, IpRep, Ports, Ranges
from collectors.traffic.rules.language.values import packed

RatedKey = tuple[str, str, int]
"""Category, operator and score of a test of reputation."""
_EVERY_PORT = bytes([255]) * 8192


class PortSet:
    """A set of ports. `any` includes packets without ports."""

    __slots__ = ("any", "bits")

    def __init__(self, ports: Ports) -> None:
        self.any = ports.any
        self.bits = _EVERY_PORT
        """A bit for each port, the lowest first."""
        if not ports.any:
            inside = np.zeros(65_536, np.bool_)
            for low, high in ports.ranges:
                inside[low : high + 1] = True
            self.bits = np.packbits(inside, bitorder="little").tobytes()

    def has(self, port: int) -> bool:
        """Return whether one port is in the set."""
        return bool(self.bits[port >> 3] >> (port & 7) & 1)


class AddressSet:
    """A set of addresses of both versions."""

    __slots__ = ("_v4", "_v6", "any", "edges4")

    def __init__(self, addresses: Addresses) -> None:
        self.any = addresses.any
        self.edges4: U64 = _edges4(addresses.v4)
        """As `edges(4)`."""
        self._v4: list[int] = self.edges4.tolist()
        self._v6 = _edges(addresses.v6)

    def edges(self, family: int) -> list[int]:
        """Return where the set begins and ends (the first address behind it), in turn."""
        return self._v6 if family == 6 else self._v4

    def has(self, family: int, address: int) -> bool:
        """Return whether one address is in the set."""
        if self.any:
            return True
        edges = self._v6 if family == 6 else self._v4
        return bisect_right(edges, address) % 2 == 1


def every_edge(sets: Iterable[AddressSet]) -> U64:
    """Return where IPv4 sets begin and end, all of them in order, but for the end of all addresses."""
    edges = np.sort(np.concatenate([np.zeros(0, np.uint64), *(one.edges4 for one in sets)]))
    first = np.append(True, edges[1:] != edges[:-1]) if len(edges) else np.zeros(0, np.bool_)
    return edges[first & (edges < 1 << 32)]


def _edges4(ranges: Ranges) -> U64:
    """Return the same as `_edges` of many ranges at once."""
    ends = np.fromiter(chain.from_iterable(ranges), np.uint64, 2 * len(ranges)).reshape(-1, 2)
    ends[:, 1] += np.uint64(1)
    joined = ends[1:, 0] == ends[:-1, 1]
    kept = np.stack((np.append(True, ~joined), np.append(~joined, True)), 1) if len(ends) else ends.astype(np.bool_)
    return ends[kept]


def _edges(ranges: Ranges) -> list[int]:
    """Return where the set begins and ends, in turn: a number of edges that is odd up to an address means inside."""
    edges: list[int] = []
    for low, high in ranges:
        if edges and edges[-1] == low:
            edges[-1] = high + 1
        else:
            edges += (low, high + 1)
    return edges


def common(one: Addresses, other: Addresses) -> Addresses:
    """Return the addresses that are in both."""
    if one.any or other.any:
        return other if one.any else one
    return Addresses(any=False, v4=_common(one.v4, other.v4), packed_v6=packed(_common(one.v6, other.v6)))


def _common(one: Ranges, other: Ranges) -> Ranges:
    found: list[tuple[int, int]] = []
    at = behind = 0
    while at < len(one) and behind < len(other):
        low, high = max(one[at][0], other[behind][0]), min(one[at][1], other[behind][1])
        if low <= high:
            found.append((low, high))
        if one[at][1] < other[behind][1]:
            at += 1
        else:
            behind += 1
    return tuple(found)


class HeaderSets:
    """All distinct sets of a ruleset's headers, and which of them each header is made of. `add` gives a header its number.

    `address_of` and `port_of` are the numbers of the sets, in the order of the numbers.
    """

    def __init__(self) -> None:
        self.addresses: list[AddressSet] = []
        self.ports: list[PortSet] = []
        self.headers: list[tuple[int, int, int, int]] = []
        self.address_of: dict[Addresses, int] = {}
        self.port_of: dict[Ports, int] = {}
        self._header_of: dict[tuple[int, int, int, int], int] = {}
        self.rated_of: dict[RatedKey, Addresses] = {}
        """What tests of reputation mean."""
        self._rated: dict[RatedKey, AddressSet] = {}

    def restore(self, addresses: list[Addresses], ports: list[Ports], headers: list[tuple[int, int, int, int]]) -> None:
        """Take sets and headers as they were in another one."""
        for one in addresses:
            self._address(one)
        for other in ports:
            self._port(other)
        for key in headers:
            self._header_of[key] = len(self.headers)
            self.headers.append(key)

    def add(self, source: Addresses, sport: Ports, destination: Addresses, dport: Ports) -> int:
        """Return the number of a header."""
        key = (self._address(source), self._port(sport), self._address(destination), self._port(dport))
        number = self._header_of.get(key)
        if number is None:
            number = self._header_of[key] = len(self.headers)
            self.headers.append(key)
        return number

    def rated(self, test: IpRep) -> AddressSet | None:
        """Return the addresses that a test of reputation means, None while no list has said so."""
        key = (test.category, test.op, test.value)
        if test.listed is not None:
            self.rated_of.setdefault(key, test.listed)
        found = self._rated.get(key)
        if found is None and key in self.rated_of:
            # Most headers of such rules are this very set.
            number = self.address_of.get(self.rated_of[key])
            found = AddressSet(self.rated_of[key]) if number is None else self.addresses[number]
            self._rated[key] = found
        return found

    def holds(self, number: int, family: int, source: int, sport: int, destination: int, dport: int) -> bool:
        """Return whether a header fits one packet; ports of -1 are none."""
        src, sports, dst, dports = self.headers[number]
        port, other = self.ports[sports], self.ports[dports]
        if not (port.any or (sport >= 0 and port.has(sport))) or not (other.any or (dport >= 0 and other.has(dport))):
            return False
        return self.addresses[src].has(family, source) and self.addresses[dst].has(family, destination)

    def _address(self, addresses: Addresses) -> int:
        number = self.address_of.get(addresses)
        if number is None:
            number = self.address_of[addresses] = len(self.addresses)
            self.addresses.append(AddressSet(addresses))
        return number

    def _port(self, ports: Ports) -> int:
        number = self.port_of.get(ports)
        if number is None:
            number = self.port_of[ports] = len(self.ports)
            self.ports.append(PortSet(ports))
        return number
