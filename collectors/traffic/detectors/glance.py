"""A block as the detectors see it: one array per property, an entry for each flow that has packets in it, each packet counted once.

The same packet may pass several interfaces (a bridge, a veth pair, the card). A direction of a flow counts where it was seen first; a flow
that is the same as another behind address translation counts nowhere (`copies`).
"""

import numpy as np

from collectors.traffic.block import I64, U8, U16, U64, Block, Bools
from collectors.traffic.decode import table as decoded
from collectors.traffic.decode.table import Table
from collectors.traffic.detectors.copies import Copies
from collectors.traffic.detectors.memory import COPY, NOWHERE, Memory
from collectors.traffic.detectors.mixer import Mixer
from collectors.traffic.detectors.prefixes import Prefixes
from collectors.traffic.flows.batch import Batch
from collectors.traffic.flows.store import Columns
from collectors.traffic.streams.news import News

_BYTE = np.uint16(8)


class Glance:
    """Entry g is flow `flow[g]` (a slot of `columns`): `row` its first row, `time_ns` of its last packet, and per direction (to server,
    to client) `packets`, `size` (bytes on the wire), `said` (bytes of payload); `flags` TCP flags or-ed, the server's in the high byte.

    Counts are 0 where packets have been counted on another interface; `new` is true where a flow begins that counts at all. `client` and
    `server` are the addresses as one word each; `opened` where the handshake is proven now and was not before.
    """

    def __init__(self, block: Block, table: Table, batch: Batch, news: News, columns: Columns, memory: Memory) -> None:
        self.block, self.table, self.columns, self.memory = block, table, columns, memory
        self.flow = batch.flow
        self.batch = batch
        self.begin_ns, self.now_ns = int(block.time_ns[0]), int(block.time_ns[-1])
        memory.room(len(columns))
        memory.begin(batch.flow[batch.new])
        rows, starts = batch.rows, batch.starts
        self.row: I64 = rows[starts]
        self.last_row: I64 = rows[batch.ends - 1]
        packet = table.packet[rows]
        self.time_ns: I64 = block.time_ns[packet[batch.ends - 1]]
        self.interface: I64 = block.interface[packet[starts]].astype(np.int64)
        back = batch.to_client
        counted = self._counted(packet)
        one = np.ones(len(rows), np.int64) if counted is None else counted.astype(np.int64)
        size = np.where(table.depth[rows] == 0, block.wire[packet], table.ip_len[rows]) * one
        self.packets = self._sides(one, back)
        self.size = self._sides(size, back)
        self.said = self._sides(table.payload_len[rows] * one, back)
        words = table.tcp_flags[rows].astype(np.uint16) << np.where(back, _BYTE, np.uint16(0))
        self.flags: U16 = np.bitwise_or.reduceat(words, starts)
        self.proven: Bools = np.logical_or.reduceat(news.established[rows] & ~back, starts)
        self._remember(batch)
        self._of_flows()

    @classmethod
    def nothing(
        cls, block: Block, table: Table, batch: Batch, columns: Columns, memory: Memory, now_ns: int
    ) -> "Glance":
        """Return a block's glance without flows: there may be ARP in it, or flows that ended."""
        glance = cls.__new__(cls)
        glance.block, glance.table, glance.batch, glance.columns, glance.memory = block, table, batch, columns, memory
        glance.flow = batch.flow
        glance.begin_ns = glance.now_ns = now_ns
        return glance

    def __len__(self) -> int:
        return len(self.flow)

    def _sides(self, amount: I64, back: Bools) -> I64:
        """Return sums by direction."""
        starts = self.batch.starts
        whole, answered = np.add.reduceat(amount, starts), np.add.reduceat(amount * back, starts)
        return np.stack([whole - answered, answered])

    def _counted(self, packet: I64) -> Bools | None:
        """Return which packets count, None for all: not those seen elsewhere before, and not what only carries another packet."""
        batch, memory = self.batch, self.memory
        interfaces = self.block.interface
        first = int(interfaces[0])
        mask: Bools | None = None
        if (interfaces == first).all():
            back = batch.to_client
            speaks = np.stack([np.logical_or.reduceat(~back, batch.starts), np.logical_or.reduceat(back, batch.starts)])
            home = memory.home[:, self.flow]
            home[speaks & (home == NOWHERE)] = first
            memory.home[:, self.flow] = home
            elsewhere = speaks & (home != first)
            if elsewhere.any():
                of = np.repeat(np.arange(len(self.flow)), batch.ends - batch.starts)
                mask = ~elsewhere[batch.to_client.astype(np.int64), of]
        else:
            slots = np.repeat(self.flow, batch.ends - batch.starts)
            side, here = batch.to_client.astype(np.int64), interfaces[packet].astype(np.int64)
            # Written from the last packet to the first, so that the first one's interface stays.
            fresh = np.flatnonzero(memory.home[side, slots] == NOWHERE)[::-1]
            memory.home[side[fresh], slots[fresh]] = here[fresh]
            mask = memory.home[side, slots] == here
        carries = (self.table.flags[batch.rows] & np.uint16(decoded.ENCAPSULATES)) != 0
        if carries.any():
            mask = ~carries if mask is None else mask & ~carries
        return mask

    def _remember(self, batch: Batch) -> None:
        memory, flow = self.memory, self.flow
        memory.said[:, flow] += self.said
        memory.packets[:, flow] += self.packets
        self.opened: Bools = self.proven & ~memory.proven[flow]
        memory.proven[flow] |= self.proven
        self.new: Bools = batch.new & (self.packets.sum(0) > 0)

    def _of_flows(self) -> None:
        columns, flow = self.columns, self.flow
        self.family: U8 = columns.family[flow]
        self.protocol: U8 = columns.protocol[flow]
        self.sport: U16 = columns.sport[flow]
        self.dport: U16 = columns.dport[flow]
        self.src_hi: U64 = columns.src_hi[flow]
        self.src_lo: U64 = columns.src_lo[flow]
        self.dst_hi: U64 = columns.dst_hi[flow]
        self.dst_lo: U64 = columns.dst_lo[flow]

    def name(self, mixer: Mixer, home: Prefixes) -> None:
        """Make `client` and `server`, the addresses as words, and note whose addresses are ours."""
        self.client: U64 = mixer(self.src_hi, self.src_lo)
        self.server: U64 = mixer(self.dst_hi, self.dst_lo)
        new = np.flatnonzero(self.new)
        if len(new):
            family, slots = self.family[new], self.flow[new]
            self.memory.ours[0, slots] = home.mask(family, self.src_hi[new], self.src_lo[new])
            self.memory.ours[1, slots] = home.mask(family, self.dst_hi[new], self.dst_lo[new])

    def services(self, groups: I64, mixer: Mixer) -> U64:
        """Return address, port and protocol of servers as one word each."""
        port = self.dport[groups].astype(np.uint64) | self.protocol[groups].astype(np.uint64) << np.uint64(16)
        return mixer(self.server[groups], port)

    def to_many(self, which: I64) -> Bools:
        """Return which flows go to many receivers: multicast and broadcast (by its usual form)."""
        six = self.family[which] == 6
        first = np.where(six, self.dst_hi[which] >> np.uint64(56), self.dst_lo[which] >> np.uint64(24))
        return np.asarray(np.where(six, first == 255, (first >= 224) | (self.dst_lo[which] & np.uint64(255) == 255)))

    def drop_copies(self, copies: Copies) -> None:
        """Let flows that are copies of others behind address translation count nowhere."""
        begun = np.flatnonzero(self.new)
        if not len(begun):
            return
        twins = begun[copies.look(self.block, self.table, self.row[begun], self.interface[begun])]
        if len(twins):
            self.memory.home[:, self.flow[twins]] = COPY
            self.new[twins] = False
            for counts in (self.packets, self.size, self.said):
                counts[:, twins] = 0
