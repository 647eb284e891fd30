"""A generated ruleset as structure, so that it can be loaded, counted and made smaller."""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from typing import Any


@dataclass(frozen=True)
class Rule:
    """One rule in its tool's words; `tags` name the expressions and statements in it."""

    text: str
    tags: tuple[str, ...] = ()


@dataclass(frozen=True)
class Chain:
    """A chain of nftables; `base` is its first line (`type filter hook input priority 0; policy drop;`) or ""."""

    name: str
    base: str = ""
    rules: tuple[Rule, ...] = ()


@dataclass(frozen=True)
class Table:
    """A table of nftables; `sets` are declarations of sets and maps."""

    family: str
    name: str
    sets: tuple[str, ...] = ()
    chains: tuple[Chain, ...] = ()
    flags: str = ""

    def script(self) -> str:
        """Return the table as `nft -f` takes it: all chains first, then the rules, as elements and rules may name any chain."""
        lines = [f"table {self.family} {self.name} {{", *([f" flags {self.flags};"] if self.flags else [])]
        lines += [f" chain {chain.name} {{ {chain.base}\n }}" for chain in self.chains]
        lines += [f" {declared}" for declared in self.sets]
        lines.append("}")
        for chain in self.chains:
            lines += [f"add rule {self.family} {self.name} {chain.name} {rule.text}" for rule in chain.rules]
        return "\n".join(lines) + "\n"


@dataclass(frozen=True)
class XTable:
    """A table of iptables: `tool` restores it, `heads` are its chains with policies (`:INPUT DROP`), `rules` its `-A` lines."""

    tool: str
    name: str
    heads: tuple[str, ...] = ()
    rules: tuple[Rule, ...] = ()

    def script(self) -> str:
        """Return the table as `iptables-restore` takes it."""
        return "\n".join([f"*{self.name}", *self.heads, *(rule.text for rule in self.rules), "COMMIT", ""])


@dataclass(frozen=True)
class Ruleset:
    """Everything that is loaded for one round. `switches` are those that differ from the world's own.

    `routing` are additions to the routes and the rules of policy routing: family and what follows `ip`, as `4 rule add …`.
    """

    tables: tuple[Table, ...] = ()
    xtables: tuple[XTable, ...] = ()
    ipsets: tuple[str, ...] = ()
    switches: dict[str, str] = field(default_factory=dict)
    routing: tuple[str, ...] = ()

    def order(self, switches: dict[str, str]) -> dict[str, Any]:
        """Return what `loader.py` takes, with the world's `switches` for those that the ruleset does not turn."""
        restores: dict[str, str] = {}
        for table in self.xtables:
            restores[table.tool] = restores.get(table.tool, "") + table.script()
        return {
            "nft": "".join(table.script() for table in self.tables),
            "restores": list(restores.items()),
            "ipset": "".join(f"{line}\n" for line in self.ipsets),
            "switches": {**switches, **self.switches},
            "routing": list(self.routing),
        }

    def text(self) -> str:
        """Return the ruleset for people."""
        parts = [f"# sysctl {name}={value}\n" for name, value in self.switches.items()]
        parts += [f"# ip -{line}\n" for line in self.routing]
        parts += [f"# ipset: {line}\n" for line in self.ipsets]
        parts += [f"# {table.tool}\n{table.script()}" for table in self.xtables]
        return "".join(parts + [table.script() for table in self.tables])

    def encode(self) -> str:
        """Return the ruleset as JSON, to be replayed."""
        return json.dumps(asdict(self))

    def smaller(self) -> Iterator["Ruleset"]:
        """Yield rulesets with one part less, the biggest parts first."""
        for index, _ in enumerate(self.xtables):
            yield replace(self, xtables=_without(self.xtables, index))
        for index, table in enumerate(self.tables):
            yield replace(self, tables=_without(self.tables, index))
            for less in _smaller_tables(table):
                yield replace(self, tables=_with(self.tables, index, less))
        for index, xtable in enumerate(self.xtables):
            for place, head in enumerate(xtable.heads):
                less_x = replace(
                    xtable,
                    heads=_without(xtable.heads, place),
                    rules=tuple(r for r in xtable.rules if not r.text.startswith(f"-A {head[1:].split()[0]} ")),
                )
                yield replace(self, xtables=_with(self.xtables, index, less_x))
            for place, _ in enumerate(xtable.rules):
                yield replace(
                    self, xtables=_with(self.xtables, index, replace(xtable, rules=_without(xtable.rules, place)))
                )
        for index, _ in enumerate(self.ipsets):
            yield replace(self, ipsets=_without(self.ipsets, index))
        for index, _ in enumerate(self.routing):
            yield replace(self, routing=_without(self.routing, index))
        for name in self.switches:
            yield replace(self, switches={key: value for key, value in self.switches.items() if key != name})


def decode(text: str) -> Ruleset:
    """Return the ruleset that `Ruleset.encode` wrote."""
    raw = json.loads(text)
    return Ruleset(
        tables=tuple(
            Table(
                family=table["family"],
                name=table["name"],
                sets=tuple(table["sets"]),
                flags=table["flags"],
                chains=tuple(
                    Chain(name=chain["name"], base=chain["base"], rules=_rules(chain["rules"]))
                    for chain in table["chains"]
                ),
            )
            for table in raw["tables"]
        ),
        xtables=tuple(
            XTable(tool=table["tool"], name=table["name"], heads=tuple(table["heads"]), rules=_rules(table["rules"]))
            for table in raw["xtables"]
        ),
        ipsets=tuple(raw["ipsets"]),
        switches=raw["switches"],
        routing=tuple(raw["routing"]),
    )


def _rules(raw: list[dict[str, Any]]) -> tuple[Rule, ...]:
    return tuple(Rule(text=rule["text"], tags=tuple(rule["tags"])) for rule in raw)


def _smaller_tables(table: Table) -> Iterator[Table]:
    for index, _ in enumerate(table.chains):
        yield replace(table, chains=_without(table.chains, index))
    for index, chain in enumerate(table.chains):
        for place, _ in enumerate(chain.rules):
            yield replace(table, chains=_with(table.chains, index, replace(chain, rules=_without(chain.rules, place))))
    for index, _ in enumerate(table.sets):
        yield replace(table, sets=_without(table.sets, index))


def _without(items: tuple[Any, ...], index: int) -> tuple[Any, ...]:
    return items[:index] + items[index + 1 :]


def _with(items: tuple[Any, ...], index: int, item: Any) -> tuple[Any, ...]:
    return (*items[:index], item, *items[index + 1 :])
