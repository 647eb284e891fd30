"""The state of one evaluation."""

from collectors.traffic.rules.matching.state import Scan, State


def test_lower_case_is_made_once() -> None:
    scan = Scan(b"AbC", State(), 0, True)
    assert scan.lower() == b"abc" and scan.lower() is scan.lower()
