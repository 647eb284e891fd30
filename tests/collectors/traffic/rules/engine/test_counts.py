"""Counts of a flow are those as of each packet, though a block is counted as a whole."""

from tests.collectors.traffic.rules.engine import scene


def _numbers(packets: list[bytes], words: str, protocol: str = "udp") -> list[int]:
    found = scene.alerts(packets, f"alert {protocol} any any -> any any ({words})")
    return [one.packet.number for one in found]


TALK = [scene.udp(b"1"), scene.udp_back(b"22"), scene.udp(b"3"), scene.udp_back(b"4"), scene.udp(b"5", sport=41_000)]


def test_packets_of_a_flow_by_direction() -> None:
    assert _numbers(TALK, "flow.pkts_toserver:2;") == [3, 4]
    assert _numbers(TALK, "flow.pkts_toclient:1;") == [2, 3]
    assert _numbers(TALK, "flow.pkts_toserver:>2;") == []


def test_bytes_of_a_flow_by_direction() -> None:
    one, both = len(TALK[0]), len(TALK[0]) + len(TALK[2])
    assert _numbers(TALK, f"flow.bytes_toserver:{one};") == [1, 2, 5]
    assert _numbers(TALK, f"flow.bytes_toserver:{both};") == [3, 4]


def test_the_size_of_a_stream_grows_with_what_was_said() -> None:
    talk = scene.Talk(dport=9999).ask(b"12345").ask(b"67890").close().packets
    # SYN, SYN/ACK, ACK, five bytes, ACK, five bytes, …: the SYN counts one.
    small, large = (_numbers(talk, f"stream_size:client,>,{size}; flow:to_server;", "tcp") for size in (5, 10))
    assert small and small[0] == 4
    assert large and large[0] == 6
    assert _numbers(talk, "stream_size:client,>,12; flow:to_server;", "tcp") == []
    assert _numbers(talk, "stream_size:server,>,5;", "tcp") == []


def test_a_flow_that_begins_anew_counts_from_the_beginning() -> None:
    later = scene.START + 4000 * scene.SECOND
    again = [*((scene.START + at, data) for at, data in enumerate(TALK[:3])), (later, TALK[0])]
    found = scene.alerts(again, "alert udp any any -> any any (flow.pkts_toserver:1; flow:to_server;)")
    assert [one.packet.number for one in found] == [1, 4]
