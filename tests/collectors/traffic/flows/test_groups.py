"""Groups are rows of equal keys in the order they came, whatever the hashes do."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from collectors.traffic.decode.table import Table
from collectors.traffic.flows.groups import group
from collectors.traffic.flows.keys import Keys


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(0, 5), min_size=1, max_size=60), st.sampled_from([1, 2, 1 << 60]))
def test_rows_of_a_key_stay_together_and_in_order(numbers: list[int], factor: int) -> None:
    low = np.array(numbers, np.uint64)
    # Hashes that differ in their lowest bits alone are lost when the places are mixed in.
    hashes = low * np.uint64(factor)
    found = group(Table(len(low)), np.arange(len(low)), Keys(low, low, low, np.zeros(len(low), np.bool_), hashes))
    seen: dict[int, list[int]] = {}
    for start, end in zip(found.starts.tolist(), found.ends().tolist(), strict=True):
        rows = found.rows[start:end].tolist()
        assert rows == sorted(rows)
        number = numbers[rows[0]]
        assert number not in seen and {numbers[row] for row in rows} == {number}
        seen[number] = rows
    assert sum(len(rows) for rows in seen.values()) == len(numbers)
