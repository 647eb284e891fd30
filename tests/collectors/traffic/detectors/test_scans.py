"""Scans: limits, shares, windows, what is no try, what proves an address."""

import pytest

from collectors.traffic.detectors.options import DetectorOptions, ScanOptions
from tests.collectors.traffic.detectors.crowd import (
    ACK,
    RST,
    SYN,
    Listener,
    Packet,
    Talk,
    datagram,
    echo,
    frame,
    hear,
    kinds,
    segment,
)

US, THEM = "10.0.0.10", "203.0.113.9"


def refused(source: str, port: int, at: float) -> list[Packet]:
    """Return a try that is refused."""
    return [
        (at, segment(source, US, 40_000, port, SYN, 5)),
        (at + 0.001, segment(US, source, port, 40_000, RST | ACK, 0, 6)),
    ]


def tries(count: int, gap: float = 0.1, source: str = THEM) -> list[Packet]:
    """Return tries of so many ports, all refused."""
    return [packet for number in range(count) for packet in refused(source, 100 + number, number * gap)]


def test_the_limit_is_the_limit() -> None:
    assert hear(tries(19)) == []
    (found,) = hear(tries(20))
    assert (found.kind.name, found.subject, found.sender, found.method) == ("traffic.ports_scanned", US, THEM, "syn")
    assert (found.numbers["ports"], found.limits["ports"], found.numbers["refused"]) == (20.0, 20.0, 20.0)
    assert found.forgeable


def test_the_window_is_the_window() -> None:
    assert hear(tries(40, gap=4.0), DetectorOptions(scans=ScanOptions(slow_ports=1000))) == []
    assert kinds(hear(tries(61, gap=4.0))) == {"ports_scanned"}, "the long window"


def test_a_port_counts_once_and_one_that_answers_later_does_not_count() -> None:
    again = [packet for turn in range(10) for packet in tries(15, gap=0.01)]
    assert hear(again) == []
    served = tries(25) + [
        p for n in range(25) for p in Talk(THEM, US, 100 + n, 3 + n * 0.1).open().ask(b"x").answer(b"y").close()
    ]
    assert hear(served)[1:] == [], "told at most once, before they answered"


def test_who_gets_something_out_of_most_is_no_scanner() -> None:
    good = [p for n in range(40) for p in Talk(THEM, US, 1000 + n, n * 0.1).open().ask(b"x").answer(b"y").close()]
    assert hear([*refused(THEM, 99, 0.0), *good, *[(10 + at, one) for at, one in tries(22)]]) == []


def test_silence_counts_only_when_the_time_for_an_answer_is_over() -> None:
    listener = Listener()
    silent = [(n * 0.001, segment(THEM, US, 40_000, 100 + n, SYN, 5)) for n in range(30)]
    assert listener.hear(silent, settle_s=0.5) == []
    (found,) = listener.hear([(2.0, echo(THEM, US))], settle_s=0)
    assert found.numbers["unanswered"] == 30


@pytest.mark.parametrize(
    ("flags", "method"), [(1, "fin"), (0, "null"), (0x29, "xmas"), (0x11, "maimon"), (ACK, "ack"), (SYN, "syn")]
)
def test_the_method_is_named_by_the_first_packet(flags: int, method: str) -> None:
    packets = [(n * 0.01, segment(THEM, US, 40_000, 100 + n, flags, 5, 6)) for n in range(30)]
    (found,) = hear(packets)
    assert found.method == method


def test_connections_opened_in_silence_prove_the_sender() -> None:
    empty = [p for n in range(3) for p in Talk(THEM, US, 8000 + n, n * 0.1).open().close()]
    found = hear(empty + [(1 + at, one) for at, one in tries(20)])
    assert [(one.method, one.forgeable) for one in found] == [("connect", False)]
    found = hear(empty[:14] + [(1 + at, one) for at, one in tries(20)])
    assert [one.forgeable for one in found] == [True], "two prove nothing"


def test_a_scan_that_is_proven_later_is_told_again() -> None:
    empty = [(5 + at, one) for n in range(3) for at, one in Talk(THEM, US, 8000 + n, n * 0.1).open().close()]
    assert [one.forgeable for one in hear([*tries(25), *empty], size=10)] == [True, False]


def test_forged_tries_in_a_clients_name_do_not_accuse_it() -> None:
    """Somebody writes the address of a customer into a scan while the customer reads the site."""
    reading = [p for n in range(10) for p in Talk(THEM, US, 443, n * 0.5).open().ask(b"x").answer(b"y" * 3000).close()]
    found = hear(reading + tries(200, gap=0.02))
    assert found and all(one.forgeable and one.event().fields["offender"] == "" for one in found)


def test_late_answers_traceroutes_and_broadcasts_are_no_tries() -> None:
    late = [(n * 0.01, datagram(THEM, US, 53, 2000 + n, b"x" * 40)) for n in range(200)]
    route = [(n * 0.01, datagram(US, THEM, 40_000, 33_434 + n, b"x")) for n in range(100)]
    many = [(n * 0.01, datagram(US, "239.1.1.1", 40_000, 1000 + n, b"x")) for n in range(100)]
    assert hear(late + route + many) == []


def test_one_side_of_long_connections_is_no_scan() -> None:
    one_sided = [
        (n * 0.01 + turn, segment(THEM, US, 443, 20_000 + n, ACK, 5 + turn * 100, 6, b"x" * 100))
        for n in range(100)
        for turn in range(4)
    ]
    assert hear(one_sided) == []


def test_ports_behind_an_unreachable_error_are_refused() -> None:
    packets: list[Packet] = []
    for number in range(30):
        asked = datagram(THEM, US, 40_000, 2000 + number, b"x")
        error = frame(US, THEM, 1, b"\x03\x03\x00\x00\x00\x00\x00\x00" + asked[14:])
        packets += [(number * 0.01, asked), (number * 0.01 + 0.001, error)]
    (found,) = hear(packets)
    assert (found.method, found.numbers["refused"]) == ("udp", 30)


def test_hosts_are_counted_by_port_and_our_own_scanners_are_worse() -> None:
    packets = [(n * 0.01, segment(US, f"198.51.100.{n}", 40_000, 445, SYN, 5)) for n in range(1, 40)]
    (found,) = hear(packets)
    assert (found.kind.name, found.subject, found.severity.name) == ("traffic.hosts_scanned", "port 445/tcp", "HIGH")


def test_other_senders_of_the_same_scan_are_named() -> None:
    packets = tries(30) + tries(30, source="198.51.100.1")
    (found,) = hear(packets)
    assert {found.sender, *found.senders} == {THEM, "198.51.100.1"}
