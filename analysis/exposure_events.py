"""What the exposure judge states: the kinds, and the events made of rows."""

from collections.abc import Mapping, Sequence

from msgspec.structs import replace

from contracts.event import Event, FieldType, Kind, Severity, Value
from contracts.exposure_picture import vantage_order, who
from contracts.subjects.exposure import Exposure

_PLACE: dict[str, FieldType] = {
    "vantage": "str",
    "protocol": "str",
    "port": "int",
    "address": "str",
    "process": "str",
    "families": "list",
    "why": "str",
    "chain": "str",
    "handle": "int",
    "delivered": "str",
}
OPENED = Kind(
    name="firewall.exposure_opened",
    meaning="A listener or published port became reachable from a vantage, by the rules as they are now.",
    title="{process} on {protocol} port {port} became reachable from {vantage}: {why}",
    severity=Severity.HIGH,
    fields=_PLACE,
    attack=("T1562.004",),
    advice="See how: `holdfast firewall exposure --to-port PORT --explain`; refuse it in the firewall, or bind the service to loopback.",
)
CLOSED = Kind(
    name="firewall.exposure_closed",
    meaning="A listener or published port is no longer reachable from a vantage.",
    title="{process} on {protocol} port {port} is no longer reachable from {vantage}: {why}",
    severity=Severity.INFORMATIONAL,
    fields=_PLACE,
)
UNCERTAIN = Kind(
    name="firewall.exposure_uncertain",
    meaning="Whether a vantage can reach a listener that it could not reach so far cannot be decided any more.",
    title="{process} on {protocol} port {port} may be reachable from {vantage}: {unknown} cannot be decided",
    severity=Severity.MEDIUM,
    fields={**_PLACE, "unknown": "list"},
    attack=("T1562.004",),
    advice="See the way with `holdfast firewall exposure --to-port PORT --explain`; what is not known is named there.",
)
FIRST_LOOK = Kind(
    name="firewall.exposure_first_look",
    meaning="Exposure was judged for the first time, or for the first time from a new vantage.",
    title="{reachable} of {listeners} listeners and published ports are reachable from {vantages}, among them {examples}",
    severity=Severity.INFORMATIONAL,
    fields={"listeners": "int", "reachable": "int", "uncertain": "int", "vantages": "list", "examples": "list"},
    advice="Look at `holdfast firewall exposure`.",
)
MANY_OPENED = Kind(
    name="firewall.many_exposures_opened",
    meaning="So many listeners became reachable at once that they are not reported one by one.",
    title="{listeners} listeners became reachable at once, among them {examples}",
    severity=Severity.HIGH,
    fields={"listeners": "int", "examples": "list"},
    attack=("T1562.004",),
    advice="Look at `holdfast firewall exposure` and `holdfast firewall diff`.",
)
MANY_UNCERTAIN = Kind(
    name="firewall.many_exposures_uncertain",
    meaning="For so many listeners it cannot be decided any more whether they can be reached that they are not reported one by one.",
    title="{listeners} listeners may be reachable now, it cannot be decided, among them {examples}",
    severity=Severity.MEDIUM,
    fields={"listeners": "int", "examples": "list"},
    attack=("T1562.004",),
    advice="Look at `holdfast firewall exposure`: what is not known is named there, and in `holdfast coverage`.",
)
MANY_CLOSED = Kind(
    name="firewall.many_exposures_closed",
    meaning="Many listeners are no longer reachable, all at once.",
    title="{listeners} listeners are no longer reachable, among them {examples}",
    severity=Severity.INFORMATIONAL,
    fields={"listeners": "int", "examples": "list"},
)
BYPASSES = Kind(
    name="firewall.published_port_bypasses",
    meaning="A published port is forwarded past a firewall front end whose rules for arriving packets would have refused it.",
    title="{publisher} publishes {port}/{protocol} past {front_end}: reachable from {vantage}, delivered to {delivered}",
    severity=Severity.HIGH,
    fields={**_PLACE, "front_end": "str", "publisher": "str"},
    attack=("T1562.004",),
    advice="Publish it on 127.0.0.1 alone, or filter forwarded packets (Docker: the chain DOCKER-USER; ufw: `ufw route`).",
)
BYPASS_ENDED = Kind(
    name="firewall.published_port_bypass_ended",
    meaning="A port that was forwarded past a firewall front end no longer is.",
    title="{port}/{protocol} is no longer published past {front_end} to {vantage}",
    severity=Severity.INFORMATIONAL,
    fields={"vantage": "str", "protocol": "str", "port": "int", "front_end": "str"},
)
NAMED_IN = Kind(
    name="firewall.exposure_opened_for",
    meaning="A listener or published port became reachable for networks that rules name, and not for anybody else at their vantage.",
    title="{process} on {protocol} port {port} became reachable for {named} from {vantage}",
    severity=Severity.MEDIUM,
    fields={**_PLACE, "named": "list"},
    attack=("T1562.004",),
    advice="See how: `holdfast firewall exposure --from ADDRESS --to-port PORT --explain`.",
)
NAMED_OUT = Kind(
    name="firewall.exposure_closed_for",
    meaning="A listener or published port is no longer reachable for networks that rules named.",
    title="{process} on {protocol} port {port} is no longer reachable for {named} from {vantage}",
    severity=Severity.INFORMATIONAL,
    fields={**_PLACE, "named": "list"},
)
KINDS = (
    FIRST_LOOK,
    OPENED,
    CLOSED,
    UNCERTAIN,
    MANY_OPENED,
    MANY_UNCERTAIN,
    MANY_CLOSED,
    BYPASSES,
    BYPASS_ENDED,
    NAMED_IN,
    NAMED_OUT,
)

