"""Times: nanoseconds there and back, in every zone, and as Go writes them."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actions.backup.times import format_time, parse_time

NS = 1_000_000_000
FIRST, LAST = parse_time("0000-01-02T00:00:00Z"), parse_time("9999-12-30T00:00:00Z")


@pytest.fixture(params=["UTC", "Europe/Berlin", "Asia/Kolkata", "America/St_Johns", "Pacific/Kiritimati"], autouse=True)
def zone(request: pytest.FixtureRequest) -> Iterator[str]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TZ", request.param)
        time.tzset()
        yield request.param
    time.tzset()


@given(st.integers(FIRST, LAST))
def test_round_trip(ns: int) -> None:
    text = format_time(ns)
    seconds = abs(time.localtime(ns // NS).tm_gmtoff) % 60
    if not seconds:  # local mean times of the nineteenth century have offsets with seconds, which RFC 3339 cannot hold
        assert parse_time(text) == ns


@given(st.datetimes(datetime(1, 1, 3), datetime(9999, 12, 29)))
def test_agrees_with_datetime(moment: datetime) -> None:
    known = moment.replace(tzinfo=UTC)
    delta = known - datetime(1970, 1, 1, tzinfo=UTC)
    assert parse_time(known.isoformat()) == (delta.days * 86400 + delta.seconds) * NS + delta.microseconds * 1000


@pytest.mark.parametrize(
    ("text", "ns"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("1969-12-31T23:59:59.999999999Z", -1),
        ("2015-01-02T18:10:50.895208559+01:00", 1420218650895208559),
        ("2000-02-29T23:30:00-03:30", 951879600 * NS),
        ("0000-03-01T00:00:00Z", -62162035200 * NS),
        ("1970-01-01T00:00:00.1234567891234Z", 123456789),
    ],
)
def test_known_times(text: str, ns: int) -> None:
    assert parse_time(text) == ns


def test_the_form(zone: str) -> None:
    if zone == "UTC":
        assert format_time(0) == "1970-01-01T00:00:00Z"
        assert format_time(1_500_000_000) == "1970-01-01T00:00:01.5Z"
        assert format_time(-1) == "1969-12-31T23:59:59.999999999Z"
    if zone == "America/St_Johns":
        assert format_time(1_700_000_000 * NS).endswith("-03:30")
    if zone == "Asia/Kolkata":
        assert format_time(1_700_000_000 * NS) == "2023-11-15T03:43:20+05:30"


def test_years_that_the_form_cannot_hold_are_brought_into_it() -> None:
    assert format_time(400_000_000_000 * NS).startswith("9999-")
    assert format_time(-90_000_000_000 * NS).startswith("0000-")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "now",
        "2015-13-01T00:00:00Z",
        "2015-01-02 18:10:50Z",
        "2015-01-02T18:10:50",
        "2015-01-02T25:00:00Z",
        "10000-01-01T00:00:00Z",
    ],
)
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse_time(text)
