"""The fast way: how far the packets of every flow in a block are what is expected, for all flows at once.

A packet is expected when its sequence number is where its sender stopped, what it acknowledges has been sent and was not acknowledged less
before, it lies in the window, its flags and timestamps are such as the state asks for. That holds for nearly all packets; the rest
of a flow, from the first packet on that is otherwise, is looked at with care (`streams.session`), which comes to the same where both apply.
"""

from typing import Final

import numpy as np

from collectors.traffic.block import I64, Bools
from collectors.traffic.streams import columns as codes
from collectors.traffic.streams.columns import SessionColumns
from collectors.traffic.streams.options import StreamOptions
from collectors.traffic.streams.rows import Rows

_FIN: Final = 1
_SYN: Final = 2
_RST: Final = 4
_ACK: Final = 16
_URG: Final = 32
_STATE: Final = _FIN | _SYN | _RST | _ACK
_MASK: Final = 0xFFFFFFFF
_HALF: Final = 0x80000000
_APART: Final = 1 << 44
"""Further than any offset goes: keeps the groups apart in running maxima."""
_FAR: Final = -(1 << 60)

Pair = tuple[I64, I64]


class Prefix:
    """How far each group goes as expected (`end[g]`), and by row what that means.

    `stage` is what the row is in the handshake (0 SYN, 1 SYN/ACK, 2 ACK, 3 behind it; -1 where there is no session: a FIN and a reset are
    refused there). `offset` is the
    sender's offset before the row. Behind the row, for both directions: `sent` is where the sender goes on (a FIN counts one), `fins`
    whether it has ended, `acks` what is acknowledged, `limits` the window's edge. `windows` is the row's own, scaled. `passed` rows change
    nothing: keep-alives, and bytes that are `repeated` although they were acknowledged; `again` rows repeat bytes from offset `at` on that
    still wait: they change nothing if they are the same (`streams.repeats`).
    """

    __slots__ = (
        "acks",
        "again",
        "at",
        "base",
        "end",
        "fins",
        "limits",
        "next",
        "offset",
        "passed",
        "repeated",
        "rows",
        "scale",
        "sent",
        "stage",
        "stamped",
        "windows",
    )

    def __init__(self, rows: Rows, known: SessionColumns, options: StreamOptions) -> None:
        self.rows = rows
        group, flow = rows.group, rows.flow
        code = known.code[flow]
        pairs = {name: pair[:, flow] for name, pair in known.pairs.items()}
        self.stage: I64 = np.minimum(np.minimum(code, 3)[group] + rows.index, 3)
        ignored = self._ignored(code)
        self.base, self.next = self._bases(code, pairs)
        self.scale, self.stamped = self._scales(known, pairs)
        self.repeated, self.passed, self.again = self._passed_over(pairs, options, ignored)
        ignored |= self.passed
        wrong = self._flags_wrong(code, ignored)
        wrong |= self._sequence_wrong(pairs, ignored)
        wrong |= self._ack_wrong(pairs, ignored)
        wrong |= self._window_wrong(known, pairs, ignored)
        wrong |= self._stamps_wrong(pairs, ignored)
        places = np.where(wrong, np.arange(len(rows)), len(rows))
        self.end: I64 = np.minimum(np.minimum.reduceat(places, rows.starts), rows.ends)
        self.stage[ignored & ~self.passed] = -1

    def _ignored(self, code: I64) -> Bools:
        """Return which packets belong to no session: their flow's beginning was not seen."""
        rows = self.rows
        first = rows.starts
        syn = (rows.flags[first] & _STATE) == _SYN
        return np.asarray(((code == codes.NOTHING) & ~syn)[rows.group])

    def _bases(self, code: I64, pairs: dict[str, I64]) -> tuple[Pair, Pair]:
        """Return the sequence numbers of offset 0 and where both senders go on at the beginning of each group."""
        rows = self.rows
        fresh = code == codes.NOTHING
        base0 = np.where(fresh, rows.seq[rows.starts] + 1, pairs["base"][0])
        # The server's begins with its SYN/ACK: the first packet of its that the group has.
        answer = np.minimum(np.where(code == codes.NOTHING, rows.starts + 1, rows.starts), rows.ends - 1)
        unanswered = code <= codes.SYN_SENT
        base1 = np.where(unanswered, rows.seq[answer] + 1, pairs["base"][1])
        next0 = np.where(fresh, -1, pairs["next"][0])
        next1 = np.where(unanswered, -1, pairs["next"][1])
        return (base0, base1), (next0, next1)

    def _passed_over(self, pairs: dict[str, I64], options: StreamOptions, ignored: Bools) -> tuple[Bools, Bools, Bools]:
        """Return which packets repeat what has been handed on, which change nothing for this reason or as keep-alives, and which say again
        what waits (their bytes are to be compared). Only groups with a packet out of place have any."""
        rows = self.rows
        found = np.zeros((3, len(rows)), np.bool_)
        self.at = np.zeros(len(rows), np.int64)
        groups = self._out_of_place(ignored)
        if len(groups):
            part = rows.rest(groups, rows.starts[groups])
            places = part.index + rows.starts[groups][part.group]
            looked = _Repeats(part, self.stage[places], *(_some(pair, groups) for pair in (self.base, self.next)))
            found[:, places], self.at[places] = looked.passed_over(
                {name: pair[:, groups] for name, pair in pairs.items()}, options, ignored[places]
            )
        return found[0], found[1], found[2]

    def _out_of_place(self, ignored: Bools) -> I64:
        """Return the groups with a packet that does not begin where its sender stopped."""
        rows, group, client = self.rows, self.rows.group, self.rows.way == 0
        used = rows.length + ((rows.flags & _SYN) != 0) + ((rows.flags & _FIN) != 0)
        before = [_before(rows, np.where(mine, used, 0)) for mine in (client, ~client)]
        expected = np.where(
            client,
            before[0] + (self.base[0] + self.next[0])[group],
            before[1] + (self.base[1] + self.next[1])[group],
        )
        off = ((expected & _MASK) != rows.seq) & ~ignored
        return np.flatnonzero(np.logical_or.reduceat(off, rows.starts))

    def _scales(self, known: SessionColumns, pairs: dict[str, I64]) -> tuple[Pair, Bools]:
        """Return both windows' scales, and whether both sides use timestamps, as the handshake has it."""
        rows = self.rows
        scale0, scale1 = pairs["scale"][0].copy(), pairs["scale"][1].copy()
        stamped = known.stamped[rows.flow].copy()
        offered = scale1.copy()
        asked = pairs["stamp"][0] >= 0
        syn = np.flatnonzero(self.stage[rows.starts] == 0)
        offered[syn] = rows.scale[rows.starts[syn]]
        asked[syn] = rows.stamp[rows.starts[syn]] >= 0
        answers = np.flatnonzero(self.stage == 1)
        group = rows.group[answers]
        both = (offered[group] >= 0) & (rows.scale[answers] >= 0)
        scale0[group] = np.where(both, rows.scale[answers], 0)
        scale1[syn] = offered[syn]
        stamped[group] = asked[group] & (rows.stamp[answers] >= 0)
        return (scale0, scale1), stamped

    def _flags_wrong(self, code: I64, ignored: Bools) -> Bools:
        rows, stage = self.rows, self.stage
        kind = rows.flags & _STATE
        client, bare = rows.way == 0, rows.length == 0
        answers = (kind == (_SYN | _ACK)) | (kind == (_RST | _ACK))
        has_ack = (kind & _ACK) != 0
        lone_reset = (kind == _RST) & (rows.ack == 0)
        behind = ((kind & _SYN) == 0) & (has_ack | lone_reset)
        behind &= ((kind & _RST) == 0) | (bare & ((kind & _FIN) == 0))
        right = (stage == 0) & (kind == _SYN) & client & bare & (rows.ack == 0)
        right |= (stage == 1) & answers & ~client & bare
        right |= (stage == 2) & (kind == _ACK) & client
        right |= (stage == 3) & behind
        closed = (code >= codes.FINISHED)[rows.group]
        wrong = ~right | closed | self._behind_end()
        # Without a session: a SYN begins one, an acknowledgement without its flag is told.
        alone = (kind == _SYN) | (~has_ack & (rows.ack != 0))
        return np.asarray(np.where(ignored, alone, wrong) | rows.odd)

    def _behind_end(self) -> Bools:
        """Return which rows come behind a reset; or say more than an acknowledgement behind their own FIN."""
        rows = self.rows
        reset = _before(rows, (rows.flags & _RST) != 0) > 0
        fin = (rows.flags & _FIN) != 0
        ended = np.where(rows.way == 0, _before(rows, fin & (rows.way == 0)), _before(rows, fin & (rows.way == 1))) > 0
        return np.asarray(reset | (ended & ((rows.length > 0) | fin)))

    def _sequence_wrong(self, pairs: dict[str, I64], ignored: Bools) -> Bools:
        rows, group, client = self.rows, self.rows.group, self.rows.way == 0
        used = rows.length + ((rows.flags & _SYN) != 0) + ((rows.flags & _FIN) != 0)
        used = np.where(self.passed | self.again, 0, used)
        before = tuple(
            _before(rows, np.where(mine, used, 0)) + self.next[way][group] for way, mine in ((0, client), (1, ~client))
        )
        self.offset: I64 = np.where(client, before[0], before[1])
        self.sent: Pair = (before[0] + np.where(client, used, 0), before[1] + np.where(client, 0, used))
        base = np.where(client, self.base[0][group], self.base[1][group])
        had_fin = np.where(client, pairs["fin"][0][group], pairs["fin"][1][group]) >= 0
        wrong = (((base + self.offset) & _MASK) != rows.seq) & ~self.again
        wrong |= had_fin & ((rows.length > 0) | ((rows.flags & _FIN) != 0))
        fins = ((rows.flags & _FIN) != 0).astype(np.int64)
        self.fins: Pair = tuple(
            _before(rows, np.where(mine, fins, 0)) + np.where(mine, fins, 0) + (pairs["fin"][way] >= 0)[group]
            for way, mine in ((0, client), (1, ~client))
        )
        return np.asarray(wrong & ~ignored)

    def _ack_wrong(self, pairs: dict[str, I64], ignored: Bools) -> Bools:
        rows, group, client = self.rows, self.rows.group, self.rows.way == 0
        other = np.where(client, self.sent[1], self.sent[0])
        base = np.where(client, self.base[1][group], self.base[0][group])
        has = ((rows.flags & _ACK) != 0) & ~self.passed
        over = ((rows.ack - base - other + _HALF) & _MASK) - _HALF
        acked = np.where(has, other + over, _FAR)
        self.acks: Pair = (
            _highest(rows, np.where(client, _FAR, acked), pairs["acked"][0]),
            _highest(rows, np.where(client, acked, _FAR), pairs["acked"][1]),
        )
        highest = np.where(client, self.acks[1], self.acks[0])
        # The handshake's own acknowledgements are exact.
        exact = (self.stage == 1) | (self.stage == 2)
        wrong = has & ((over > 0) | (acked < highest) | (exact & (over != 0)))
        return np.asarray(wrong & ~ignored)

    def _window_wrong(self, known: SessionColumns, pairs: dict[str, I64], ignored: Bools) -> Bools:
        rows, group, client = self.rows, self.rows.group, self.rows.way == 0
        scale = np.where(client, self.scale[1][group], self.scale[0][group])
        self.windows: I64 = rows.window << np.where(self.stage <= 1, 0, np.maximum(scale, 0))
        # What one side says moves the edge of what the other may send.
        edge = np.where(self.passed, _FAR, np.where(client, self.acks[1], self.acks[0]) + self.windows)
        self.limits: Pair = (
            _highest(rows, np.where(client, _FAR, edge), pairs["limit"][0]),
            _highest(rows, np.where(client, edge, _FAR), pairs["limit"][1]),
        )
        mine = np.where(client, self.limits[0], self.limits[1])
        wrong = (self.offset + rows.length > mine) & (rows.length > 0) & ~self.again & ~known.loose[rows.flow][group]
        return np.asarray(wrong & ~ignored)

    def _stamps_wrong(self, pairs: dict[str, I64], ignored: Bools) -> Bools:
        rows, group, client = self.rows, self.rows.group, self.rows.way == 0
        first = np.where(client, pairs["stamp"][0][group], pairs["stamp"][1][group])
        previous = _previous(rows, np.where(self.passed, -1, rows.stamp), first)
        back = (((rows.stamp - previous + _HALF) & _MASK) < _HALF) & (previous >= 0)
        wrong = (rows.stamp >= 0) & (back | (rows.stamp == 0)) & (self.stamped[group] | (self.stage <= 1))
        answers = np.flatnonzero(self.stage == 1)
        if len(answers):
            syn = np.where(
                rows.index[answers] > 0, rows.stamp[np.maximum(answers - 1, 0)], pairs["stamp"][0][group[answers]]
            )
            echo = rows.echo[answers]
            wrong[answers[(echo > 0) & (echo != np.maximum(syn, 0))]] = True
        return np.asarray(wrong & ~ignored)


