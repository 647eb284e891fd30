"""The order of things at one netfilter hook: base chains of all tables by priority, connection tracking and translation among them."""

from collections.abc import Callable, Iterable
from functools import partial
from itertools import groupby, permutations
from typing import NamedTuple

from analysis.firewall.fields import Packets
from analysis.firewall.model import AnyOf, Assign, Base, Chain, Datapath, Nat, Not, NoTrack, Statement, Table, Update
from analysis.firewall.walking import Trail, Walker

FAMILIES = {"ip": 4, "legacy-ip": 4, "ip6": 6, "legacy-ip6": 6, "inet": 0}
CONNTRACK = -200
NAT = {"prerouting": -100, "output": -100, "input": 100, "postrouting": 100}
_MOST_CHAINS = 6
_MOST_ORDERS = 24
_DEVICE_HOOKS = ("ingress", "egress")


class Step(NamedTuple):
    """One step of a hook at its priority: takes live packets, returns those still alive. `writes`: it changes what others may look at."""

    priority: int
    run: Callable[[int], int]
    writes: bool
    name: str
    table: str = ""
    handle: int = 0
    family: int = 0


class Hooks:
    """The base chains of a datapath, sorted by hook."""

    def __init__(self, datapath: Datapath) -> None:
        self.chains: dict[str, list[tuple[Table, Chain, Base]]] = {}
        self.bridge: list[tuple[Table, Chain]] = []
        self.arp: list[tuple[Table, Chain]] = []
        self.translates = {4: False, 6: False}
        self._writes: dict[int, bool] = {}
        for table in datapath.tables:
            if table.dormant:
                continue
            for chain in table.chains.values():
                if chain.base is not None:
                    self._put(table, chain, chain.base)

    def _put(self, table: Table, chain: Chain, base: Base) -> None:
        if table.family == "bridge":
            self.bridge.append((table, chain))
            return
        if table.family == "arp":
            self.arp.append((table, chain))
            return
        if table.family not in FAMILIES and table.family != "netdev":
            return
        hook = base.hook
        self.chains.setdefault(hook, []).append((table, chain, base))
        if base.kind == "nat":
            family = FAMILIES.get(table.family, 0)
            for one in (4, 6) if family == 0 else (family,):
                self.translates[one] = True

    def filters(self, hook: str) -> list[tuple[Table, Chain, Base]]:
        """Return the base chains of a hook that are not of type nat."""
        return [entry for entry in self.chains.get(hook, ()) if entry[2].kind != "nat"]

    def translations(self, hook: str) -> list[tuple[Table, Chain, Base]]:
        """Return the chains of type nat of a hook by their priority."""
        found = [entry for entry in self.chains.get(hook, ()) if entry[2].kind == "nat"]
        return sorted(found, key=lambda entry: entry[2].priority)

    def of_device(self, hook: str) -> list[tuple[Table, Chain, Base]]:
        """Return the chains of ingress or egress."""
        return sorted(self.chains.get(hook, ()), key=lambda entry: entry[2].priority)

    def writes(self, table: Table) -> bool:
        """Return whether rules of the table change anything that other chains may look at."""
        known = self._writes.get(id(table))
        if known is None:
            known = any(
                _changes(statement)
                for chain in table.chains.values()
                for rule in chain.rules
                for statement in rule.statements
            )
            self._writes[id(table)] = known
        return known


def _changes(statement: Statement) -> bool:
    if isinstance(statement, AnyOf):
        return any(_changes(one) for option in statement.options for one in option)
    if isinstance(statement, Not):
        return any(_changes(one) for one in statement.conditions)
    return isinstance(statement, Assign | NoTrack | Nat | Update)


def run(steps: Iterable[Step], live: int, walker: Walker) -> int:
    """Run the steps of a hook by priority; those of equal priority in every order, if the order could matter."""
    ordered = sorted(steps, key=lambda step: step.priority)
    for _, same in groupby(ordered, key=lambda step: step.priority):
        group = sorted(same, key=lambda step: -step.handle)
        if len(group) == 1 or not any(step.writes for step in group):
            live = _in_turn(group, live)
            continue
        alive = 0
        for family, bits in ((4, walker.packets.four), (6, walker.packets.six)):
            alive |= _together([step for step in group if step.family in (0, family)], live & bits, walker)
        live = alive
    return live


def _together(group: list[Step], live: int, walker: Walker) -> int:
    """Run the steps of one priority that packets of one family meet."""
    if not live:
        return 0
    if len(group) == 1 or not any(step.writes for step in group):
        return _in_turn(group, live)
    if len(group) <= _MOST_CHAINS and sum(1 for order in permutations(group) if _possible(order)) <= _MOST_ORDERS:
        return _any_order(group, live, walker)
    walker.ended |= live
    walker.doubt(live, _order_of(group))
    for step in group:
        live = step.run(live) | live
    return live


def _any_order(group: list[Step], live: int, walker: Walker) -> int:
    """Run steps whose order nobody knows in all of them, and keep every result as possible; name whose fate hangs on it."""
    packets: Packets = walker.packets
    before, bound, begun = packets.snapshot(), walker.bound, walker.initialised
    results, fates = [], []
    alive = bounds = 0
    surely = -1
    for order in permutations(group):
        if not _possible(order):
            continue
        packets.restore(before)
        walker.begin_nat(*bound)
        walker.initialised = dict(begun)
        walker.unordered += 1
        left, ended = walker.fates(partial(_in_turn, order), live)
        walker.unordered -= 1
        results.append(packets.snapshot())
        fates.append((left, ended))
        alive |= left
        bounds |= walker.bound[0]
        surely &= walker.bound[1]
    packets.restore(results[0])
    parted = 0
    for other, (left, ended) in zip(results[1:], fates[1:], strict=True):
        parted |= (left ^ fates[0][0]) | (ended ^ fates[0][1]) | (packets.differ(other) & alive)
        packets.join(other)
    walker.doubt(parted & live, _order_of(group))
    walker.begin_nat(bounds, surely)
    return alive


def _in_turn(steps: Iterable[Step], live: int) -> int:
    for step in steps:
        live = step.run(live) if live else 0
    return live


def _order_of(group: list[Step]) -> str:
    return f"the order of chains of equal priority: {', '.join(step.name for step in group)}"


def _possible(order: tuple[Step, ...]) -> bool:
    """Say whether chains may run in this order: the kernel puts a new one before those of equal priority."""
    return all(
        first.table != second.table or not first.table or first.handle >= second.handle
        for place, first in enumerate(order)
        for second in order[place + 1 :]
    )


__all__ = ["CONNTRACK", "FAMILIES", "NAT", "Hooks", "Step", "Trail", "run"]
