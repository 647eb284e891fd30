"""Amplification: how much more is answered than was asked."""

from collectors.traffic.detectors.options import AmplificationOptions, DetectorOptions
from tests.collectors.traffic.detectors.crowd import Packet, hear, lookup

OPTIONS = DetectorOptions(amplification=AmplificationOptions(answered=50_000))
US, THEM = "10.0.0.10", "203.0.113.9"


def found(packets: list[Packet]) -> list[tuple[str, str, bool]]:
    """Return service, victim and doubt."""
    return [
        (one.subject, one.sender, one.forgeable) for one in hear(packets, OPTIONS) if "amplification" in one.kind.name
    ]


def test_large_answers_to_small_questions_name_the_service() -> None:
    packets = [p for n in range(40) for p in lookup(THEM, US, n * 0.1, "example.org", 255, size=3000, sport=2000 + n)]
    assert found(packets) == [(f"{US}:53/udp", THEM, True)]


def test_ordinary_answers_are_not_amplified() -> None:
    assert (
        found([p for n in range(400) for p in lookup(THEM, US, n * 0.1, "example.org", size=200, sport=2000 + n)]) == []
    )


def test_little_is_not_looked_at_and_the_window_ends() -> None:
    packets = [p for n in range(40) for p in lookup(THEM, US, n * 10.0, "example.org", 255, size=3000, sport=2000 + n)]
    assert found(packets) == []
