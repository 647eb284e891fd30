"""What rules ask of a packet that can be told for many packets and rules at once, so that Python looks at what is left alone."""

import operator

import numpy as np

from collectors.traffic.block import I64, Bools
from collectors.traffic.rules.engine.headers import HeaderKinds
from collectors.traffic.rules.engine.plan import BOTH, IP_ONLY, Compiled
from collectors.traffic.rules.engine.rows import Rows
from collectors.traffic.rules.language.rule import FieldTest, IpProto, Number
from contracts.record import Record

LARGEST = 1 << 40
NOWHERE = 2
"""The direction of what has no flow."""
ANY_STATE, ESTABLISHED, NOT_ESTABLISHED = range(3)
_FAMILIES = {4: 1, 6: 2, 0: 4}
_FAMILY_BIT = np.array([4, 0, 0, 0, 1, 0, 2, 0], np.uint8)


class NeedTable(Record):
    """The needs of all rules by their order, as packed arrays, so that they can be kept; `protocols`: distinct sets, None: any."""

    direction: bytes
    families: bytes
    protocol: bytes
    header: bytes
    back: bytes
    state: bytes
    low: bytes
    high: bytes
    ip_only: bytes
    protocols: list[tuple[int, ...] | None]


def table(rules: list[Compiled]) -> NeedTable:
    """Return what the rules ask, in their order."""
    sets: dict[frozenset[int] | None, int] = {}
    sizes = [_size(one) for one in rules]
    return NeedTable(
        direction=np.array([one.direction for one in rules], np.int8).tobytes(),
        families=np.array([sum(_FAMILIES[family] for family in one.families) for one in rules], np.uint8).tobytes(),
        protocol=np.array([sets.setdefault(_protocols(one), len(sets)) for one in rules], np.int16).tobytes(),
        header=np.array([one.header for one in rules], np.int32).tobytes(),
        back=np.array([one.header_back for one in rules], np.int32).tobytes(),
        state=np.array([_state(one) for one in rules], np.int8).tobytes(),
        low=np.array([low for low, _ in sizes], np.int64).tobytes(),
        high=np.array([high for _, high in sizes], np.int64).tobytes(),
        ip_only=np.array([one.kind == IP_ONLY for one in rules], np.bool_).tobytes(),
        protocols=[None if numbers is None else tuple(sorted(numbers)) for numbers in sets],
    )


def _state(one: Compiled) -> int:
    state = one.rule.flow.state if one.rule.flow is not None else ""
    return {"established": ESTABLISHED, "not_established": NOT_ESTABLISHED}.get(state, ANY_STATE)


def _protocols(one: Compiled) -> frozenset[int] | None:
    """Return the protocols above IP that a rule may be about, by its header and by `ip_proto`."""
    named = [test for test in one.rule.tests if isinstance(test, IpProto)]
    if not named:
        return one.protocols
    return frozenset(
        number
        for number in (range(256) if one.protocols is None else one.protocols)
        if all(_PROTOCOL[test.op](number, test.number) for test in named)
    )


_PROTOCOL = {"=": operator.eq, "!": operator.ne, "<": operator.lt, ">": operator.gt}


def _size(one: Compiled) -> tuple[int, int]:
    """Return the smallest and largest payload of a rule."""
    low, high = 0, LARGEST
    for test in one.rule.tests:
        if isinstance(test, FieldTest) and test.name == "dsize":
            least, most = _bounds(test.number)
            low, high = max(low, least), min(high, most)
    return low, high


def _bounds(number: Number) -> tuple[int, int]:
    match number.op:
        case "=":
            return number.low, number.low
        case "<":
            return 0, number.low - 1
        case "<=":
            return 0, number.low
        case ">":
            return number.low + 1, LARGEST
        case ">=":
            return number.low, LARGEST
        case "in":
            return number.low + 1, number.high - 1
    return 0, LARGEST


class Needs:
    """Held against pairs of a row and a rule: what fails here would fail in the rule's own tests.

    What holds of header, protocol, direction, and the flow's state need not be looked at again; a payload's size is only narrowed.
    """

    def __init__(self, kept: NeedTable, kinds: HeaderKinds) -> None:
        self._kinds = kinds
        self._direction = np.frombuffer(kept.direction, np.int8)
        self._families = np.frombuffer(kept.families, np.uint8)
        self._protocol = np.frombuffer(kept.protocol, np.int16)
        self._header = np.frombuffer(kept.header, np.int32)
        self._back = np.frombuffer(kept.back, np.int32)
        self._state = np.frombuffer(kept.state, np.int8)
        self._low = np.frombuffer(kept.low, np.int64)
        self._high = np.frombuffer(kept.high, np.int64)
        self.ip_only: Bools = np.frombuffer(kept.ip_only, np.bool_)
        self.numbers: Bools = np.zeros((len(kept.protocols), 256), np.bool_)
        for at, numbers in enumerate(kept.protocols):
            self.numbers[at, slice(None) if numbers is None else list(numbers)] = True

    def of(self, rows: Rows, chosen: I64, rules: I64) -> Bools:
        """Return, pair by pair, whether the row `chosen` has what the rule needs."""
        found: Bools = np.zeros(len(chosen), np.bool_)
        left = np.arange(len(chosen))
        for holds in (self._directed, self._stated, self._fit):
            held = holds(rows, chosen, rules)
            chosen, rules, left = chosen[held], rules[held], left[held]
            if not len(left):
                return found
        found[left] = True
        return found

    def _directed(self, rows: Rows, chosen: I64, rules: I64) -> Bools:
        """Return, pair by pair, whether direction and protocol are the rule's."""
        way = np.where(rows.slots >= 0, rows.sides.astype(np.int8), np.int8(NOWHERE))[chosen]
        direction = self._direction[rules]
        found: Bools = (direction == way) | (direction == BOTH)
        return found & self.numbers[self._protocol[rules], rows.table.protocol[chosen]]

    def _stated(self, rows: Rows, chosen: I64, rules: I64) -> Bools:
        """Return, pair by pair, whether the flow's state, the size of the payload and the version of IP are the rule's."""
        seen = rows.table
        state = np.where(rows.established, ESTABLISHED, np.where(rows.slots >= 0, NOT_ESTABLISHED, ANY_STATE))
        wanted = self._state[rules]
        size = seen.payload_len[chosen]
        found: Bools = (wanted == ANY_STATE) | (wanted == state[chosen])
        found &= (size >= self._low[rules]) & (size <= self._high[rules])
        found &= self._families[rules] & _FAMILY_BIT[seen.family[chosen]] != 0
        return found

    def _fit(self, rows: Rows, chosen: I64, rules: I64) -> Bools:
        """Return, pair by pair, whether the rule's header fits."""
        kinds, holds = self._kinds.of(rows, chosen), self._kinds.holds
        found = holds[kinds, self._header[rules]]
        again = np.flatnonzero(~found & (self._back[rules] >= 0))
        if len(again):
            found[again] = holds[kinds[again], self._back[rules[again]]]
        return np.asarray(found)


def headers_of(kept: NeedTable, rules: I64) -> list[int]:
    """Return the headers of some rules."""
    header, back = np.frombuffer(kept.header, np.int32)[rules], np.frombuffer(kept.back, np.int32)[rules]
    return [*header.tolist(), *back[back >= 0].tolist()]
