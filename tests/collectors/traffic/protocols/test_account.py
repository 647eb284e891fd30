"""Who gives something up when too much is held: whoever holds most, of that what is oldest, and what is new last."""

import random

import pytest

from collectors.traffic.protocols.account import YOUNG_NS, Account, Holding, most_held, victims

NOW = 1_000 * YOUNG_NS


def _pair(number: int) -> tuple[int, tuple[int, int], tuple[int, int]]:
    return 4, (0, number), (0, 1)


def _holding(slot: int, pair: int, size: int, age_ns: int = 10 * YOUNG_NS) -> Holding:
    return Holding(slot, _pair(pair), NOW - age_ns, size)


def _random(chance: random.Random) -> list[Holding]:
    pairs = chance.randrange(1, 12)
    return [
        _holding(slot, chance.randrange(pairs), chance.randrange(1, 5_000), chance.randrange(4 * YOUNG_NS))
        for slot in range(chance.randrange(80))
    ]


def _by_pair(holdings: list[Holding]) -> dict[object, int]:
    return dict(most_held(holdings, len(holdings)))


def _is_old(one: Holding) -> bool:
    return NOW - one.since_ns >= YOUNG_NS


@pytest.mark.parametrize("seed", range(300))
def test_enough_is_freed_nobody_twice_and_no_more_than_the_whole_of_one_beyond_that(seed: int) -> None:
    chance = random.Random(seed)
    held = _random(chance)
    total = sum(one.size for one in held)
    over = chance.randrange(1, 2 * total + 2)
    found = victims(held, over, NOW)
    freed = sum(one.size for one in found)
    assert len({one.slot for one in found}) == len(found) and set(found) <= set(held)
    assert freed >= min(over, total)
    for part in ([one for one in found if _is_old(one)], [one for one in found if not _is_old(one)]):
        pairs = {one.key for one in part}
        # Each pair is brought below the level by at most one conversation.
        assert sum(one.size for one in part) <= over + sum(
            max(one.size for one in part if one.key == key) for key in pairs
        )


@pytest.mark.parametrize("seed", range(300))
def test_who_gives_something_up_held_more_than_whoever_does_not(seed: int) -> None:
    chance = random.Random(seed)
    held = [one for one in _random(chance) if _is_old(one)]
    over = chance.randrange(1, sum(one.size for one in held) + 2)
    found = victims(held, over, NOW)
    sums, gave = _by_pair(held), {one.key for one in found}
    kept = [size for key, size in sums.items() if key not in gave]
    assert not gave or not kept or min(sums[key] for key in gave) >= max(kept)


@pytest.mark.parametrize("seed", range(200))
def test_of_one_pair_the_oldest_go_first_and_what_is_new_stays_while_there_is_anything_old(seed: int) -> None:
    chance = random.Random(seed)
    held = _random(chance)
    found = victims(held, chance.randrange(1, sum(one.size for one in held) + 2), NOW)
    gone = {one.slot for one in found}
    for one in found:
        if _is_old(one):
            older = [other for other in held if other.key == one.key and other.since_ns < one.since_ns]
            assert all(other.slot in gone for other in older)
        else:
            assert all(other.slot in gone for other in held if _is_old(other))


def test_one_that_holds_little_keeps_it_however_many_fill_the_account_from_elsewhere() -> None:
    mine = _holding(0, 0, 100_000)
    for pairs in (1, 10, 100):
        theirs = [_holding(1 + number, 1 + number % pairs, 20_000) for number in range(5_000)]
        found = victims([mine, *theirs], 20_000 * 4_000, NOW)
        assert mine not in found and sum(one.size for one in found) >= 20_000 * 4_000


def test_what_began_just_now_is_spared_even_when_the_others_come_from_everywhere() -> None:
    mine = _holding(0, 0, 100_000, age_ns=YOUNG_NS // 2)
    theirs = [_holding(1 + number, 1 + number, 20_000) for number in range(5_000)]
    assert mine not in victims([mine, *theirs], 20_000 * 4_999, NOW)
    assert mine in victims([mine, *theirs], 20_000 * 5_000 + 1, NOW)


def test_it_is_looked_again_before_the_budget_can_be_passed() -> None:
    account = Account(64 << 20)
    assert account.easy and account.room == 16 << 20
    for total, room in ((0, 16 << 20), (40 << 20, 16 << 20), (56 << 20, 8 << 20), (64 << 20, 4 << 20)):
        account.total, account.meter.grown = total, 5
        account.looked()
        assert (account.room, account.meter.grown, account.easy) == (room, 0, total == 0)
    account.resize(1 << 20)
    assert account.room == 0 and account.target < 1 << 20


def test_the_pairs_that_hold_most_are_named() -> None:
    held = [_holding(1, 1, 10), _holding(2, 2, 30), _holding(3, 1, 25), _holding(4, 3, 1)]
    assert most_held(held, 2) == [(_pair(1), 35), (_pair(2), 30)]
