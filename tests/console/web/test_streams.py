"""Counting live streams."""

from console.web.streams import Streams


def test_one_person_cannot_use_up_all_streams():
    streams = Streams(most=10, most_per_user=2)
    for _ in range(2):
        assert not streams.full("ada")
        streams.opened("ada")
    assert streams.full("ada")
    assert not streams.full("bob")
    streams.closed("ada")
    assert not streams.full("ada")


def test_all_together_are_bounded():
    streams = Streams(most=3, most_per_user=9)
    for name in ("a", "b", "c"):
        streams.opened(name)
    assert streams.full("d")
    assert len(streams) == 3
