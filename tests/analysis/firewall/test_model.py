"""The model's values are immutable, comparable, and as small as hundreds of thousands of them ask for."""

import pytest

from analysis.firewall.model import Datapath, Element, Field, Match, Span


def test_equal_statements_are_one_key() -> None:
    assert {Match(Field("tcp dport"), "==", Span(1, 2)): 1}[Match(Field("tcp dport"), "==", Span(1, 2))] == 1


def test_nothing_can_be_changed() -> None:
    with pytest.raises(AttributeError):
        Span(1, 2).low = 5  # type: ignore[misc]


def test_every_datapath_has_its_own_cache() -> None:
    first, second = Datapath(), Datapath()
    first.cache["x"] = 1
    assert second.cache == {}
    assert Element(Span(1, 1)).data is None
