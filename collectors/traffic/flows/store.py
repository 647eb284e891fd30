"""The columns of the flows, and the chains that find them by key: numpy arrays that grow to a bound and are never walked in Python."""

import numpy as np

from collectors.traffic.block import I64, U8, U16, U32, U64, Bools
from collectors.traffic.flows.keys import Keys

COLUMNS: dict[str, type[np.generic]] = {
    "serial": np.int64,
    "hash": np.uint64,
    "low": np.uint64,
    "high": np.uint64,
    "rest": np.uint64,
    "swapped": np.bool_,
    "live": np.bool_,
    "family": np.uint8,
    "protocol": np.uint8,
    "sport": np.uint16,
    "dport": np.uint16,
    "src_hi": np.uint64,
    "src_lo": np.uint64,
    "dst_hi": np.uint64,
    "dst_lo": np.uint64,
    "vlan": np.uint64,
    "first_ns": np.int64,
    "last_ns": np.int64,
    "packets_to_server": np.int64,
    "packets_to_client": np.int64,
    "bytes_to_server": np.int64,
    "bytes_to_client": np.int64,
    "gathered": np.uint32,
    "isn": np.uint32,
    "icmp_errors": np.uint32,
    "state": np.uint8,
    "tcp_state": np.uint8,
}

ADDRESSES = ("src_hi", "src_lo", "dst_hi", "dst_lo")


class Columns:
    """Flows, one numpy array per field; source is the client, destination the server.

    `serial` numbers flows from 1 on, never twice. `swapped`: the client is the key's high endpoint. For ICMP `sport` and `dport` are the
    first message's type and code. Bytes are those on the wire. `gathered` is both sides' TCP flags and seen bits (`flows.states`).
    """

    __slots__ = tuple(COLUMNS)

    serial: I64
    hash: U64
    low: U64
    high: U64
    rest: U64
    swapped: Bools
    live: Bools
    family: U8
    protocol: U8
    sport: U16
    dport: U16
    src_hi: U64
    src_lo: U64
    dst_hi: U64
    dst_lo: U64
    vlan: U64
    first_ns: I64
    last_ns: I64
    packets_to_server: I64
    packets_to_client: I64
    bytes_to_server: I64
    bytes_to_client: I64
    gathered: U32
    isn: U32
    icmp_errors: U32
    state: U8
    tcp_state: U8

    def __init__(self, count: int) -> None:
        for name, kind in COLUMNS.items():
            setattr(self, name, np.zeros(count, kind))

    def __len__(self) -> int:
        return len(self.serial)

    def take(self, flows: I64) -> "Columns":
        """Return a copy of the flows at `flows`."""
        taken = Columns.__new__(Columns)
        for name in COLUMNS:
            setattr(taken, name, getattr(self, name)[flows])
        return taken

    def grow(self, count: int) -> None:
        """Make room for `count` flows."""
        for name, kind in COLUMNS.items():
            column = getattr(self, name)
            fresh = np.zeros(count, kind)
            fresh[: len(column)] = column
            setattr(self, name, fresh)


