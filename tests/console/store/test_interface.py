"""The implementation has every method of the interface, with the same parameters."""

import inspect

from console.store.interface import Store
from console.store.sql import SqlStore


def test_signatures_are_the_interfaces() -> None:
    promised = {name: one for name, one in inspect.getmembers(Store, inspect.isfunction) if not name.startswith("_")}
    assert len(promised) >= 40
    for name, one in promised.items():
        made = getattr(SqlStore, name)
        assert list(inspect.signature(made).parameters) == list(inspect.signature(one).parameters), name
        assert inspect.iscoroutinefunction(made), name
