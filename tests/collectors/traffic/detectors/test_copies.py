"""Flows behind address translation are copies; flows that merely look alike are not."""

from tests.collectors.traffic.detectors.crowd import ACK, RST, SYN, Listener, Packet, datagram, segment

US, THEM, INSIDE = "10.0.0.10", "203.0.113.9", "172.17.0.2"


def scan(target: str, base: int) -> list[Packet]:
    """Return tries of 30 ports, refused."""
    found: list[Packet] = []
    for number in range(30):
        found.append((number * 0.01, segment(THEM, target, 40_000 + number, base + number, SYN, 9_000 + number)))
        found.append(
            (number * 0.01 + 0.001, segment(target, THEM, base + number, 40_000 + number, RST | ACK, 0, 9_001 + number))
        )
    return found


def heard(*ways: tuple[list[Packet], int]) -> list[str]:
    """Return the subjects of what is found when each list of packets passes its interface, packet by packet."""
    listener, found = Listener(), []
    listener.block([(-1.0, datagram(THEM, "10.9.9.9", 1, 2, b""))], 9)
    for number in range(max(len(packets) for packets, _ in ways)):
        for packets, interface in ways:
            found += listener.block(packets[number : number + 1], interface)
    return [one.subject for one in found]


def test_a_scan_through_port_forwarding_is_told_once() -> None:
    assert heard((scan(US, 8000), 0), (scan(INSIDE, 80), 1)) == [US]


def test_two_scans_are_two() -> None:
    other = [(at, packet[:38] + b"\x77" + packet[39:]) for at, packet in scan(INSIDE, 80)]
    assert sorted(heard((scan(US, 8000), 0), (other, 1))) == [US, INSIDE]


def test_on_one_interface_nothing_is_a_copy() -> None:
    assert sorted(heard((scan(US, 8000), 0), (scan(INSIDE, 80), 0))) == [US, INSIDE]


def test_a_client_behind_translation_is_counted_once() -> None:
    def asked(source: str) -> list[Packet]:
        return [(n * 0.01, segment(source, f"198.51.100.{n + 1}", 40_000, 445, SYN, 7_000 + n)) for n in range(40)]

    listener, found = Listener(), []
    for number in range(40):
        found += listener.block(asked(INSIDE)[number : number + 1], 1)
        found += listener.block(asked(US)[number : number + 1], 0)
    found += listener.hear([(3.0, datagram(THEM, US, 1, 2, b""))])
    assert [one.sender for one in found] == [INSIDE]
