"""A value written as YAML reads back as the same value, and a type is described as a person would say it."""

from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import inspect as mi

from settings import phrase
from settings.load import parse

TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=12) | st.sampled_from(
    ["no", "~", "22:22", "0755", "true", "", " a", "a: b", "#x"]
)
NUMBER = st.floats(allow_nan=False, allow_infinity=False, min_value=-1e9, max_value=1e9).map(
    lambda value: round(value, 6)
)
VALUE = st.none() | st.booleans() | st.integers(-(2**60), 2**60) | NUMBER | TEXT | st.lists(TEXT, max_size=3)


def made(kind: Any) -> st.SearchStrategy[Any]:
    ports = kind.__annotations__["collectors"].__annotations__["ports"]
    return st.builds(
        ports,
        every=st.integers(1000, 86_400_000).map(lambda ms: ms / 1000),
        expected=st.lists(TEXT, max_size=3).map(tuple),
        at=st.just("22:22"),
        room=st.integers(1, 2**50),
        text=TEXT,
        token=st.none() | st.just("file:/etc/x"),
        free=st.dictionaries(TEXT, VALUE, max_size=3),
        limits=st.dictionaries(TEXT, st.integers(-100, 100), max_size=2),
        tags=st.frozensets(TEXT, max_size=3),
        severity=st.sampled_from(list(ports.__annotations__["severity"].__origin__)),
    )


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_what_is_written_reads_back(kind: Any, data: st.DataObject) -> None:
    value = data.draw(made(kind))
    text = f"collectors: {{ports: {_all(value)}}}"
    assert parse(text.encode(), kind).collectors.ports == value


def _all(value: msgspec.Struct) -> str:
    """Every field, also those that have their default."""
    struct = mi.type_info(type(value))
    assert isinstance(struct, mi.StructType)
    return (
        "{"
        + ", ".join(f"{f.encode_name}: {phrase.written(getattr(value, f.name), f.type)}" for f in struct.fields)
        + "}"
    )


def test_types_are_said_in_words(kind: Any) -> None:
    ports = mi.type_info(kind.__annotations__["collectors"].__annotations__["ports"])
    assert isinstance(ports, mi.StructType)
    words = {field.name: phrase.kind_of(field.type) for field in ports.fields}
    assert words["every"] == "duration, at least 1s, at most 1d"
    assert words["limit"] == "whole number, at least 0, at most 100"
    assert words["at"] == "time of day (HH:MM)"
    assert words["expected"] == "list of text"
    assert words["limits"] == "map of name to whole number, at most 2 long"
    assert words["token"] == "secret reference or nothing"
    assert words["free"] == "map of name to value"
    assert words["mode"] == "one of fast, full"


def test_a_struct_is_written_with_what_differs_from_its_defaults(kind: Any) -> None:
    assert phrase.written(kind(name="x")) == "{name: x}"