class Store:
    """Slots for flows: `find`, `insert`, `remove`, each for many at once. A removed slot is given out again after `settle`."""

    def __init__(self, slots: int = 4096) -> None:
        self.columns = Columns(slots)
        self._next: I64 = np.full(slots, -1, np.int64)
        self._heads: I64 = np.full(_buckets(slots), -1, np.int64)
        self._free: list[I64] = [np.arange(slots, dtype=np.int64)]
        self._removed: list[I64] = []
        self.live = 0

    def find(self, keys: Keys, six: Bools, addresses: tuple[U64, U64, U64, U64]) -> I64:
        """Return the slot of each key, or -1. `six` says which are IPv6; `addresses` are the sender's and the receiver's halves."""
        columns = self.columns
        found = np.full(len(keys.hash), -1, np.int64)
        index = np.arange(len(keys.hash))
        at = self._heads[self._bucket(keys.hash)]
        while len(index):
            going = np.flatnonzero(at >= 0)
            index, at = index[going], at[going]
            equal = (columns.hash[at] == keys.hash[index]) & (columns.rest[at] == keys.rest[index])
            equal &= (columns.low[at] == keys.low[index]) & (columns.high[at] == keys.high[index])
            if six.any():
                equal &= self._same_addresses(at, index, keys, six, addresses)
            found[index[equal]] = at[equal]
            rest = np.flatnonzero(~equal)
            index, at = index[rest], self._next[at[rest]]
        return found

    def _same_addresses(
        self, at: I64, index: I64, keys: Keys, six: Bools, addresses: tuple[U64, U64, U64, U64]
    ) -> Bools:
        columns = self.columns
        straight = columns.swapped[at] == keys.swapped[index]
        source_hi, source_lo, target_hi, target_lo = (part[index] for part in addresses)
        same = np.where(straight, source_hi, target_hi) == columns.src_hi[at]
        same &= np.where(straight, source_lo, target_lo) == columns.src_lo[at]
        same &= np.where(straight, target_hi, source_hi) == columns.dst_hi[at]
        same &= np.where(straight, target_lo, source_lo) == columns.dst_lo[at]
        return np.asarray(same | ~six[index])

    def insert(self, hashes: U64) -> I64:
        """Give a slot to each new flow (no two of one key), chained and marked live; the caller fills in the columns."""
        slots = self._take(len(hashes))
        self.columns.hash[slots] = hashes
        self.columns.live[slots] = True
        self.live += len(slots)
        if self.live > len(self._heads):
            self._rechain(np.flatnonzero(self.columns.live))
        else:
            self._chain(slots)
        return slots

    def remove(self, slots: I64) -> None:
        """End flows (no slot twice): they are no longer found; their columns stay readable until `settle`."""
        if not len(slots):
            return
        columns = self.columns
        columns.live[slots] = False
        self.live -= len(slots)
        bucket = np.unique(self._bucket(columns.hash[slots]))
        before = np.full(len(bucket), -1, np.int64)
        at = self._heads[bucket]
        while len(bucket):
            going = np.flatnonzero(at >= 0)
            bucket, before, at = bucket[going], before[going], at[going]
            following = self._next[at]
            dead = ~columns.live[at]
            first = dead & (before < 0)
            self._heads[bucket[first]] = following[first]
            inner = dead & (before >= 0)
            self._next[before[inner]] = following[inner]
            before = np.where(dead, before, at)
            at = following
        self._removed.append(slots)

    def settle(self) -> None:
        """Let removed slots be given out again."""
        self._free += self._removed
        self._removed = []

    def memory_bytes(self) -> int:
        """Return what the arrays hold."""
        return int(sum(getattr(self.columns, name).nbytes for name in COLUMNS)) + self._next.nbytes + self._heads.nbytes

    def _bucket(self, hashes: U64) -> I64:
        return (hashes & np.uint64(len(self._heads) - 1)).astype(np.int64)

    def _take(self, count: int) -> I64:
        have = sum(len(part) for part in self._free)
        if have < count:
            old = len(self.columns)
            size = max(2 * old, old + count)
            self.columns.grow(size)
            self._next = np.concatenate([self._next, np.full(size - old, -1, np.int64)])
            self._free.append(np.arange(old, size, dtype=np.int64))
        free = np.concatenate(self._free) if len(self._free) > 1 else self._free[0]
        self._free = [free[count:]]
        return free[:count]

    def _chain(self, slots: I64) -> None:
        """Put slots at the beginning of their chains; those of one chain one behind the other."""
        bucket = self._bucket(self.columns.hash[slots])
        order = np.argsort(bucket)
        slots, bucket = slots[order], bucket[order]
        self._next[slots] = self._heads[bucket]
        together = np.flatnonzero(bucket[1:] == bucket[:-1])
        self._next[slots[together]] = slots[together + 1]
        first = np.ones(len(slots), np.bool_)
        first[together + 1] = False
        self._heads[bucket[first]] = slots[first]

    def _rechain(self, slots: I64) -> None:
        self._heads = np.full(_buckets(2 * len(slots)), -1, np.int64)
        self._chain(slots)


def _buckets(flows: int) -> int:
    return 1 << max(10, (flows - 1).bit_length())
