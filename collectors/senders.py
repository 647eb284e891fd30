"""Looks which TCP connections have sent much, and which processes hold them; asked above all when the sensor sees unusual volume."""

from collections.abc import Mapping
from typing import Annotated, ClassVar

from msgspec import Meta
from msgspec.structs import replace

from contracts.collector import Report
from contracts.coverage import Blind
from contracts.errors import Why
from contracts.event import Kind
from contracts.host import Process, ReadOnlyHost, Senders
from contracts.host import Sender as Connection
from contracts.options import CollectorOptions, Duration, Size
from contracts.snapshot import Snapshot, compare
from contracts.subjects.senders import SUBJECT, Sender


class Options(CollectorOptions):
    """Settings of the collector of connections that send much."""

    every: Annotated[
        Duration,
        Meta(description="Time between two looks; unusual volume that the sensor sees is looked at at once.", ge=1.0),
    ] = 900.0
    at_least: Annotated[Size, Meta(description="Bytes that a connection has sent.", ge=1)] = 1 << 20
    most: Annotated[int, Meta(description="Connections that are told, those with the most bytes.", ge=1, le=2000)] = 200


class SendersCollector:
    """The connections that have sent much. It states no events: `analysis.outbound` joins them with what the sensor saw."""

    name: ClassVar[str] = SUBJECT
    kinds: ClassVar[tuple[Kind, ...]] = ()
    row: type[Sender] = Sender
    options: ClassVar[type[Options]] = Options

    def __init__(self, options: Options) -> None:
        self._options = options

    def collect(self, host: ReadOnlyHost, before: Snapshot[Sender]) -> Report[Sender]:
        """Look; raises `Unavailable` when the kernel does not tell."""
        found = host.sockets.sending(self._options.at_least, self._options.most)
        described = host.processes.describe(sorted({pid for one in found.connections for pid in one.pids}))
        after = {_key(one): _row(one, found, described.by_pid) for one in found.connections}
        blind = found.blind + described.blind
        if found.left_out:
            blind += (
                Blind(
                    what=f"{found.left_out} more connections that sent much",
                    why=Why.TOO_LARGE,
                    detail=f"only the {len(found.connections)} with the most bytes are told",
                    fix="Raise collectors.senders.most or collectors.senders.at_least.",
                ),
            )
        return Report(changes=compare(before.rows, after), blind=blind)


def _key(one: Connection) -> str:
    return f"{one.protocol} {_end(one.address, one.port)} {_end(one.peer, one.peer_port)}"


def _end(address: str, port: int) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def _row(one: Connection, found: Senders, by_pid: Mapping[int, Process]) -> Sender:
    holders = sorted((by_pid[pid] for pid in one.pids if pid in by_pid), key=lambda each: (each.started_ms, each.pid))
    row = Sender(
        address=one.address,
        port=one.port,
        peer=one.peer,
        peer_port=one.peer_port,
        bytes_sent=one.bytes_sent,
        pids=one.pids,
        owner_known=bool(holders) or (found.owners_seen and not one.pids),
    )
    if not holders:
        return row
    # The one that began first: the others are its workers, or children that inherited the socket.
    first = holders[0]
    return replace(
        row,
        process=first.name,
        executable=first.executable,
        executable_deleted=first.deleted,
        user=first.user,
        unit=first.unit,
        container=first.container,
    )
