"""Open sessions: what is out of place in them."""

import pytest

from tests.collectors.traffic.streams.heard import CLIENT, OPENING, SERVER, accepted, events
from tests.collectors.traffic.streams.talk import ACK, FIN, PSH, SYN, Listener, packet

HELLO = [packet(CLIENT, PSH | ACK, 101, 901, b"hello"), packet(SERVER, ACK, 901, 106)]


@pytest.mark.parametrize(
    ("packets", "names"),
    [
        ([packet(CLIENT, PSH | ACK, 106, 99_999, b"x")], ["pkt_invalid_ack", "est_invalid_ack"]),
        ([packet(CLIENT, PSH | ACK, 106 + 70_000, 901, b"x")], ["est_packet_out_of_window"]),
        ([packet(CLIENT, SYN, 100)], ["est_syn_resend"]),
        ([packet(CLIENT, SYN, 200)], ["est_syn_resend_diff_seq"]),
        ([packet(SERVER, SYN, 900)], ["est_syn_toclient"]),
        ([packet(CLIENT, SYN | ACK, 5, 6)], ["est_synack_toserver"]),
        ([packet(SERVER, SYN | ACK, 900, 106)], ["est_synack_resend"]),
        ([packet(SERVER, SYN | ACK, 901, 106)], ["est_synack_resend_with_diff_seq"]),
        ([packet(SERVER, SYN | ACK, 900, 105)], ["est_synack_resend_with_diff_ack"]),
        ([packet(CLIENT, FIN | ACK, 50_000_000, 901)], ["fin_out_of_window"]),
        ([packet(CLIENT, FIN | SYN | ACK, 106, 901)], ["fin_syn"]),
        ([packet(CLIENT, PSH | ACK, 101, 901, b"hello")], ["pkt_spurious_retransmission"]),
        ([packet(CLIENT, ACK, 105, 901), packet(SERVER, ACK, 901, 106)], []),
    ],
)
def test_each_anomaly_has_its_event(packets: list[bytes], names: list[str]) -> None:
    assert events(OPENING + HELLO + packets) == names


def test_what_lies_outside_the_window_is_not_taken() -> None:
    packets = OPENING + HELLO + [packet(CLIENT, PSH | ACK, 106 + 70_000, 901, b"x")]
    assert accepted(packets) == [True] * 5 + [False]


def test_a_probe_of_a_closed_window_is_taken() -> None:
    packets = [
        *OPENING,
        packet(SERVER, ACK, 901, 101, window=0),
        packet(CLIENT, ACK, 101, 901, b"a"),
        packet(SERVER, ACK, 901, 102, window=100),
        packet(CLIENT, PSH | ACK, 102, 901, b"bc"),
        packet(SERVER, ACK, 901, 104),
    ]
    listener = Listener()
    listener.hear(packets)
    listener.end()
    assert listener.said()[0, False] == b"abc"
