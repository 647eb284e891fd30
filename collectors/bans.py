"""Looks at our own sets in the kernel: who is banned, limited, allowed or unbanned, what was dropped, and whether the table stands."""

import ipaddress
from collections.abc import Iterator, Mapping
from typing import Annotated, ClassVar

from msgspec import Meta
from msgspec.structs import replace

from contracts.blocking import ALLOWED, BANNED, LEAKED, LIMITED, TABLE, UNBANNED, decode, set_name
from contracts.collector import Emit, Report
from contracts.event import Event, Kind, Severity
from contracts.host import ReadOnlyHost, Stop
from contracts.netfilter import Element, NoSuchSet
from contracts.options import CollectorOptions, Duration
from contracts.snapshot import Snapshot, compare
from contracts.subjects.bans import SUBJECT, Ban

TABLE_LOST = Kind(
    name="bans.table_lost",
    meaning="The table of bans is gone although bans in it should still hold; most likely another tool flushed the firewall.",
    title="The table of bans is gone, and {count} entries with it",
    severity=Severity.HIGH,
    fields={"count": "int", "examples": "list"},
    attack=("T1562.004",),
    advice="It is loaded again at once; look which tool flushes the firewall.",
)
LEAKING = Kind(
    name="bans.leaking",
    meaning="Packets of a banned source reached the end of a hook: something lets them past the ban.",
    title="{packets_leaked} or more packets of {network} got past its ban",
    severity=Severity.HIGH,
    fields={"network": "str", "packets_leaked": "int", "cause": "str"},
    attack=("T1562.004",),
    advice="Look with `nft -a list table inet holdfast_block` for rules that are not ours, and at `nft list flowtables`.",
)

_KEPT_MS = 2000
"""An end that moved by less is the same: the kernel tells how long an element still has, not until when."""
_SHOWN = 5
_ON_THEIR_WAY = 8
"""So few packets may have been between our first chain and our last when the ban came: they were let in before it."""


class Options(CollectorOptions):
    """Settings of the collector of bans."""

    every: Annotated[
        Duration, Meta(description="Time between two full looks; a change of the ruleset is looked at at once.")
    ] = 60.0


class BansCollector:
    """Who is blocked, as the kernel has it."""

    name: ClassVar[str] = SUBJECT
    kinds: ClassVar[tuple[Kind, ...]] = (TABLE_LOST, LEAKING)
    row: type[Ban] = Ban
    options: ClassVar[type[Options]] = Options

    def __init__(self, options: Options) -> None:
        self._options = options

    def collect(self, host: ReadOnlyHost, before: Snapshot[Ban]) -> Report[Ban]:
        """Read the sets; a table that was never loaded is no failure, one that went away is an event."""
        now_ms = int(host.now().timestamp() * 1000)
        try:
            after = {key: _settled(row, before.rows.get(key)) for key, row in _read(host, now_ms)}
        except NoSuchSet:
            return Report(events=_lost(before.rows, now_ms), changes=compare(before.rows, {}))
        return Report(events=tuple(_leaks(before.rows, after)), changes=compare(before.rows, after))


class BansWatcher:
    """Asks for a look whenever the ruleset changes, so that a flushed table is noticed at once."""

    name: ClassVar[str] = SUBJECT
    kinds: ClassVar[tuple[Kind, ...]] = ()
    options: ClassVar[type[Options]] = Options

    def __init__(self, options: Options) -> None:
        self._options = options

    def watch(self, host: ReadOnlyHost, emit: Emit, stop: Stop) -> None:
        """Watch until `stop`; raises `Unavailable` where netlink may not be listened to."""
        for change in host.ruleset_changes(stop):
            if change.word == "overflow":
                emit.gap("the kernel dropped notices of ruleset changes", 0.0)
            emit.changed(SUBJECT)


def _read(host: ReadOnlyHost, now_ms: int) -> Iterator[tuple[str, Ban]]:
    """Yield every entry by its key; raises `NoSuchSet`, `Unavailable`."""
    for version in (4, 6):
        leaks = {one.network: one.packets for one in host.netfilter.elements(TABLE, set_name(LEAKED, version))}
        for what in (BANNED, LIMITED, ALLOWED, UNBANNED):
            for element in host.netfilter.elements(TABLE, set_name(what, version)):
                row = _row(element, version, what, now_ms, leaks if what == BANNED else {})
                yield (row.network if what == BANNED else f"{what} {row.network}"), row


def _row(element: Element, version: int, what: str, now_ms: int, leaks: Mapping[str, int]) -> Ban:
    note = decode(element.comment)
    leaked = _of(element.network, leaks)
    return Ban(
        network=f"{element.network}-{element.last}" if element.last else element.network,
        family=version,
        since_ms=note.since_ms,
        until_ms=now_ms + element.left_ms if element.timeout_ms else 0,
        who=note.who,
        reason=note.reason,
        cause=note.cause,
        packets=_rounded(max(0, element.packets - leaked)),
        leaked=_rounded(leaked),
        allowed=what == ALLOWED,
        limited=what == LIMITED,
        unbanned=what == UNBANNED,
    )


def _of(network: str, leaks: Mapping[str, int]) -> int:
    """Return the leaks of all addresses in `network`."""
    if not leaks:
        return 0
    if "/" not in network:
        return leaks.get(network, 0)
    parsed = ipaddress.ip_network(network)
    return sum(packets for address, packets in leaks.items() if ipaddress.ip_address(address) in parsed)


def _settled(row: Ban, former: Ban | None) -> Ban:
    """Return `row` with the former end where it is the same but for rounding."""
    if former is None or not (row.until_ms and former.until_ms) or abs(row.until_ms - former.until_ms) > _KEPT_MS:
        return row
    return replace(row, until_ms=former.until_ms)


def _rounded(count: int) -> int:
    return 1 << (count.bit_length() - 1) if count else 0


def _lost(rows: Mapping[str, Ban], now_ms: int) -> tuple[Event, ...]:
    held = [key for key, row in rows.items() if not row.until_ms or row.until_ms > now_ms]
    return (TABLE_LOST.event("table", count=len(held), examples=held[:_SHOWN]),) if held else ()


def _leaks(before: Mapping[str, Ban], after: Mapping[str, Ban]) -> Iterator[Event]:
    for key, row in after.items():
        former = before.get(key)
        if row.leaked > max(_ON_THEIR_WAY - 1, former.leaked if former is not None else 0):
            yield LEAKING.event(key, network=row.network, packets_leaked=row.leaked, cause=row.cause)
