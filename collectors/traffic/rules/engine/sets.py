"""Sets of addresses and ports, and whole headers, asked for many packets at once or for one."""

from bisect import bisect_right

import numpy as np

from collectors.traffic.block import U16, U64, Bools
from collectors.traffic.rules.language.rule import Addresses, Ports, Ranges

_HALF = (1 << 64) - 1


class PortSet:
    """A set of ports. `any` includes packets without ports."""

    __slots__ = ("_all", "any")

    def __init__(self, ports: Ports) -> None:
        self.any = ports.any
        self._all: Bools = np.zeros(0 if ports.any else 65_536, np.bool_)
        if not ports.any:
            for low, high in ports.ranges:
                self._all[low : high + 1] = True

    def among(self, ports: U16) -> Bools:
        """Return which of `ports` are in the set; not to be asked of `any`."""
        found: Bools = self._all[ports]
        return found

    def has(self, port: int) -> bool:
        """Return whether one port is in the set."""
        return self.any or bool(self._all[port])


class AddressSet:
    """A set of addresses of both versions."""

    __slots__ = ("_high4", "_low4", "_v4", "_v6", "any")

    def __init__(self, addresses: Addresses) -> None:
        self.any = addresses.any
        self._v4 = _edges(addresses.v4)
        self._v6 = _edges(addresses.v6)
        self._low4 = np.array([low for low, _ in addresses.v4], np.uint64)
        self._high4 = np.array([high for _, high in addresses.v4], np.uint64)

    def among(self, family: Bools, high: U64, low: U64) -> Bools:
        """Return which addresses are in the set; `family` is true for IPv6. Addresses come in two halves."""
        found = np.zeros(len(low), np.bool_)
        if len(self._low4):
            place = np.searchsorted(self._low4, low, side="right") - 1
            found = (place >= 0) & (low <= self._high4[place]) & ~family
        for index in np.flatnonzero(family).tolist():
            found[index] = self.has(6, int(high[index]) << 64 | int(low[index]))
        return found

    def has(self, family: int, address: int) -> bool:
        """Return whether one address is in the set."""
        if self.any:
            return True
        edges = self._v6 if family == 6 else self._v4
        return bisect_right(edges, address) % 2 == 1


def _edges(ranges: Ranges) -> list[int]:
    """Return where the set begins and ends, in turn: a number of edges that is odd up to an address means inside."""
    edges: list[int] = []
    for low, high in ranges:
        if edges and edges[-1] == low:
            edges[-1] = high + 1
        else:
            edges += (low, high + 1)
    return edges


class Ends:
    """The two ends of many packets, once for each pair: what the sets are asked about."""

    __slots__ = ("dport", "dst_hi", "dst_lo", "family6", "protocol", "sport", "src_hi", "src_lo")

    def __init__(
        self, protocol: U16, family6: Bools, src: tuple[U64, U64], sport: U16, dst: tuple[U64, U64], dport: U16
    ) -> None:
        self.protocol = protocol
        self.family6 = family6
        self.src_hi, self.src_lo = src
        self.sport = sport
        self.dst_hi, self.dst_lo = dst
        self.dport = dport

    def __len__(self) -> int:
        return len(self.sport)


class HeaderSets:
    """All distinct sets of a ruleset's headers, and which of them each header is made of.

    `add` gives a header its number; `asked` makes the questions about one block's packets, each answered once.
    """

    def __init__(self) -> None:
        self.addresses: list[AddressSet] = []
        self.ports: list[PortSet] = []
        self.headers: list[tuple[int, int, int, int]] = []
        self._address_of: dict[Addresses, int] = {}
        self._port_of: dict[Ports, int] = {}
        self._header_of: dict[tuple[int, int, int, int], int] = {}

    def add(self, source: Addresses, sport: Ports, destination: Addresses, dport: Ports) -> int:
        """Return the number of a header."""
        key = (self._address(source), self._port(sport), self._address(destination), self._port(dport))
        number = self._header_of.get(key)
        if number is None:
            number = self._header_of[key] = len(self.headers)
            self.headers.append(key)
        return number

    def holds(self, number: int, family: int, source: int, sport: int, destination: int, dport: int) -> bool:
        """Return whether a header fits one packet; ports of -1 are none."""
        src, sports, dst, dports = self.headers[number]
        port, other = self.ports[sports], self.ports[dports]
        if not (port.any or (sport >= 0 and port.has(sport))) or not (other.any or (dport >= 0 and other.has(dport))):
            return False
        return self.addresses[src].has(family, source) and self.addresses[dst].has(family, destination)

    def _address(self, addresses: Addresses) -> int:
        number = self._address_of.get(addresses)
        if number is None:
            number = self._address_of[addresses] = len(self.addresses)
            self.addresses.append(AddressSet(addresses))
        return number

    def _port(self, ports: Ports) -> int:
        number = self._port_of.get(ports)
        if number is None:
            number = self._port_of[ports] = len(self.ports)
            self.ports.append(PortSet(ports))
        return number


class Asked:
    """The headers of a ruleset, asked about one block's packets: a mask over `ends` by header number, computed when first asked."""

    def __init__(self, sets: HeaderSets, ends: Ends, ported: Bools) -> None:
        self._sets = sets
        self._ends = ends
        self._ported = ported
        self._masks: dict[int, Bools] = {}
        self._parts: dict[tuple[str, int], Bools | None] = {}

    def mask(self, number: int) -> Bools:
        """Return which ends the header fits."""
        found = self._masks.get(number)
        if found is None:
            src, sport, dst, dport = self._sets.headers[number]
            found = np.ones(len(self._ends), np.bool_)
            for part in (
                self._address("s", src),
                self._port("s", sport),
                self._address("d", dst),
                self._port("d", dport),
            ):
                if part is not None:
                    found = found & part
            self._masks[number] = found
        return found

    def _address(self, side: str, number: int) -> Bools | None:
        one = self._sets.addresses[number]
        if one.any:
            return None
        key = (side, number)
        if key not in self._parts:
            ends = self._ends
            high, low = (ends.src_hi, ends.src_lo) if side == "s" else (ends.dst_hi, ends.dst_lo)
            self._parts[key] = one.among(ends.family6, high, low)
        return self._parts[key]

    def _port(self, side: str, number: int) -> Bools | None:
        one = self._sets.ports[number]
        if one.any:
            return None
        key = (side + "p", number)
        if key not in self._parts:
            self._parts[key] = one.among(self._ends.sport if side == "s" else self._ends.dport) & self._ported
        return self._parts[key]
