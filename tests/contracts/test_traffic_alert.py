"""The events of detection rules."""

from contracts.event import Severity, techniques
from contracts.traffic_alert import ALERT, SEVERITIES


def test_an_alert_carries_the_techniques_of_its_rule_as_far_as_they_can_be_such() -> None:
    event = ALERT.event("1:1 x", techniques=["T1190", "T1071.004", "nonsense", "T1190"])
    assert techniques(ALERT, event) == ("T1190", "T1071.004")
    assert SEVERITIES[1] is Severity.HIGH and SEVERITIES[3] is Severity.LOW
