"""Values in sentences: one line, printable, bounded."""

from hypothesis import given
from hypothesis import strategies as st

from analysis.integrity.semantic.sentence import LONGEST, arrow, differing, shown


@given(st.text(max_size=500))
def test_a_shown_value_is_one_printable_line(value: str) -> None:
    assert shown(value).isprintable() and len(shown(value)) <= LONGEST


def test_what_differs_is_told_with_both_values() -> None:
    assert list(differing({"a": 1, "b": 2, "c": 3}, {"a": 1, "b": 4, "d": 5})) == [
        ("b", 2, 4),
        ("d", None, 5),
        ("c", 3, None),
    ]


def test_what_is_not_there_has_a_word() -> None:
    assert arrow("X", None, "1") == "X not set -> 1" and arrow("X", "1", None, "2 (default)") == "X 1 -> 2 (default)"