MOST = 20
"""So many openings (or closings) at once are told one by one; more are one event."""
_EXAMPLES = 5
_PUBLISHERS = (
    ("docker", "Docker"),
    ("netavark", "Podman"),
    ("podman", "Podman"),
    ("kube", "Kubernetes"),
    ("libvirt", "libvirt"),
)


def opened(key: str, rows: Sequence[Exposure], everywhere: bool) -> Event:
    """Return the event that `rows` (one listener at one vantage) became reachable."""
    return _event(OPENED, key, rows, _weight(everywhere))


def closed(key: str, rows: Sequence[Exposure], why: str) -> Event:
    """Return the event that `rows`, as they were, are no longer reachable, because of `why`."""
    return _event(CLOSED, key, rows, None, {"why": why})


def uncertain(key: str, rows: Sequence[Exposure], everywhere: bool) -> Event:
    """Return the event that it can no longer be said that `rows` are not reachable."""
    unknown = sorted({name for row in rows for name in row.unknown}) or ["something on the way"]
    return _event(UNCERTAIN, key, rows, Severity.MEDIUM if everywhere else Severity.LOW, {"unknown": unknown})


def bypass(key: str, rows: Sequence[Exposure], everywhere: bool) -> Event:
    """Return the event that `rows` are forwarded past a front end."""
    more = {"front_end": rows[0].bypasses, "publisher": publisher(rows[0])}
    return _event(BYPASSES, key, rows, _weight(everywhere), more)


def bypass_ended(key: str, row: Exposure) -> Event:
    """Return the event that `row`, as it was, is no longer forwarded past a front end."""
    return BYPASS_ENDED.event(key, vantage=who(row), protocol=row.protocol, port=row.port, front_end=row.bypasses)


def named_in(key: str, rows: Sequence[Exposure], named: Sequence[str], everywhere: bool) -> Event:
    """Return the event that `rows` became reachable for the networks `named` alone, or from source ports, which anybody can choose."""
    by_anybody = any(name.startswith("source port ") for name in named)
    severity = _weight(everywhere) if by_anybody else Severity.MEDIUM if everywhere else Severity.LOW
    return _event(NAMED_IN, key, rows, severity, {"named": list(named)})


def named_out(key: str, rows: Sequence[Exposure], named: Sequence[str]) -> Event:
    """Return the event that `rows` are no longer reachable for the networks `named`."""
    return _event(NAMED_OUT, key, rows, None, {"named": list(named)})


def first_look(groups: Sequence[Sequence[Exposure]], vantages: Sequence[str]) -> Event:
    """Return the one event of a first look: each of `groups` is the rows of one listener at one vantage."""
    groups = sorted(groups, key=lambda rows: vantage_order(who(rows[0])))
    reachable = [rows for rows in groups if any(row.verdict == "reachable" for row in rows)]
    unsure = [rows for rows in groups if rows not in reachable and any(row.verdict == "uncertain" for row in rows)]
    examples = [f"{_name(rows[0])} from {who(rows[0])}" for rows in reachable[:_EXAMPLES]] or ["none"]
    places = len({_place(rows[0]) for rows in groups})
    return FIRST_LOOK.event(
        "first look",
        listeners=places,
        reachable=len({_place(rows[0]) for rows in reachable}),
        uncertain=len({_place(rows[0]) for rows in unsure}),
        vantages=list(vantages),
        examples=examples,
    )


def bounded(events: Sequence[Event], many: Kind) -> list[Event]:
    """Return `events`, or one of the kind `many` for all of them when there are too many; the worst are its examples."""
    if len(events) <= MOST:
        return list(events)
    worst = sorted(events, key=lambda event: -event.severity)
    examples = [f"{event.key}" for event in worst[:_EXAMPLES]]
    return [many.event("many", severity=worst[0].severity, listeners=len(events), examples=examples)]


def publisher(row: Exposure) -> str:
    """Return who published the port, as far as names tell."""
    hints = f"{row.process} {row.chain}".lower()
    return next((name for hint, name in _PUBLISHERS if hint in hints), "A translation rule")


def _weight(everywhere: bool) -> Severity:
    return Severity.HIGH if everywhere else Severity.MEDIUM


def _event(
    kind: Kind, key: str, rows: Sequence[Exposure], severity: Severity | None, more: Mapping[str, Value] | None = None
) -> Event:
    """Return an event of `kind` about `rows`, of which the first stands for all; `more` is what it says besides."""
    row = rows[0]
    made = kind.event(
        key,
        severity=severity,
        vantage=who(row),
        protocol=row.protocol,
        port=row.port,
        address=row.address,
        process=row.process or ("a published port" if row.delivered else "unknown process"),
        families=[f"IPv{family}" for family in sorted({each.family for each in rows})],
        why=row.why or "nothing refuses it",
        chain=row.chain,
        handle=row.handle,
        delivered=row.delivered,
    )
    return replace(made, fields={**made.fields, **(more or {})})


def _name(row: Exposure) -> str:
    process = f" {row.process}" if row.process else f" to {row.delivered}" if row.delivered else ""
    return f"{row.port}/{row.protocol}{process}"


def _place(row: Exposure) -> tuple[str, int, str]:
    return row.protocol, row.port, row.listener
