"""Looks that follow an event."""

from types import SimpleNamespace
from typing import Any

from agent import follow_up as following
from agent.follow_up import FOLLOWS, follow_up
from collectors.catalog import CATALOG
from collectors.traffic.detectors.kinds import OUTBOUND_VOLUME


def asked(kind: str) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    envelope: Any = SimpleNamespace(event=SimpleNamespace(kind=kind))
    follow_up(envelope, lambda who, subject: found.append((who, subject)))
    return found


def test_unusual_volume_has_the_connections_looked_at_and_other_events_nothing() -> None:
    assert OUTBOUND_VOLUME.name == following.OUTBOUND_UNUSUAL
    assert asked(OUTBOUND_VOLUME.name) == [(OUTBOUND_VOLUME.name, "senders")]
    assert asked("agent.started") == []


def test_every_subject_that_is_asked_for_has_a_collector() -> None:
    assert set(FOLLOWS.values()) <= {entry.name for entry in CATALOG}
