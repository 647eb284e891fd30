"""Conclusions begin and cease, each once."""

from hypothesis import given
from hypothesis import strategies as st

from analysis.conclusions import turn

HELD = st.dictionaries(st.sampled_from("abcdef"), st.none())


@given(st.lists(HELD, max_size=20))
def test_every_beginning_has_at_most_one_end(history: list[dict[str, None]]) -> None:
    held: set[str] = set()
    for before, now in zip([{}, *history], history, strict=False):
        turned = turn(before, now)
        assert held.isdisjoint(turned.begun)
        assert held.issuperset(turned.ceased)
        held = (held | set(turned.begun)) - set(turned.ceased)
        assert held == now.keys()
