"""Different elements by key, and those that led to nothing; against sets."""

import random

import numpy as np

from collectors.traffic.detectors.distinct import Distinct
from collectors.traffic.detectors.mixer import Mixer


def test_pairs_count_once_and_those_that_lead_somewhere_are_taken_back() -> None:
    chance, table = random.Random(5), Distinct(1000.0, Mixer(bytes(range(16))))
    seen: dict[int, dict[int, bool]] = {}
    for turn in range(50):
        items = [(chance.randrange(1, 6), chance.randrange(1, 40), chance.random() < 0.8) for _ in range(60)]
        keys, elements, left = (np.array(part) for part in zip(*items, strict=True))
        known = set(seen) | {key for key, _, nothing in items if nothing}
        table.count(keys.astype(np.uint64), elements.astype(np.uint64), turn, left)
        for key, element, nothing in items:
            if key in known:
                seen.setdefault(key, {})
                seen[key][element] = seen[key].get(element, True) and nothing
    for key, elements_of in seen.items():
        (slot,) = table.keys.find(np.array([key], np.uint64)).tolist()
        assert int(table.keys["n"][slot]) == len(elements_of)
        assert int(table.keys["left"][slot]) == sum(elements_of.values())


def test_keys_that_only_lead_somewhere_need_no_entry() -> None:
    table = Distinct(1000.0, Mixer())
    slots, _, fresh = table.count(np.array([1, 2], np.uint64), np.array([3, 4], np.uint64), 0, np.zeros(2, np.bool_))
    assert slots.tolist() == [-1, -1] and not fresh.any()
    assert len(table.keys) == 0


def test_a_new_window_counts_elements_again() -> None:
    table = Distinct(10.0, Mixer())
    for at in (0, 20_000_000_000):
        table.count(np.array([1], np.uint64), np.array([3], np.uint64), at, np.ones(1, np.bool_))
    (slot,) = table.keys.find(np.array([1], np.uint64)).tolist()
    assert int(table.keys["n"][slot]) == 1
