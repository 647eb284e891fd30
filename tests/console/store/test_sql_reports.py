"""What is kept of a report beside its bytes."""

from typing import Any

from console.store.records import EventFilter
from console.store.sql_reports import searchable
from contracts.event import Event, Severity
from contracts.wire import Batch

A = "a" * 32


def test_kind_key_and_values_can_be_searched_in_any_case() -> None:
    event = Event(
        kind="ports.x", key="TCP 22", severity=Severity.LOW, fields={"process": "SSHD", "users": ["Eve", "Bob"]}
    )
    assert searchable(event) == "ports.x tcp 22 sshd eve bob"


def test_the_bytes_are_kept_as_they_came(tried: Any, facts: Any, lanes: Any) -> None:
    tried.admit(A, facts=facts())
    part = lanes(A).part(1)
    tried.do(tried.store.append(A, Batch(agent=A, lanes=(part,)), 5))
    with tried.store._reading.connect() as connection:
        body, chain = connection.exec_driver_sql("SELECT body, chain FROM events").one()
    assert (body, chain) == (part.items[0].body, part.items[0].chain)
    assert tried.do(tried.store.events(EventFilter())).events[0].envelope.seq == 1
