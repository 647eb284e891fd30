"""Sets of integers as ranges."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from collectors.traffic.rules.language.ranges import contains, minus, union

PAIRS = st.lists(
    st.tuples(st.integers(0, 40), st.integers(0, 5)).map(lambda pair: (pair[0], pair[0] + pair[1])), max_size=6
)


@given(PAIRS, PAIRS)
def test_union_and_difference_are_those_of_sets(first: list[tuple[int, int]], second: list[tuple[int, int]]) -> None:
    ones = {value for low, high in first for value in range(low, high + 1)}
    others = {value for low, high in second for value in range(low, high + 1)}
    left = minus(union(first), union(second))
    for value in range(50):
        assert contains(union(first), value) == (value in ones)
        assert contains(left, value) == (value in ones - others)
    assert all(a[1] < b[0] for a, b in itertools.pairwise(left))
