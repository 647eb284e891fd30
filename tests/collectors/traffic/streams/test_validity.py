"""Whether receivers believe acknowledgements, resets and timestamps."""

import struct

import pytest

from collectors.traffic.streams.options import StreamOptions
from collectors.traffic.streams.policy import Policy
from tests.collectors.traffic.streams.heard import CLIENT, OPENING, SERVER
from tests.collectors.traffic.streams.talk import ACK, PSH, RST, SYN, Listener, packet


def stamp(value: int, echo: int = 0) -> bytes:
    """Return timestamps as an option."""
    return struct.pack(">BBBBII", 1, 1, 8, 10, value, echo)


@pytest.mark.parametrize(
    ("policy", "distance", "believed"),
    [
        (Policy.WINDOWS, 0, True),
        (Policy.WINDOWS, 10, False),
        (Policy.LINUX, 10, True),
        (Policy.LINUX, 100_000, False),
        (Policy.HPUX11, 100_000, True),
        (Policy.BSD, 1, False),
    ],
)
def test_a_reset_is_believed_as_the_target_does(policy: Policy, distance: int, believed: bool) -> None:
    listener = Listener(StreamOptions(policy_v4=policy))
    brought = listener.hear([*OPENING, packet(SERVER, RST, 901 + distance)])
    assert bool(brought.accepted[3]) == believed


def test_an_old_timestamp_is_refused_and_one_less_is_let_through() -> None:
    packets = [
        packet(CLIENT, SYN, 100, options=stamp(1000)),
        packet(SERVER, SYN | ACK, 900, 101, options=stamp(5000, 1000)),
        packet(CLIENT, ACK, 101, 901, options=stamp(1001, 5000)),
        packet(CLIENT, PSH | ACK, 101, 901, b"one", options=stamp(1000, 5000)),
        packet(CLIENT, PSH | ACK, 104, 901, b"two", options=stamp(500, 5000)),
    ]
    listener = Listener()
    brought = listener.hear(packets)
    assert brought.accepted.tolist() == [True] * 4 + [False]
    assert [event.name for event in brought.events] == ["pkt_invalid_timestamp"]


def test_a_reset_with_a_signature_is_doubted_until_its_sender_goes_on() -> None:
    signed = bytes([19, 18]) + bytes(16) + b"\1\1"
    packets = [
        *OPENING,
        packet(CLIENT, RST | ACK, 101, 901, options=signed),
        packet(CLIENT, PSH | ACK, 101, 901, b"on and on"),
        packet(SERVER, ACK, 901, 110),
    ]
    listener = Listener()
    brought = listener.hear(packets)
    assert [event.name for event in brought.events] == ["suspected_rst_inject"]
    assert [run.data for run in brought.runs] == [b"on and on"]
