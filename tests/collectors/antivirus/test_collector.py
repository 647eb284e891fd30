"""One row for every product, and an event for signatures that nobody signed."""

from contracts.clamav_options import ClamavOptions


def test_a_second_look_at_the_same_says_nothing_new(look):
    look()
    assert [event.fields["file"] for event in look.events] == ["daily.cud"]
    before = dict(look.rows)
    look()
    assert look.rows == before and look.events == ()


def test_without_any_product_there_is_no_row(looking):
    look = looking(clamav=ClamavOptions(enabled=False))
    assert look() is None and look.rows == {}
