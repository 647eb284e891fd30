"""Judges unusual volume that the sensor saw leave: which process of this server sends it, by the connections that have sent much.

The sensor sees packets and no processes; the reader sees processes and no packets. A finding is joined with a connection of the same ends.
Where there is none any more, or nobody could look, the owner is said to be not known, and why; nothing is guessed from what once was.
"""

from collections.abc import Mapping
from ipaddress import ip_address
from typing import Any, ClassVar

from contracts import runs
from contracts.collector import Report
from contracts.event import Event, Kind, Severity
from contracts.judge import View
from contracts.record import Record
from contracts.runs import RunState
from contracts.snapshot import Snapshot, compare
from contracts.subjects import senders, traffic
from contracts.subjects.senders import Sender
from contracts.subjects.traffic import Outbound, Row

SENT_BY = Kind(
    name="traffic.outbound_owner",
    meaning="Unusually much data left for one peer (possible exfiltration); this is the process that sends it, as far as it was found.",
    title="{owner} sends unusually much from {local} to {subject}: {bytes_out} bytes",
    severity=Severity.MEDIUM,
    fields={
        "subject": "str",
        "local": "str",
        "method": "str",
        "owner": "str",
        "owner_known": "bool",
        "detail": "str",
        "process": "str",
        "executable": "str",
        "user": "str",
        "unit": "str",
        "container": "str",
        "pids": "list",
        "others": "list",
        "connections": "int",
        "bytes_out": "int",
        "usual_bytes": "int",
        "bytes_of_process": "int",
        "reasons": "list",
    },
    attack=("T1048", "T1567"),
    advice="If the process should not send there, stop it and ban the peer; a backup or a mirror is normal.",
)

WAIT_MS = 120_000
"""So long a look at the connections is waited for."""
_WRITABLE = ("/tmp/", "/var/tmp/", "/dev/shm/", "/run/shm/", "/memfd:")
_MOST_PIDS = 20


class Told(Record):
    """A finding that has been judged: `last_ms` is when the sensor saw it last."""

    last_ms: int


class OutboundJudge:
    """Unusual volume joined with who sends it, stated once for each finding."""

    name: ClassVar[str] = "outbound"
    kinds: ClassVar[tuple[Kind, ...]] = (SENT_BY,)
    subjects: ClassVar[Mapping[str, type[Record]]] = {
        traffic.SUBJECT: Row,
        senders.SUBJECT: Sender,
        runs.SUBJECT: RunState,
    }
    row: type[Told] = Told
    every_s: ClassVar[float] = 15.0

    def judge(self, view: View, before: Snapshot[Told]) -> Report[Told]:
        """Conclude on what has been looked at since it was found, or will not be any more."""
        rows: Mapping[str, Row] = view.snapshots[traffic.SUBJECT].rows
        found = {key: row.outbound for key, row in rows.items() if row.outbound is not None}
        now: dict[str, Told] = {}
        events: list[Event] = []
        for key, finding in sorted(found.items()):
            former = before.rows.get(key)
            if former is not None and former.last_ms == finding.last_ms:
                now[key] = former
                continue
            event = _judged(key, finding, view)
            if event is not None:
                events.append(event)
                now[key] = Told(last_ms=finding.last_ms)
            elif former is not None:
                now[key] = former
        return Report(events=tuple(events), changes=compare(before.rows, now))


