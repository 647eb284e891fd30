"""What the ports collector may say: its kinds of events, and how rows become events."""

from contracts.event import Event, FieldType, Kind, Lane, Severity, Value
from contracts.subjects.ports import Listener

_LISTENER: dict[str, FieldType] = {
    "protocol": "str",
    "address": "str",
    "port": "int",
    "interface": "str",
    "netns": "int",
    "scope": "str",
    "process": "str",
    "executable": "str",
    "user": "str",
    "unit": "str",
    "package": "str",
    "container": "str",
    "expected": "bool",
    "reasons": "list",
}

FIRST_LOOK = Kind(
    name="ports.first_look",
    meaning="The listening ports were looked at for the first time.",
    title="{listeners} listeners found at the first look",
    severity=Severity.INFORMATIONAL,
    fields={"listeners": "int", "unexpected": "int"},
    ocsf_class=5019,
)
LISTENER_OPENED = Kind(
    name="ports.listener_opened",
    meaning="A process began to listen on a port.",
    title="New listener {protocol} {address} port {port}: {process}",
    severity=Severity.MEDIUM,
    fields=_LISTENER,
    attack=("T1571", "T1205"),
    advice="If it is meant, add it to ports.expected or accept it with `holdfast ports accept`; else find out who started it.",
)
LISTENER_CLOSED = Kind(
    name="ports.listener_closed",
    meaning="A port is not listened on any more.",
    title="Listener gone: {protocol} {address} port {port} ({process})",
    severity=Severity.INFORMATIONAL,
    fields=_LISTENER,
    attack=("T1489",),
    advice="If the service should be there, look at its unit and log.",
)
LISTENER_CHANGED = Kind(
    name="ports.listener_changed",
    meaning="Another program or user answers on a port than before, or the program's file was deleted under it.",
    title="Listener {protocol} {address} port {port} changed: {process} ({executable}), was {former_owner}",
    severity=Severity.MEDIUM,
    fields={**_LISTENER, "former_owner": "str"},
    attack=("T1036.005", "T1554"),
    advice="Compare the program with its package, and find out who replaced or started it.",
)
EPHEMERAL_UDP_OPENED = Kind(
    name="ports.ephemeral_udp_opened",
    meaning="A process has kept a UDP socket open on a port that the kernel hands out to clients; strangers can reach it like a server's.",
    title="{process} keeps UDP port {port} on {address} open",
    severity=Severity.LOW,
    fields=_LISTENER,
    attack=("T1571",),
    advice="Clients do this; if it is no client, find out who started it.",
    lane=Lane.BULK,
)
MANY_CHANGED = Kind(
    name="ports.many_changed",
    meaning="So many listeners changed at once that they are not reported one by one.",
    title="{opened} listeners opened, {closed} closed, {changed} changed at once",
    severity=Severity.MEDIUM,
    fields={"opened": "int", "closed": "int", "changed": "int", "examples": "list"},
    attack=("T1571",),
    advice="Look at `holdfast ports show`.",
)
KINDS = (
    FIRST_LOOK,
    LISTENER_OPENED,
    LISTENER_CLOSED,
    LISTENER_CHANGED,
    EPHEMERAL_UDP_OPENED,
    MANY_CHANGED,
)

_EXAMPLES = 20


def opened(key: str, row: Listener, reasons: tuple[str, ...]) -> Event:
    """State that `key` is new; `reasons` say why it is suspicious."""
    if reasons:
        severity = Severity.HIGH
    elif row.expected:
        severity = Severity.INFORMATIONAL
    else:
        severity = Severity.LOW if row.scope == "loopback" else LISTENER_OPENED.severity
    return _about(LISTENER_OPENED, key, row, severity, reasons)


def closed(key: str, row: Listener) -> Event:
    """State that `key` is gone."""
    return _about(LISTENER_CLOSED, key, row, Severity.LOW if row.expected else None, ())


def changed(key: str, row: Listener, former: str, what: tuple[str, ...], suspicious: bool) -> Event:
    """State that someone else is behind `key` than `former`; `what` says what differs."""
    severity = Severity.HIGH if suspicious else Severity.LOW if what == ("executable replaced",) else None
    return _about(LISTENER_CHANGED, key, row, severity, what, former)


def ephemeral(key: str, row: Listener, reasons: tuple[str, ...]) -> Event:
    """State that a client's port has stayed open."""
    return _about(EPHEMERAL_UDP_OPENED, key, row, Severity.HIGH if reasons else None, reasons)


def first(rows: dict[str, Listener]) -> Event:
    """State how many there are; their rows say the rest."""
    unexpected = sum(row.expected is False for row in rows.values())
    return FIRST_LOOK.event("first look", listeners=len(rows), unexpected=unexpected)


def bounded(events: list[Event], most: int) -> tuple[Event, ...]:
    """Return `events`, or one that stands for all of them when there are more than `most`."""
    if len(events) <= most:
        return tuple(events)
    kinds = [event.kind for event in events]
    worst = sorted(events, key=lambda event: -event.severity)[:_EXAMPLES]
    summary = MANY_CHANGED.event(
        "many",
        severity=max(event.severity for event in events),
        opened=kinds.count(LISTENER_OPENED.name) + kinds.count(EPHEMERAL_UDP_OPENED.name),
        closed=kinds.count(LISTENER_CLOSED.name),
        changed=kinds.count(LISTENER_CHANGED.name),
        examples=[event.key for event in worst],
    )
    return (summary,)


def _about(
    kind: Kind, key: str, row: Listener, severity: Severity | None, reasons: tuple[str, ...], former: str | None = None
) -> Event:
    extra: dict[str, Value] = {} if former is None else {"former_owner": former or "unknown"}
    return kind.event(
        key,
        evidence=None,
        severity=severity,
        observed_ms=0,
        **extra,
        protocol=row.protocol,
        address=row.address,
        port=row.port,
        interface=row.interface or None,
        netns=row.netns,
        scope=row.scope,
        process=row.process or ("unknown process" if not row.owner_known else "no process"),
        executable=row.executable,
        user=row.user,
        unit=row.unit or None,
        package=row.package or None,
        container=row.container or None,
        expected=row.expected,
        reasons=list(reasons) or None,
    )
