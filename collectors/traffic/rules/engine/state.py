"""What rules remember between packets: bits and counters of flows, bits of hosts, pairs and transactions. Bounded."""

from collections import OrderedDict
from collections.abc import Hashable

from collectors.traffic.rules.language.rule import FlowBits, FlowInt, XBits

MAX_HOSTS = 65_536
"""Addresses and pairs with bits; beyond that, those that were set longest ago are forgotten."""
SECOND_NS = 1_000_000_000


class Memory:
    """Bits and counters by flow (slot), and bits with an end by host, pair or transaction."""

    def __init__(self) -> None:
        self.bits: dict[int, set[str]] = {}
        self.counters: dict[int, dict[str, int]] = {}
        self._timed: OrderedDict[Hashable, dict[str, int]] = OrderedDict()
        self.forgotten = 0

    def forget(self, slots: list[int]) -> None:
        """Drop what belongs to flows that ended."""
        if self.bits or self.counters:
            for slot in slots:
                self.bits.pop(slot, None)
                self.counters.pop(slot, None)

    # Bits of flows

    def bits_hold(self, slot: int, test: FlowBits) -> bool:
        """Return whether `isset` or `isnotset` holds: of several names one that is set, or one that is not, is enough."""
        have = self.bits.get(slot)
        if test.cmd == "isset":
            return have is not None and not have.isdisjoint(test.names)
        return have is None or not have.issuperset(test.names)

    def change_bits(self, slot: int, change: FlowBits) -> None:
        """Set, unset or toggle bits."""
        if slot < 0:
            return
        have = self.bits.setdefault(slot, set())
        for name in change.names:
            if change.cmd == "unset" or (change.cmd == "toggle" and name in have):
                have.discard(name)
            else:
                have.add(name)

    # Counters of flows

    def counter_holds(self, slot: int, test: FlowInt) -> bool:
        """Return whether a comparison of a counter holds."""
        have = self.counters.get(slot, {})
        if test.cmd in ("isset", "isnotset", "notset"):
            return (test.name in have) == (test.cmd == "isset")
        if test.name not in have:
            return False
        value, other = have[test.name], self._value(have, test.value)
        if other is None:
            return False
        return {
            "<": value < other,
            "<=": value <= other,
            "==": value == other,
            "!=": value != other,
            ">=": value >= other,
            ">": value > other,
        }[test.cmd]

    def change_counter(self, slot: int, change: FlowInt) -> None:
        """Set, raise or lower a counter."""
        if slot < 0:
            return
        have = self.counters.setdefault(slot, {})
        value = self._value(have, change.value)
        if value is None:
            return
        if change.cmd == "=":
            have[change.name] = value
        else:
            have[change.name] = (have.get(change.name, 0) + (value if change.cmd == "+" else -value)) & 0xFFFFFFFF

    @staticmethod
    def _value(have: dict[str, int], value: int | str) -> int | None:
        return have.get(value) if isinstance(value, str) else value

    # Bits with an end

    def timed_holds(self, owners: list[Hashable], test: XBits, now_ns: int) -> bool:
        """Return whether `isset` or `isnotset` holds of any owner."""
        found = False
        for owner in owners:
            end = self._timed.get(owner, {}).get(test.name)
            found = found or (end is not None and end >= now_ns)
        return found if test.cmd == "isset" else not found

    def change_timed(self, owners: list[Hashable], change: XBits, now_ns: int) -> None:
        """Set, unset or toggle a bit of all owners."""
        for owner in owners:
            have = self._timed.setdefault(owner, {})
            self._timed.move_to_end(owner)
            is_set = have.get(change.name, -1) >= now_ns
            if change.cmd == "unset" or (change.cmd == "toggle" and is_set):
                have.pop(change.name, None)
            elif change.cmd != "isset":
                have[change.name] = now_ns + change.expire_s * SECOND_NS
        while len(self._timed) > MAX_HOSTS:
            self._timed.popitem(last=False)
            self.forgotten += 1
