"""Untrusted bytes: the right value or `Malformed`, whatever they are."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.codec import Codec
from contracts.errors import Malformed, TooLarge
from contracts.event import Envelope, Event, Lane, Severity
from contracts.frames import FromWorker, Pong
from contracts.wire import Batch

EVENTS: Codec[Event] = Codec(Event, 4096)


def test_a_value_comes_back() -> None:
    event = Event(kind="a.b", key="k", severity=Severity.LOW, fields={"n": 1, "l": ["x"]})
    assert EVENTS.decode(EVENTS.encode(event)) == event


@pytest.mark.parametrize("kind", [Event, Envelope, Batch, FromWorker])
@given(raw=st.binary(max_size=400))
def test_no_bytes_bring_anything_but_malformed(kind: type, raw: bytes) -> None:
    try:
        Codec(kind, 1000).decode(raw)
    except Malformed:
        return


@given(
    raw=st.recursive(
        st.none()
        | st.booleans()
        | st.integers(-(2**63), 2**64 - 1)
        | st.floats()
        | st.text(max_size=5)
        | st.binary(max_size=5),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
        max_leaves=20,
    )
)
def test_no_value_of_another_shape_is_taken_for_a_report(raw: object) -> None:
    with pytest.raises(Malformed):
        Codec(Batch, 100_000).decode(msgspec.msgpack.encode(raw))


@pytest.mark.parametrize("opener", [b"\x91", b"\x81\xa1a", b"\xdd\x00\x00\x00\x01"])
def test_deep_nesting_is_refused(opener: bytes) -> None:
    for field in (b"", b"\x81\xa6fields\x81\xa1a"):
        with pytest.raises(Malformed):
            Codec(Event, 1 << 20).decode(field + opener * 100_000 + b"\xc0")


def test_oversize_is_refused_before_it_is_looked_at() -> None:
    with pytest.raises(TooLarge, match="more than the limit of 10"):
        Codec(Event, 10).decode(b"\xc1" * 11)
    with pytest.raises(TooLarge):
        Codec(Event, 10).encode(Event(kind="a.b", key="x" * 20, severity=Severity.LOW))


def test_a_field_nobody_declared_is_refused() -> None:
    with pytest.raises(Malformed, match="unknown field"):
        Codec(Pong, 100).decode(msgspec.msgpack.encode({"type": "pong", "nonce": 1, "more": 2}))


def test_text_that_is_not_utf8_is_refused_and_surrogates_are_not_sent() -> None:
    raw = EVENTS.encode(Event(kind="a.b", key="kk", severity=Severity.LOW)).replace(b"kk", b"\xff\xfe")
    with pytest.raises(Malformed):
        EVENTS.decode(raw)
    with pytest.raises(Malformed):
        EVENTS.encode(Event(kind="a.b", key="\udcff", severity=Severity.LOW))


def test_a_claim_of_a_huge_length_costs_nothing() -> None:
    with pytest.raises(Malformed):
        Codec(Batch, 100).decode(b"\xdd\xff\xff\xff\xff")
    with pytest.raises(Malformed):
        Codec(Event, 100).decode(b"\x81\xa3key\xdb\xff\xff\xff\xff")


def test_an_unknown_lane_is_refused() -> None:
    raw = msgspec.msgpack.encode({"kind": "a.b", "key": "k", "severity": 1, "lane": "express"})
    with pytest.raises(Malformed):
        EVENTS.decode(raw)
    assert Lane("bulk") is Lane.BULK
