"""A block in parts, each a block of its own: rules look at what the first packets brought, and let go of it, before more is parsed.

A few bytes may be a transaction that takes thousands, and one packet may release a megabyte of them. Ordinary blocks are one part.
"""

from collections.abc import Iterator

import numpy as np

from collectors.traffic.block import I64, Block, Bools
from collectors.traffic.decode.side import Side
from collectors.traffic.decode.table import COLUMNS, Table
from collectors.traffic.flows.batch import Batch
from collectors.traffic.protocols.dispatch import Protocols
from collectors.traffic.protocols.news import Change
from collectors.traffic.slices import part as packets_of
from collectors.traffic.streams.news import News, Run, StreamEvent

Last = tuple[Block, Table, Batch, News, list[Change]]
"""What the last parts of the way take of a block."""


def parts(protocols: Protocols, block: Block, table: Table, batch: Batch, news: News) -> Iterator[Last]:
    """Have protocols parse a block; yields it with what changed, in parts where that is too much to be held at once.

    What a part yields has to be done with when the next one is asked for; all of them have to be.
    """
    changes = protocols.begin(block, table, batch, news)
    if not protocols.unread():
        yield block, table, batch, news, changes
        return
    first = since = 0
    while True:
        runs, upto = news.runs[first : protocols.runs], protocols.packets
        more = protocols.unread()
        yield _part(block, table, batch, news, (since, upto), runs, changes, not more)
        first, since = protocols.runs, upto
        if not more:
            return
        changes = protocols.go_on()


def _part(
    block: Block,
    table: Table,
    batch: Batch,
    news: News,
    between: tuple[int, int],
    runs: list[Run],
    changes: list[Change],
    last: bool,
) -> Last:
    """Return the packets from the first of `between` on and before the second with what they brought; the `last` part has the flows' ends.

    What a packet of an earlier part released is taken as released by the first one of this part.
    """
    begin, end = between
    inside: Bools = (table.packet >= begin) & (table.packet < end)
    rows = np.flatnonzero(inside)
    place: I64 = np.full(len(table) + 1, 0 if len(rows) else -1, np.int64)
    place[rows] = np.arange(len(rows))
    place[-1] = -1
    at = place.tolist()
    told = News(len(rows))
    told.accepted, told.established = news.accepted[rows], news.established[rows]
    told.runs = [run._replace(row=at[run.row]) for run in runs]
    told.events = [
        StreamEvent(at[event.row], event.slot, event.name)
        for event in news.events
        if event.row >= 0 and inside[event.row]
    ]
    for change in changes:
        change.row = at[change.row]
    return (
        packets_of(block, begin, end),
        _rows(table, rows, place, begin),
        _groups(batch, inside, place, last),
        told,
        changes,
    )


def _rows(table: Table, rows: I64, place: I64, begin: int) -> Table:
    """Return some rows of a table as one of their own."""
    found = Table(len(rows), 0)
    for name in COLUMNS:
        getattr(found, name)[:] = getattr(table, name)[rows]
    found.packet[:] -= begin
    found.events[:] = table.events[rows]
    found.captured = int(np.searchsorted(rows, table.captured))
    found.arps, found.quotes = _beside(table.arps, rows, place), _beside(table.quotes, rows, place)
    return found


def _beside(side: Side, rows: I64, place: I64) -> Side:
    kept = np.isin(side.rows, rows)
    return Side(place[side.rows[kept]], side.fields[kept])


def _groups(batch: Batch, inside: Bools, place: I64, last: bool) -> Batch:
    """Return what is inside of a batch."""
    found = Batch()
    kept = inside[batch.rows]
    upto = np.append(0, np.cumsum(kept))
    counts = upto[batch.ends] - upto[batch.starts]
    groups = np.flatnonzero(counts)
    starts, ends = batch.starts[groups], batch.ends[groups]
    found.rows, found.to_client = place[batch.rows[kept]], batch.to_client[kept]
    found.ends = np.cumsum(counts[groups])
    found.starts = found.ends - counts[groups]
    found.flow = batch.flow[groups]
    # A group's packets are in the order of time: it begins here where its first one is inside.
    found.new = batch.new[groups] & kept[starts]
    back = np.append(0, np.cumsum(batch.to_client))
    until = ends.copy()
    if len(groups):
        places = np.flatnonzero(kept)
        until = places[found.ends - 1] + 1
    found.later = back[ends] - back[until]
    related = inside[batch.related]
    found.related, found.related_flow = place[batch.related[related]], batch.related_flow[related]
    found.related_to_client = batch.related_to_client[related]
    found.ended = batch.ended if last else []
    return found
