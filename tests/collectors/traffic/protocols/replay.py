"""Runs captures, or bytes as if they had come in a connection, through the sensor's protocols, and keeps what they said."""

from dataclasses import dataclass, field
from pathlib import Path

from collectors.traffic.block import from_packets
from collectors.traffic.captures import open_capture
from collectors.traffic.decode.decoder import DecodeOptions, Decoder
from collectors.traffic.decode.table import Table
from collectors.traffic.flows.batch import Batch
from collectors.traffic.flows.table import FlowOptions, FlowTable
from collectors.traffic.protocols.dispatch import Protocols
from collectors.traffic.protocols.news import Change, Conversation, Transaction
from collectors.traffic.protocols.parser import Facts, Limits, Parser
from collectors.traffic.protocols.registry import parser_of
from collectors.traffic.streams.reassembler import Reassembler
from collectors.traffic.streams.session import StreamOptions


@dataclass
class Heard:
    """All that a capture brought, in order."""

    changes: list[Change] = field(default_factory=list)
    protocols: Protocols = field(default_factory=Protocols)

    @property
    def conversations(self) -> list[Conversation]:
        return list({id(change.conversation): change.conversation for change in self.changes}.values())

    @property
    def transactions(self) -> list[Transaction]:
        found = {
            id(change.transaction): change.transaction for change in self.changes if change.transaction is not None
        }
        return list(found.values())

    def buffers(self, name: str, to_client: bool) -> list[bytes]:
        return [value for tx in self.transactions for value in tx.buffers(name, to_client)]

    def events(self) -> set[str]:
        return {f"{tx.protocol}.{name}" for tx in self.transactions for name in tx.events}


def replay(path: Path, limits: Limits | None = None, midstream: bool = False) -> Heard:
    """Read a capture through all parts up to the protocols."""
    heard = Heard(protocols=Protocols(limits))
    decoder = Decoder(DecodeOptions(verify_checksums=False))
    flows, streams = FlowTable(FlowOptions()), Reassembler(StreamOptions(midstream=midstream))
    with path.open("rb") as file:
        for block in open_capture(file).blocks():
            table = decoder.decode(block)
            batch = flows.update(block, table)
            heard.changes += heard.protocols.feed(block, table, batch, streams.feed(block, table, batch))
    batch = Batch()
    batch.ended = [flows.shut_down()]
    heard.changes += heard.protocols.feed(from_packets([]), Table(0), batch, streams.finish(batch.ended[0]))
    return heard


def talk(
    name: str, *said: tuple[bool, bytes], limits: Limits | None = None, close: bool = True, datagrams: bool = False
) -> Parser:
    """Give a parser what both sides said; returns it with all its transactions still in its conversation."""
    facts = Facts(40_000, 80, (0, 1), (0, 2), datagrams)
    parser = parser_of(name, Conversation(0), facts, limits or Limits())
    for to_client, data in said:
        parser.data(to_client, data, 0)
    if close:
        parser.end(False)
        parser.end(True)
    return parser
