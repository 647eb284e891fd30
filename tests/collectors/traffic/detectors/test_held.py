"""Connections that are held: silent servers and shut windows; greeting servers and idle pools are not."""

import pytest

from collectors.traffic.detectors.options import DetectorOptions, HeldOptions
from tests.collectors.traffic.detectors.crowd import ACK, Packet, Talk, echo, hear

US, THEM = "10.0.0.10", "203.0.113.9"
FEW = DetectorOptions(held=HeldOptions(connections=20))
LATER = [(turn * 1.0, echo("10.0.0.3", US)) for turn in range(40)]


def found(packets: list[Packet]) -> list[tuple[str, str, bool]]:
    """Return method, sender and doubt of held connections."""
    return [
        (one.method, one.sender, one.forgeable) for one in hear(packets + LATER, FEW, 100) if "held" in one.kind.name
    ]


def slow(count: int) -> list[Packet]:
    """Return connections with a header line now and then."""
    packets: list[Packet] = []
    for number in range(count):
        talk = Talk(THEM, US, 80, number * 0.01, 2000 + number).open().ask(b"GET / HTTP/1.1\r\n")
        for _ in range(5):
            talk.wait(4).ask(b"X-a: b\r\n")
        packets += talk.packets
    return packets


def test_connections_in_which_the_server_cannot_speak_are_held() -> None:
    assert found(slow(19)) == []
    assert found(slow(20)) == [("unfinished requests", THEM, False)]


def test_connections_with_a_shut_window_are_held_until_it_opens() -> None:
    def reading(opens: bool) -> list[Packet]:
        packets: list[Packet] = []
        for number in range(25):
            talk = Talk(THEM, US, 80, number * 0.01, 2000 + number).open().ask(b"GET /large HTTP/1.1\r\n\r\n")
            talk.answer(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 500)
            for turn in range(9):
                talk.wait(2).send(False, ACK, window=8192 if opens and turn % 3 == 2 else 10)
            packets += talk.packets
        return packets

    assert found(reading(opens=False)) == [("shut windows", THEM, False)]
    assert found(reading(opens=True)) == []


@pytest.mark.parametrize("greets", [True, False])
def test_idle_connections_of_a_service_that_has_spoken_are_no_attack(greets: bool) -> None:
    packets: list[Packet] = []
    for number in range(60):
        talk = Talk(THEM, US, 25, number * 0.01, 2000 + number).open()
        talk = (
            talk.answer(b"220 mx ESMTP\r\n")
            if greets
            else talk.ask(b"GET / HTTP/1.1\r\n\r\n").answer(b"HTTP/1.1 200 OK\r\n\r\n")
        )
        packets += talk.wait(20).send(True, ACK).packets
    assert found(packets) == []


def test_closed_connections_are_not_held() -> None:
    packets = [p for n in range(60) for p in Talk(THEM, US, 80, n * 0.01, 2000 + n).open().ask(b"GET").close()]
    assert found(packets) == []


@pytest.mark.parametrize(
    ("port", "said"),
    [
        (8080, b"GET /poll HTTP/1.0\r\nHost: example.org\r\nX-Forwarded-For: 198.51.100.7\r\n\r\n"),
        (8080, b"POST /report HTTP/1.1\r\nHost: example.org\r\nContent-Length: 4\r\n\r\n{yr}"),
        (514, b"<13>Nov 23 06:00:01 host app[1]: hello\n"),
        (2003, b"app.requests 7 1763856000\n"),
    ],
)
def test_a_server_that_takes_its_time_or_never_speaks_is_not_kept_from_speaking(port: int, said: bytes) -> None:
    packets: list[Packet] = []
    for number in range(60):
        packets += Talk("10.0.0.2", US, port, number * 0.01, 2000 + number).open().ask(said).wait(25).packets
    assert found(packets) == []


def test_a_body_that_never_ends_is_held_though_its_headers_are_whole() -> None:
    packets: list[Packet] = []
    for number in range(20):
        talk = Talk(THEM, US, 80, number * 0.01, 2000 + number).open()
        talk.ask(b"POST / HTTP/1.1\r\nHost: example.org\r\nContent-Length: 9000\r\n\r\na=")
        packets += talk.wait(5).ask(b"b").wait(5).ask(b"c").packets
    assert found(packets) == [("unfinished requests", THEM, False)]


def test_connections_in_which_nobody_says_anything_are_held() -> None:
    packets: list[Packet] = []
    for number in range(20):
        packets += Talk(THEM, US, 80, number * 0.01, 2000 + number).open().wait(5).send(False, ACK).packets
    assert found(packets) == [("unfinished requests", THEM, False)]
