"""What is kept of a report beside its bytes."""

from typing import Any

import pytest

from console.store.records import EventFilter
from console.store.sql_reports import searchable
from contracts.errors import Unreachable
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


def test_a_full_disk_refuses_reports_and_loses_none(tried: Any, facts: Any, lanes: Any) -> None:
    tried.admit(A, facts=facts())
    lane = lanes(A)
    tried.do(tried.store.append(A, Batch(agent=A, lanes=(lane.part(1),)), 5))
    with tried.store._writing.connect() as connection:  # the writer's one connection
        used = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        connection.exec_driver_sql(f"PRAGMA max_page_count={used}")
    big = Batch(agent=A, lanes=(lane.part(50, key="x" * 4000),))
    with pytest.raises(Unreachable, match="full") as caught:
        tried.do(tried.store.append(A, big, 6))
    assert "free space" in caught.value.advice
    with tried.store._writing.connect() as connection:
        connection.exec_driver_sql("PRAGMA max_page_count=1000000")
    assert tried.do(tried.store.append(A, big, 7)).lanes == {"normal": 51}
    assert len(tried.do(tried.store.events(EventFilter(), limit=100)).events) == 51
