"""One event as OCSF."""

from console.store.records import EventRow
from console.web.ocsf_view import as_ocsf
from contracts.event import Envelope, Event, Lane, Severity


def row(kind="ports.listener_opened", key="tcp 0.0.0.0:1"):
    event = Event(kind=kind, key=key, severity=Severity.HIGH, observed_ms=1_795_280_000_000)
    return EventRow(
        number=1,
        hostname="web-1",
        received_ms=2,
        envelope=Envelope(id="i", agent="a", lane=Lane.NORMAL, seq=1, event=event),
    )


def test_an_event_becomes_an_ocsf_object_of_a_stated_version():
    heading, document = as_ocsf(row())
    assert heading == f"As OCSF {document['metadata']['version']}"
    assert (document["severity_id"], document["time"], document["device"]["hostname"]) == (
        4,
        1_795_280_000_000,
        "web-1",
    )


def test_braces_in_names_are_text_and_not_a_template():
    _, document = as_ocsf(row(kind="a.{b", key="{0.__class__}"))
    assert document["message"] == "{b: {0.__class__}"
