"""Sessions: which packets they take, and the bytes that become readable."""

from scapy.layers.inet import IP, TCP
from scapy.layers.l2 import Ether

from collectors.traffic.block import from_packets
from collectors.traffic.decode.decoder import DecodeOptions, Decoder
from collectors.traffic.flows.table import FlowOptions, FlowTable
from collectors.traffic.streams.news import FIN, News
from collectors.traffic.streams.reassembler import Reassembler, StreamOptions


def segment(to_client: bool, flags: str, seq: int, ack: int = 0, data: bytes = b"") -> bytes:
    """Return one packet of the connection 10.0.0.1:1000 to 10.0.0.2:80."""
    ends = ("10.0.0.2", "10.0.0.1") if to_client else ("10.0.0.1", "10.0.0.2")
    ports = (80, 1000) if to_client else (1000, 80)
    tcp = TCP(sport=ports[0], dport=ports[1], seq=seq, ack=ack, flags=flags, window=65535)
    return bytes(Ether() / IP(src=ends[0], dst=ends[1]) / tcp / data)


def feed(packets: list[bytes]) -> News:
    block = from_packets(packets)
    table = Decoder(DecodeOptions()).decode(block)
    return Reassembler(StreamOptions()).feed(block, table, FlowTable(FlowOptions(), bytes(64)).update(block, table))


def test_a_request_and_its_answer_are_one_run_each_and_the_close_ends_both_directions() -> None:
    news = feed(
        [
            segment(False, "S", 100),
            segment(True, "SA", 900, 101),
            segment(False, "A", 101, 901),
            segment(False, "PA", 101, 901, b"question"),
            segment(True, "PA", 901, 109, b"answer"),
            segment(False, "A", 109, 907),
            segment(True, "FA", 907, 109),
            segment(False, "FA", 109, 908),
            segment(True, "A", 908, 110),
        ]
    )
    said = {way: b"".join(run.data for run in news.runs if run.to_client is way) for way in (False, True)}
    assert said == {False: b"question", True: b"answer"}
    assert [run.end for run in news.runs if run.end] == [FIN, FIN]
