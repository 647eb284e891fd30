"""One HTTP/1 request with its response, as rules see it."""

from collections.abc import Callable
from typing import ClassVar, Final

from collectors.traffic.protocols import magic
from collectors.traffic.protocols.http.body import Body
from collectors.traffic.protocols.http.headers import Headers
from collectors.traffic.protocols.http.lines import INVALID
from collectors.traffic.protocols.http.uri import Uri, normalise
from collectors.traffic.protocols.news import DIGESTS, Transaction, digests_of
from collectors.traffic.protocols.parser import Limits

START: Final = 0
LINE: Final = 1
HEADERS: Final = 2
BODY: Final = 3
TRAILER: Final = 4
COMPLETE: Final = 5
"""How far a side is; the index into `names.PROGRESS["http"]`: everything up to and including that step is whole (the body: has begun)."""


FIELD: Final = 240
"""Bytes that a field takes beside its text."""


class Message:
    """What requests and responses have in common."""

    __slots__ = ("body", "file", "headers", "line", "protocol", "raw_headers", "trailer", "version")

    def __init__(self, body: Body) -> None:
        self.line = b""
        self.protocol = b""
        self.version = INVALID
        self.headers = Headers()
        self.raw_headers = b""
        self.trailer = b""
        self.body = body


class HttpTransaction(Transaction):
    """Both messages, and their buffers by name."""

    __slots__ = (
        "_made",
        "host",
        "is_09",
        "method",
        "request_message",
        "response_message",
        "seen_continue",
        "stat_code",
        "stat_msg",
        "status",
        "target",
        "unseen",
        "uri",
    )

    overhead: ClassVar[int] = 3_000

    def __init__(self, number: int, limits: Limits) -> None:
        super().__init__(number, "http")
        self.request_message = Message(
            Body(limits.request_body, limits.request_inspect, limits.inspect_window, limits.inline)
        )
        self.response_message = Message(
            Body(limits.response_body, limits.response_inspect, limits.inspect_window, limits.inline)
        )
        self.method = b""
        self.target: bytes | None = None
        self.uri: Uri | None = None
        self.host: bytes | None = None
        self.is_09 = False
        self.unseen = False
        self.seen_continue = False
        self.status = -1
        self.stat_code = b""
        self.stat_msg: bytes | None = None
        self._made: dict[tuple[str, bool], list[bytes]] = {}

    def message(self, to_client: bool) -> Message:
        """Return the message of one side."""
        return self.response_message if to_client else self.request_message

    def held(self) -> int:
        """Return about how much memory the transaction takes."""
        size = super().held()
        for message in (self.request_message, self.response_message):
            size += message.body.held() + 2 * len(message.raw_headers) + FIELD * len(message.headers.fields)
        return size

    def shrink(self) -> None:
        """Take little memory until more comes: nothing is lost."""
        super().shrink()
        self.request_message.body.shrink()
        self.response_message.body.shrink()

    def stop(self, to_client: bool) -> bool:
        """Let rules see what is there of one side's body and files, and keep no more of them; returns whether that is anything."""
        coded = self.message(to_client).body.codings is not None
        there = super().stop(to_client)
        if self.message(to_client).body.stop():
            there = True
            for file in self.files:
                # What is coded can be read no further; of the rest digests and sizes are still made.
                if coded and file.to_client == to_client and not file.closed:
                    file.truncated = True
        return there

    def drop(self) -> None:
        """Forget what is there of bodies and files that were stopped."""
        super().drop()
        self.request_message.body.drop()
        self.response_message.body.drop()

    def forget(self, to_client: bool) -> None:
        """Make the buffers of one side anew when they are asked for: its message has changed."""
        if self._made:
            self._made = {key: value for key, value in self._made.items() if key[1] != to_client}

    def buffers(self, name: str, to_client: bool) -> list[bytes]:
        """Return the contents of a sticky buffer."""
        body = _BODIES.get(name)
        if body is not None:
            return body(self, to_client)
        key = (name, to_client)
        made = self._made.get(key)
        if made is None:
            maker = _MAKERS.get(name)
            need = _NEEDS.get(name, LINE)
            if maker is None or (self.response if to_client else self.request) < need:
                return []
            made = self._made[key] = maker(self, to_client)
        return made

    def growing(self, name: str) -> bool:
        """Return whether a body may still grow."""
        if name == "http.request_body":
            return self.request < TRAILER
        if name == "http.response_body":
            return self.response < TRAILER
        return name == "file.data" and not self.done


def _maybe(value: bytes | None) -> list[bytes]:
    return [value] if value else []


def _there(value: bytes | None) -> list[bytes]:
    """Return a header's value: one that is empty is there all the same."""
    return [] if value is None else [value]


def _field(name: bytes) -> Callable[[HttpTransaction, bool], list[bytes]]:
    return lambda tx, to_client: _there(tx.message(to_client).headers.get(name))


def _request_field(name: bytes) -> Callable[[HttpTransaction, bool], list[bytes]]:
    return lambda tx, to_client: [] if to_client else _there(tx.request_message.headers.get(name))


def _response_field(name: bytes) -> Callable[[HttpTransaction, bool], list[bytes]]:
    return lambda tx, to_client: _there(tx.response_message.headers.get(name)) if to_client else []


def _cookie(tx: HttpTransaction, to_client: bool) -> list[bytes]:
    return _maybe(tx.message(to_client).headers.get(b"set-cookie" if to_client else b"cookie"))


