"""Charts are well-formed SVG without style or script, and say in words what they show."""

import re
from xml.etree import ElementTree

from console.store.records import Presence, SeverityCount
from console.web.charts import HOUR_MS, presence_chart, severity_chart

NOW = 500_000 * HOUR_MS
DAY = 24 * HOUR_MS
FULL = (1 << 60) - 1


def bars(svg):
    return [element.get("class") for element in ElementTree.fromstring(str(svg)).iter() if element.tag.endswith("rect")]


def test_a_day_that_was_heard_throughout_is_whole():
    heard = [Presence(hour_ms=NOW - DAY + h * HOUR_MS, minutes=FULL) for h in range(24)]
    svg, said = presence_chart(heard, NOW - DAY, 0, NOW)
    assert set(bars(svg)) == {"up"}
    assert said == "heard in 1440 of 1440 minutes"


def test_silence_is_down_and_a_gap_is_partial():
    heard = [Presence(hour_ms=NOW - HOUR_MS, minutes=0b1)]
    svg, said = presence_chart(heard, NOW - HOUR_MS, 0, NOW)
    assert bars(svg) == ["late", "down", "down", "down"]
    assert said == "heard in 1 of 60 minutes"


def test_before_enrolment_nothing_is_claimed():
    svg, said = presence_chart([], NOW - DAY, NOW, NOW)
    assert set(bars(svg)) == {"track"}
    assert said == "nothing is known yet"


def test_events_are_stacked_by_severity():
    counts = [
        SeverityCount(hour_ms=NOW - HOUR_MS, severity=1, count=3),
        SeverityCount(hour_ms=NOW - HOUR_MS, severity=3, count=2),
        SeverityCount(hour_ms=NOW - HOUR_MS, severity=5, count=1),
        SeverityCount(hour_ms=NOW - 40 * HOUR_MS, severity=5, count=9),
    ]
    svg, said = severity_chart(counts, NOW - DAY, NOW)
    assert [kind for kind in bars(svg) if kind != "track"] == ["calm", "late", "down"]
    assert said == "6 events, 1 of them high or worse"
    assert severity_chart([], NOW - DAY, NOW)[1] == "no event"


def test_charts_need_no_inline_style_or_script():
    for svg in (presence_chart([], NOW - DAY, 0, NOW)[0], severity_chart([], NOW - DAY, NOW)[0]):
        assert not re.search(r"style=|<script|<style|on\w+=", str(svg))
        assert 'role="img"' in svg
