"""Sets of networks: is this address in one? For one address at a time, and for whole columns."""

import ipaddress
from collections.abc import Iterable

import numpy as np

from collectors.traffic.block import U8, U64, Bools

_LOW = (1 << 64) - 1


class Prefixes:
    """Networks of both families, by length: a look-up costs as many set look-ups as there are different lengths."""

    def __init__(self, networks: Iterable[str] = ()) -> None:
        self._by_length: dict[tuple[int, int], set[int]] = {}
        for text in networks:
            network = ipaddress.ip_network(text, strict=False)
            shift = network.max_prefixlen - network.prefixlen
            numbers = self._by_length.setdefault((network.version, shift), set())
            numbers.add(int(network.network_address) >> shift)

    def __len__(self) -> int:
        return sum(len(numbers) for numbers in self._by_length.values())

    def has(self, text: str) -> bool:
        """Return whether an address as text is in one of the networks; what is no address is in none."""
        try:
            found = ipaddress.ip_address(text)
        except ValueError:
            return False
        number = int(found)
        return any(
            version == found.version and number >> shift in numbers
            for (version, shift), numbers in self._by_length.items()
        )

    def mask(self, family: U8, high: U64, low: U64) -> Bools:
        """Return which addresses are in one of the networks; meant for few networks."""
        inside = np.zeros(len(family), np.bool_)
        for (version, shift), numbers in self._by_length.items():
            own = family == version
            if own.any():
                inside |= own & _shifted_in(high, low, shift, numbers)
        return inside


def _shifted_in(high: U64, low: U64, shift: int, numbers: set[int]) -> Bools:
    found = np.zeros(len(low), np.bool_)
    for number in numbers:
        value = number << shift
        part_high, part_low = np.uint64(value >> 64), np.uint64(value & _LOW)
        if shift >= 64:
            found |= (high >> np.uint64(shift - 64)) == (part_high >> np.uint64(shift - 64)) if shift < 128 else True
        else:
            found |= (high == part_high) & ((low >> np.uint64(shift)) == (part_low >> np.uint64(shift)))
    return found
