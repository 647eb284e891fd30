"""Which rules are worth evaluating for which packets of a block: all that can be told of many packets at once."""

from collections import Counter
from collections.abc import Callable
from itertools import pairwise

import numpy as np

from collectors.traffic.block import I64, Bools
from collectors.traffic.decode.events import BITS
from collectors.traffic.decode.table import TRANSPORT
from collectors.traffic.rules.engine.addresses import AddressIndex
from collectors.traffic.rules.engine.buffers import BufferFilters
from collectors.traffic.rules.engine.fields import narrow
from collectors.traffic.rules.engine.headers import HeaderKinds
from collectors.traffic.rules.engine.needs import Needs
from collectors.traffic.rules.engine.plan import Compiled
from collectors.traffic.rules.engine.prefilters import Pairs, Prefilters
from collectors.traffic.rules.engine.rows import Rows
from collectors.traffic.rules.engine.spoken import Spoken
from collectors.traffic.rules.engine.view import TCP
from collectors.traffic.rules.engine.waiting import Work
from collectors.traffic.rules.language.rule import ByteTest, EventTest, FieldTest, FlagsTest


class Candidates:
    """Finds the pairs of packet and rule that are evaluated. `counts`: pairs by the way they were found, and those left of all."""

    def __init__(
        self,
        needs: Needs,
        kinds: HeaderKinds,
        spoken: Spoken,
        prefilters: Prefilters,
        buffers: BufferFilters,
        addresses: AddressIndex,
        unlisted: list[Compiled],
        count: int,
    ) -> None:
        """`unlisted`: the rules that neither a pattern nor a list of addresses stands for, of `count` rules in all."""
        self.counts: Counter[str] = Counter()
        self._needs = needs
        self._kinds = kinds
        self._spoken = spoken
        self._prefilters = prefilters
        self._buffers = buffers
        self._addresses = addresses
        self._count = count
        self._streams: dict[str, list[int]] = {}
        self._news: list[int] = []
        self._masked: list[Compiled] = []
        self.at_end = sorted(one.order for one in unlisted if _may_end(one))
        for one in unlisted:
            self._sort(one)

    def _sort(self, one: Compiled) -> None:
        """Find what a rule waits for."""
        named = next((test for test in one.rule.tests if isinstance(test, EventTest) and test.layer == "stream"), None)
        if named is not None:
            self._streams.setdefault(named.name, []).append(one.order)
        elif one.detected_only or one.events:
            self._news.append(one.order)
        else:
            self._masked.append(one)

    def find(self, rows: Rows, work: list[Work]) -> Pairs:
        """Return places and rules to be evaluated there, in order: those about addresses first, then by the rules' own order."""
        row_at = rows.row_at
        chunks = [(int(row_at[one.place]), one.chunk) for one in work if one.chunk]
        brought = np.zeros(len(rows), np.bool_)
        brought[[row for row, _ in chunks]] = True
        ways = [bool(one.direction & 1) for one in work if one.chunk]
        found = [("address", self._listed(rows))]
        found += [("stream", one) for one in self._prefilters.chunks(chunks, ways, rows, self._kinds)]
        found += [("packet", one) for one in self._prefilters.packets(rows, self._kinds)]
        found += [("event", self._of_events(rows, work))]
        found += [("header", self._of_mask(one, rows, brought)) for one in self._masked]
        for name, pairs in found:
            self.counts[name] += len(pairs[0])
        chosen = np.concatenate([one for _, (one, _) in found])
        rules = np.concatenate([one for _, (_, one) in found])
        held = self._needs.of(rows, chosen, rules)
        return self._ordered(rows, chosen[held], rules[held])

    def transactions(self, rows: Rows, work: list[Work]) -> None:
        """Find the rules to be evaluated for the transactions that came due."""
        brought = [one for one in work if one.changes]
        if not brought:
            return
        rows_of = rows.row_at[[one.place for one in brought]]
        counts = np.fromiter((len(one.changes) for one in brought), np.int64, len(brought))
        due = [(one, transaction) for one in brought for transaction, _, _ in one.changes]
        names = [(one.talk.protocol if one.talk is not None else "", transaction.protocol) for one, transaction in due]
        row_of = np.repeat(rows_of, counts)
        wanted = np.flatnonzero(self._spoken.wanted(rows, row_of, names))
        owners = rows.flows.serial[rows.slots[row_of[wanted]]].tolist()
        found = self._buffers.find(
            [
                (owner, due[at][1], names[at][0], bool(due[at][0].direction & 1))
                for owner, at in zip(owners, wanted.tolist(), strict=True)
            ]
        )
        sizes = np.zeros(len(due), np.int64)
        sizes[wanted] = np.fromiter(map(len, found), np.int64, len(found))
        if not sizes.any():
            return
        rules = np.array([rule for rules in found for rule in rules], np.int64)
        self.counts["buffer"] += len(rules)
        held = self._needs.of(rows, np.repeat(row_of, sizes), rules)
        self.counts["left of buffers"] += int(held.sum())
        kept, until = rules[held].tolist(), np.append(0, np.cumsum(held))[np.append(0, np.cumsum(sizes))]
        ends = np.cumsum(counts)
        starts = ends - counts
        for number in np.flatnonzero(until[ends] > until[starts]).tolist():
            borders = until[starts[number] : ends[number] + 1].tolist()
            brought[number].rules = [kept[begin:end] for begin, end in pairwise(borders)]

    def _ordered(self, rows: Rows, chosen: I64, rules: I64) -> Pairs:
        span = 2 * self._count
        turn = rules + np.where(self._needs.ip_only[rules], 0, self._count)
        keys = np.unique(rows.place[chosen] * span + turn)
        self.counts["left"] += len(keys)
        return keys // span, keys % self._count

    def _listed(self, rows: Rows) -> Pairs:
        """Return the rules about addresses, for the first packet of each direction of a flow, and for what has no flow."""
        first = np.flatnonzero(rows.begins | (rows.slots < 0))
        pairs = [self._addresses.find(rows, first)]
        pairs += [(first, np.full(len(first), rule, np.int64)) for rule in self._addresses.open]
        return np.concatenate([one for one, _ in pairs]), np.concatenate([one for _, one in pairs])

    def _of_events(self, rows: Rows, work: list[Work]) -> Pairs:
        pairs: list[tuple[int, int]] = []
        if self._streams:
            for row, names in rows.events.items():
                pairs += [(row, rule) for name in names for rule in self._streams.get(name, ())]
        if self._news:
            for one in work:
                if one.detected or one.events:
                    row = int(rows.row_at[one.place])
                    pairs += [(row, rule) for rule in self._news]
        both = np.array(pairs, np.int64).reshape(-1, 2)
        return both[:, 0], both[:, 1]

    def _of_mask(self, one: Compiled, rows: Rows, brought: Bools) -> Pairs:
        """Return the rows of a rule by what its header and its tests of numbers and flags say of all rows at once."""
        table = rows.table
        if one.protocols is not None and len(one.protocols) == 1:
            mask: Bools = table.protocol == next(iter(one.protocols))
        else:
            mask = np.ones(len(rows), np.bool_)
        for test in one.rule.tests:
            if isinstance(test, FlagsTest) and "flags" in test.name:
                mask &= _flags(test, rows)
            elif isinstance(test, EventTest) and test.layer == "decode":
                bit = BITS[test.name]
                mask &= table.events[:, bit // 64] & np.uint64(1 << bit % 64) != 0
            elif isinstance(test, FieldTest) and (narrowed := narrow(test, table)) is not None:
                mask &= narrowed
        if one.rule.payload is not None and one.protocols is not None and TCP not in one.protocols:
            for match in one.rule.payload.matches if not one.rule.payload.transforms else ():
                if isinstance(match, ByteTest):
                    mask = _byte(match, rows, mask)
        if one.payload is not None:
            alone = table.payload_len > 0
            if one.requires_stream and not one.requires_packet:
                alone &= ~rows.streamed
            mask &= (table.protocol != TCP) | alone | (brought & one.requires_stream)
        chosen = np.flatnonzero(mask)
        return chosen, np.full(len(chosen), one.order, np.int64)


def _may_end(one: Compiled) -> bool:
    """Return whether a rule may match the end of a flow: with a test of payload only if that is of the stream."""
    if one.of_packet:
        return False
    return one.payload is None or (one.requires_stream and (one.protocols is None or TCP in one.protocols))


def _byte(test: ByteTest, rows: Rows, mask: Bools) -> Bools:
    """Return the rows of a mask that may pass a test of one byte at a fixed place; what is too short for it is left to the test itself."""
    place, wanted = test.offset, test.value
    if test.nbytes != 1 or test.relative or test.base or test.bitmask:
        return mask
    if not isinstance(place, int) or place < 0 or not isinstance(wanted, int):
        return mask
    table = rows.table
    chosen = np.flatnonzero(mask & (table.payload_len > place) & (table.payload >= 0))
    values = rows.block.data[table.payload[chosen] + place].astype(np.int64)
    mask[chosen] = _BYTES[test.op](values, wanted) != test.negated
    return mask


_BYTES: dict[str, Callable[[I64, int], Bools]] = {
    "=": np.equal,
    "<": np.less,
    ">": np.greater,
    "<=": np.less_equal,
    ">=": np.greater_equal,
    "&": lambda values, wanted: np.bitwise_and(values, wanted) != 0,
    "^": lambda values, wanted: np.bitwise_xor(values, wanted) != 0,
}


def _flags(test: FlagsTest, rows: Rows) -> Bools:
    """Return the rows whose TCP flags are as a test asks."""
    value = rows.table.tcp_flags & np.uint8(~test.ignored & 0xFF)
    bits = np.uint8(test.bits & 0xFF)
    found: Bools = (rows.table.protocol == TCP) & (rows.table.flags & np.uint16(TRANSPORT) != 0)
    match test.op:
        case "+":
            found &= value & bits == bits
        case "*":
            found &= value & bits != 0
        case "!":
            found &= (value & bits != bits) if test.bits else (value != 0)
        case _:
            found &= value == bits
    return found
