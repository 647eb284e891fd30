"""Overlap policies on the classic picture of six fragments (Paxson and Shankar; Novak), and bounds."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.traffic.decode.overlaps import UNIT, Piece, Policy, assemble

PIECES: list[Piece] = [
    (start * UNIT, letter.encode() * UNIT * length)
    for letter, start, length in (("1", 0, 3), ("2", 4, 2), ("3", 6, 3), ("4", 1, 4), ("5", 6, 3), ("6", 9, 3))
]


@pytest.mark.parametrize(
    ("policy", "wanted"),
    [
        (Policy.FIRST, "111422333666"),
        (Policy.WINDOWS, "111422333666"),
        (Policy.SOLARIS, "111422333666"),
        (Policy.BSD, "111442333666"),
        (Policy.LINUX, "111442555666"),
        (Policy.BSD_RIGHT, "144422555666"),
        (Policy.LAST, "144442555666"),
    ],
)
def test_each_system_sees_what_the_literature_says(policy: Policy, wanted: str) -> None:
    found = assemble(PIECES, 12 * UNIT, policy).decode()
    assert found[::UNIT] == wanted
    assert found == "".join(letter * UNIT for letter in wanted)


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(1, 6)), max_size=8), st.sampled_from(Policy))
def test_every_byte_is_that_of_some_piece(extents: list[tuple[int, int]], policy: Policy) -> None:
    pieces: list[Piece] = [(0, bytes([255]) * 12 * UNIT)]
    pieces += [(start * UNIT, bytes([number]) * length * UNIT) for number, (start, length) in enumerate(extents)]
    whole = assemble(pieces, 12 * UNIT, policy)
    assert len(whole) == 12 * UNIT
    for at, value in enumerate(whole):
        assert any(start <= at < start + len(data) and data[0] == value for start, data in pieces)
