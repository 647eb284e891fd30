"""Conversations: what came before a protocol was known is parsed, too; what is known ends with the flow."""

from pathlib import Path

from scapy.utils import wrpcap

from collectors.traffic.block import from_packets
from collectors.traffic.captures import open_capture
from collectors.traffic.decode.decoder import DecodeOptions, Decoder
from collectors.traffic.decode.table import Table
from collectors.traffic.flows.batch import Batch
from collectors.traffic.flows.table import FlowOptions, FlowTable
from collectors.traffic.protocols.dispatch import Protocols
from collectors.traffic.protocols.news import FAILED
from collectors.traffic.streams.options import StreamOptions
from collectors.traffic.streams.reassembler import Reassembler
from tests.collectors.traffic.protocols.seeds import HTTP
from tests.collectors.traffic.protocols.test_dispatch import heard, session


def test_a_request_that_comes_byte_by_byte_is_the_same_request(tmp_path: Path) -> None:
    whole = heard(tmp_path, session(HTTP[0]))
    bytewise = heard(
        tmp_path,
        session(tuple((side, data[at : at + 1]) for side, data in HTTP[0] for at in range(len(data)))),
    )
    assert [one.protocol for one in bytewise.conversations] == ["http"]
    assert bytewise.protocols.counts.conversations == whole.protocols.counts.conversations
    for name, to_client in (("http.uri.raw", False), ("http.request_line", False), ("http.stat_code", True)):
        assert bytewise.buffers(name, to_client) == whole.buffers(name, to_client) != []


def test_who_says_much_that_nothing_recognises_is_given_up(tmp_path: Path) -> None:
    much = ((False, b"\xfe" * 1400),) * 60
    found = heard(tmp_path, session(much))
    assert [one.protocol for one in found.conversations] == [FAILED]
    assert found.protocols.counts.conversations[FAILED] == 1


def test_a_conversation_is_known_as_long_as_its_flow(tmp_path: Path) -> None:
    path = tmp_path / "open.pcap"
    wrpcap(str(path), session(HTTP[0])[:-3])  # nobody has closed it
    protocols, decoder = Protocols(), Decoder(DecodeOptions(verify_checksums=False))
    flows, streams = FlowTable(FlowOptions()), Reassembler(StreamOptions())
    with path.open("rb") as file:
        (block,) = open_capture(file).blocks()
    table = decoder.decode(block)
    batch = flows.update(block, table)
    slot = int(batch.flow[0])
    assert protocols.conversation(slot) is None
    protocols.feed(block, table, batch, streams.feed(block, table, batch))
    talk = protocols.conversation(slot)
    assert talk is not None and talk.protocol == "http"
    after = Batch()
    after.ended = [flows.shut_down()]
    protocols.feed(from_packets([]), Table(0), after, streams.finish(after.ended[0]))
    assert protocols.conversation(slot) is talk  # rules look at what its end has brought
    protocols.feed(from_packets([]), Table(0), Batch(), streams.finish(flows.shut_down()))
    assert protocols.conversation(slot) is None
