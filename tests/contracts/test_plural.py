"""Numbers with what they count."""

from contracts.plural import plural


def test_one_is_singular_and_everything_else_is_not() -> None:
    assert [plural(count, "rule") for count in (0, 1, 2)] == ["0 rules", "1 rule", "2 rules"]
    assert plural(1, "of them is", "of them are") == "1 of them is" and plural(3, "entry", "entries") == "3 entries"
