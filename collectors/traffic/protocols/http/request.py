"""Reading requests."""

from collections.abc import Callable
from typing import Final

from collectors.traffic.protocols.http.coding import Codings
from collectors.traffic.protocols.http.half import Half, no_file, no_transaction
from collectors.traffic.protocols.http.lines import (
    HTTP_09,
    HTTP_11,
    INVALID,
    SPACE,
    chunk_is_junk,
    chunk_length,
    chunk_line_is_empty,
    content_length,
    ignorable,
    version,
    word,
)
from collectors.traffic.protocols.http.multipart import Multipart, boundary_of
from collectors.traffic.protocols.http.transaction import BODY, COMPLETE, HEADERS, LINE, TRAILER, HttpTransaction
from collectors.traffic.protocols.http.uri import Uri, host_and_port, normalise_path, split, valid_host
from collectors.traffic.protocols.news import File, Transaction, leave
from collectors.traffic.protocols.parser import Limits

METHODS: Final = frozenset(
    b"GET PUT POST DELETE CONNECT OPTIONS TRACE PATCH PROPFIND PROPPATCH MKCOL COPY MOVE LOCK UNLOCK VERSION-CONTROL CHECKOUT UNCHECKOUT "
    b"CHECKIN UPDATE LABEL REPORT MKWORKSPACE MKACTIVITY BASELINE-CONTROL MERGE INVALID HEAD".split()
)  # fmt: skip

_JUNK_09: Final = 16
"""White space behind a request line without protocol that still is HTTP/0.9."""


