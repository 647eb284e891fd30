"""The store against a dictionary: chains stay whole through every insertion, removal and growth."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from collectors.traffic.flows.keys import Keys
from collectors.traffic.flows.store import Store


def keys(numbers: list[int], spread: int) -> Keys:
    """Return keys whose hashes meet when `spread` is small."""
    low = np.array(numbers, np.uint64)
    return Keys(low, low + np.uint64(1), np.zeros_like(low), np.zeros(len(low), np.bool_), low % np.uint64(spread))


def find(store: Store, wanted: Keys) -> list[int]:
    count = len(wanted.low)
    nothing = np.zeros(count, np.uint64)
    return store.find(wanted, np.zeros(count, np.bool_), (nothing, nothing, nothing, nothing)).tolist()


STEP = st.tuples(st.booleans(), st.sets(st.integers(0, 60), min_size=1, max_size=30))


@settings(max_examples=100, deadline=None)
@given(st.lists(STEP, max_size=12), st.sampled_from([1, 3, 1 << 40]))
def test_the_store_is_a_dictionary(steps: list[tuple[bool, set[int]]], spread: int) -> None:
    store, known = Store(4), {}
    for inserting, numbers in steps:
        chosen = sorted(numbers - set(known)) if inserting else sorted(numbers & set(known))
        if inserting:
            wanted = keys(chosen, spread)
            slots = store.insert(wanted.hash)
            store.columns.low[slots], store.columns.high[slots] = wanted.low, wanted.high
            known |= dict(zip(chosen, slots.tolist(), strict=True))
        else:
            store.remove(np.array([known.pop(number) for number in chosen], np.int64))
            store.settle()
        assert find(store, keys(list(range(61)), spread)) == [known.get(number, -1) for number in range(61)]
        assert store.live == len(known)


def test_a_removed_slot_is_not_given_out_before_it_is_settled() -> None:
    store = Store(2)
    slots = store.insert(np.array([1, 2], np.uint64))
    store.remove(slots)
    assert not set(store.insert(np.array([3, 4], np.uint64)).tolist()) & set(slots.tolist())
    store.settle()
    assert set(store.insert(np.array([5, 6], np.uint64)).tolist()) == set(slots.tolist())
