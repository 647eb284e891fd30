"""Handing on: bounds, and holes."""

from collectors.traffic.streams import news
from collectors.traffic.streams import state as states
from collectors.traffic.streams.delivery import Delivery
from collectors.traffic.streams.options import StreamOptions
from collectors.traffic.streams.policy import Policy
from collectors.traffic.streams.segment import ACK, Segment
from collectors.traffic.streams.segments import MAX_SEGMENTS
from collectors.traffic.streams.session import Session


def opened(limit: int = 1 << 20) -> tuple[Session, Delivery]:
    """Return an open session whose client begins at 1, with a window without end."""
    out = Delivery(limit)
    session = Session(3, StreamOptions(), Policy.WINDOWS, out)
    session.client.begin(0)
    session.client.next_seq = session.client.last_ack = 1
    session.enter(states.ESTABLISHED)
    return session, out


def put(session: Session, seq: int, data: bytes) -> bool:
    """Put a segment of the client in."""
    return session.out.segment(session, Segment(False, ACK, seq, 0, 0, data, 0, 0))


def test_too_many_segments_are_not_kept_and_counted() -> None:
    session, out = opened()
    taken = [put(session, 10 + 2 * number, b"x") for number in range(MAX_SEGMENTS + 5)]
    assert taken.count(False) == out.not_kept == 5
    assert {event.name for event in out.events} == {"reassembly_insert_limit"}


def test_memory_is_bounded_and_given_back() -> None:
    session, out = opened(10)
    assert put(session, 1, b"12345678")
    assert not put(session, 9, b"abc")
    assert [event.name for event in out.events] == ["reassembly_insert_memcap"]
    out.finish(session, session.client, news.TIMEOUT, -1, 0)
    assert out.held == 0
    assert [(run.data, run.end) for run in out.runs] == [(b"12345678", news.OPEN), (b"", news.TIMEOUT)]


def test_what_waits_behind_a_hole_comes_at_the_end_with_the_gap_named() -> None:
    session, out = opened()
    put(session, 1, b"ab")
    put(session, 5, b"ef")
    out.finish(session, session.client, news.TIMEOUT, -1, 0)
    assert [(run.offset, run.data, run.gap) for run in out.runs] == [(0, b"ab", 0), (4, b"ef", 2), (6, b"", 0)]
