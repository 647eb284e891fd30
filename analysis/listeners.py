"""Judges whether anything listens that nobody expects: neither `ports.expected` nor the accepted baseline names it."""

from collections.abc import Mapping
from typing import ClassVar

from analysis.conclusions import turn
from contracts.collector import Report
from contracts.event import Event, Kind, Severity
from contracts.judge import View
from contracts.record import Record
from contracts.snapshot import Snapshot, compare
from contracts.subjects.ports import SUBJECT, Listener

UNEXPECTED = Kind(
    name="ports.listener_unexpected",
    meaning="Something listens that neither the expected ports nor the accepted baseline name.",
    title="Unexpected listener {protocol} {address} port {port}: {process} ({reason})",
    severity=Severity.HIGH,
    fields={
        "protocol": "str",
        "address": "str",
        "port": "int",
        "process": "str",
        "executable": "str",
        "user": "str",
        "unit": "str",
        "package": "str",
        "container": "str",
        "reason": "str",
    },
    attack=("T1571",),
    advice="Stop it, or add it to ports.expected, or accept it with `holdfast ports accept`.",
)
EXPECTED_AGAIN = Kind(
    name="ports.listener_expected_again",
    meaning="An unexpected listener is gone or is expected now.",
    title="No longer unexpected: {protocol} {address} port {port} ({reason})",
    severity=Severity.INFORMATIONAL,
    fields={"protocol": "str", "address": "str", "port": "int", "process": "str", "reason": "str"},
)
BASELINE_MISSING = Kind(
    name="ports.baseline_missing",
    meaning="Listening ports are not judged: no ports are configured as expected and no baseline was accepted.",
    title="{listeners} listeners are not judged: no baseline was accepted",
    severity=Severity.INFORMATIONAL,
    fields={"listeners": "int"},
    advice="Look at `holdfast ports show`, then run `holdfast ports accept`.",
)

MANY_UNEXPECTED = Kind(
    name="ports.many_unexpected",
    meaning="So many unexpected listeners appeared at once that they are not reported one by one.",
    title="{listeners} unexpected listeners at once, among them {examples}",
    severity=Severity.HIGH,
    fields={"listeners": "int", "examples": "list"},
    attack=("T1571",),
    advice="Look at `holdfast ports show --unexpected`.",
)
MANY_EXPECTED_AGAIN = Kind(
    name="ports.many_expected_again",
    meaning="Many unexpected listeners are gone or expected now, all at once.",
    title="{listeners} listeners are no longer unexpected, among them {examples}",
    severity=Severity.INFORMATIONAL,
    fields={"listeners": "int", "examples": "list"},
)

_NO_BASELINE = "baseline"
_MOST = 100
_EXAMPLES = 5


class Conclusion(Record, omit_defaults=True):
    """What holds: a listener is unexpected, or (key `baseline`) none can be judged."""

    since_ms: int
    protocol: str = ""
    address: str = ""
    port: int = 0
    process: str = ""


class Listeners:
    """Unexpected listeners, each stated when it appears and when it is gone or accepted."""

    name: ClassVar[str] = "listeners"
    kinds: ClassVar[tuple[Kind, ...]] = (
        UNEXPECTED,
        EXPECTED_AGAIN,
        MANY_UNEXPECTED,
        MANY_EXPECTED_AGAIN,
        BASELINE_MISSING,
    )
    subjects: ClassVar[Mapping[str, type[Record]]] = {SUBJECT: Listener}
    row: type[Conclusion] = Conclusion
    every_s: ClassVar[float] = 0.0

    def judge(self, view: View, before: Snapshot[Conclusion]) -> Report[Conclusion]:
        """Conclude; nothing before the first look at the ports."""
        ports: Snapshot[Listener] = view.snapshots[SUBJECT]
        accepted: Snapshot[Listener] = view.accepted[SUBJECT]
        if ports.first:
            return Report()
        reasons = _unexpected(ports.rows, accepted)
        now = {key: _conclusion(ports.rows[key], view.now_ms) for key in reasons}
        if accepted.first and any(row.expected is None for row in ports.rows.values()):
            now[_NO_BASELINE] = Conclusion(since_ms=view.now_ms)
        now.update({key: row for key, row in before.rows.items() if key in now})
        turned = turn(before.rows, now)
        begun = [_begun(key, ports.rows, reasons) for key in turned.begun]
        ceased = [_ceased(key, before.rows[key], key in ports.rows) for key in turned.ceased if key != _NO_BASELINE]
        events = [*_bounded(begun, MANY_UNEXPECTED), *_bounded(ceased, MANY_EXPECTED_AGAIN)]
        return Report(events=tuple(events), changes=compare(before.rows, now))


def _unexpected(rows: Mapping[str, Listener], accepted: Snapshot[Listener]) -> dict[str, str]:
    """Return why each unexpected listener is unexpected, by its key."""
    reasons = {}
    for key, row in rows.items():
        if row.expected or (row.expected is None and accepted.first):
            continue
        known = accepted.rows.get(key)
        if known is None:
            reasons[key] = "not in ports.expected" if accepted.first else "not in the accepted baseline"
        elif known.executable and row.executable and known.executable != row.executable:
            reasons[key] = f"accepted for {known.executable}, not for {row.executable}"
    return reasons


def _conclusion(row: Listener, now_ms: int) -> Conclusion:
    return Conclusion(since_ms=now_ms, protocol=row.protocol, address=row.address, port=row.port, process=row.process)


def _begun(key: str, rows: Mapping[str, Listener], reasons: Mapping[str, str]) -> Event:
    if key == _NO_BASELINE:
        return BASELINE_MISSING.event(key, listeners=len(rows))
    row = rows[key]
    return UNEXPECTED.event(
        key,
        severity=Severity.LOW if row.scope == "loopback" else None,
        protocol=row.protocol,
        address=row.address,
        port=row.port,
        process=row.process or "unknown process",
        executable=row.executable,
        user=row.user,
        unit=row.unit,
        package=row.package,
        container=row.container,
        reason=reasons[key],
    )


def _bounded(events: list[Event], many: Kind) -> list[Event]:
    """Return `events`, or one of the kind `many` that stands for all of them when there are too many; the worst are its examples."""
    if len(events) <= _MOST:
        return events
    worst = sorted(events, key=lambda event: -event.severity)
    examples = [event.key for event in worst[:_EXAMPLES]]
    return [many.event("many", severity=worst[0].severity, listeners=len(events), examples=examples)]


def _ceased(key: str, row: Conclusion, still_there: bool) -> Event:
    return EXPECTED_AGAIN.event(
        key,
        protocol=row.protocol,
        address=row.address,
        port=row.port,
        process=row.process or "unknown process",
        reason="expected now" if still_there else "gone",
    )
