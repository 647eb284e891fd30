"""A title is one printable line, whatever the fields hold or lack."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.event import Kind, Severity
from contracts.title import MAX_LENGTH, title

KIND = Kind(
    name="a.b",
    meaning="x.",
    title="{name} took {seconds:.1f} s on {where}",
    severity=Severity.LOW,
    fields={"name": "str", "seconds": "float", "where": "list"},
)


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"name": "x", "seconds": 1.25, "where": ["a", "b"]}, "x took 1.2 s on a, b"),
        ({"name": "x"}, "x took ? s on ?"),
        ({"name": "{key}", "seconds": 3}, "{key} took 3.0 s on ?"),
        ({"name": "a\nb\x1b[31m"}, "a\N{REPLACEMENT CHARACTER}b\N{REPLACEMENT CHARACTER}[31m took ? s on ?"),
    ],
)
def test_fields_fill_the_template(fields: dict[str, Any], text: str) -> None:
    assert title(KIND, KIND.event("k", **fields)) == text


@given(st.text(), st.floats() | st.none(), st.lists(st.text(), max_size=3))
def test_it_is_always_one_short_line(name: str, seconds: float | None, where: list[str]) -> None:
    text = title(KIND, KIND.event("k", name=name, seconds=seconds, where=where))
    assert len(text) <= MAX_LENGTH
    assert text.isprintable()


def test_no_attribute_of_a_value_can_be_reached() -> None:
    kind = Kind(
        name="a.b", meaning="x.", title="{name.__class__} {name[0]}", severity=Severity.LOW, fields={"name": "str"}
    )
    assert title(kind, kind.event("k", name="x")) == "? ?"
