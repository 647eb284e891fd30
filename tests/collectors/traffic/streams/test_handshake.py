"""The beginning of sessions: what is odd about them has Suricata's names."""

import struct

import pytest

from collectors.traffic.streams.options import StreamOptions
from tests.collectors.traffic.streams.heard import CLIENT, OPENING, SERVER, accepted, events
from tests.collectors.traffic.streams.talk import ACK, FIN, PSH, RST, SYN, Listener, packet


@pytest.mark.parametrize(
    ("packets", "names"),
    [
        ([packet(CLIENT, RST, 5)], ["rst_but_no_session"]),
        ([packet(CLIENT, FIN | ACK, 5, 6)], ["fin_but_no_session"]),
        ([packet(CLIENT, ACK, 5, 6)] * 4 + [packet(CLIENT, FIN | ACK, 5, 6)], ["fin_but_no_session"]),
        ([packet(CLIENT, SYN, 100, 7)], ["pkt_broken_ack"]),
        ([OPENING[0], packet(SERVER, SYN | ACK, 900, 77)], ["3whs_synack_with_wrong_ack"]),
        ([OPENING[0], packet(CLIENT, SYN | ACK, 900, 101)], ["3whs_synack_in_wrong_direction"]),
        (
            [OPENING[0], packet(SERVER, RST | ACK, 0, 101), packet(SERVER, SYN | ACK, 900, 101)],
            ["suspected_rst_inject"],
        ),
    ],
)
def test_each_anomaly_has_its_event(packets: list[bytes], names: list[str]) -> None:
    assert events(packets) == names


def test_many_different_syns_are_a_flood_and_the_one_that_is_answered_counts() -> None:
    syns = [packet(CLIENT, SYN, 1000 * number) for number in range(1, 15)]
    answer = [
        packet(SERVER, SYN | ACK, 900, 14_001),
        packet(CLIENT, ACK, 14_001, 901, b"hello"),
        packet(SERVER, ACK, 901, 14_006),
    ]
    assert events(syns + answer) == ["3whs_syn_flood"] * 3
    listener = Listener()
    listener.hear(syns + answer)
    assert listener.said()[0, False] == b"hello"


def test_both_sides_may_open_at_once() -> None:
    packets = [
        packet(CLIENT, SYN, 100),
        packet(SERVER, SYN, 900),
        packet(CLIENT, SYN | ACK, 100, 901),
        packet(SERVER, ACK, 901, 101),
        packet(SERVER, PSH | ACK, 901, 101, b"hi"),
        packet(CLIENT, ACK, 101, 903),
    ]
    assert events(packets) == []
    listener = Listener()
    listener.hear(packets)
    assert listener.said()[0, True] == b"hi"


def test_fast_open_data_comes_when_the_server_took_it_and_in_line_at_once() -> None:
    cookie = struct.pack(">BBQ", 34, 10, 5) + b"\1\1"
    packets = [packet(CLIENT, SYN, 100, 0, b"GET /", options=cookie), packet(SERVER, SYN | ACK, 900, 106)]
    listener = Listener(StreamOptions(inline=True))
    assert [run.data for run in listener.hear(packets[:1]).runs] == [b"GET /"]
    listener = Listener()
    assert listener.hear(packets[:1]).runs == []
    rest = [packet(SERVER, SYN | ACK, 900, 106), packet(CLIENT, ACK, 106, 901), packet(SERVER, ACK, 901, 106)]
    assert [run.data for run in listener.hear(rest).runs] == [b"GET /"]
    assert events([packets[0], packet(SERVER, SYN | ACK, 900, 101)]) == ["3whs_synack_tfo_data_ignored"]


def test_a_server_that_echoes_a_foreign_timestamp_is_not_believed() -> None:
    stamp = struct.pack(">BBBBII", 1, 1, 8, 10, 7, 0)
    foreign = struct.pack(">BBBBII", 1, 1, 8, 10, 50, 99)
    packets = [packet(CLIENT, SYN, 100, options=stamp), packet(SERVER, SYN | ACK, 900, 101, options=foreign)]
    assert events(packets) == ["pkt_invalid_timestamp"]
    assert accepted(packets) == [True, False]
