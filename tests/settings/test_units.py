"""Quantities go both ways without loss, and references to secrets are told from secrets."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from settings import units


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("500ms", 0.5),
        ("30s", 30),
        ("5m", 300),
        ("1h", 3600),
        ("7d", 604800),
        ("1.5h", 5400),
        ("2w", 1209600),
        ("0s", 0),
    ],
)
def test_durations_are_seconds(text: str, seconds: float) -> None:
    assert units.duration(text) == seconds


@pytest.mark.parametrize("text", ["", "30", "s", "-1s", "1e3s", "1 minute", "30S", "1h30m", "٣s", "9" * 20 + "s"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a duration"):
        units.duration(text)


@pytest.mark.parametrize(
    ("text", "count"), [("0B", 0), ("512KiB", 524288), ("1kB", 1000), ("1.5GiB", 1610612736), ("2 MB", 2000000)]
)
def test_sizes_are_bytes(text: str, count: int) -> None:
    assert units.size(text) == count


@pytest.mark.parametrize("text", ["", "5", "5K", "5kib", "-5B", "0.1B"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a"):
        units.size(text)


@given(st.integers(0, 10**9).map(lambda count: count / 1000))
def test_a_written_duration_reads_back(seconds: float) -> None:
    assert units.duration(units.write_duration(seconds)) == pytest.approx(seconds, abs=1e-9)


@given(st.integers(0, 2**49))
def test_a_written_size_reads_back(count: int) -> None:
    assert units.size(units.write_size(count)) == count


def test_shortest_ways_are_chosen() -> None:
    assert [units.write_duration(value) for value in (0.5, 60, 90, 86400, 0)] == ["500ms", "1m", "90s", "1d", "0s"]
    assert [units.write_size(value) for value in (0, 1024, 1000, 1 << 30, 1001)] == [
        "0B",
        "1KiB",
        "1kB",
        "1GiB",
        "1001B",
    ]


@pytest.mark.parametrize("text", ["file:/etc/holdfast/token", "credential:token"])
def test_references_pass(text: str) -> None:
    assert units.secret_reference(text) == text


@pytest.mark.parametrize("text", ["hunter2", "file:relative", "credential:../x", "file:", "file:/a\nb"])
def test_a_secret_itself_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(ValueError, match="is not a reference to a secret") as caught:
        units.secret_reference(text)
    assert text not in str(caught.value) or text == "file:"