class RequestHalf(Half):
    """The client's side. `begin` makes the next transaction; `limits` bound what is kept of files."""

    to_client = False
    side = "request"

    def __init__(
        self,
        begin: Callable[[], HttpTransaction],
        touch: Callable[[Transaction], None],
        limits: Limits,
        server_port: int,
        files: Callable[[HttpTransaction, bool, bytes, bool], File],
    ) -> None:
        super().__init__(touch, limits)
        self._begin = begin
        self._server_port = server_port
        self._files = files
        self._multipart: Multipart | None = None
        self._file: File | None = None
        self.tunnel = False
        """A CONNECT was accepted: what follows is another protocol."""

    def release(self) -> None:
        """Let go of what refers back to this side and to its parser; nothing is read any more."""
        super().release()
        self._begin, self._files, self._multipart = no_transaction, no_file, None

    def idle(self) -> bool:
        """Wait for the next request."""
        if self.at >= len(self.buffer):
            return False
        self.tx = self._begin()
        self._multipart, self._file = None, None
        self.state = self.line
        return True

    def line(self) -> bool:
        """Take the request line."""
        line = self.take_line()
        if line is None:
            return False
        if ignorable(line):
            return True
        self._parse_line(line.rstrip(b"\r\n"))
        self.state = self.protocol
        self.progress(LINE)
        return True

    def _parse_line(self, line: bytes) -> None:
        tx, message = self.tx, self.message()
        assert tx is not None
        message.line = line
        rest = line.lstrip(SPACE)
        if len(rest) != len(line):
            self.event("request_line_leading_whitespace")
        tx.method, behind = word(rest)
        target = behind.lstrip(SPACE)
        if behind[: len(behind) - len(target)].strip(b" "):
            self.event("method_delim_non_compliant")
        known = tx.method in METHODS
        target = target.strip(SPACE)
        if not target:
            tx.is_09 = True
            message.version = HTTP_09
            if not known:
                self.event("request_line_invalid")
            return
        uri, protocol = _split_target(target)
        if uri.translate(None, b" ").translate(None, SPACE) != uri.replace(b" ", b""):
            self.event("uri_delim_non_compliant")
            if len(uri) == len(target):
                uri, protocol = _split_at_space(target)
        tx.target = uri
        tx.uri = self._authority(uri) if tx.method == b"CONNECT" else split(uri)
        if not protocol:
            tx.is_09 = True
            message.version = HTTP_09
            if not known:
                self.event("request_line_invalid")
        else:
            message.protocol = protocol
            message.version = version(protocol)
            if not known and message.version == INVALID:
                self.event("request_line_invalid")
        if tx.uri.host is not None and not valid_host(tx.uri.host):
            self.event("request_uri_host_invalid")

    def _authority(self, target: bytes) -> Uri:
        host, port, valid = host_and_port(target)
        if not valid or not valid_host(host):
            # What is no host names none: a target of "/" is not a short host.
            self.event("request_uri_host_invalid")
            return Uri(None, None, None, None, None)
        return Uri(host.lower(), b"%d" % port if port else None, None, None, None)

    def protocol(self) -> bool:
        """Tell a request without protocol from one of HTTP/0.9."""
        tx = self.tx
        assert tx is not None
        if tx.is_09:
            rest = self.rest()
            junk = len(rest) - len(rest.lstrip(SPACE))
            if junk == len(rest) and junk <= _JUNK_09:
                self.state = self.finalize
                return True
            tx.is_09 = False
            self.event("request_line_missing_protocol")
        self.state = self.headers
        return True

    def headers(self) -> bool:
        """Take the header fields, or the trailer's."""
        tx = self.tx
        assert tx is not None
        trailer = tx.request > HEADERS
        if not self.take_headers(trailer) and not (self.closed and not self.dead):
            return False
        if trailer:
            self.progress(TRAILER)
            self.state = self.finalize
            return True
        self._look_at_headers(tx)
        self.progress(HEADERS)
        if self.dead:
            return False
        self.state = self.connect if tx.method == b"CONNECT" else self.determine
        return True

    def _look_at_headers(self, tx: HttpTransaction) -> None:
        headers, message = tx.request_message.headers, tx.request_message
        if tx.uri is not None and tx.uri.host is not None:
            tx.host = tx.uri.host.lower().rstrip(b".")
        host = headers.get(b"host")
        if host is None:
            if message.version >= HTTP_11:
                self.event("missing_host_header")
        else:
            name, port, valid = host_and_port(host)
            if not valid:
                self.event("request_header_host_invalid")
            if tx.host is None:
                tx.host = name.lower()
            elif tx.host != name.lower() or (tx.uri and tx.uri.port and port and tx.uri.port != b"%d" % port):
                self.event("host_header_ambiguous")
            if port is not None and port != self._server_port and tx.method != b"CONNECT":
                self.event("request_server_port_tcp_port_mismatch")
        authorization = headers.get(b"authorization")
        if authorization is not None and not authorization.lower().startswith((b"basic", b"digest", b"bearer")):
            self.event("request_auth_unrecognized")
        coding = headers.get(b"content-encoding")
        if coding is not None:
            limits = self._limits
            codings = Codings(coding, limits.layers, limits.bomb_bytes, limits.bomb_ratio, limits.meter)
            self.coding_events(codings.events)
            tx.request_message.body.codings = codings if codings.names else None

    def connect(self) -> bool:
        """Wait for the answer to a CONNECT."""
        tx = self.tx
        assert tx is not None
        if tx.response <= LINE:
            return False
        if 200 <= tx.status <= 299:
            self.tunnel = True
            self.progress(COMPLETE)
            self.tx = None
            self.dead = True
            return False
        self.state = self.finalize
        return True

    def determine(self) -> bool:
        """Find out whether there is a body, and how it is cut."""
        tx = self.tx
        assert tx is not None
        headers = tx.request_message.headers
        transfer, length = headers.get(b"transfer-encoding"), headers.get(b"content-length")
        if transfer is not None:
            if b"chunked" not in transfer.lower().replace(b"\0", b""):
                return self.die("invalid_transfer_encoding_value_in_request")
            if tx.request_message.version < HTTP_11:
                self.event("invalid_transfer_encoding_value_in_request")
            self.progress(BODY)
            self.state = self.chunk_length
        elif length is not None:
            number = content_length(length)
            if number is None:
                return self.die("invalid_content_length_field_in_request")
            self.left = number
            if number:
                self.progress(BODY)
            self.state = self.identity if number else self.finalize
        else:
            self.state = self.finalize
        return True

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

    def chunk_length(self) -> bool:
        """Take a chunk's line."""
        start = self.at
        line = self.take_line()
        if line is None:
            if not self.dead and self.at < len(self.buffer) and chunk_is_junk(self.rest()):
                return self.die("invalid_request_chunk_len")
            return self._closing() if self.closed else False
        if chunk_line_is_empty(line):
            return self.at > start
        try:
            length, extended = chunk_length(line)
        except ValueError:
            length, extended = None, False
        if extended:
            self.event("request_chunk_extension")
        if length is None:
            return self.die("invalid_request_chunk_len")
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
        if self.take_line() is None:
            return False
        self.state = self.chunk_length
        return True

    def finalize(self) -> bool:
        """End a request; what follows and is no request is taken for more of its body."""
        if self.at >= len(self.buffer):
            return self.complete()
        start = self.at
        line = self.take_line()
        if line is None:
            return False
        method = line.strip(SPACE).split(None, 1)[0] if line.strip(SPACE) else b""
        if method in METHODS:
            self.at = start
            return self.complete()
        if method:
            self.event("request_body_unexpected")
        self.body_data(line)
        return True

    def complete(self) -> bool:
        """End a request."""
        tx = self.tx
        assert tx is not None
        if self._multipart is not None:
            self._multipart.close()
            self._multipart_events()
        if self._file is not None:
            self._file.close()
        leave(tx.files, tx.request_message.body.wire)
        tx.request_message.body.end()
        self.progress(COMPLETE)
        self.state = self.ignore if tx.is_09 else self.idle
        return True

    def ignore(self) -> bool:
        """Pass over what comes behind a request of HTTP/0.9."""
        self.at = len(self.buffer)
        return False

    def gap(self, length: int) -> None:
        """Hear that bytes are missing here."""
        if self.state == self.identity and self.left:
            if self._file is not None:
                self._file.truncated = True
            self.left -= min(self.left, length)
            if not self.left:
                self.state = self.finalize
            return
        if self.state in (self.idle, self.finalize, self.ignore):
            if self.state == self.finalize:
                self.complete()
            return
        self.die()

    def _closing(self) -> bool:
        if self.closed:
            self.state = self.finalize
        return self.closed and self.at >= len(self.buffer)

    # Files

    def entity(self, tx: HttpTransaction, data: bytes) -> None:
        """Take decoded bytes of the body: a form's files, or one file."""
        if self._multipart is None and self._file is None:
            if tx.method not in (b"POST", b"PUT"):
                return
            boundary = (
                boundary_of(tx.request_message.headers.get(b"content-type") or b"") if tx.method == b"POST" else None
            )
            if boundary is not None:
                self._multipart = Multipart(boundary, lambda name: self._files(tx, False, name, False))
            else:
                path = tx.uri.path if tx.uri is not None else None
                self._file = self._files(tx, False, normalise_path(path) if path else b"", True)
        if self._multipart is not None:
            self._multipart.feed(data)
            self._multipart_events()
        elif self._file is not None:
            self._file.add(data)

    def _multipart_events(self) -> None:
        if self._multipart is not None:
            for name in self._multipart.events:
                self.event(name)
            self._multipart.events.clear()


def _split_target(target: bytes) -> tuple[bytes, bytes]:
    """Split a target from the protocol at the last space: spaces in targets are allowed."""
    uri, space, protocol = target.rpartition(b" ")
    return (uri.strip(SPACE), protocol.strip(SPACE)) if space else (target, b"")


def _split_at_space(target: bytes) -> tuple[bytes, bytes]:
    for index in range(len(target) - 1, -1, -1):
        if target[index] in SPACE:
            return target[:index].strip(SPACE), target[index + 1 :].strip(SPACE)
    return target, b""