class _Repeats:
    """Groups in which some packet does not begin where its sender stopped."""

    def __init__(self, rows: Rows, stage: I64, base: Pair, following: Pair) -> None:
        self.rows, self.stage, self.base, self.next = rows, stage, base, following

    def passed_over(
        self, pairs: dict[str, I64], options: StreamOptions, ignored: Bools
    ) -> tuple[tuple[Bools, Bools, Bools], I64]:
        """Return which packets are repeated, passed over, said again (`Prefix._passed_over`), and the offsets at which all begin."""
        rows, group, client = self.rows, self.rows.group, self.rows.way == 0
        plain = (self.stage == 3) & ((rows.flags & (_STATE | _URG)) == _ACK) & ~rows.odd & ~ignored
        # Offsets by what is nearest to where the group begins.
        start = np.where(client, self.next[0][group], self.next[1][group])
        base = np.where(client, self.base[0][group], self.base[1][group])
        offset = start + ((rows.seq - base - start + _HALF) & _MASK) - _HALF
        first = np.where(client, pairs["acked"][1][group], pairs["acked"][0][group])
        other = np.where(client, self.base[1][group], self.base[0][group])
        ack = first + ((rows.ack - other - first + _HALF) & _MASK) - _HALF
        acks = (
            _highest(rows, np.where(plain & ~client, ack, _FAR), pairs["acked"][0]),
            _highest(rows, np.where(plain & client, ack, _FAR), pairs["acked"][1]),
        )
        end = offset + rows.length
        mine, theirs = np.where(client, acks[0], acks[1]), np.where(client, acks[1], acks[0])
        repeated = plain & (rows.length > 1) & (end <= np.minimum(mine, options.depth)) & (not options.inline)
        reached = np.where(
            client,
            _shifted(rows, _highest(rows, np.where(client, end, _FAR), self.next[0]), self.next[0]),
            _shifted(rows, _highest(rows, np.where(client, _FAR, end), self.next[1]), self.next[1]),
        )
        fin = _before(rows, (rows.flags & _FIN) != 0) + (pairs["fin"][0] >= 0)[group] + (pairs["fin"][1] >= 0)[group]
        alive = plain & (rows.length <= 1) & (offset == reached - 1) & (ack == theirs) & (fin == 0)
        waits = (offset >= mine) & (end <= np.minimum(reached, options.depth)) & (not options.inline) & (fin == 0)
        again = plain & (rows.length > 1) & waits & ~alive
        return (repeated, repeated | alive, again), offset


