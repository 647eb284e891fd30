"""The names of stream events."""

from collectors.traffic.streams import events


def test_every_alias_is_another_name_of_an_event_that_there_is() -> None:
    assert set(events.ALIASES.values()) <= events.NAMES
    assert not set(events.ALIASES) & events.NAMES
