"""The end of the handshake, tampered with."""

import pytest

from tests.collectors.traffic.streams.heard import CLIENT, OPENING, SERVER, events
from tests.collectors.traffic.streams.talk import ACK, PSH, SYN, Listener, packet


@pytest.mark.parametrize(
    ("packets", "names"),
    [
        ([packet(CLIENT, SYN | ACK, 5, 6)], ["3whs_synack_toserver_on_syn_recv"]),
        ([packet(SERVER, SYN | ACK, 900, 55)], ["3whs_synack_resend_with_diff_ack"]),
        ([packet(SERVER, SYN, 900)], ["3whs_syn_toclient_on_syn_recv"]),
        ([packet(CLIENT, SYN, 222)], ["3whs_syn_resend_diff_seq_on_syn_recv"]),
        ([packet(CLIENT, ACK, 101, 555)], ["3whs_right_seq_wrong_ack_evasion"]),
        ([packet(CLIENT, ACK, 77, 555)], ["3whs_wrong_seq_wrong_ack"]),
        ([packet(SERVER, SYN | ACK, 1000 + number, 101) for number in range(6)], ["3whs_synack_flood"]),
    ],
)
def test_each_anomaly_has_its_event(packets: list[bytes], names: list[str]) -> None:
    assert events(OPENING[:2] + packets) == names


def test_data_before_the_handshake_is_complete_is_suspected_of_injection_in_line() -> None:
    packets = [*OPENING[:2], packet(SERVER, PSH | ACK, 901, 101, b"injected")]
    assert events(packets, inline=True) == ["3whs_ack_data_inject"]
    assert events(packets) == []


def test_the_syn_ack_that_the_client_answers_counts() -> None:
    packets = [
        *OPENING[:2],
        packet(SERVER, SYN | ACK, 5000, 101),
        packet(CLIENT, ACK, 101, 5001),
        packet(SERVER, PSH | ACK, 5001, 101, b"other"),
        packet(CLIENT, ACK, 101, 5006),
    ]
    listener = Listener()
    listener.hear(packets)
    assert listener.said()[0, True] == b"other"
