"""What the console tells of the fleet is stated once, and again when it changes or a day has passed."""

from agent.fleet_news import AGAIN_MS, MOST, FleetNews


def test_each_version_is_stated_once_and_daily():
    said = []
    news = FleetNews(said.append)
    for now in (1, 2, 3):
        news.take({"clamav": 27009}, now)
    news.take({"clamav": 27010}, 4)
    news.take({"clamav": 27010}, 4 + AGAIN_MS)
    assert [(event.key, event.fields["newest"], event.observed_ms) for event in said] == [
        ("clamav/fleet", 27009, 1),
        ("clamav/fleet", 27010, 4),
        ("clamav/fleet", 27010, 4 + AGAIN_MS),
    ]
    assert said[0].fields["source"] == "fleet"


def test_what_a_console_says_too_much_of_is_left_out():
    said = []
    FleetNews(said.append).take({f"p{number:03}": 1 for number in range(500)}, 1)
    assert len(said) == MOST
    FleetNews(said.append).take({"clamav": -1, "a\x1b": 1}, 1)
    assert len(said) == MOST
