"""Turns a ruleset into keyed rows, taking over from the former snapshot whatever did not change.

A chain whose digest is the same as before keeps its rows without a look at its rules; that is what makes 10,000 rules cheap.
"""

import re
from collections.abc import Iterable, Mapping

import msgspec

from collectors.firewall import filtering, makers, ranks
from collectors.firewall.ruleset import Chain, Part, Table, short_digest
from contracts.subjects.firewall import SUMMARY, Row, Summary

_PLAIN = re.compile(r"[\w./:+@-]+", re.ASCII)
_V4 = frozenset({"ip", "inet", "netdev", "bridge", "legacy-ip"})
_V6 = frozenset({"ip6", "inet", "netdev", "bridge", "legacy-ip6"})


def key(*words: str) -> str:
    """Return the key of a part: its words, quoted as JSON where they hold anything unusual."""
    return " ".join(word if _PLAIN.fullmatch(word) else msgspec.json.encode(word).decode() for word in words)


def build(tables: list[Table], before: Mapping[str, Row]) -> dict[str, Row]:
    """Return the rows of `tables` without the summary."""
    former: dict[tuple[str, str, str], dict[str, Row]] = {}
    for name, row in before.items():
        if row.what == "rule":
            former.setdefault((row.family, row.table, row.name), {})[name] = row
    rows: dict[str, Row] = {}
    for table in tables:
        maker = makers.of_table(table.name) or _only(makers.of_chain(chain.name, "") for chain in table.chains)
        rows[key("table", table.family, table.name)] = Row(
            what="table",
            source=table.source,
            family=table.family,
            table=table.name,
            name=table.name,
            text=table.flags,
            maker=maker,
        )
        for chain in table.chains:
            place = key(table.family, table.name, chain.name)
            row = rows["chain " + place] = _chain(table, chain)
            old = before.get("chain " + place)
            mine = former.get((table.family, table.name, chain.name), {})
            if old is not None and (old.digest, old.source, old.maker, old.rules) == (
                row.digest,
                row.source,
                row.maker,
                len(mine),
            ):
                rows.update(mine)
            else:
                rows.update(_rules(table, chain, row.maker, place, mine))
        for part in table.parts:
            sort = "set" if part.is_set else "object"
            words = (
                (table.family, table.name, part.name)
                if part.is_set
                else (table.family, table.name, part.sort, part.name)
            )
            rows[key(sort, *words)] = _part(table, part, sort, before.get(key(sort, *words)))
    return rows


def _only(names: Iterable[str]) -> str:
    found = {name for name in names if name}
    return found.pop() if len(found) == 1 else ""


def _chain(table: Table, chain: Chain) -> Row:
    return Row(
        what="chain",
        source=table.source,
        family=table.family,
        table=table.name,
        name=chain.name,
        maker=makers.of_chain(chain.name, makers.of_table(table.name)),
        type=chain.type,
        hook=chain.hook,
        priority=chain.priority,
        policy=chain.policy,
        device=chain.device,
        rules=len(chain.rules),
        digest=chain.digest(),
    )


def _rules(table: Table, chain: Chain, maker: str, place: str, former: Mapping[str, Row]) -> dict[str, Row]:
    keys: list[str] = []
    seen: dict[str, int] = {}
    for text in chain.rules:
        seen[text] = times = seen.get(text, 0) + 1
        keys.append(f"rule {place} {short_digest(text)}" + (f".{times}" if times > 1 else ""))
    placed = ranks.assign(keys, {name: row.rank for name, row in former.items()})
    family, source, table_name, chain_name = table.family, table.source, table.name, chain.name
    rows = {}
    for name, text, rank in zip(keys, chain.rules, placed, strict=True):
        row = former.get(name)
        if row is None or (row.rank, row.source, row.maker, row.text) != (rank, source, maker, text):
            row = Row(
                what="rule",
                source=source,
                family=family,
                table=table_name,
                name=chain_name,
                text=text,
                maker=maker,
                rank=rank,
            )
        rows[name] = row
    return rows


def _part(table: Table, part: Part, sort: str, former: Row | None) -> Row:
    digest, elements = part.digest, part.elements
    if part.is_set and not part.fleeting and not digest and former is not None:
        # Its elements could not be looked at this time: what was known stays, and coverage says so.
        digest, elements = former.digest, former.elements
    return Row(
        what=sort,
        source=table.source,
        family=table.family,
        table=table.name,
        name=part.name,
        text="; ".join(part.definition),
        maker=makers.of_table(table.name),
        type=part.sort,
        digest=digest,
        elements=elements,
    )


def carry(rows: dict[str, Row], before: Mapping[str, Row], families: frozenset[str], only_iptables: bool) -> None:
    """Keep former rows of what could not be looked at: these `families`, and all but iptables' own tables if `only_iptables`."""
    for name, row in before.items():
        is_unseen = row.family in families or (only_iptables and row.source == "nftables" and row.what != "summary")
        if is_unseen and name not in rows:
            rows[name] = row
        elif only_iptables and row.what == "chain" and name in rows and rows[name].rules == row.rules:
            # Half of what makes up the digest is nft's words; the rules themselves are compared one by one.
            rows[name] = msgspec.structs.replace(rows[name], digest=row.digest)


def summarise(
    tables: list[Table],
    rows: Mapping[str, Row],
    incompatible: tuple[str, ...],
    ipv6: bool,
    unseen: tuple[bool, bool] = (False, False),
    former: Summary | None = None,
) -> Row:
    """Return the summary row of the ruleset.

    Where some of the rules for IPv4 or IPv6 are `unseen`, what refused packets by the `former` summary is taken to do so still: not
    seeing never reads as open.
    """
    known = former if any(unseen) else None
    chains = [row for row in rows.values() if row.what == "chain"]
    total = sum(row.rules for row in chains)
    backends = {row.source for row in chains} | {table.source for table in tables if table.parts}
    named = {row.maker for row in rows.values() if row.what in ("table", "chain") and row.maker}
    summary = Summary(
        backends=tuple(sorted(backends)),
        makers=tuple(sorted(named)),
        tables=sum(row.what == "table" for row in rows.values()),
        chains=len(chains),
        rules=total,
        rules4=sum(row.rules for row in chains if row.family in _V4),
        rules6=sum(row.rules for row in chains if row.family in _V6),
        policy4=filtering.policy(tables, 4),
        policy6=filtering.policy(tables, 6),
        filtering4=_stricter(filtering.level(tables, 4), known.filtering4 if known else filtering.OPEN),
        filtering6=_stricter(filtering.level(tables, 6), known.filtering6 if known else filtering.OPEN),
        ipv6=ipv6,
        incompatible=incompatible,
        unseen4=unseen[0],
        unseen6=unseen[1],
    )
    return Row(what=SUMMARY, source="", summary=summary)


def _stricter(one: str, other: str) -> str:
    return max(one, other, key=filtering.STRICTNESS.index)
