"""A catalog names what it lists; nothing is imported before it is asked for."""

import sys

import pytest

from contracts.catalog import Entry, load


def test_an_entry_loads_the_class_it_names() -> None:
    assert load(Entry(name="entry", target="contracts.catalog:Entry", worker="core")) is Entry


def test_listing_imports_nothing() -> None:
    sys.modules.pop("colorsys", None)
    entry = Entry(name="x", target="colorsys:rgb_to_hsv", worker="core")
    assert "colorsys" not in sys.modules
    assert callable(load(entry))


@pytest.mark.parametrize("target", ["no_such_module:X", "contracts.catalog:Missing"])
def test_an_entry_that_names_nothing_fails_when_it_is_asked_for(target: str) -> None:
    with pytest.raises((ImportError, AttributeError)):
        load(Entry(name="x", target=target, worker="core"))