def _header(tx: HttpTransaction, to_client: bool) -> list[bytes]:
    """All fields but cookies, a line each."""
    left_out = b"set-cookie" if to_client else b"cookie"
    lines = [
        b"%b: %b\r\n" % field[:2] for field in tx.message(to_client).headers.fields if field.name.lower() != left_out
    ]
    return _maybe(b"".join(lines))


def _header_names(tx: HttpTransaction, to_client: bool) -> list[bytes]:
    fields = tx.message(to_client).headers.fields
    return [b"\r\n" + b"".join(field.name + b"\r\n" for field in fields) + b"\r\n"] if fields else []


def _start(tx: HttpTransaction, to_client: bool) -> list[bytes]:
    message = tx.message(to_client)
    lines = [b"%b: %b\r\n" % field[:2] for field in message.headers.fields]
    return [message.line.rstrip(b"\r\n") + b"\r\n" + b"".join(lines) + b"\r\n"] if message.line else []


def _each_field(to_client_only: bool) -> Callable[[HttpTransaction, bool], list[bytes]]:
    def make(tx: HttpTransaction, to_client: bool) -> list[bytes]:
        if to_client != to_client_only:
            return []
        return [b"%b: %b" % field[:2] for field in tx.message(to_client).headers.fields]

    return make


def _line(to_client_only: bool) -> Callable[[HttpTransaction, bool], list[bytes]]:
    return lambda tx, to_client: _maybe(tx.message(to_client).line) if to_client == to_client_only else []


def _uri(tx: HttpTransaction, to_client: bool) -> list[bytes]:
    return [] if to_client or tx.uri is None else _maybe(normalise(tx.uri))


def _host(tx: HttpTransaction, to_client: bool) -> list[bytes]:
    return [] if to_client else _maybe(tx.host)


def _host_raw(tx: HttpTransaction, to_client: bool) -> list[bytes]:
    if to_client:
        return []
    if tx.uri is not None and tx.uri.host is not None:
        return _maybe(tx.uri.host)
    return _maybe(tx.request_message.headers.get(b"host"))


def _body(to_client_only: bool) -> Callable[[HttpTransaction, bool], list[bytes]]:
    return lambda tx, to_client: _maybe(tx.message(to_client).body.seen()) if to_client == to_client_only else []


def _file_data(tx: HttpTransaction, to_client: bool) -> list[bytes]:
    if to_client:
        return _maybe(tx.response_message.body.seen())
    files = [file for file in tx.files if not file.to_client and (file.closed or tx.request_message.body.seen())]
    return [data for file in files if (data := file.content())]


def _file_name(tx: HttpTransaction, to_client: bool) -> list[bytes]:
    return [file.name for file in tx.files if file.to_client == to_client and file.name]


def _file_magic(tx: HttpTransaction, to_client: bool) -> list[bytes]:
    """Return what kind of files there are; that of a response is its body."""
    body = tx.response_message.body
    kinds = [
        file.kind(body.beginning(magic.LOOKED_AT) if to_client else file.beginning())
        for file in tx.files
        if file.to_client == to_client
    ]
    return [kind for kind in kinds if kind]


def _digests(name: str) -> Callable[[HttpTransaction, bool], list[bytes]]:
    return lambda tx, to_client: digests_of(tx.files, name, to_client)


_BODIES: Final[dict[str, Callable[[HttpTransaction, bool], list[bytes]]]] = {
    "http.request_body": _body(False),
    "http.response_body": _body(True),
    "file.data": _file_data,
    "file.name": _file_name,
    "file.magic": _file_magic,
    **{name: _digests(name) for name in DIGESTS},
}

_MAKERS: Final[dict[str, Callable[[HttpTransaction, bool], list[bytes]]]] = {
    "http.uri": _uri,
    "http.uri.raw": lambda tx, to_client: [] if to_client else _maybe(tx.target),
    "http.method": lambda tx, to_client: [] if to_client else _maybe(tx.method),
    "http.request_line": _line(False),
    "http.response_line": _line(True),
    "http.protocol": lambda tx, to_client: _maybe(tx.message(to_client).protocol),
    "http.stat_code": lambda tx, to_client: _maybe(tx.stat_code) if to_client else [],
    "http.stat_msg": lambda tx, to_client: _maybe(tx.stat_msg) if to_client else [],
    "http.header": _header,
    "http.header.raw": lambda tx, to_client: _maybe(tx.message(to_client).raw_headers),
    "http.header_names": _header_names,
    "http.start": _start,
    "http.request_header": _each_field(False),
    "http.response_header": _each_field(True),
    "http.cookie": _cookie,
    "http.user_agent": _request_field(b"user-agent"),
    "http.host": _host,
    "http.host.raw": _host_raw,
    "http.referer": _request_field(b"referer"),
    "http.accept": _request_field(b"accept"),
    "http.accept_lang": _request_field(b"accept-language"),
    "http.accept_enc": _request_field(b"accept-encoding"),
    "http.connection": _field(b"connection"),
    "http.content_type": _field(b"content-type"),
    "http.content_len": _field(b"content-length"),
    "http.server": _response_field(b"server"),
    "http.location": _response_field(b"location"),
}

_NEEDS: Final = {
    name: HEADERS
    for name in _MAKERS
    if name
    not in (
        "http.uri",
        "http.uri.raw",
        "http.method",
        "http.request_line",
        "http.response_line",
        "http.protocol",
        "http.stat_code",
        "http.stat_msg",
    )
}
