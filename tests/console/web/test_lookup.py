"""Finding an event again by its place."""

import pytest

from console.store.records import EventFilter
from console.web.lookup import event_at, place_of


def test_every_event_is_found_at_its_place_even_among_many_of_one_moment(site):
    agent = site.agent()
    for number in range(30):
        agent.event("ports.listener_opened", f"tcp {number}")
    rows = site.run(site.store.events(EventFilter(), limit=100)).events
    for row in rows[::7]:
        found = site.run(event_at(site.store, place_of(row)))
        assert found.envelope.event.key == row.envelope.event.key


@pytest.mark.parametrize("place", ["", "1", "1-", "-1", "a-b", "1-1-1", "9" * 17 + "-1", "１-１"])
def test_what_is_no_place_finds_nothing(site, place):
    assert site.run(event_at(site.store, place)) is None
