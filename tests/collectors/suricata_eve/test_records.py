"""Lines of EVE JSON."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.suricata_eve.records import at_ms, number, read


def test_other_records_are_passed_over_and_what_is_none_is_malformed() -> None:
    assert read(b'{"event_type":"flow","alert":{}}') is None
    assert read(b'{"event_type":"http","http":{"url":"/alert"}}') is None
    for bad in (b"", b"x", b'{"event_type":"alert","alert":[]}', b'"alert"'):
        with pytest.raises(msgspec.MsgspecError):
            read(bad)


def test_numbers_deep_in_statistics_and_times() -> None:
    record = read(b'{"event_type":"stats","timestamp":"2026-11-22T10:00:00.500000+0000","stats":{"a":{"b":3}}}')
    assert record is not None and at_ms(record) == 1795341600500
    assert number(record.stats, "a", "b") == 3 and number(record.stats, "a", "c", "d") == 0
    silent = read(b'{"event_type":"stats","timestamp":"yesterday"}')
    assert silent is not None and at_ms(silent) == 0


@given(st.binary(max_size=200))
def test_no_line_breaks_it(line: bytes) -> None:
    try:
        read(line)
    except msgspec.MsgspecError:
        pass
