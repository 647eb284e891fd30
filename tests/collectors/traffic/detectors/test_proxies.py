"""Proxies are told of, and never held against: those of the settings, and those at home that say for whom they ask."""

import pytest

from collectors.traffic.detectors.finding import Finding
from collectors.traffic.detectors.options import DetectorOptions, RateOptions
from contracts.event import Severity
from tests.collectors.traffic.detectors.crowd import Packet, Talk, hear, http

US, BALANCER, STRANGER = "10.0.0.10", "10.0.0.2", "203.0.113.9"
FEW = RateOptions(requests=50, connections=30)
ATTACK = ["/?id=1+UNION+ALL+SELECT+1,2"] * 3


def found(packets: list[Packet], *proxies: str) -> list[Finding]:
    return hear(packets, DetectorOptions(rates=FEW, proxies=proxies))


def offenders(findings: list[Finding]) -> list[object]:
    return [one.event(blocking=True).fields["offender"] for one in findings]


@pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded", "X-Real-IP"])
def test_one_at_home_that_says_for_whom_it_asks_is_not_to_blame(header: str) -> None:
    findings = found(http(BALANCER, US, 0.0, ATTACK, headers={header: "198.51.100.7"}))
    assert [one.kind.name for one in findings] == ["traffic.web_probed"] and offenders(findings) == [""]
    event = findings[0].event(blocking=True)
    assert (event.fields["source"], event.fields["blocking"]) == (BALANCER, False)
    assert "the sender is a proxy, which passes on what others ask" in str(event.fields["explanation"])
    assert findings[0].severity == Severity.MEDIUM, "somebody did it"


def test_one_that_does_not_say_so_is_and_so_is_a_stranger_who_does() -> None:
    assert offenders(found(http(BALANCER, US, 0.0, ATTACK))) == [BALANCER]
    lying = http(STRANGER, US, 0.0, ATTACK, headers={"X-Forwarded-For": "198.51.100.7"})
    assert offenders(found(lying)) == [STRANGER]
    assert offenders(found(lying, "203.0.113.0/24")) == [""]


def test_half_of_the_requests_have_to_say_so() -> None:
    passed_on = http(BALANCER, US, 0.0, ["/"] * 4, headers={"X-Forwarded-For": "198.51.100.7"})
    assert offenders(found(passed_on + http(BALANCER, US, 1.0, ["/", *ATTACK]))) == [""]
    assert offenders(found(passed_on + http(BALANCER, US, 1.0, ["/"] * 10 + ATTACK))) == [BALANCER]


def test_what_it_asks_of_another_port_is_its_own() -> None:
    passed_on = http(BALANCER, US, 0.0, ["/"] * 40, headers={"X-Forwarded-For": "198.51.100.7"})
    assert offenders(found(passed_on + http(BALANCER, US, 1.0, ATTACK, port=8080))) == [BALANCER]


def test_rates_of_a_proxy_are_those_of_many() -> None:
    packets = [p for n in range(30) for p in Talk(STRANGER, US, 443, n * 0.1, 1024 + n).open().ask(b"x").close()]
    (alone,) = found(packets)
    (proxy,) = found(packets, STRANGER)
    assert alone.severity > Severity.LOW and offenders([alone]) == [STRANGER]
    assert proxy.severity == Severity.LOW and offenders([proxy]) == [""]


def test_a_scan_by_a_proxy_is_its_own() -> None:
    packets = [p for port in range(1, 60) for p in Talk(STRANGER, US, port, port * 0.1).open().close()]
    findings = [one for one in found(packets, STRANGER) if one.kind.name == "traffic.ports_scanned"]
    assert findings and set(offenders(findings)) == {STRANGER}
