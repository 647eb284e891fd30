"""The spool's format and kinds, as other parts rely on them."""

from agent.spool.schema import EVENTS_LOST, INSERT, KINDS, LANES, SPOOL_SET_ASIDE, LaneBook
from contracts.event import GENESIS, Lane


def test_lanes_are_in_order_of_urgency() -> None:
    assert LANES == (Lane.CRITICAL, Lane.NORMAL, Lane.BULK)
    assert set(INSERT) == set(LANES)


def test_the_kinds_have_the_names_that_the_console_knows() -> None:
    assert [kind.name for kind in KINDS] == ["agent.events_lost", "agent.spool_set_aside"]


def test_titles_can_be_written_from_the_fields() -> None:
    for kind in (EVENTS_LOST, SPOOL_SET_ASIDE):
        assert kind.title.format_map({name: "1" for name in kind.fields})


def test_a_new_lane_begins_at_the_beginning() -> None:
    book = LaneBook(Lane.BULK)
    assert (book.head, book.chain, book.acked) == (0, GENESIS, 0)
