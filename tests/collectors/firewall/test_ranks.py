"""Ranks are ascending, and stay with their rules as far as the order allows."""

from hypothesis import given
from hypothesis import strategies as st

from collectors.firewall.ranks import GAP, assign

KEYS = st.lists(st.sampled_from("abcdefghijklmnopqrstuvwxyz"), unique=True)


@given(st.lists(KEYS, max_size=12))
def test_ranks_ascend_through_any_history(history: list[list[str]]) -> None:
    old: dict[str, int] = {}
    for keys in history:
        ranks = assign(keys, old)
        assert ranks == sorted(set(ranks))
        assert all(0 < rank < 1 << 63 for rank in ranks)
        old = dict(zip(keys, ranks, strict=True))


@given(KEYS, st.data())
def test_an_insertion_moves_no_rank(keys: list[str], data: st.DataObject) -> None:
    old = dict(zip(keys, assign(keys, {}), strict=True))
    place = data.draw(st.integers(0, len(keys)))
    longer = [*keys[:place], "new", *keys[place:]]
    ranks = dict(zip(longer, assign(longer, old), strict=True))
    assert {key: ranks[key] for key in keys} == old


def test_moving_one_rule_changes_one_rank() -> None:
    keys = list("abcdef")
    old = dict(zip(keys, assign(keys, {}), strict=True))
    new = dict(zip("bcdefa", assign(list("bcdefa"), old), strict=True))
    assert [key for key in keys if new[key] != old[key]] == ["a"]


def test_without_room_a_chain_is_numbered_anew() -> None:
    assert assign(["a", "x", "b"], {"a": 1, "b": 2}) == [GAP, 2 * GAP, 3 * GAP]