def _some(pair: Pair, groups: I64) -> Pair:
    return pair[0][groups], pair[1][groups]


def _highest(rows: Rows, values: I64, first: I64) -> I64:
    """Return the highest of `first` and the values of the group up to each row."""
    apart = rows.group * _APART
    running = np.maximum.accumulate(np.where(values == _FAR, _FAR, values + apart))
    return np.asarray(np.maximum(running - apart, first[rows.group]))


def _before(rows: Rows, values: I64 | Bools) -> I64:
    """Return the sum over the rows of the same group that come before each."""
    total = np.cumsum(values, dtype=np.int64)
    exclusive = total - values
    return np.asarray(exclusive - exclusive[rows.starts][rows.group])


def _shifted(rows: Rows, values: I64, first: I64) -> I64:
    """Return each row's value of the row before in its group, `first` of the group at its beginning."""
    shifted = np.append(0, values[:-1])
    shifted[rows.starts] = first
    return shifted


def _previous(rows: Rows, values: I64, first: I64) -> I64:
    """Return the value (none is negative) of the packet before, of the same sender; `first` where the group has none."""
    found = np.empty(len(rows), np.int64)
    places = np.arange(len(rows))
    has = values >= 0
    for way in (0, 1):
        mine = rows.way == way
        last = np.append(-1, np.maximum.accumulate(np.where(mine & has, places, -1))[:-1])
        here = last >= rows.starts[rows.group]
        found = np.where(mine, np.where(here, values[np.maximum(last, 0)], first), found)
    return found
