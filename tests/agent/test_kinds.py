"""The core's own kinds: each listed, each with advice where a person has something to do."""

from agent import kinds
from contracts.event import Kind, Severity


def test_every_kind_of_this_file_is_listed_once() -> None:
    declared = [value for value in vars(kinds).values() if isinstance(value, Kind)]
    assert sorted(kind.name for kind in declared) == sorted(kind.name for kind in kinds.CORE)
    assert all(kind.name.startswith("agent.") for kind in kinds.CORE)


def test_whatever_is_medium_or_worse_says_what_to_do() -> None:
    assert [kind.name for kind in kinds.CORE if kind.severity >= Severity.MEDIUM and not kind.advice] == []
