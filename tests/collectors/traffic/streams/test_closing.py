"""The end of sessions: what is out of place behind a FIN."""

import pytest

from tests.collectors.traffic.streams.heard import CLIENT, OPENING, SERVER, events
from tests.collectors.traffic.streams.talk import ACK, FIN, PSH, SYN, packet

BY_CLIENT = [packet(CLIENT, FIN | ACK, 101, 901)]
BY_SERVER = [packet(SERVER, FIN | ACK, 901, 101)]


@pytest.mark.parametrize(
    ("packets", "names"),
    [
        (
            [
                *BY_CLIENT,
                packet(SERVER, ACK, 901, 102),
                packet(SERVER, FIN | ACK, 901, 102),
                packet(CLIENT, ACK, 102, 902),
            ],
            [],
        ),
        (
            [
                *BY_SERVER,
                packet(CLIENT, ACK, 101, 902),
                packet(CLIENT, FIN | ACK, 101, 902),
                packet(SERVER, ACK, 902, 102),
            ],
            [],
        ),
        ([*BY_CLIENT, packet(CLIENT, SYN, 100)], ["shutdown_syn_resend"]),
        ([*BY_CLIENT, packet(SERVER, FIN | ACK, 800_000, 102)], ["closewait_fin_out_of_window"]),
        ([*BY_CLIENT, packet(SERVER, ACK, 901, 999_999)], ["pkt_invalid_ack", "closewait_invalid_ack"]),
        ([*BY_SERVER, packet(CLIENT, FIN | ACK, 900_000, 902)], ["fin1_fin_wrong_seq"]),
        ([*BY_SERVER, packet(CLIENT, ACK, 101, 999_999)], ["pkt_invalid_ack", "fin1_invalid_ack"]),
        ([*BY_SERVER, packet(CLIENT, ACK, 101, 902), packet(CLIENT, FIN | ACK, 900_000, 902)], ["fin2_fin_wrong_seq"]),
        (
            [*BY_CLIENT, packet(SERVER, FIN | ACK, 901, 102), packet(CLIENT, ACK, 777_777, 902)],
            ["lastack_ack_wrong_seq"],
        ),
        (
            [*BY_SERVER, packet(CLIENT, FIN | ACK, 101, 902), packet(SERVER, ACK, 777_777, 102)],
            ["timewait_ack_wrong_seq"],
        ),
    ],
)
def test_each_anomaly_has_its_event(packets: list[bytes], names: list[str]) -> None:
    assert events(OPENING + packets) == names


def test_data_may_still_come_from_the_other_side() -> None:
    packets = [*BY_CLIENT, packet(SERVER, PSH | ACK, 901, 102, b"more"), packet(CLIENT, ACK, 102, 905)]
    assert events(OPENING + packets) == []
