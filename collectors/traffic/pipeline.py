"""The way of live packets through all parts, block by block; the rules in use can be exchanged between two blocks."""

from collections.abc import Iterator

import numpy as np

from collectors.traffic.block import Block, from_packets
from collectors.traffic.decode.decoder import DecodeOptions, Decoder
from collectors.traffic.decode.table import Table
from collectors.traffic.detectors.detectors import Detectors
from collectors.traffic.detectors.finding import Finding
from collectors.traffic.detectors.options import DetectorOptions
from collectors.traffic.flows.batch import Batch
from collectors.traffic.flows.table import FlowOptions, FlowTable
from collectors.traffic.options import Options
from collectors.traffic.parts import Last, parts
from collectors.traffic.protocols.dispatch import Protocols
from collectors.traffic.protocols.news import Change
from collectors.traffic.protocols.parser import Limits
from collectors.traffic.rules.engine.engine import Alert, Engine
from collectors.traffic.streams.news import News
from collectors.traffic.streams.options import StreamOptions
from collectors.traffic.streams.reassembler import Reassembler


class Passed:
    """What came of one block, or of a part of it: valid until the next one."""

    __slots__ = ("alerts", "batch", "block", "changes", "findings", "news", "table")

    def __init__(
        self,
        block: Block,
        table: Table,
        batch: Batch,
        news: News,
        changes: list[Change],
        alerts: list[Alert],
        findings: list[Finding],
    ) -> None:
        self.block, self.table, self.batch = block, table, batch
        self.news, self.changes, self.alerts, self.findings = news, changes, alerts, findings


def ending(flows: FlowTable, streams: Reassembler, protocols: Protocols, most: int = 0) -> Iterator[Last]:
    """End every flow, or `most` of them: a block without packets, in which they end. Yields what the last parts take, once or more."""
    ended = flows.shut_down(most)
    batch = Batch()
    batch.ended = [ended]
    news = streams.finish(ended)
    news.accepted, news.established = np.ones(0, np.bool_), np.zeros(0, np.bool_)
    yield from parts(protocols, from_packets([]), Table(0), batch, news)


class Pipeline:
    """Decoder, flows, streams, protocols, rules and detectors. `engine` is None while no rules are in use."""

    def __init__(self, options: Options) -> None:
        self.decoder = Decoder(DecodeOptions(verify_checksums=options.checksums))
        self.flows = FlowTable(FlowOptions(max_flows=options.max_flows))
        self.streams = Reassembler(
            StreamOptions(
                midstream=options.midstream,
                async_oneside=options.async_oneside,
                memory=options.stream_memory,
                merge=False,
            )
        )
        self.protocols = Protocols(Limits(memory=options.body_memory))
        self.detectors = Detectors(options.detectors, self.flows.columns)
        self._engine: Engine | None = None

    @property
    def engine(self) -> Engine | None:
        """The rules in use."""
        return self._engine

    @engine.setter
    def engine(self, engine: Engine | None) -> None:
        self._engine = engine
        self.protocols.hash_files(engine.digests if engine is not None else ())

    def feed(self, block: Block, now_ns: int) -> Iterator[Passed]:
        """Take a block, part by part where it brings more than is held at once.

        An empty one lets flows end that were silent until `now_ns`.
        What is yielded has been done with when the next is asked for; all of them have to be.
        """
        table = self.decoder.decode(block)
        batch = self.flows.update(block, table)
        if not len(block):
            self.flows.sweep(now_ns, batch)
        news = self.streams.feed(block, table, batch)
        for last in parts(self.protocols, block, table, batch, news):
            passed = self._pass(last)
            if not len(block):
                passed.findings += self.detectors.sweep(now_ns)
            yield passed

    def finish(self, most: int) -> Iterator[Passed]:
        """End `most` of the flows that are open, as long as there are any: what they still hold is looked at."""
        for last in ending(self.flows, self.streams, self.protocols, most):
            yield self._pass(last)

    def _pass(self, last: Last) -> Passed:
        alerts = self.engine.feed(*last, self.flows.columns) if self.engine is not None else []
        return Passed(*last, alerts, self.detectors.feed(*last))

    def tune(self, options: DetectorOptions) -> None:
        """Go on with detectors of other limits, which count from now on."""
        former = self.detectors.voice
        self.detectors = Detectors(options, self.flows.columns)
        self.detectors.voice.counts = former.counts
        self.detectors.voice.proxies.take_over(former.proxies)

    def memory_bytes(self) -> int:
        """Return what the tables of flows and streams hold."""
        return self.flows.memory_bytes() + self.streams.memory_bytes()
