"""Requests and connections of one client."""

from collectors.traffic.detectors.options import DetectorOptions, RateOptions
from tests.collectors.traffic.detectors.crowd import SYN, Packet, Talk, hear, http, segment

US, THEM = "10.0.0.10", "203.0.113.9"
FEW = DetectorOptions(rates=RateOptions(requests=50, connections=30))


def methods(packets: list[Packet]) -> list[tuple[str, bool]]:
    """Return method and doubt of what is found."""
    return [(one.method, one.forgeable) for one in hear(packets, FEW) if one.kind.name == "traffic.requests_flooded"]


def test_requests_over_one_connection_count_each() -> None:
    assert methods(http(THEM, US, 0.0, ["/"] * 49)) == []
    assert methods(http(THEM, US, 0.0, ["/"] * 50)) == [("requests", False)]


def test_requests_of_different_clients_are_not_added_up() -> None:
    assert methods([p for n in range(10) for p in http(f"203.0.113.{n}", US, n * 0.1, ["/"] * 20)]) == []


def test_connections_count_when_they_are_completed() -> None:
    done = [p for n in range(30) for p in Talk(THEM, US, 443, n * 0.1, 1024 + n).open().ask(b"x").close()]
    assert methods(done) == [("connections", False)]
    assert methods([(n * 0.1, segment(THEM, US, 1024 + n, 443, SYN, 5)) for n in range(300)]) == []


def test_the_window_is_the_window() -> None:
    assert methods([p for n in range(60) for p in http(THEM, US, n * 1.0, ["/"])]) == []
