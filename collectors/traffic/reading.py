"""A capture file read from end to end: decoded, followed, parsed, and held against rules."""

from collections.abc import Iterator
from typing import BinaryIO

import numpy as np

from collectors.traffic.block import Block
from collectors.traffic.captures import open_capture
from collectors.traffic.decode import table as columns
from collectors.traffic.decode.decoder import DecodeOptions, Decoder
from collectors.traffic.decode.transport import TCP
from collectors.traffic.detectors.detectors import Detectors
from collectors.traffic.detectors.finding import Finding
from collectors.traffic.detectors.options import DetectorOptions
from collectors.traffic.flows.table import FlowOptions, FlowTable
from collectors.traffic.garbage import seldom
from collectors.traffic.parts import Last, parts
from collectors.traffic.pipeline import ending
from collectors.traffic.protocols.dispatch import Protocols
from collectors.traffic.protocols.parser import Limits
from collectors.traffic.rules.engine.engine import Alert, Engine, EngineOptions
from collectors.traffic.rules.engine.prepared import Prepared
from collectors.traffic.rules.language.rule import Rule
from collectors.traffic.rules.language.threshold_config import ThresholdConfig
from collectors.traffic.rules.site import Site
from collectors.traffic.slices import slices
from collectors.traffic.streams.options import StreamOptions
from collectors.traffic.streams.reassembler import Reassembler
from contracts.plural import plural
from contracts.record import Record


class ReadOptions(Record):
    """How a capture is read."""

    verify_checksums: bool = True
    inline: bool = False
    midstream: bool = False
    async_oneside: bool = False
    detect: bool = False
    home: tuple[str, ...] = ()
    """Networks that are ours, for the detectors; empty: the private ones."""


class Reading:
    """One capture on its way through all parts. `problem` says what is wrong with the file, once it has been read."""

    def __init__(
        self,
        file: BinaryIO,
        rules: list[Rule] | Prepared,
        options: ReadOptions,
        config: ThresholdConfig | None = None,
    ) -> None:
        """`config` is what a site says beside the rules: alerts that it does not want are left out."""
        self._site = Site(config or ThresholdConfig())
        self._source = open_capture(file)
        self._decoder = Decoder(DecodeOptions(verify_checksums=options.verify_checksums))
        self._flows = FlowTable(FlowOptions())
        self._streams = Reassembler(
            StreamOptions(
                inline=options.inline,
                midstream=options.midstream,
                async_oneside=options.async_oneside,
                # Rules and detectors are told by which packet something came; where there are none, nobody asks.
                merge=not len(rules) and not options.detect,
            )
        )
        self._protocols = Protocols(Limits(inline=options.inline))
        self._engine = Engine(rules, self._flows.columns, EngineOptions(inline=options.inline))
        self._protocols.hash_files(self._engine.digests)
        seldom()
        self._cut_short = self._bad_sums = 0
        self._detectors: Detectors | None = None
        if options.detect:
            settings = DetectorOptions(home=options.home) if options.home else DetectorOptions()
            self._detectors = Detectors(settings, self._flows.columns)

    @property
    def engine(self) -> Engine:
        """The rules at work, with their counts."""
        return self._engine

    @property
    def cut(self) -> int:
        """How many conversations were not read to their end, because more had not ended than is kept."""
        return self._protocols.account.cut

    @property
    def problem(self) -> str:
        """What is wrong with the file, "" for nothing."""
        return self._source.problem

    @property
    def unread(self) -> bool:
        """Whether not one packet of the file could be looked at, although there are some."""
        counts = self._decoder.counts
        return 0 < counts.packets == counts.unknown_links.total()

    def notes(self) -> Iterator[str]:
        """Yield what was not looked at, or not in full, in words; once the capture has been read."""
        packets, found = self._decoder.counts.packets, self._protocols.counts
        if not packets and not self.problem:
            yield "there is no packet in it"
        for link, count in sorted(self._decoder.counts.unknown_links.items()):
            of = f"{count} of {plural(packets, 'packet')} {_were(count, 'is', 'are')}"
            yield f"{of} of link type {link}, which is not understood: not looked at"
        if self._cut_short:
            of = f"{self._cut_short} of {plural(packets, 'packet')} {_were(self._cut_short)}"
            yield f"{of} cut at the capture: what came after that is not there"
        if self._bad_sums:
            segments = plural(self._bad_sums, "TCP segment has", "TCP segments have")
            yield f"{segments} a bad checksum, left out of the session (--checksums ignore takes all as they are)"
        if self.cut:
            yield f"{plural(self.cut, 'conversation')} {_were(self.cut)} not read to the end: more was open at once than is kept"
        if found.parsers_broken:
            broken = plural(found.parsers_broken, "conversation")
            yield f"{broken} {_were(found.parsers_broken)} not read to the end: a parser met what it did not expect"
        if self.problem:
            yield self.problem

    def alerts(self) -> Iterator[Alert]:
        """Yield the alerts, in the order of packets; those of flows that are still open come last."""
        return (one for one in self.results() if not isinstance(one, Finding))

    def results(self) -> Iterator[Alert | Finding]:
        """Yield alerts and what detectors found, block by block (findings first), each in the order of packets."""
        for block in self._blocks():
            table = self._decoder.decode(block)
            self._cut_short += int(np.count_nonzero(block.captured < block.wire))
            bad = (table.flags & np.uint16(columns.BAD_CHECKSUM)) != 0
            self._bad_sums += int(np.count_nonzero(bad & (table.protocol == TCP))) if bad.any() else 0
            batch = self._flows.update(block, table)
            news = self._streams.feed(block, table, batch)
            for last in parts(self._protocols, block, table, batch, news):
                yield from self._results(last)
        # What flows still hold is looked at as they end.
        for last in ending(self._flows, self._streams, self._protocols):
            yield from self._results(last)

    def _results(self, last: Last) -> Iterator[Alert | Finding]:
        """Yield what detectors and rules say of a block, or of a part of it."""
        if self._detectors is not None:
            yield from self._detectors.feed(*last)
        yield from self._site.apply(self._engine.feed(*last, self._flows.columns))

    def _blocks(self) -> Iterator[Block]:
        """Yield the capture's blocks, cut by time where something counts by it."""
        for block in self._source.blocks():
            if self._detectors is None:
                yield block
            else:
                yield from slices(block)


def _were(count: int, one: str = "was", many: str = "were") -> str:
    return one if count == 1 else many
