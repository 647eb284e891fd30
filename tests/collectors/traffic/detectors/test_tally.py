"""Counts by key: windows, bounded memory, who is let go; against a plain dictionary."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from collectors.traffic.detectors.mixer import Mixer
from collectors.traffic.detectors.tally import Tally, together

SECOND = 1_000_000_000
MIXER = Mixer(bytes(range(16)))


def add(tally: Tally, keys: list[int], at_s: float) -> None:
    """Count one for each of `keys`."""
    words = MIXER(np.array(keys, np.uint64))
    first, number = together(words)
    slots, _ = tally.enter(words[first], int(at_s * SECOND), int(at_s * SECOND))
    np.add.at(tally.values["n"], slots[number][slots[number] >= 0], 1)


def count(tally: Tally, key: int) -> int:
    """Return a key's count, 0 when it has none."""
    slot = int(tally.find(MIXER(np.array([key], np.uint64)))[0])
    return int(tally["n"][slot]) if slot >= 0 else 0


@settings(max_examples=40, deadline=None)
@given(st.lists(st.lists(st.integers(1, 1 << 62), max_size=300), max_size=12))
def test_counts_are_those_of_a_dictionary(batches: list[list[int]]) -> None:
    tally, plain = Tally(1e6), dict[int, int]()
    for number, keys in enumerate(batches):
        if keys:
            add(tally, keys, number)
        for key in keys:
            plain[key] = plain.get(key, 0) + 1
    assert tally.evicted == tally.left_out == 0
    assert {key: count(tally, key) for key in plain} == plain


def test_a_window_that_is_over_begins_anew() -> None:
    tally = Tally(10.0)
    add(tally, [5, 5, 5], 1)
    add(tally, [5], 10.9)
    assert count(tally, 5) == 4
    add(tally, [5], 11.1)
    assert count(tally, 5) == 1


def test_memory_is_bounded_and_who_was_seen_often_stays() -> None:
    tally = Tally(1000.0, limit=2048)
    chance = np.random.default_rng(1)
    for turn in range(200):
        add(tally, [77 << 40] * 20, turn)
        add(tally, chance.integers(1, 1 << 62, 400).tolist(), turn)
    assert len(tally._keys) <= 2048
    assert tally.evicted > 50_000
    assert count(tally, 77 << 40) == 4000


def test_more_new_keys_than_there_is_room_for_are_left_out_and_counted() -> None:
    tally = Tally(1000.0, limit=512)
    add(tally, list(range(8192)), 0)
    assert len(tally) == 512
    assert len(tally) + tally.left_out == 8192


def test_growing_keeps_counts_and_windows() -> None:
    tally = Tally(10.0)
    add(tally, [9, 9], 0)
    add(tally, list(range(1000, 6000)), 5)
    assert count(tally, 9) == 2
    add(tally, [9], 10.5)
    assert count(tally, 9) == 1, "its window began at 0"


def test_what_is_over_makes_room_before_the_table_grows() -> None:
    tally = Tally(1.0)
    for turn in range(100):
        add(tally, list(range(turn * 100 + 1, turn * 100 + 101)), turn * 5)
    assert len(tally._keys) <= 1024


def test_together_numbers_equal_words() -> None:
    first, number = together(np.array([7, 3, 7, 9, 3], np.uint64))
    assert first.tolist() == [1, 0, 3]
    assert number.tolist() == [1, 0, 1, 2, 0]
