"""How the console says things."""

import pytest

from console.store.records import State
from console.web import words
from contracts.errors import Why
from contracts.event import Severity


def test_every_state_severity_and_reason_has_words():
    assert {state.value for state in State} == set(words.STATES) == set(words.STATE_ORDER)
    assert {int(severity) for severity in Severity} == set(words.SEVERITIES)
    assert {why.value for why in Why} == set(words.WHY)


def test_no_two_states_share_a_shape():
    icons = [sign.icon for sign in words.STATES.values()]
    assert len(set(icons)) == len(icons)


def test_only_up_and_seen_are_green_and_the_unknown_never_is():
    assert [name for name, sign in words.STATES.items() if sign.tone == "good"] == ["up"]
    assert [name for name, sign in words.SIGHTS.items() if sign.tone == "good"] == ["seen"]
    assert words.state_sign("brand-new-state").tone == ""
    assert words.sight_sign("brand-new").word == "Not looked yet"
    assert words.severity_sign(99).word == "Unknown"


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0, "0 s"), (89.9, "89 s"), (90, "1 min"), (5399, "89 min"), (5400, "1 h"), (172799, "47 h"), (172800, "2 days")],
)
def test_spans(seconds, said):
    assert words.duration(seconds) == said


def test_times_that_no_calendar_holds_do_not_break_a_page():
    assert words.moment(0) == "never"
    assert words.moment(2**62) == "never"
    assert words.moment(-(2**62)) == "never"
    assert words.iso(1_795_280_000_123) == "2026-11-21T16:53:20.123Z"
    assert words.moment(1_795_280_000_123) == "2026-11-21 16:53:20 UTC"


def test_ages_and_sizes():
    assert words.age(0, 5) == "never"
    assert words.age(2000, 1000) == "just now"
    assert words.age(1000, 31_000) == "30 s ago"
    assert [words.size(n) for n in (0, 1023, 1536, 20 << 20, 5 << 40)] == [
        "0 B",
        "1023 B",
        "1.5 KiB",
        "20 MiB",
        "5.0 TiB",
    ]
    assert (words.plural(1, "rule"), words.plural(2000, "rule")) == ("1 rule", "2,000 rules")
