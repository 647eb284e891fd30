"""Which rules are worth evaluating for packets and pieces of streams: by the pattern that stands for each."""

from collections.abc import Iterable

import numpy as np

from collectors.traffic.block import I64
from collectors.traffic.rules.engine.headers import HeaderKinds
from collectors.traffic.rules.engine.kept import Kept, KeptPrefilters
from collectors.traffic.rules.engine.patterns import Prefilter
from collectors.traffic.rules.engine.plan import BOTH, PACKET, TO_CLIENT, TO_SERVER, Compiled
from collectors.traffic.rules.engine.rows import Rows
from collectors.traffic.rules.engine.view import TCP, UDP

Pairs = tuple[I64, I64]
"""A row and a rule, pair by pair."""

_NONE: I64 = np.zeros(0, np.int64)
_STREAMS = 2
"""The place of the streams' prefilters among all."""


class Sided:
    """A prefilter for each direction: most rules are for one, and what comes from servers is large."""

    __slots__ = ("sides",)

    def __init__(self, kept: tuple[Kept, Kept] | None = None) -> None:
        """`kept`: what `keep` returned, from a store that has authenticated it."""
        self.sides = (Prefilter(kept[0]), Prefilter(kept[1])) if kept is not None else (Prefilter(), Prefilter())

    def add(self, one: Compiled) -> None:
        """Let its pattern stand for a rule."""
        assert one.fast is not None
        for side in (TO_SERVER, TO_CLIENT):
            if one.direction in (BOTH, side):
                self.sides[side].add(one.fast, one.order)

    def compile(self) -> None:
        """Make the databases."""
        for prefilter in self.sides:
            prefilter.compile()

    def keep(self) -> tuple[Kept, Kept]:
        """Return the prefilters as they are kept."""
        to_server, to_client = self.sides
        return to_server.keep(), to_client.keep()


class Prefilters:
    """Prefilters for TCP's packets, TCP's streams, datagrams, everything else. A rule is in those of the traffic it may fit."""

    def __init__(self, rules: Iterable[Compiled] = (), kept: KeptPrefilters | None = None) -> None:
        if kept is not None:
            self.segments, self.streams = Sided(kept.segments), Sided(kept.streams)
            self.datagrams, self.others = Sided(kept.datagrams), Sided(kept.others)
            return
        self.segments, self.streams, self.datagrams, self.others = (Sided() for _ in range(4))
        for one in rules:
            if one.kind == PACKET and one.fast is not None:
                self._sort(one)
        for sided in (self.segments, self.streams, self.datagrams, self.others):
            sided.compile()

    def keep(self) -> KeptPrefilters:
        """Return the prefilters as they are kept."""
        return KeptPrefilters(
            segments=self.segments.keep(),
            streams=self.streams.keep(),
            datagrams=self.datagrams.keep(),
            others=self.others.keep(),
        )

    def _sort(self, one: Compiled) -> None:
        numbers = one.protocols
        if numbers is None or TCP in numbers:
            if one.requires_packet or not one.requires_stream:
                self.segments.add(one)
            if one.requires_stream:
                self.streams.add(one)
        if numbers is None or UDP in numbers:
            self.datagrams.add(one)
        if numbers is None or numbers - {TCP, UDP}:
            self.others.add(one)

    def rules(self) -> list[I64]:
        """Return the rules of each prefilter, in the order in which `HeaderKinds` has them as groups."""
        return [side.rules_of_all for sided in self._all() for side in sided.sides]

    def _all(self) -> tuple[Sided, ...]:
        return self.segments, self.streams, self.datagrams, self.others

    def packets(self, rows: Rows, kinds: HeaderKinds) -> list[Pairs]:
        """Return the rules whose pattern is in the payload of a row; of a stream's packets only those that are for packets, too."""
        table = rows.table
        filled = table.payload_len > 0
        filled &= table.payload >= 0
        is_tcp, is_udp = table.protocol == TCP, table.protocol == UDP
        alone = filled & is_tcp & ~rows.streamed
        whose = (filled & is_tcp, alone, filled & is_udp, filled & ~is_tcp & ~is_udp)
        found: list[Pairs] = []
        for side, way in ((TO_SERVER, ~rows.sides), (TO_CLIENT, rows.sides)):
            for number, (sided, which) in enumerate(zip(self._all(), whose, strict=True)):
                prefilter = sided.sides[side]
                if len(prefilter):
                    chosen = np.flatnonzero(which & way)
                    chosen = chosen[kinds.wanted_of(rows, chosen, number * 2 + side)]
                    found.append(_scan(prefilter, rows, chosen))
        return found

    def chunks(
        self, pieces: list[tuple[int, bytes]], to_client: list[bool], rows: Rows, kinds: HeaderKinds
    ) -> list[Pairs]:
        """Return the rules whose pattern is in a piece of a stream; the pieces are named by their rows."""
        if not pieces:
            return []
        row_of = np.array([row for row, _ in pieces], np.int64)
        ways = np.array(to_client, np.bool_)
        found: list[Pairs] = []
        for side, way in ((TO_SERVER, ~ways), (TO_CLIENT, ways)):
            at = np.flatnonzero(way)
            at = at[kinds.wanted_of(rows, row_of[at], _STREAMS + side)]
            those = [pieces[place][1] for place in at.tolist()]
            found.append(self.streams.sides[side].pairs(row_of[at].tolist(), those))
        return found


def _scan(prefilter: Prefilter, rows: Rows, chosen: I64) -> Pairs:
    """Return the rules whose pattern is in the payloads of some rows."""
    if not len(chosen):
        return _NONE, _NONE
    begins = rows.table.payload[chosen]
    ends = begins + rows.table.payload_len[chosen]
    data = rows.block.data.data
    pieces = [data[begin:end] for begin, end in zip(begins.tolist(), ends.tolist(), strict=True)]
    return prefilter.pairs(chosen.tolist(), pieces)
