"""What makes packets belong together: both endpoints, protocol, VLANs and depth; the same whichever side sent the packet.

An IPv4 endpoint (address and port) fits one word and is itself; an IPv6 endpoint is mixed into one word with a secret. Two words that are
equal by accident do not join two flows: wherever words are compared, IPv6 addresses are compared as well.
"""

import secrets

import numpy as np

from collectors.traffic.block import I64, U16, U64, Bools
from collectors.traffic.decode.table import Table
from collectors.traffic.flows.community_id import icmp_ports

_ICMP, _ICMPV6 = 1, 58
_SHIFT = np.uint64(32)


def _answers(protocol: int) -> U16:
    """Return by ICMP type what stands for the destination port: the type of the answer, or 0x100 where the code does."""
    ports = [icmp_ports(protocol, kind, 0x100)[1] for kind in range(256)]
    return np.array(ports, np.uint16)


_ANSWERS = {_ICMP: _answers(_ICMP), _ICMPV6: _answers(_ICMPV6)}


class Keys:
    """The keys of some packets: `low` and `high` endpoint words, `rest`, their `hash`, and whether the sender is `high` (`swapped`)."""

    __slots__ = ("hash", "high", "low", "rest", "swapped")

    def __init__(self, low: U64, high: U64, rest: U64, swapped: Bools, hashed: U64) -> None:
        self.low = low
        self.high = high
        self.rest = rest
        self.swapped = swapped
        self.hash = hashed

    def at(self, indices: I64) -> "Keys":
        """Return those at `indices`."""
        parts = (self.low, self.high, self.rest, self.swapped, self.hash)
        return Keys(*(part[indices] for part in parts))  # type: ignore[arg-type]


class Hasher:
    """Mixes keys with secrets, so that nobody outside can choose packets that meet in the flow table."""

    def __init__(self, seed: bytes | None = None) -> None:
        words = np.frombuffer(seed or secrets.token_bytes(64), np.uint64)
        self._salt = words[:4].copy()
        self._factor = words[4:8] | np.uint64(1)

    def keys(self, table: Table, rows: I64) -> Keys:
        """Return the keys of packets."""
        protocol = table.protocol[rows]
        sport, dport = ports(protocol, table.sport[rows], table.dport[rows])
        return self.made(
            table.family[rows] == 6,
            (table.src_hi[rows], table.src_lo[rows], sport),
            (table.dst_hi[rows], table.dst_lo[rows], dport),
            rest(table, rows, protocol),
        )

    def made(self, six: Bools, source: tuple[U64, U64, U64], destination: tuple[U64, U64, U64], others: U64) -> Keys:
        """Return keys from endpoints (address halves and port) and what `rest` gives."""
        sender, receiver = self._endpoint(six, *source), self._endpoint(six, *destination)
        swapped = sender > receiver
        low, high = np.minimum(sender, receiver), np.maximum(sender, receiver)
        return Keys(low, high, others, swapped, self._mix(low, high, others))

    def _endpoint(self, six: Bools, high: U64, low: U64, port: U64) -> U64:
        word = (low << np.uint64(16)) | port
        index = np.flatnonzero(six)
        if len(index):
            word[index] = self._mix(high[index], low[index], port[index])
        return word

    def _mix(self, one: U64, two: U64, three: U64) -> U64:
        salt, factor = self._salt, self._factor
        mixed = (one ^ salt[0]) * factor[0]
        mixed ^= mixed >> _SHIFT
        mixed += two ^ salt[1]
        mixed *= factor[1]
        mixed ^= mixed >> _SHIFT
        mixed += three ^ salt[2]
        mixed *= factor[2]
        mixed ^= mixed >> _SHIFT
        mixed *= factor[3]
        return np.asarray(mixed ^ (mixed >> _SHIFT))


def rest(table: Table, rows: I64, protocol: "np.ndarray[tuple[int, ...], np.dtype[np.uint8]]") -> U64:
    """Return VLANs, protocol, family and depth of packets as one word."""
    word = table.vlan[rows] | protocol.astype(np.uint64) << np.uint64(48)
    word |= (table.family[rows] == 6).astype(np.uint64) << np.uint64(56)
    word |= table.depth[rows].astype(np.uint64) << np.uint64(57)
    return np.asarray(word | table.vlan_count[rows].astype(np.uint64) << np.uint64(61))


def ports(protocol: "np.ndarray[tuple[int, ...], np.dtype[np.uint8]]", sport: U16, dport: U16) -> tuple[U64, U64]:
    """Return the ports that a flow is known by: for ICMP those of the Community ID, so that an answer meets its question."""
    for number, answers in _ANSWERS.items():
        index = np.flatnonzero(protocol == number)
        if len(index):
            answer = answers[sport[index] & 255]
            dport = dport.copy()
            dport[index] = np.where(answer == 0x100, dport[index], answer)
    return sport.astype(np.uint64), dport.astype(np.uint64)
