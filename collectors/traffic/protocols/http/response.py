"""Reading responses."""

from collections.abc import Callable

from collectors.traffic.protocols.http.coding import Codings
from collectors.traffic.protocols.http.half import FIELD_LIMIT, Half, no_file, no_transaction
from collectors.traffic.protocols.http.lines import (
    HTTP_11,
    INVALID,
    SPACE,
    chunk_is_junk,
    chunk_length,
    chunk_line_is_empty,
    content_length,
    ignorable,
    looks_like_body,
    status_number,
    version,
    word,
)
from collectors.traffic.protocols.http.multipart import file_name_of
from collectors.traffic.protocols.http.transaction import BODY, COMPLETE, HEADERS, LINE, START, TRAILER, HttpTransaction
from collectors.traffic.protocols.http.uri import normalise_path
from collectors.traffic.protocols.news import File, Transaction
from collectors.traffic.protocols.parser import Limits


class ResponseHalf(Half):
    """The server's side. `match` finds the transaction that the next response answers."""

    to_client = True
    side = "response"

    def __init__(
        self,
        match: Callable[[], HttpTransaction],
        touch: Callable[[Transaction], None],
        limits: Limits,
        files: Callable[[HttpTransaction, bool, bytes, bool], File],
        ended: Callable[[HttpTransaction], None],
    ) -> None:
        super().__init__(touch, limits)
        self._match = match
        self._files = files
        self._ended = ended
        self._file: File | None = None
        self.upgraded: bytes | None = None
        """What a 101 switched to."""

    def release(self) -> None:
        """Let go of what refers back to this side and to its parser; nothing is read any more."""
        super().release()
        self._match, self._files, self._ended = no_transaction, no_file, _unended

    def idle(self) -> bool:
        """Wait for the next response."""
        if self.at >= len(self.buffer):
            return False
        tx = self.tx = self._match()
        self._file = None
        if tx.request == START and not tx.method:
            self.event("request_line_incomplete")
        if tx.is_09:
            self.progress(BODY)
            self.state = self.until_close
        else:
            self.state = self.line
        return True

    def line(self) -> bool:
        """Take the status line, or what browsers take for the body when it is none."""
        line = self._take_any_line()
        if line is None:
            return False
        if ignorable(line):
            if self.closed:
                self.state = self.finalize
            return True
        tx = self.tx
        assert tx is not None
        if looks_like_body(line):
            rest = self.buffer[self.at : self.at + 1]
            if len(self.buffer) - self.at > 1 and (rest == b"H" or len(line.rstrip(b"\r\n")) <= 2):
                return True
            tx.response_message.body.codings = None
            self.body_data(line)
            if self.at >= len(self.buffer):
                self.state = self.finalize
            return True
        self._parse_line(tx, line)
        self.progress(LINE)
        self.state = self.headers
        return True

    def _take_any_line(self) -> bytes | None:
        """Take a line that ends with LF, CR or both."""
        feed = self.buffer.find(b"\n", self.at)
        carriage = self.buffer.find(b"\r", self.at, feed if feed >= 0 else len(self.buffer))
        if carriage >= 0 and carriage + 1 < len(self.buffer):
            end = carriage + (2 if self.buffer[carriage + 1] == 0x0A else 1)
        elif feed >= 0 > carriage:
            end = feed + 1
        elif self.closed and self.at < len(self.buffer):
            end = len(self.buffer)
        else:
            if len(self.buffer) - self.at > FIELD_LIMIT:
                self.die("response_field_too_long")
            return None
        line = self.buffer[self.at : end]
        self.at = end
        return line

    def _parse_line(self, tx: HttpTransaction, line: bytes) -> None:
        message = tx.response_message
        message.line = line.rstrip(b"\r\n")
        message.protocol, message.version = b"", INVALID
        tx.status, tx.stat_code, tx.stat_msg = -1, b"", None
        text = line.lstrip(SPACE + b"\0")
        protocol, rest = word(text)
        message.protocol = protocol
        message.version = version(protocol)
        code = rest.lstrip(SPACE)
        if code and len(code) != len(rest):
            tx.stat_code, rest = word(code)
            tx.status = status_number(tx.stat_code)
            text = rest.lstrip(b" \t\r\n\x0c")
            if len(text) != len(rest):
                tx.stat_msg = text.rstrip(b"\r\n")
        if message.version == INVALID:
            self.event("response_invalid_protocol")
        if tx.status < 0:
            self.event("response_invalid_status")

    def headers(self) -> bool:
        """Take the header fields, or the trailer's."""
        tx = self.tx
        assert tx is not None
        trailer = tx.response > HEADERS
        ended = self.take_headers(trailer)
        if self.dead:
            return False
        if self.closed:
            self.state = self.finalize if trailer else self.determine
            self.progress(TRAILER if trailer else HEADERS)
            return True
        if not ended:
            return False
        if trailer:
            self.progress(TRAILER)
            self.state = self.finalize
        else:
            self.progress(HEADERS)
            self.state = self.determine
        return True

    def determine(self) -> bool:
        """Find out whether there is a body, how it is cut, and how it is coded."""
        tx = self.tx
        assert tx is not None
        headers, status = tx.response_message.headers, tx.status
        length, transfer = headers.get(b"content-length"), headers.get(b"transfer-encoding")
        self._codings(tx)
        if tx.method == b"CONNECT" and 200 <= status <= 299:
            self.state = self.finalize
            return True
        if status == 101:
            if transfer is None and length is None:
                self.upgraded = (headers.get(b"upgrade") or b"").lower()
                self.state = self.finalize
                return True
        elif status == 100 and transfer is None and not (length is not None and (content_length(length) or 0) > 0):
            return self._continue(tx)
        no_body = tx.method == b"HEAD"
        if (100 <= status <= 199 or status in (204, 304)) and transfer is None and length is None:
            no_body = True
        if no_body:
            self.state = self.finalize
            return True
        return self._cut(tx, transfer, length)

    def _continue(self, tx: HttpTransaction) -> bool:
        if tx.seen_continue:
            self.event("100_continue_already_seen")
        tx.seen_continue = True
        tx.response_message.headers.clear()
        tx.response_message.raw_headers = b""
        tx.response_message.body.codings = None
        tx.response = START
        tx.forget(True)
        self.state = self.line
        return True

    def _cut(self, tx: HttpTransaction, transfer: bytes | None, length: bytes | None) -> bool:
        if transfer is not None and b"chunked" in transfer.lower().replace(b"\0", b""):
            if transfer.lower() != b"chunked":
                self.event("response_abnormal_transfer_encoding")
            if tx.response_message.version < HTTP_11:
                self.event("response_chunked_old_proto")
            self.progress(BODY)
            self.state = self.chunk_length
            return True
        if length is not None:
            number = content_length(length)
            if number is None:
                return self.die("invalid_content_length_field_in_response")
            self.left = number
            if number:
                self.progress(BODY)
            self.state = self.identity if number else self.finalize
            return True
        if (tx.response_message.headers.get(b"content-type") or b"").lower().startswith(b"multipart/byteranges"):
            return self.die("response_multipart_byteranges")
        self.progress(BODY)
        self.state = self.until_close
        return True

    def _codings(self, tx: HttpTransaction) -> None:
        field = tx.response_message.headers.get(b"content-encoding")
        if field is None:
            return
        limits = self._limits
        codings = Codings(field, limits.layers, limits.bomb_bytes, limits.bomb_ratio, limits.meter)
        self.coding_events(codings.events)
        tx.response_message.body.codings = codings if codings.names else None

    # Bodies

    def identity(self) -> bool:
        """Take a body of known length."""
        data = self.buffer[self.at : self.at + self.left]
        if not data:
            return self._closing()
        self.at += len(data)
        self.left -= len(data)
        self.body_data(data)
        if not self.left:
            self.state = self.finalize
        return True

    def until_close(self) -> bool:
        """Take a body that ends with the connection."""
        if self.at < len(self.buffer):
            data = self.rest()
            self.at = len(self.buffer)
            self.body_data(data)
        return self._closing()

    def chunk_length(self) -> bool:
        """Take a chunk's line. What is none is the rest of the body, uncut: browsers take it so."""
        start = self.at
        end = self.buffer.find(b"\n", self.at)
        if end < 0:
            rest = self.rest()
            if rest and chunk_is_junk(rest):
                self.event("invalid_response_chunk_len")
                self.state = self.until_close
                return True
            if len(rest) > FIELD_LIMIT:
                return self.die("response_field_too_long")
            return self._closing()
        line = self.buffer[self.at : end + 1]
        self.at = end + 1
        if chunk_line_is_empty(line):
            return True
        try:
            length, extended = chunk_length(line)
        except ValueError:
            self.at = start
            self.event("invalid_response_chunk_len")
            self.state = self.until_close
            return True
        if extended:
            self.event("response_chunk_extension")
        if length is None:
            return True
        self.left = length
        if length:
            self.state = self.chunk
        else:
            self.progress(TRAILER)
            self.state = self.headers
        return True

    def chunk(self) -> bool:
        """Take a chunk's data."""
        data = self.buffer[self.at : self.at + self.left]
        if not data:
            return self._closing()
        self.at += len(data)
        self.left -= len(data)
        self.body_data(data)
        if not self.left:
            self.state = self.chunk_end
        return True

    def chunk_end(self) -> bool:
        """Pass over the rest of the line behind a chunk."""
        end = self.buffer.find(b"\n", self.at)
        if end < 0:
            self.at = len(self.buffer)
            return self._closing()
        self.at = end + 1
        self.state = self.chunk_length
        return True

    def finalize(self) -> bool:
        """End a response; what follows and is no response is taken for more of its body."""
        tx = self.tx
        assert tx is not None
        if (
            self.at >= len(self.buffer)
            or self.upgraded is not None
            or (tx.method == b"CONNECT" and 200 <= tx.status <= 299)
        ):
            return self.complete()
        start = self.at
        if self.closed or self.buffer[self.at] == 0x0A:
            line = self.rest()
            self.at = len(self.buffer)
        else:
            taken = self.take_line()
            if taken is None:
                return False
            line = taken
        if looks_like_body(line):
            self.body_data(line)
            return True
        self.at = start
        return self.complete()

    def complete(self) -> bool:
        """End a response."""
        tx = self.tx
        assert tx is not None
        tx.response_message.body.end()
        if self._file is not None:
            self._file.close()
        self.progress(COMPLETE)
        self.state = self.idle
        self._ended(tx)
        if self.upgraded is not None or (tx.method == b"CONNECT" and 200 <= tx.status <= 299):
            self.dead = True
        return not self.dead

    def gap(self, length: int) -> None:
        """Hear that bytes are missing here."""
        if self.state == self.identity and self.left:
            self._lose()
            self.left -= min(self.left, length)
            if not self.left:
                self.state = self.finalize
        elif self.state == self.until_close:
            self._lose()
        elif self.state == self.finalize:
            self.complete()
        elif self.state != self.idle:
            self.die()

    def _lose(self) -> None:
        """Note that the body has a hole: it cannot be decoded any further."""
        if self._file is not None:
            self._file.truncated = True
        codings = self.message().body.codings
        if codings is not None:
            codings.bombed = True

    def _closing(self) -> bool:
        if self.closed:
            self.state = self.finalize
        return self.closed

    def entity(self, tx: HttpTransaction, data: bytes) -> None:
        """Take decoded bytes of the body: the file that it is."""
        if self._file is None:
            name = file_name_of(tx.response_message.headers.get(b"content-disposition") or b"")
            if name is None:
                path = tx.uri.path if tx.uri is not None else None
                name = normalise_path(path) if path else b""
            self._file = self._files(tx, True, name, True)
        self._file.add(data)


def _unended(_: HttpTransaction) -> None:
    pass
