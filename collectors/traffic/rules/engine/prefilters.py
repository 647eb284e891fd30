"""Which rules are worth evaluating for packets and pieces of streams: by the pattern that stands for each."""

from collections.abc import Iterable

import numpy as np

from collectors.traffic.block import I64, Bools
from collectors.traffic.rules.engine.patterns import Kept, Prefilter
from collectors.traffic.rules.engine.plan import PACKET, Compiled
from collectors.traffic.rules.engine.rows import Rows
from collectors.traffic.rules.engine.view import TCP, UDP
from contracts.record import Record

Pairs = tuple[I64, I64]
"""A row and a rule, pair by pair."""


class KeptPrefilters(Record):
    """The prefilters as they are kept."""

    segments: Kept
    streams: Kept
    datagrams: Kept
    others: Kept


class Prefilters:
    """Four prefilters: TCP's packets, TCP's streams, datagrams, everything else. A rule is in those of the traffic it may fit."""

    def __init__(self, rules: Iterable[Compiled] = (), kept: KeptPrefilters | None = None) -> None:
        if kept is not None:
            self.segments, self.streams = Prefilter(kept.segments), Prefilter(kept.streams)
            self.datagrams, self.others = Prefilter(kept.datagrams), Prefilter(kept.others)
            return
        self.segments, self.streams, self.datagrams, self.others = (Prefilter() for _ in range(4))
        for one in rules:
            if one.kind == PACKET and one.fast is not None:
                self._sort(one)
        for prefilter in (self.segments, self.streams, self.datagrams, self.others):
            prefilter.compile()

    def keep(self) -> KeptPrefilters:
        """Return the prefilters as they are kept."""
        return KeptPrefilters(
            segments=self.segments.keep(),
            streams=self.streams.keep(),
            datagrams=self.datagrams.keep(),
            others=self.others.keep(),
        )

    def _sort(self, one: Compiled) -> None:
        assert one.fast is not None
        numbers = one.protocols
        if numbers is None or TCP in numbers:
            if one.requires_packet or not one.requires_stream:
                self.segments.add(one.fast, one.order)
            if one.requires_stream:
                self.streams.add(one.fast, one.order)
        if numbers is None or UDP in numbers:
            self.datagrams.add(one.fast, one.order)
        if numbers is None or numbers - {TCP, UDP}:
            self.others.add(one.fast, one.order)

    def packets(self, rows: Rows) -> list[Pairs]:
        """Return the rules whose pattern is in the payload of a row; of a stream's packets only those that are for packets, too."""
        table = rows.table
        filled = table.payload_len > 0
        filled &= table.payload >= 0
        is_tcp, is_udp = table.protocol == TCP, table.protocol == UDP
        alone = filled & is_tcp & ~rows.streamed
        return [
            self._scan(self.segments, rows, filled & is_tcp),
            self._scan(self.streams, rows, alone),
            self._scan(self.datagrams, rows, filled & is_udp),
            self._scan(self.others, rows, filled & ~is_tcp & ~is_udp),
        ]

    def _scan(self, prefilter: Prefilter, rows: Rows, which: Bools) -> Pairs:
        chosen = np.flatnonzero(which) if len(prefilter) else np.zeros(0, np.int64)
        begins = rows.table.payload[chosen]
        ends = begins + rows.table.payload_len[chosen]
        data = rows.block.data.data
        pieces = [data[begin:end] for begin, end in zip(begins.tolist(), ends.tolist(), strict=True)]
        return prefilter.pairs(zip(chosen.tolist(), pieces, strict=True))
