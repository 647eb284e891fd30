"""Subsets: the parts are together everything and none twice; shares and sizes are near what was asked."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actions.backup.subset import Subset, parse_subset
from contracts.errors import UsageError

DICE = random.Random(5)
PACKS = {f"{DICE.getrandbits(256):064x}": DICE.randrange(1, 100) for _ in range(1000)}


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 256))
def test_all_parts_together_are_everything_and_none_comes_twice(parts: int) -> None:
    chosen = [parse_subset(f"{part + 1}/{parts}").choose(PACKS, random.Random()) for part in range(parts)]
    assert sum(map(len, chosen)) == len(PACKS)
    assert frozenset().union(*chosen) == set(PACKS)


@pytest.mark.parametrize(("text", "count"), [("10%", 100), ("2.5%", 25), ("100%", 1000), ("0.01%", 1)])
def test_a_share(text: str, count: int) -> None:
    one, other = (parse_subset(text).choose(PACKS, random.Random(seed)) for seed in (1, 2))
    assert len(one) == count
    assert (one != other) or count == 1000


@given(st.integers(1, 100_000))
def test_a_size_is_reached_and_not_passed_by_more_than_a_pack(size: int) -> None:
    chosen = Subset(bytes=size).choose(PACKS, random.Random(size))
    total = sum(PACKS[name] for name in chosen)
    assert min(size, sum(PACKS.values())) <= total < size + 100


def test_nothing_is_chosen_from_nothing() -> None:
    for text in ("1/2", "50%", "1k"):
        assert parse_subset(text).choose({}, random.Random()) == frozenset()


@pytest.mark.parametrize("text", ["0/5", "6/5", "1/257", "1/0", "0%", "101%", "0", "", "all", "-5%", "1/2/3"])
def test_what_is_no_subset_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse_subset(text)
