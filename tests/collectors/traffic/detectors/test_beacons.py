"""Beacons: regular, outbound, often enough."""

import random

from collectors.traffic.detectors.options import DetectorOptions
from tests.collectors.traffic.detectors.crowd import Packet, Talk, hear

OPTIONS = DetectorOptions(home=("10.0.0.0/8",))
US, THEM = "10.0.0.10", "203.0.113.9"


def calls(times: list[float], client: str = US, server: str = THEM, dport: int = 443) -> list[Packet]:
    """Return a short connection at each time."""
    return [p for n, at in enumerate(times) for p in Talk(client, server, dport, at, 2000 + n).open().ask(b"x").close()]


def found(packets: list[Packet]) -> list[tuple[str, str, str]]:
    """Return sender, subject and severity of beacons."""
    return [(one.sender, one.subject, one.severity.name) for one in hear(packets, OPTIONS) if "beacon" in one.kind.name]


def test_regular_calls_are_told_once_and_quietly() -> None:
    chance = random.Random(3)
    times = [60.0 * n + chance.uniform(-6, 6) for n in range(1, 40)]
    assert found(calls(times)) == [(US, f"{THEM}:443/tcp", "LOW")]
    assert found(calls(times[:16])) == []


def test_calls_of_which_a_block_has_several_are_told_apart() -> None:
    assert found(calls([4.5 * n for n in range(40)])) == [(US, f"{THEM}:443/tcp", "LOW")]


def test_irregular_calls_are_no_beacon() -> None:
    chance, at, times = random.Random(4), 0.0, []
    for _ in range(60):
        at += chance.expovariate(1 / 60)
        times.append(at)
    assert found(calls(times)) == []


def test_a_burst_is_one_call() -> None:
    assert found(calls([60.0 * n + again for n in range(30) for again in (0.0, 0.5, 1.0)])) != []


def test_only_calls_out_of_our_networks_count_and_not_those_of_clocks() -> None:
    times = [60.0 * n for n in range(30)]
    assert found(calls(times, client=THEM, server=US)) == []
    assert found(calls(times, server="10.0.0.99")) == []
    assert found(calls(times, dport=123)) == []
