"""Looks at the listening ports: one row per place that answers, who is behind it, and what differs from the last look."""

from collections import Counter
from collections.abc import Mapping
from typing import ClassVar

from collectors.ports import drift, events
from collectors.ports.expected import Expectations
from collectors.ports.options import Options
from collectors.ports.owners import Owners
from collectors.ports.rows import Look, key_of
from contracts.collector import Report
from contracts.errors import Unavailable
from contracts.event import Event, Kind
from contracts.host import ReadOnlyHost, Sockets
from contracts.snapshot import Snapshot, compare
from contracts.subjects.ports import SUBJECT, Listener

_CLIENT_PORTS = "/proc/sys/net/ipv4/ip_local_port_range"
_USUAL_CLIENT_PORTS = (32768, 60999)
_ONE_PART = 20
"""A list of more sockets than about these the kernel tells in several parts (`/proc` a page at a time), and may skip one when another
closes in between."""


class PortsCollector:
    """Every listening TCP, UDP and SCTP socket of every network namespace that may be seen."""

    name: ClassVar[str] = SUBJECT
    kinds: ClassVar[tuple[Kind, ...]] = events.KINDS
    row: type[Listener] = Listener
    options: ClassVar[type[Options]] = Options

    def __init__(self, options: Options) -> None:
        self._options = options
        self._expectations = Expectations(options.expected)

    def collect(self, host: ReadOnlyHost, before: Snapshot[Listener]) -> Report[Listener]:
        """Look; raises `Unavailable` when the kernel's sockets cannot be read at all."""
        now_ms = int(host.now().timestamp() * 1000)
        found = host.sockets.listening()
        owners = Owners(host, found)
        look = Look(
            found,
            owners,
            self._expectations,
            clients=_client_ports(host),
            ignore_clients=self._options.ignore_ephemeral_udp,
            now_ms=now_ms,
        )
        after = look.rows(before.rows)
        after |= drift.carried(before.rows, after, found)
        after |= _missed(host, before, after, found)
        if before.first:
            after = {key: _settled(row) if row.ephemeral else row for key, row in after.items()}
            said: tuple[Event, ...] = (events.first(after),)
        else:
            changes = drift.Drift(
                before.rows,
                now_ms,
                ignore_clients=self._options.ignore_ephemeral_udp,
                grace_ms=int(self._options.ephemeral_udp_grace * 1000),
            )
            changes.settle(after, owners.replaced)
            said = events.bounded(changes.events, self._options.max_events)
        return Report(events=said, changes=compare(before.rows, after), blind=found.blind + owners.blind)


def _client_ports(host: ReadOnlyHost) -> tuple[int, int]:
    try:
        low, high = host.files.read(_CLIENT_PORTS).split()
        return int(low), int(high)
    except (Unavailable, ValueError):
        return _USUAL_CLIENT_PORTS


def _missed(
    host: ReadOnlyHost, before: Snapshot[Listener], after: Mapping[str, Listener], found: Sockets
) -> dict[str, Listener]:
    """Return rows of `before` that a second reading, of their ports alone, finds although the first one skipped them."""
    gone = before.rows.keys() - after.keys()
    if not gone:
        return {}
    sizes = Counter((socket.netns, socket.protocol, socket.family) for socket in found.sockets)
    unsure = {key: row for key in gone if sizes[_table(key, row := before.rows[key], found.home)] >= _ONE_PART}
    if not unsure:
        return {}
    again = host.sockets.listening(owners=False, ports={row.port for row in unsure.values()})
    there = {key_of(socket, found.home) for socket in again.sockets}
    return {key: row for key, row in unsure.items() if key in there}


def _table(key: str, row: Listener, home: int) -> tuple[int, str, int]:
    """Return which of the kernel's lists a row is from; home's number may have been another one at the last look."""
    return row.netns if "#" in key else home, row.protocol, row.family


def _settled(row: Listener) -> Listener:
    from msgspec.structs import replace

    return replace(row, settled=True)
