"""Events, kinds and the chain."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.event import (
    GENESIS,
    Envelope,
    Event,
    Kind,
    Lane,
    Loss,
    Sealed,
    Severity,
    dedup_key,
    link,
    with_details,
)

OPENED = Kind(
    name="ports.opened", meaning="m", title="{key}", severity=Severity.MEDIUM, fields={"port": "int", "user": "str"}
)

values = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=10)
    | st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=5), max_size=3)
)


@given(fields=st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), max_size=5), values, max_size=5))
def test_an_envelope_comes_back_unchanged(fields: dict) -> None:
    event = Event(kind="a.b", key="k", severity=Severity.LOW, fields=fields)
    envelope = Envelope(id="1", agent="2", lane=Lane.BULK, seq=3, event=event)
    again = msgspec.msgpack.decode(msgspec.msgpack.encode(envelope), type=Envelope)
    assert again == envelope


@pytest.mark.parametrize("nested", [{"a": {"b": 1}}, {"a": [[1]]}, {"a": [1]}, {"a": b"x"}])
def test_fields_hold_no_nesting(nested: dict) -> None:
    raw = msgspec.msgpack.encode({"kind": "a.b", "key": "k", "severity": 1, "fields": nested})
    with pytest.raises(msgspec.ValidationError):
        msgspec.msgpack.decode(raw, type=Event)


@given(
    bodies=st.lists(st.binary(max_size=50), min_size=1, max_size=8),
    place=st.integers(0, 7),
    change=st.binary(max_size=50),
)
def test_no_record_can_be_changed_without_breaking_the_chain(bodies: list[bytes], place: int, change: bytes) -> None:
    def ends(of: list[bytes]) -> bytes:
        chain = GENESIS
        for body in of:
            chain = link(chain, body)
        return chain

    changed = list(bodies)
    changed[place % len(bodies)] = change
    assert (ends(changed) == ends(bodies)) == (changed == bodies)
    assert len(bodies) == 1 or ends(bodies[1:]) != ends(bodies)


def test_a_kind_refuses_a_field_it_does_not_declare() -> None:
    with pytest.raises(ValueError, match=r"ports\.opened does not declare pid"):
        OPENED.event("tcp/22", pid=1)


def test_a_kind_fills_in_severity_and_lane_and_leaves_out_what_is_unknown() -> None:
    event = OPENED.event("tcp/22", port=22, user=None)
    assert (event.severity, event.lane, event.fields) == (Severity.MEDIUM, Lane.NORMAL, {"port": 22})
    assert OPENED.event("x", severity=Severity.CRITICAL).lane == Lane.CRITICAL


def test_dedup_is_deterministic_and_tells_things_apart() -> None:
    one = dedup_key("ports", 3, "ports.opened", "tcp/22")
    assert one == dedup_key("ports", 3, "ports.opened", "tcp/22")
    others = [
        ("ports", 4, "ports.opened", "tcp/22"),
        ("ports", 3, "ports.closed", "tcp/22"),
        ("port", 3, "ports.opened", "tcp/22"),
    ]
    assert one not in {dedup_key(*other) for other in others}


def test_details_fill_only_what_is_empty() -> None:
    event = OPENED.event("x", observed_ms=5)
    assert with_details(event, observed_ms=9, dedup="d").observed_ms == 5
    assert with_details(event, observed_ms=9, dedup="d").dedup == "d"


def test_losses_and_records_are_told_apart_on_the_wire() -> None:
    loss = Loss(first=1, last=2, count=2, chain=GENESIS)
    sealed = Sealed(seq=3, chain=GENESIS, body=b"")
    again = msgspec.msgpack.decode(msgspec.msgpack.encode([loss, sealed]), type=list[Sealed | Loss])
    assert again == [loss, sealed]


def test_severities_are_those_of_ocsf() -> None:
    assert [severity.value for severity in Severity] == [0, 1, 2, 3, 4, 5, 6]
