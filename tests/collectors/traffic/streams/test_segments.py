"""Segments that wait, against a plain array of bytes."""

from hypothesis import given
from hypothesis import strategies as st

from collectors.traffic.streams.policy import Policy
from collectors.traffic.streams.segments import Segments

PIECES = st.lists(st.tuples(st.integers(0, 60), st.binary(min_size=1, max_size=20)), max_size=20)


@given(PIECES, st.sampled_from([Policy.FIRST, Policy.LAST]))
def test_what_is_taken_is_what_a_painted_array_holds(pieces: list[tuple[int, bytes]], policy: Policy) -> None:
    segments = Segments()
    painted: dict[int, int] = {}
    for offset, data in pieces:
        different = segments.insert(offset, data, policy)
        there = {place: value for place, value in enumerate(data, offset) if place in painted}
        assert different == any(painted[place] != value for place, value in there.items())
        for place, value in enumerate(data, offset):
            if policy is Policy.LAST:
                painted[place] = value
            else:
                painted.setdefault(place, value)
    at, expected = 0, bytearray()
    while at in painted:
        expected.append(painted[at])
        at += 1
    assert segments.contiguous(0) == at
    half = at // 2
    assert segments.take(0, half) + segments.take(half, 1000) == bytes(expected)
    assert segments.first() == min((place for place in painted if place > at), default=None)


@given(PIECES)
def test_what_is_held_is_counted(pieces: list[tuple[int, bytes]]) -> None:
    segments = Segments()
    for offset, data in pieces:
        segments.insert(offset, data, Policy.WINDOWS)
    assert segments.held == sum(len(data) for _, data in pieces)
    assert len(segments) == len(pieces)
    segments.clear()
    assert (segments.held, len(segments), segments.first()) == (0, 0, None)