def _judged(key: str, finding: Outbound, view: View) -> Event | None:
    """Return what is to be said of a finding, None while the look that would tell is still to come."""
    seen: Snapshot[Sender] = view.snapshots[senders.SUBJECT]
    if seen.at_ms >= finding.last_ms:
        mine = sorted((one for one in seen.rows.values() if _is_of(finding, one)), key=lambda one: -one.bytes_sent)
        if mine:
            return _sent_by(key, finding, mine)
        return _unknown(key, finding, "no connection between these ends that has sent much is there any more")
    run: RunState | None = view.snapshots[runs.SUBJECT].rows.get(senders.SUBJECT)
    if run is None:
        return _unknown(key, finding, "nobody looks at connections (collectors.senders is switched off)")
    if run.outcome in ("unavailable", "failed") and run.last_run_ms >= finding.last_ms:
        return _unknown(key, finding, f"connections could not be looked at: {run.detail}")
    if abs(view.now_ms - finding.last_ms) > WAIT_MS:
        return _unknown(key, finding, "connections have not been looked at since")
    return None


def _is_of(finding: Outbound, one: Sender) -> bool:
    """Return whether a connection is between the ends of a finding."""
    (local, port), (peer, peer_port) = _end(finding.local), _end(finding.subject)
    return (
        finding.protocol == "tcp"
        and _same(local, one.address)
        and _same(peer, one.peer)
        and port in (-1, one.port)
        and peer_port in (-1, one.peer_port)
    )


def _end(text: str) -> tuple[str, int]:
    """Return address and port of `192.0.2.1:443/tcp`, `[2001:db8::1]:443/tcp`, or an address alone (port -1)."""
    service, slash, _ = text.rpartition("/")
    if not slash:
        return text, -1
    address, _, port = service.rpartition(":")
    return address.strip("[]"), int(port) if port.isdecimal() else -1


def _same(one: str, other: str) -> bool:
    try:
        return ip_address(one) == ip_address(other)
    except ValueError:
        return False


def _sent_by(key: str, finding: Outbound, mine: list[Sender]) -> Event:
    """State who holds the connection that has sent most; other owners are named beside it."""
    known = [one for one in mine if one.process]
    if not known:
        seen = all(one.owner_known for one in mine)
        why = (
            "no process holds the connection any more"
            if seen
            else "the processes of other users may not be looked into"
        )
        return _unknown(key, finding, why)
    first = known[0]
    of_first = [one for one in known if _name(one) == _name(first)]
    others = list(dict.fromkeys(_name(one) for one in known if _name(one) != _name(first)))
    reasons = _reasons(first)
    pids = sorted({pid for one in of_first for pid in one.pids})
    return SENT_BY.event(
        key,
        severity=Severity.HIGH if reasons else Severity.LOW,
        **_facts(finding),
        owner=_name(first),
        owner_known=True,
        detail=f"held by {len(of_first)} of {len(mine)} connections between these ends",
        process=first.process,
        executable=first.executable,
        user=first.user,
        unit=first.unit,
        container=first.container,
        pids=[str(pid) for pid in pids[:_MOST_PIDS]],
        others=others[:_MOST_PIDS],
        connections=len(of_first),
        bytes_of_process=sum(one.bytes_sent for one in of_first),
        reasons=reasons,
    )


def _unknown(key: str, finding: Outbound, why: str) -> Event:
    return SENT_BY.event(
        key,
        **_facts(finding),
        owner=f"A process that is not known ({why})",
        owner_known=False,
        detail=why,
        process="",
        executable="",
        user="",
        unit="",
        container="",
        pids=[],
        others=[],
        connections=0,
        bytes_of_process=0,
        reasons=[],
    )


def _facts(finding: Outbound) -> dict[str, Any]:
    return {
        "subject": finding.subject,
        "local": finding.local,
        "method": finding.method,
        "bytes_out": finding.bytes_out,
        "usual_bytes": finding.usual_bytes,
    }


def _name(one: Sender) -> str:
    of = one.container or one.unit
    return f"{one.executable or one.process} of {one.user or 'an unknown user'}" + (f" ({of})" if of else "")


def _reasons(one: Sender) -> list[str]:
    """Return why a process is suspicious whatever it sends."""
    found = ["its executable was deleted"] if one.executable_deleted else []
    if one.executable.startswith(_WRITABLE):
        found.append("anyone may write where its executable lies")
    return found
