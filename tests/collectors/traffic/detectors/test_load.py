"""A client's share of a service's load."""

from collectors.traffic.detectors.options import DetectorOptions, LoadOptions
from tests.collectors.traffic.detectors.crowd import Packet, echo, hear, http

US = "10.0.0.10"


def scene(heavy: int, others: int) -> list[Packet]:
    """Return one client's requests and those of ten others."""
    found = http("203.0.113.9", US, 0.0, ["/x"] * heavy)
    for number in range(10):
        found += http(f"198.51.100.{number}", US, number * 1.0, ["/"] * others)
    return [*found, (65.0, echo("203.0.113.1", US))]


def shares(packets: list[Packet], **limits: int) -> list[tuple[str, str]]:
    """Return sender and what it has much of."""
    options = DetectorOptions(load=LoadOptions(**{"bytes": 10**9, "requests": 100, **limits}))  # type: ignore[arg-type]
    return [(one.sender, one.method) for one in hear(packets, options) if "dominates" in one.kind.name]


def test_most_of_the_requests_are_a_significant_share() -> None:
    assert shares(scene(300, 10)) == [("203.0.113.9", "requests")]
    assert shares(scene(60, 10)) == []


def test_bytes_count_by_themselves() -> None:
    assert shares(scene(300, 10), bytes=50_000, requests=10**6) == [("203.0.113.9", "bytes")]


def test_a_quiet_service_and_few_clients_are_not_judged() -> None:
    assert shares(scene(300, 10), requests=1000) == []
    assert shares(scene(300, 10), clients=20) == []
