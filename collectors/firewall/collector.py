"""Looks at the firewall: reads what the kernel's tools state, compares with the last look, says what changed and what it could not see."""

from collections.abc import Mapping
from typing import Annotated, ClassVar

from msgspec import Meta

from collectors.firewall import events, iptables, nft, rows
from collectors.firewall.makers import BANNING, of_table
from collectors.firewall.ruleset import Table
from contracts.collector import Report
from contracts.coverage import Blind
from contracts.errors import Malformed, Unavailable, Why
from contracts.event import Kind
from contracts.host import ReadOnlyHost
from contracts.options import CollectorOptions, Duration, Size
from contracts.record import Record
from contracts.snapshot import Snapshot, compare
from contracts.subjects.firewall import SUBJECT, SUMMARY, Row

_TRIES = 3


class Options(CollectorOptions):
    """Settings of the firewall collector and watcher."""

    every: Annotated[
        Duration, Meta(description="Time between two full looks; changes that netlink tells of are looked at at once.")
    ] = 120.0
    max_rule_events: Annotated[
        int, Meta(description="More rules than this changed at once are one event with counts.", ge=1)
    ] = 20
    max_set_bytes: Annotated[
        Size, Meta(description="A fixed set whose listing is larger is not compared by its elements.")
    ] = 4 << 20
    max_sets: Annotated[int, Meta(description="How many fixed sets are compared by their elements.", ge=0)] = 64
    legacy_every: Annotated[
        Duration, Meta(description="How often to look for changes of legacy iptables, which tells nobody.")
    ] = 10.0


class Seen(Record):
    """What one reading found: tables, blind spots, tables that iptables refuses to state, and the families that stayed unseen."""

    tables: list[Table]
    blind: list[Blind]
    incompatible: tuple[str, ...] = ()
    unseen: frozenset[str] = frozenset()
    only_iptables: bool = False


class FirewallCollector:
    """The firewall as rows: one summary, and one each per table, chain, rule, set and object."""

    name: ClassVar[str] = SUBJECT
    kinds: ClassVar[tuple[Kind, ...]] = events.KINDS
    row: type[Row] = Row
    options: ClassVar[type[Options]] = Options

    def __init__(self, options: Options) -> None:
        self._options = options

    def collect(self, host: ReadOnlyHost, before: Snapshot[Row]) -> Report[Row]:
        """Read the ruleset; raises `Unavailable` when nft and iptables are both of no use."""
        seen = self._read(host, before.rows)
        after = rows.build(seen.tables, before.rows)
        rows.carry(after, before.rows, seen.unseen, seen.only_iptables)
        unseen = tuple(seen.only_iptables or f"legacy-{family}" in seen.unseen for family in ("ip", "ip6"))
        former = before.rows.get(SUMMARY)
        after[SUMMARY] = rows.summarise(
            seen.tables,
            after,
            seen.incompatible,
            _speaks_ipv6(host),
            (unseen[0], unseen[1]),
            former.summary if former else None,
        )
        changes = compare(before.rows, after)
        if before.first:
            found = events.first(after)
        else:
            found = events.happened(before.rows, after, changes, self._options.max_rule_events)
        return Report(events=found, changes=changes, blind=tuple(seen.blind))

    def _read(self, host: ReadOnlyHost, before: Mapping[str, Row]) -> Seen:
        seen = _consistent(host)
        legacy, blind, unseen = iptables.read_legacy(host)
        seen.blind.extend(blind)
        seen.tables.extend(legacy)
        self._read_elements(host, seen, before)
        return Seen(
            tables=seen.tables,
            blind=seen.blind,
            incompatible=seen.incompatible,
            unseen=unseen,
            only_iptables=seen.only_iptables,
        )

    def _read_elements(self, host: ReadOnlyHost, seen: Seen, before: Mapping[str, Row]) -> None:
        fixed = [
            (table, part)
            for table in seen.tables
            for part in table.parts
            if part.is_set and not part.fleeting and of_table(table.name) not in BANNING
        ]
        for table, part in fixed[: self._options.max_sets]:
            former = before.get(rows.key("set", table.family, table.name, part.name))
            digest = "" if former is None else former.digest
            blind = nft.read_elements(host, table, part, self._options.max_set_bytes, digest)
            if blind is not None:
                seen.blind.append(blind)
        limit = self._options.max_sets
        if len(fixed) > limit:
            what = f"the elements of {len(fixed) - limit} further sets"
            fix = "Raise collectors.firewall.max_sets."
            seen.blind.append(Blind(what=what, why=Why.TOO_LARGE, detail=f"more than {limit} sets", fix=fix))


def _consistent(host: ReadOnlyHost) -> Seen:
    """Read nftables and iptables-nft until both tell of the same ruleset; it may change in between."""
    trouble = ""
    for _ in range(_TRIES):
        try:
            tables, managed, unchecked = nft.read(host)
            blind, refused = iptables.join(host, tables, managed)
        except Malformed as error:
            trouble = error.message
        except Unavailable as error:
            if error.why is not Why.TOOL_MISSING:
                raise
            return _without_nft(host, error)
        else:
            return Seen(tables=tables, blind=unchecked + blind, incompatible=refused)
    advice = "Look with `nft -a list ruleset` for a name or comment with quotes or line breaks."
    raise Unavailable(Why.MALFORMED, f"{trouble} ({_TRIES} tries)", advice=advice)


def _without_nft(host: ReadOnlyHost, missing: Unavailable) -> Seen:
    fix = "Install the package nftables."
    try:
        tables = iptables.read_without_nft(host)
    except (Unavailable, Malformed):
        raise Unavailable(missing.why, missing.message, advice=missing.advice or fix) from missing
    blind = Blind(what="nftables rules other than those of iptables", why=missing.why, detail=missing.message, fix=fix)
    return Seen(tables=tables, blind=[blind], only_iptables=True)


def _speaks_ipv6(host: ReadOnlyHost) -> bool:
    """Say whether the kernel speaks IPv6 here; when that cannot be told it is taken to."""
    try:
        return host.files.read("/proc/sys/net/ipv6/conf/all/disable_ipv6").strip() != b"1"
    except Unavailable as error:
        if error.why is not Why.NOT_PRESENT:
            return True
    try:
        host.files.read("/proc/sys/kernel/ostype")
    except Unavailable:  # all of /proc/sys is hidden
        return True
    return False
