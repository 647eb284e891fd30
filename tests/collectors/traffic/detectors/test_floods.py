"""Floods: what counts, what takes itself back, and that senders are never believed."""

from collectors.traffic.detectors.options import DetectorOptions, FloodOptions
from tests.collectors.traffic.detectors.crowd import ACK, RST, SYN, Packet, Talk, datagram, echo, hear, kinds, segment

US, THEM = "10.0.0.10", "203.0.113.9"
FEW = DetectorOptions(floods=FloodOptions(half_open=100, stray=100, udp=100, icmp=100))


def half_open(count: int, gap: float = 0.005) -> list[Packet]:
    """Return connections that are begun and answered, and not completed."""
    found: list[Packet] = []
    for number in range(count):
        sender = f"198.51.{number % 50}.{number % 200}"
        found.append((number * gap, segment(sender, US, 1024 + number, 80, SYN, 5)))
        found.append((number * gap, segment(US, sender, 80, 1024 + number, SYN | ACK, 9, 6)))
    return found


def floods(packets: list[Packet], size: int = 2000) -> list[str]:
    """Return the methods of floods that are found."""
    return [one.method for one in hear(packets, FEW, size) if one.kind.name == "traffic.service_flooded"]


def test_half_open_connections_count_up_to_the_limit() -> None:
    assert floods(half_open(99)) == []
    assert floods(half_open(100)) == ["SYN"]


def test_the_victims_service_is_named_and_nobody_accused() -> None:
    (found,) = hear(half_open(150), FEW)
    assert (found.subject, found.sender, found.forgeable) == (f"{US}:80/tcp", "", True)
    assert found.numbers["senders_about"] > 20


def test_connections_that_are_completed_take_themselves_back() -> None:
    done = [p for n in range(400) for p in Talk(THEM, US, 80, n * 0.01, 1024 + n, 0.3).open().ask(b"x").close()]
    assert floods(done, size=7) == [], "in blocks that hold no whole handshake"
    assert floods(done) == []


def test_refused_connections_are_no_syn_flood() -> None:
    refused: list[Packet] = []
    for number in range(90):
        refused.append((number * 0.01, segment(THEM, US, 1024 + number, 80, SYN, 5)))
        refused.append((number * 0.01 + 0.2, segment(US, THEM, 80, 1024 + number, RST | ACK, 0, 6)))
    assert floods(refused, size=10) == []


def test_syns_of_one_connection_repeated_count_each() -> None:
    assert floods([(n * 0.005, segment(THEM, US, 4444, 80, SYN, 5)) for n in range(150)]) == ["SYN"]


def test_packets_of_no_connection_count_by_host() -> None:
    assert floods([(n * 0.005, segment(THEM, US, 1024 + n, 80 + n % 3, ACK, 5, 6)) for n in range(150)]) == ["TCP"]


def test_one_long_flow_seen_from_one_side_is_no_flood() -> None:
    assert (
        floods([(n * 0.001, segment(THEM, US, 443, 5000, ACK, 5 + n * 100, 6, b"x" * 100)) for n in range(3000)], 20)
        == []
    )


def test_datagrams_that_are_answered_are_no_flood() -> None:
    answered: list[Packet] = []
    for number in range(500):
        answered.append((number * 0.01, datagram(THEM, US, 1024 + number, 53, b"x")))
        answered.append((number * 0.01 + 0.001, datagram(US, THEM, 53, 1024 + number, b"y")))
    assert floods(answered) == []
    assert floods(answered[::2]) == ["UDP"]


def test_a_stream_of_one_sender_needs_ten_times_as_much() -> None:
    assert floods([(n * 0.001, datagram(THEM, US, 5004, 5004, b"x")) for n in range(900)]) == []
    assert floods([(n * 0.001, datagram(THEM, US, 5004, 5004, b"x")) for n in range(1000)]) == ["UDP"]


def test_logs_and_metrics_may_be_many() -> None:
    assert (
        floods([(n * 0.001, datagram(f"10.0.1.{n % 200}", US, 5000 + n % 200, 514, b"x")) for n in range(2000)]) == []
    )


def test_echo_requests_count_by_host() -> None:
    assert floods([(n * 0.01, echo(THEM, US, 8, n)) for n in range(120)]) == ["ICMP"]


def test_a_window_that_is_over_counts_anew() -> None:
    assert kinds(hear(half_open(190, gap=0.15), FEW)) == set()
