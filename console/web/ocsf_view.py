"""One event as OCSF JSON. The console knows no kinds: text, technique and advice are those that the agent put into the event."""

from typing import Any

from console.store.records import EventRow
from console.web.events_view import title
from contracts.event import Kind
from contracts.host import Facts
from contracts.ocsf import OCSF_VERSION, to_ocsf


def as_ocsf(row: EventRow, facts: Facts | None = None) -> tuple[str, dict[str, Any]]:
    """Return a heading that names the version, and the event as an OCSF object."""
    event = row.envelope.event
    kind = Kind(
        name=event.kind,
        meaning=f"The agent reported {event.kind}.",
        title=(event.text or title(event.kind, event.key)).replace("{", "{{").replace("}", "}}"),
        severity=event.severity,
        attack=event.attack,
        advice=event.advice,
    )
    return f"As OCSF {OCSF_VERSION}", to_ocsf(row.envelope, kind, facts or _facts(row))


def _facts(row: EventRow) -> Facts:
    return Facts(
        hostname=row.hostname,
        machine_id="",
        boot_id="",
        kernel="",
        os_name="",
        architecture="",
        cpus=0,
        memory_bytes=0,
    )
