"""The kinds: complete, of one shape, with techniques that have names."""

from collectors.traffic.detectors import kinds
from contracts import ocsf
from contracts.event import Kind


def test_all_kinds_of_the_module_are_listed_once() -> None:
    own = [value for value in vars(kinds).values() if isinstance(value, Kind)]
    assert sorted(kind.name for kind in own) == sorted(kind.name for kind in kinds.KINDS)
    assert len({kind.name for kind in kinds.KINDS}) == len(kinds.KINDS)


def test_every_kind_has_techniques_with_names_and_the_same_fields() -> None:
    for kind in kinds.KINDS:
        assert kind.attack and kind.advice and kind.fields is kinds.FIELDS
        assert set(kind.attack) <= set(ocsf._TECHNIQUES), kind.name


def test_the_blamed_are_kinds() -> None:
    assert {kind.name for kind in kinds.KINDS} > kinds.BLAMED
