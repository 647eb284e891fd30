"""What holds for somebody who is in no set of sources: sets too large to be read need not make everything uncertain.

Exposure speaks of anybody whom no rule names, and so of somebody who is in none of the sets that rules look sources up in. For him, a
lookup of the source in a set that could not be read is a miss. A set is left as it is when anything else is looked up in it.
"""

from collections.abc import Iterator
from typing import NamedTuple

from msgspec.structs import replace

from analysis.firewall.model import Datapath, Field, Lookup, NamedSet, SetRef, Statement, Table
from analysis.firewall.named import OWN_TABLE, SOURCES, comparisons, ports_of


class Unread(NamedTuple):
    """A set of sources that could not be read; `ports` (low, high) bound what the rule that asks it speaks of, none for every port."""

    family: int
    label: str
    ports: tuple[tuple[int, int], ...] = ()

    def concerns(self, family: int, port: int) -> bool:
        """Say whether a connection to `port` may be treated otherwise because of it."""
        return family == self.family and (not self.ports or any(low <= port <= high for low, high in self.ports))


def strange(datapath: Datapath) -> tuple[Datapath, tuple[Unread, ...]]:
    """Return the datapath as it is for somebody in none of its unread sets of sources, and these sets, those of our own bans left out."""
    tables: list[Table] = []
    unread: dict[Unread, None] = {}
    for table in datapath.tables:
        hidden = {name for name, held in table.sets.items() if held.unread}
        asked = list(_asked(table, hidden)) if hidden else []
        named = {name for name, family, _ in asked if family} - {name for name, family, _ in asked if not family}
        if named:
            sets = {name: _read(held) if name in named else held for name, held in table.sets.items()}
            table = replace(table, sets=sets)
        tables.append(table)
        if table.name != OWN_TABLE:
            unread.update((Unread(family, f"@{name}", ports), None) for name, family, ports in asked if name in named)
    return (replace(datapath, tables=tuple(tables)) if unread or tables != list(datapath.tables) else datapath), tuple(
        unread
    )


def _asked(table: Table, hidden: set[str]) -> Iterator[tuple[str, int, tuple[tuple[int, int], ...]]]:
    """Yield each lookup in a set of `hidden`: its name, the family of the source looked up (0 for anything else), the rule's ports."""
    for chain in table.chains.values():
        for rule in chain.rules:
            for left, right in comparisons(rule.statements):
                if isinstance(right, SetRef) and not right.ipset and right.name in hidden:
                    family = SOURCES.get(left.name, 0) if isinstance(left, Field) else 0
                    yield right.name, family, tuple(ports_of(rule.statements))
            yield from ((name, 0, ()) for name in _mapped(rule.statements) if name in hidden)


def _mapped(statements: tuple[Statement, ...]) -> Iterator[str]:
    """Yield the named maps whose values rules take, and the sets that rules fill themselves."""
    for statement in statements:
        held = [getattr(statement, name, None) for name in ("value", "address", "port")]
        yield from (each.where.name for each in held if isinstance(each, Lookup) and isinstance(each.where, SetRef))
        if isinstance(name := getattr(statement, "name", None), str):
            yield name


def _read(held: NamedSet) -> NamedSet:
    return replace(held, unread="")
