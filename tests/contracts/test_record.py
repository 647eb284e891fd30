"""Records: immutable, keyword-only, strict."""

import msgspec
import pytest

from contracts.record import Record


class Point(Record):
    x: int
    y: int = 0


class Point3(Point):
    z: int = 0


def test_fields_are_given_by_name_only() -> None:
    with pytest.raises(TypeError):
        Point(1)  # type: ignore[misc]
    assert Point3(x=1, z=2) == Point3(x=1, y=0, z=2)


def test_nothing_changes_a_record() -> None:
    with pytest.raises(AttributeError):
        Point(x=1).x = 2  # type: ignore[misc]


@pytest.mark.parametrize("kind", [Point, Point3])
def test_unknown_fields_are_refused_also_by_what_inherits(kind: type) -> None:
    with pytest.raises(msgspec.ValidationError, match="unknown field"):
        msgspec.json.decode(b'{"x": 1, "w": 2}', type=kind)


def test_a_wrong_type_is_refused_not_converted() -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(b'{"x": "1"}', type=Point)
