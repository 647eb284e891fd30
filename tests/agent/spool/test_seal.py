"""Sealing: places, chain and bundles, without a file."""

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.clock import SystemClock
from agent.spool.schema import LaneBook
from agent.spool.seal import MAX_BUNDLE, MAX_BUNDLE_BYTES, Sealer, count_in, dedup_bytes, pages
from contracts.errors import HoldfastError, Malformed, TooLarge
from contracts.event import GENESIS, Envelope, Event, Lane, Severity, link

NOTHING: tuple[set[bytes], set[bytes]] = (set(), set())


def fact(number: int, pad: int = 0, lane: Lane = Lane.NORMAL) -> Event:
    return Event(kind="a.b", key="k", severity=Severity.LOW, lane=lane, fields={"n": number, "pad": "x" * pad})


@settings(max_examples=30, deadline=None)
@given(sizes=st.lists(st.integers(0, 60_000), min_size=1, max_size=40), head=st.integers(0, 1000))
def test_bundles_are_bounded_consecutive_and_chained(sizes: list[int], head: int) -> None:
    sealer = Sealer("0" * 32, SystemClock())
    batch = sealer.seal([fact(n, size) for n, size in enumerate(sizes)], {Lane.NORMAL: (head, GENESIS)}, NOTHING)
    chain, seq = GENESIS, head
    for last, count, _, end, body in batch.rows[Lane.NORMAL]:
        bodies = msgspec.msgpack.decode(body, type=list[bytes])
        assert len(bodies) == count <= MAX_BUNDLE
        assert count == 1 or sum(map(len, bodies)) <= MAX_BUNDLE_BYTES
        for one in bodies:
            seq += 1
            chain = link(chain, one)
            assert msgspec.msgpack.decode(one, type=Envelope).seq == seq
        assert (last, end) == (seq, chain)
    assert seq == head + len(sizes)


@pytest.mark.parametrize(
    ("event", "refusal"),
    [
        (fact(1, 2 << 20), TooLarge),
        (fact(1 << 70), Malformed),
        (msgspec.structs.replace(fact(1), key="\udc80"), Malformed),
    ],
    ids=["too large", "a number too great", "no text"],
)
def test_an_event_that_could_not_be_delivered_is_refused(event: Event, refusal: type[HoldfastError]) -> None:
    sealer = Sealer("0" * 32, SystemClock())
    with pytest.raises(refusal) as among_others:
        sealer.seal([event, fact(2)], {Lane.NORMAL: (0, GENESIS)}, NOTHING)
    with pytest.raises(refusal) as alone:
        sealer.seal_one(event, 0, GENESIS)
    assert str(alone.value) == str(among_others.value)


@settings(max_examples=30, deadline=None)
@given(size=st.integers(0, 300_000), head=st.integers(0, 1000), lane=st.sampled_from(list(Lane)))
def test_a_single_event_is_sealed_as_one_among_others(size: int, head: int, lane: Lane) -> None:
    sealer = Sealer("0" * 32, SystemClock())
    chain = bytes(range(32))
    envelope, (last, count, at_ms, end, body) = sealer.seal_one(fact(1, size, lane), head, chain)
    (one,) = msgspec.msgpack.decode(body, type=list[bytes])
    assert msgspec.msgpack.decode(one, type=Envelope) == envelope
    assert (envelope.seq, envelope.lane, envelope.event.observed_ms) == (last, lane, at_ms)
    assert (last, count, end) == (head + 1, 1, link(chain, one))
    other = Sealer("0" * 32, SystemClock()).seal([envelope.event], {lane: (head, chain)}, NOTHING)
    ((*numbers, _, _),) = other.rows[lane]
    assert numbers == [last, count, at_ms]


def test_sealing_again_keeps_ids_and_changes_places() -> None:
    sealer = Sealer("0" * 32, SystemClock())
    batch = sealer.seal([fact(1), fact(2)], {Lane.NORMAL: (0, GENESIS)}, NOTHING)
    bodies = [msgspec.msgpack.encode(one) for one in batch.envelopes]
    ((last, count, *_, body),) = sealer.seal_again(bodies, Lane.NORMAL, 500, GENESIS)
    again = [msgspec.msgpack.decode(one, type=Envelope) for one in msgspec.msgpack.decode(body, type=list[bytes])]
    assert (last, count) == (502, 2)
    assert [one.id for one in again] == [one.id for one in batch.envelopes]


def test_dedup_keys_are_short_and_never_confused() -> None:
    assert dedup_bytes("") is None
    assert dedup_bytes("ab" * 16) == bytes.fromhex("ab" * 16)
    assert len({dedup_bytes("zz" * 16), dedup_bytes("a"), dedup_bytes("ab" * 16)}) == 3


def test_a_book_counts_what_is_added_and_pages_are_short() -> None:
    book = LaneBook(Lane.NORMAL)
    rows = Sealer("0" * 32, SystemClock()).seal([fact(1), fact(2)], {Lane.NORMAL: (0, GENESIS)}, NOTHING).rows
    count_in(book, rows[Lane.NORMAL])
    assert (book.head, book.waiting) == (2, 2)
    assert [len(page) for page in pages(iter([b""] * (MAX_BUNDLE + 1)))] == [MAX_BUNDLE, 1]
