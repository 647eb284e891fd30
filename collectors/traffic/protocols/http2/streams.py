"""The streams of one connection of HTTP/2: which are open, how far they are, and the files that their bodies are."""

from collections import deque
from typing import Final

from collectors.traffic.protocols.http.transaction import COMPLETE, HttpTransaction
from collectors.traffic.protocols.http2 import doh
from collectors.traffic.protocols.http2.hpack import Table
from collectors.traffic.protocols.http2.transaction import Http2Transaction
from collectors.traffic.protocols.news import Conversation, File, Transaction, begun_digests
from collectors.traffic.protocols.parser import MAX_TRANSACTIONS, MOST_SPARED, Facts, Limits, Parser

CLOSED: Final = 64
"""Streams that ended last, whose numbers are remembered."""
MAX_BODIES: Final = 64
MAX_CODED: Final = 16
"""Streams of one side that may have a body at once, and a compressed one: what is kept of each and what a decoder needs is many times what
the first bytes cost. The oldest one is ended for a newer one."""


class Side:
    """What is being read of one direction: `left` bytes of a frame (`tx`: whose body they are), and a field block that goes on.

    `block_stream` is the stream whose frames carry the block, `block_for` the one whose fields they are (that of a promise is another), and
    `block_side` whether these are an answer's.
    """

    __slots__ = (
        "begun",
        "block",
        "block_ends",
        "block_for",
        "block_side",
        "block_stream",
        "bodies",
        "buffer",
        "coded",
        "dead",
        "ends",
        "file",
        "left",
        "padding",
        "table",
        "tx",
    )

    def __init__(self) -> None:
        self.buffer = b""
        self.dead = False
        self.begun = False
        self.left = 0
        self.padding = 0
        self.tx: Http2Transaction | None = None
        self.ends = False
        self.block = bytearray()
        self.block_stream = 0
        self.block_for = 0
        self.block_side = False
        self.block_ends = False
        self.table = Table()
        self.file: dict[int, File] = {}
        self.bodies: dict[int, Http2Transaction] = {}
        self.coded: dict[int, Http2Transaction] = {}


class Streams(Parser):
    """What the frames of a connection belong to."""

    def __init__(self, conversation: Conversation, facts: Facts, limits: Limits) -> None:
        super().__init__(conversation, facts, limits)
        self._streams: dict[int, Http2Transaction] = {}
        self._closed: deque[int] = deque(maxlen=CLOSED)
        self._sides = (Side(), Side())

    def unread(self) -> int:
        """Return how many bytes wait for those behind them, with the tables of header compression."""
        return sum(len(side.buffer) + len(side.block) + side.table.held() for side in self._sides)

    def stop(self) -> list[tuple[Transaction, bool]]:
        """Let rules see what is there, and keep no more of it; of many open streams the oldest are ended."""
        found = super().stop()
        for tx in list(self._streams.values())[:-MOST_SPARED]:
            tx.event("too_many_streams", False)
            self._finish(tx)
            found.append((tx, False))
        return found

    def _stream(self, stream: int, to_client: bool) -> Http2Transaction:
        """Return the transaction of a stream; a new one when it is not open."""
        tx = self._streams.get(stream)
        if tx is not None:
            return tx
        self._make_room(self._streams, MAX_TRANSACTIONS, to_client)
        tx = Http2Transaction(self.count, stream, self.limits)
        self._enter(tx)
        if stream in self._closed:
            tx.event("stream_id_reuse", to_client)
        self._streams[stream] = tx
        return tx

    def _make_room(self, held: dict[int, Http2Transaction], most: int, to_client: bool) -> None:
        """End the stream that has been held longest when as many are held as may be."""
        if len(held) >= most:
            oldest = next(iter(held.values()))
            oldest.event("too_many_streams", to_client)
            self._finish(oldest)

    def _enter(self, tx: Http2Transaction) -> None:
        """Add a transaction to the conversation."""
        tx.protocol = self.protocol
        self.open(tx)

    def _reach(self, tx: Http2Transaction, to_client: bool, step: int) -> None:
        """Say how far a side of a stream is."""
        if to_client:
            tx.response = step
        else:
            tx.request = step
        tx.forget(to_client)
        self.touch(tx)

    def _whole(self, tx: Http2Transaction, to_client: bool) -> None:
        """End one side of a stream."""
        tx.ended[to_client] = True
        body = tx.message(to_client).body
        body.end()
        side = self._sides[to_client]
        side.bodies.pop(tx.stream, None)
        side.coded.pop(tx.stream, None)
        file = side.file.pop(tx.stream, None)
        if file is not None:
            file.close()
        if doh.reads(tx, to_client):
            self._rename()
        self._reach(tx, to_client, COMPLETE)
        if tx.ended[0] and tx.ended[1]:
            self._finish(tx)

    def _finish(self, tx: Http2Transaction) -> None:
        """End a stream."""
        tx.done = True
        if self._streams.pop(tx.stream, None) is not None:
            self._closed.append(tx.stream)
        for side in self._sides:
            side.bodies.pop(tx.stream, None)
            side.coded.pop(tx.stream, None)
            file = side.file.pop(tx.stream, None)
            if file is not None:
                file.close(truncated=True)
            if side.tx is tx:
                side.tx = None
        tx.request_message.body.leave()
        tx.response_message.body.leave()
        self.touch(tx)

    def _rename(self) -> None:
        """Say that this connection carries DNS: so it is called from now on."""
        if self.protocol == "http2":
            talked = self.conversation
            self.protocol = self.renamed = talked.protocol = "doh2"
            talked.by_side = ["doh2" if one == "http2" else one for one in talked.by_side]
            for tx in self._streams.values():
                tx.protocol = "doh2"

    def _odd(self, name: str, to_client: bool, tx: HttpTransaction | None) -> None:
        """Note an event: on a transaction, else on one of its own."""
        if tx is None:
            mine = Http2Transaction(self.count, 0, self.limits)
            self._enter(mine)
            mine.request = mine.response = COMPLETE
            mine.done = True
            tx = mine
        tx.event(name, to_client)
        self.touch(tx)

    def _file(self, tx: Http2Transaction, to_client: bool) -> File:
        digests = begun_digests(self.limits.hash_files)
        file = File(to_client, tx.file_name(to_client), digests=digests, kept=tx.message(to_client).body.kept)
        tx.files.append(file)
        return file
