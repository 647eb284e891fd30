"""HTTP/2 over one connection: both sides' frames, and what they do to its streams. Without encryption, or behind an Upgrade."""

import binascii

from collectors.traffic.protocols.http.coding import Codings
from collectors.traffic.protocols.http.parser import HttpParser
from collectors.traffic.protocols.http.transaction import BODY, COMPLETE, HEADERS, TRAILER
from collectors.traffic.protocols.http2 import doh, frames
from collectors.traffic.protocols.http2.frames import Malformed
from collectors.traffic.protocols.http2.hpack import Field
from collectors.traffic.protocols.http2.streams import MAX_BODIES, MAX_CODED, Side, Streams
from collectors.traffic.protocols.http2.transaction import Http2Transaction
from collectors.traffic.protocols.news import Conversation, Transaction
from collectors.traffic.protocols.parser import Facts, Limits, Parser


class Http2Parser(Streams):
    """Reads a connection that speaks HTTP/2."""

    protocol = "http2"

    def __init__(self, conversation: Conversation, facts: Facts, limits: Limits) -> None:
        super().__init__(conversation, facts, limits)
        self._asked: list[Transaction] = []

    def take_over(self, former: Parser) -> None:
        """Go on behind an Upgrade: the request that asked for it is that of the first stream (RFC 7540, 3.2)."""
        asked = former.upgraded() if isinstance(former, HttpParser) else None
        if asked is None:
            return
        tx = self._stream(1, False)
        fields: list[Field] = [(b":method", asked.method), (b":path", asked.target or b"/")]
        if asked.host:
            fields.append((b":authority", asked.host))
        fields += [(field.name.lower(), field.value) for field in asked.request_message.headers.fields]
        tx.add(False, fields)
        tx.settle(False)
        tx.request, tx.ended[0] = COMPLETE, True
        tx.number_is("http2.frametype", False, frames.HEADERS)
        told = asked.request_message.headers.get(b"http2-settings")
        if told is not None:
            self._settings_of(told, tx)
        # As in Suricata, rules look at the request again when the client goes on: it is this protocol's, too.
        self._asked, self.touched = [tx, *self.touched], []

    def _settings_of(self, told: bytes, tx: Http2Transaction) -> None:
        """Take the settings that a request for an Upgrade brought."""
        try:
            payload = binascii.a2b_base64(told.translate(doh.STANDARD) + b"=" * (-len(told) % 4), strict_mode=True)
            self._settings(self._note(0, False, frames.SETTINGS), False, frames.settings(payload))
        except (binascii.Error, Malformed):
            tx.event("invalid_http1_settings", False)

    def data(self, to_client: bool, data: bytes, gap: int) -> None:
        """Take bytes of one side."""
        side = self._sides[to_client]
        if gap and not side.dead:
            self._gap(side, gap)
        if side.dead:
            return
        side.buffer = side.buffer + data if side.buffer else data
        at = self._magic(side) if not side.begun and not to_client else 0
        while at >= 0 and at < len(side.buffer):
            behind = self._body(side, to_client, at) if side.left or side.padding else self._frame(side, to_client, at)
            if behind < 0:
                break
            at = behind
        if at > 0:
            side.buffer = side.buffer[at:]

    def end(self, to_client: bool) -> None:
        """Hear that one side says no more: what it has begun is as whole as it will be."""
        for tx in list(self._streams.values()):
            if tx.message(to_client).body.wire and not tx.ended[to_client]:
                file = self._sides[to_client].file.get(tx.stream)
                if file is not None:
                    file.truncated = True
                self._whole(tx, to_client)

    def _magic(self, side: Side) -> int:
        """Take the client's first words; returns the place behind them, -1 while they are not all there."""
        head = side.buffer[: len(frames.MAGIC)]
        if frames.MAGIC.startswith(head) and len(head) < len(frames.MAGIC):
            return -1
        side.begun = True
        self.touched += self._asked
        self._asked = []
        if head == frames.MAGIC:
            return len(head)
        self._odd("invalid_client_magic", False, None)
        return 0

    # Frames

    def _frame(self, side: Side, to_client: bool, at: int) -> int:
        """Take a frame, or the head of one of DATA; returns the place behind it, -1 while it is not all there."""
        buffer = side.buffer
        if len(buffer) - at < frames.HEADER:
            return -1
        length = int.from_bytes(buffer[at : at + 3])
        kind, flags = buffer[at + 3], buffer[at + 4]
        stream = int.from_bytes(buffer[at + 5 : at + 9]) & 0x7FFFFFFF
        at += frames.HEADER
        if kind == frames.DATA:
            return self._data(side, to_client, at, length, flags, stream)
        if length > frames.MAX_FRAME:
            self._odd("long_frame_data", to_client, None)
            if kind in (frames.HEADERS, frames.PUSH_PROMISE, frames.CONTINUATION):
                side.table.lose()
            side.left, side.tx = length, None
            return at
        if len(buffer) - at < length:
            return -1
        self._control(side, to_client, kind, flags, stream, buffer[at : at + length])
        return at + length

    def _control(self, side: Side, to_client: bool, kind: int, flags: int, stream: int, payload: bytes) -> None:
        if kind == frames.SETTINGS and not payload:
            return
        if side.block and (kind != frames.CONTINUATION or stream != side.block_stream):
            # A field block that is never ended: nobody knows the table behind it.
            self._odd("invalid_frame_data", to_client, self._streams.get(side.block_for))
            side.block.clear()
            side.block_stream = side.block_for = 0
            side.table.lose()
        try:
            if kind == frames.HEADERS:
                self._headers(side, to_client, flags, stream, payload)
            elif kind == frames.CONTINUATION:
                self._continuation(side, to_client, flags, stream, payload)
            elif kind == frames.PUSH_PROMISE:
                self._promise(side, to_client, flags, stream, payload)
            else:
                self._single(to_client, kind, stream, payload)
        except Malformed:
            if kind in (frames.HEADERS, frames.PUSH_PROMISE, frames.CONTINUATION):
                side.table.lose()
            short = kind in (frames.RST_STREAM, frames.GOAWAY, frames.PRIORITY, frames.WINDOW_UPDATE)
            name = "invalid_frame_length" if short else "invalid_frame_data"
            self._odd(name, to_client, self._streams.get(stream))

    def _single(self, to_client: bool, kind: int, stream: int, payload: bytes) -> None:
        """Take a frame that says all by itself."""
        if kind == frames.SETTINGS:
            found = frames.settings(payload)
            self._settings(self._note(0, to_client, kind), to_client, found)
        elif kind == frames.PRIORITY:
            if len(payload) != 5:
                raise Malformed
            self._note(stream, to_client, kind).number_is("http2.priority", to_client, payload[4])
        elif kind == frames.WINDOW_UPDATE:
            step = frames.number(payload)
            self._note(stream, to_client, kind).number_is("http2.window", to_client, step)
        elif kind == frames.RST_STREAM:
            if len(payload) != 4:
                raise Malformed
            tx = self._note(stream, to_client, kind)
            tx.number_is("http2.errorcode", to_client, int.from_bytes(payload))
            self._finish(tx)
        elif kind == frames.GOAWAY:
            if len(payload) < 8:
                raise Malformed
            tx = self._note(0, to_client, kind)
            tx.number_is("http2.errorcode", to_client, int.from_bytes(payload[4:8]))
        else:
            self._note(stream, to_client, kind)

    def _settings(self, tx: Http2Transaction, to_client: bool, found: list[tuple[int, int]]) -> None:
        """Take settings, number and value."""
        for name, value in found:
            tx.number_is("http2.settings", to_client, name << 32 | value)
            if name == frames.HEADER_TABLE_SIZE:
                # What a side lets itself be told: the other side's fields are written with it.
                self._sides[not to_client].table.allow(value)

    def _note(self, stream: int, to_client: bool, kind: int) -> Http2Transaction:
        """Return the transaction that a frame belongs to: its stream's, or one of its own where no stream is open."""
        tx = self._streams.get(stream)
        if tx is None:
            tx = Http2Transaction(self.count, stream, self.limits)
            self._enter(tx)
            tx.request = tx.response = COMPLETE
            tx.done = True
        tx.number_is("http2.frametype", to_client, kind)
        self.touch(tx)
        return tx

    # Fields

    def _headers(self, side: Side, to_client: bool, flags: int, stream: int, payload: bytes) -> None:
        if not stream:
            raise Malformed
        payload = frames.unpadded(payload, flags)
        tx = self._stream(stream, to_client)
        tx.number_is("http2.frametype", to_client, frames.HEADERS)
        if flags & frames.WITH_PRIORITY:
            if len(payload) < 5:
                raise Malformed
            tx.number_is("http2.priority", to_client, payload[4])
            payload = payload[5:]
        side.block_stream, side.block_for = stream, stream
        side.block_side, side.block_ends = to_client, bool(flags & frames.END_STREAM)
        self._block(side, to_client, flags, payload)

    def _continuation(self, side: Side, to_client: bool, flags: int, stream: int, payload: bytes) -> None:
        tx = self._streams.get(side.block_for)
        if tx is None or stream != side.block_stream:
            raise Malformed
        tx.number_is("http2.frametype", to_client, frames.CONTINUATION)
        if len(side.block) + len(payload) > frames.MAX_BLOCK:
            self._odd("reassembly_limit_reached", to_client, tx)
            side.block.clear()
            side.block_stream = side.block_for = 0
            side.table.lose()
            return
        self._block(side, to_client, flags, payload)

    def _promise(self, side: Side, to_client: bool, flags: int, stream: int, payload: bytes) -> None:
        """Take a request that the server answers without having been asked: the promised stream's, though the server says it."""
        payload = frames.unpadded(payload, flags)
        promised = frames.number(payload)
        tx = self._stream(promised, to_client)
        tx.number_is("http2.frametype", to_client, frames.PUSH_PROMISE)
        side.block_stream, side.block_for = stream, promised
        side.block_side, side.block_ends = False, True
        self._block(side, to_client, flags, payload[4:])

    def _block(self, side: Side, to_client: bool, flags: int, payload: bytes) -> None:
        """Take a piece of a field block; with its last one, read it."""
        if not flags & frames.END_HEADERS:
            side.block += payload
            return
        block = bytes(side.block) + payload if side.block else payload
        side.block.clear()
        tx = self._streams[side.block_for]
        side.block_stream = side.block_for = 0
        fields = side.table.decode(block)
        for size in side.table.updates:
            tx.number_is("http2.size_update", to_client, size)
        for name in side.table.problems:
            tx.event(name, to_client)
        self._fields(tx, side.block_side, fields)
        if side.block_ends:
            self._whole(tx, side.block_side)
        self.touch(tx)

    def _fields(self, tx: Http2Transaction, to_client: bool, fields: list[Field]) -> None:
        """Take the fields of a block: a request's, an answer's, an interim answer's, or those behind a body."""
        progress = tx.progress(to_client)
        if to_client and progress == HEADERS and 100 <= tx.status < 200:
            tx.begin_again()
            progress = 0
        tx.add(to_client, fields)
        if progress < HEADERS:
            tx.settle(to_client)
            self._codings(tx, to_client)
            if doh.asks(tx, to_client):
                self._rename()
            self._reach(tx, to_client, HEADERS)
        elif progress < TRAILER:
            self._reach(tx, to_client, TRAILER)

    def _codings(self, tx: Http2Transaction, to_client: bool) -> None:
        message = tx.message(to_client)
        field = message.headers.get(b"content-encoding")
        if field is None:
            return
        limits = self.limits
        codings = Codings(field, limits.layers, limits.bomb_bytes, limits.bomb_ratio, limits.meter)
        codings.events.clear()
        if codings.names:
            message.body.codings = codings
            self._make_room(self._sides[to_client].coded, MAX_CODED, to_client)
            self._sides[to_client].coded[tx.stream] = tx

    # Bodies

    def _data(self, side: Side, to_client: bool, at: int, length: int, flags: int, stream: int) -> int:
        """Take the head of a frame of DATA; returns the place where its bytes begin, -1 while its padding is not known."""
        padding = 0
        if flags & frames.PADDED and length:
            if at >= len(side.buffer):
                return -1
            padding = side.buffer[at]
            at += 1
            length -= 1
        tx = self._streams.get(stream)
        if not stream:
            self._odd("data_stream_zero", to_client, None)
        elif tx is None:
            tx = self._stream(stream, to_client)
        if padding > length:
            self._odd("invalid_frame_data", to_client, tx)
            padding = 0
        side.left, side.padding = length - padding, padding
        side.tx, side.ends = tx, bool(flags & frames.END_STREAM)
        if tx is not None:
            if tx.number_is("http2.frametype", to_client, frames.DATA):
                self.touch(tx)
            if not side.left and not padding:
                self._taken(side, to_client)
        return at

    def _body(self, side: Side, to_client: bool, at: int) -> int:
        """Take bytes of a frame of DATA, or of one that is passed over; returns the place behind them."""
        if side.left:
            piece = side.buffer[at : at + side.left]
            side.left -= len(piece)
            at += len(piece)
            if side.tx is not None:
                self._piece(side, side.tx, to_client, piece)
        else:
            passed = min(side.padding, len(side.buffer) - at)
            side.padding -= passed
            at += passed
        if not side.left and not side.padding:
            self._taken(side, to_client)
        return at

    def _taken(self, side: Side, to_client: bool) -> None:
        """End a frame of DATA."""
        tx, side.tx = side.tx, None
        if tx is not None and side.ends and not tx.ended[to_client]:
            self._whole(tx, to_client)

    def _piece(self, side: Side, tx: Http2Transaction, to_client: bool, data: bytes) -> None:
        """Take bytes of a body."""
        body = tx.message(to_client).body
        decoded = body.add(data)
        if body.codings is not None and body.codings.events:
            body.codings.events.clear()
            self._odd("failed_decompression", to_client, tx)
        if decoded:
            file = side.file.get(tx.stream)
            if file is None:
                self._make_room(side.bodies, MAX_BODIES, to_client)
                side.bodies[tx.stream] = tx
                file = side.file[tx.stream] = self._file(tx, to_client)
            file.add(decoded)
        if tx.progress(to_client) < BODY:
            self._reach(tx, to_client, BODY)
        elif body.advance():
            self.touch(tx)

    def _gap(self, side: Side, gap: int) -> None:
        """Hear that bytes are missing: within a body the frames behind it can still be told, anywhere else they cannot."""
        if side.buffer or gap > side.left + side.padding:
            side.dead = True
            side.buffer = b""
            return
        lost = min(side.left, gap)
        side.left -= lost
        side.padding -= gap - lost
        if side.tx is not None and lost:
            codings = side.tx.message(side is self._sides[1]).body.codings
            if codings is not None:
                codings.bombed = True
            file = side.file.get(side.tx.stream)
            if file is not None:
                file.truncated = True
        if not side.left and not side.padding:
            self._taken(side, side is self._sides[1])
