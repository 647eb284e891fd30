"""Events in words, without knowing their kinds."""

import pytest

from console.web.events_view import title, value_words


@pytest.mark.parametrize(
    ("kind", "key", "said"),
    [
        ("ports.listener_opened", "tcp 0.0.0.0:8080", "Listener opened: tcp 0.0.0.0:8080"),
        ("agent.started", "", "Started"),
        ("strange", "", "Strange"),
        ("", "", "Event"),
        ("a._", "", "Event"),
        ("a.{0.__class__}", "{y}", "{0.  class  }: {y}"),
    ],
)
def test_titles_are_made_of_the_kinds_own_words(kind, key, said):
    assert title(kind, key) == said


def test_values_read_as_people_say_them():
    assert [value_words(v) for v in (None, True, False, [], ["a", "b"], 3, "x")] == [
        "none",
        "yes",
        "no",
        "none",
        "a, b",
        "3",
        "x",
    ]
