"""How often rules speak: what their counters allow, over time, by whom they are tracked."""

import pytest

from collectors.traffic.rules.engine import thresholds
from collectors.traffic.rules.engine.thresholds import SECOND_NS, SPEAK, Thresholds
from collectors.traffic.rules.language.rule import Threshold
from tests.collectors.traffic.rules.engine import scene


def _spoken(threshold: Threshold, *seconds: float, owner: object = 1) -> list[float]:
    counters = Thresholds()
    return [at for at in seconds if counters.allow(7, threshold, owner, round(at * SECOND_NS)) == SPEAK]


def test_limit_lets_the_first_ones_speak_and_begins_anew() -> None:
    limit = Threshold("limit", "by_src", 2, 10)
    assert _spoken(limit, 0, 1, 2, 9, 10.5, 11, 12) == [0, 1, 10.5, 11]


def test_threshold_speaks_at_every_nth() -> None:
    every = Threshold("threshold", "by_src", 3, 10)
    assert _spoken(every, 0, 1, 2, 3, 4, 5, 6) == [2, 5]
    assert _spoken(every, 0, 1, 11, 12, 13) == [13], "what came before the window does not count"
    assert _spoken(Threshold("threshold", "by_src", 1, 10), 0, 1) == [0, 1]


def test_both_speaks_once_in_a_window_and_not_before_its_count() -> None:
    both = Threshold("both", "by_src", 2, 10)
    assert _spoken(both, 0, 1, 2, 3, 11, 12, 13) == [1, 12]


def test_detection_filter_speaks_beyond_its_count_while_the_window_lasts() -> None:
    kept = Threshold("detection_filter", "by_src", 2, 10)
    assert _spoken(kept, 0, 1, 2, 3, 11, 12, 13) == [2, 3, 13]


def test_backoff_speaks_less_and_less() -> None:
    backoff = Threshold("backoff", "by_flow", 1, 0, multiplier=2)
    assert _spoken(backoff, *range(1, 17)) == [1, 2, 4, 8, 16]


def test_owners_and_rules_are_counted_apart() -> None:
    counters, once = Thresholds(), Threshold("limit", "by_src", 1, 60)
    asked = [(1, "a"), (1, "b"), (1, "a"), (2, "a")]
    assert [counters.allow(rule, once, owner, 0) == SPEAK for rule, owner in asked] == [True, True, False, True]


def test_the_counters_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(thresholds, "MAX_COUNTERS", 3)
    counters, once = Thresholds(), Threshold("limit", "by_src", 1, 60)
    for owner in (1, 2, 3, 1, 4):
        counters.allow(1, once, owner, 0)
    assert counters.forgotten == 1
    assert counters.allow(1, once, 1, 0) != SPEAK, "what was met last stays"
    assert counters.allow(1, once, 2, 0) == SPEAK, "what was silent longest went"


@pytest.mark.parametrize(
    ("words", "spoken"),
    [
        ("threshold:type limit,track by_src,count 1,seconds 5", [0, 6, 7]),
        ("threshold:type limit,track by_dst,count 1,seconds 5", [0, 6]),
        ("threshold:type threshold,track by_src,count 2,seconds 5", [1, 3]),
        ("threshold:type both,track by_src,count 2,seconds 5", [1]),
        ("detection_filter:track by_src,count 2,seconds 5", [2, 3]),
    ],
)
def test_rules_on_traffic_speak_as_often_as_they_say(words: str, spoken: list[int]) -> None:
    packets = [(scene.START + at * scene.SECOND, scene.udp(b"hit")) for at in (0, 1, 2, 3, 6)]
    packets.append((scene.START + 7 * scene.SECOND, scene.udp(b"hit", source="10.0.0.9")))
    found = scene.alerts(packets, f'alert udp any any -> any 9999 (content:"hit"; {words};)')
    assert [(one.packet.time_ns - scene.START) // scene.SECOND for one in found] == spoken
