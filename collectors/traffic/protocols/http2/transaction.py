"""One stream of HTTP/2 as rules see it: the buffers of HTTP/1, made of its fields, and numbers of its frames."""

from collections.abc import Callable
from typing import Final

from collectors.traffic.protocols.dns import DnsTransaction
from collectors.traffic.protocols.http.headers import Header, Headers
from collectors.traffic.protocols.http.lines import SPACE
from collectors.traffic.protocols.http.multipart import file_name_of
from collectors.traffic.protocols.http.transaction import HEADERS, HttpTransaction
from collectors.traffic.protocols.http.uri import host_and_port, normalise_path, split
from collectors.traffic.protocols.http2.hpack import MAX_LIST, Field
from collectors.traffic.protocols.parser import Limits

MAX_NUMBERS: Final = 256
"""Numbers of one keyword and side that are kept: frames of a stream have no bound."""
MAX_FIELDS: Final = 1_024
REMEMBERED: Final = 16_384
"""Bytes of a side's fields up to which buffers made of them are remembered: a byte on the wire may name 4 KiB of the connection's table."""


class Joined(Headers):
    """Fields of which those that come several times are joined when they are asked for: a list of 64 KiB may have come as 20 bytes."""

    __slots__ = ("_several",)

    def __init__(self) -> None:
        super().__init__()
        self._several: dict[bytes, list[bytes]] = {}

    def put(self, name: bytes, values: list[bytes]) -> None:
        """Take all values of a field; one whose name differs in case alone is the same."""
        key = name.lower().replace(b"\0", b"")
        index = self._by_name.get(key)
        if index is None:
            self.add(Header(name, values[0]))
            if len(values) > 1:
                self._several[key] = values
        elif key != b"content-length":
            self._several[key] = [*self._several.get(key, [self.fields[index].value]), *values]

    def get(self, name: bytes) -> bytes | None:
        """Return the value of a field, those of one that came several times joined with ", "; None without one."""
        several = self._several.get(name) if self._several else None
        return super().get(name) if several is None else b", ".join(several)

    def clear(self) -> None:
        """Forget all fields."""
        super().clear()
        self._several.clear()


class Http2Transaction(HttpTransaction):
    """A request and its answer on one stream; on the connection itself (`stream` 0) a single frame.

    `fields` are those of each side (to server, to client) as they came, pseudo fields among them; `dns` the messages of DNS over HTTPS.
    """

    __slots__ = ("_numbers", "_size", "dns", "ended", "fields", "stream")

    def __init__(self, number: int, stream: int, limits: Limits) -> None:
        super().__init__(number, limits)
        self.protocol = "http2"
        self.stream = stream
        self.fields: list[list[Field]] = [[], []]
        self.ended = [False, False]
        self.dns: list[DnsTransaction] = []
        self._numbers: dict[tuple[str, bool], list[int]] = {}
        self._size = [0, 0]

    def add(self, to_client: bool, fields: list[Field]) -> None:
        """Take fields of a side."""
        kept, plain = self.fields[to_client], self._size[to_client]
        for field in fields:
            name, value = field
            plain += len(name) + len(value)
            if len(kept) >= MAX_FIELDS or plain > MAX_LIST:
                break
            kept.append(field)
        self._size[to_client] = plain
        values: dict[bytes, list[bytes]] = {}
        for name, value in kept:
            if not name.startswith(b":"):
                values.setdefault(name, []).append(value.strip(SPACE))
        headers = self.message(to_client).headers = Joined()
        for name, all_of_them in values.items():
            headers.put(name, all_of_them)
        self.forget(to_client)

    def held(self) -> int:
        """Return about how much memory the transaction takes."""
        return super().held() + 100 * (len(self.fields[0]) + len(self.fields[1]))

    def begin_again(self) -> None:
        """Forget an interim response (1xx): the answer is still to come."""
        self.fields[1], self._size[1] = [], 0
        self.response_message.headers.clear()
        self.forget(True)

    def named(self, to_client: bool, name: bytes) -> bytes | None:
        """Return the first field of a name (lower case), None without one."""
        for field in self.fields[to_client]:
            if field[0] == name:
                return field[1]
        return None

    def settle(self, to_client: bool) -> None:
        """Work out what the fields of a side mean, once they are whole."""
        if to_client:
            self.stat_code = self.named(True, b":status") or b""
            self.status = int(self.stat_code) if self.stat_code.isdigit() and len(self.stat_code) < 5 else -1
            self.response_message.line = b"HTTP/2 %b\r\n" % self.stat_code if self.stat_code else b""
        else:
            self.method = self.named(False, b":method") or b""
            self.target = self.named(False, b":path")
            self.uri = split(self.target) if self.target is not None else None
            self._authority()
            if self.method or self.target:
                self.request_message.line = b"%b %b HTTP/2\r\n" % (self.method, self.target or b"")
        self.message(to_client).protocol = b"HTTP/2"

    def _authority(self) -> None:
        """Take the host from the field that names it; Suricata has events for those that say too much."""
        authority, host = self.named(False, b":authority"), self.named(False, b"host")
        if authority is not None and b"@" in authority:
            self.event("userinfo_in_uri", False)
        if authority is not None and host is not None and authority.lower() != host.lower():
            self.event("authority_host_mismatch", False)
        named = authority if authority is not None else host
        self.host = host_and_port(named)[0].lower() if named else None

    def file_name(self, to_client: bool) -> bytes:
        """Return the name of the file that a body is: the one it is given, else the path's."""
        if to_client:
            given = file_name_of(self.response_message.headers.get(b"content-disposition") or b"")
            if given is not None:
                return given
        path = self.uri.path if self.uri is not None else None
        return normalise_path(path) if path else b""

    def number_is(self, name: str, to_client: bool, value: int) -> bool:
        """Add a number that a keyword compares, each once; returns whether it is new."""
        values = self._numbers.setdefault((name, to_client), [])
        if value in values or len(values) >= MAX_NUMBERS:
            return False
        values.append(value)
        return True

    def integers(self, name: str, to_client: bool) -> list[int]:
        """Return the numbers that a keyword compares."""
        if self.dns and name.startswith("dns."):
            return [number for message in self.dns for number in message.integers(name, to_client)]
        return self._numbers.get((name, to_client), [])

    def buffers(self, name: str, to_client: bool) -> list[bytes]:
        """Return the contents of a sticky buffer."""
        if name.startswith("dns."):
            return [value for message in self.dns for value in message.buffers(name, to_client)]
        found = self._buffer(name, to_client)
        if self._size[to_client] > REMEMBERED:
            self._made.clear()
        return found

    def _buffer(self, name: str, to_client: bool) -> list[bytes]:
        maker = _MAKERS.get(name)
        if maker is None:
            return super().buffers(name, to_client)
        key = (name, to_client)
        made = self._made.get(key)
        if made is None:
            if (self.response if to_client else self.request) < HEADERS:
                return []
            made = self._made[key] = maker(self, to_client)
        return made


Maker = Callable[[Http2Transaction, bool], list[bytes]]


def _maybe(value: bytes | None) -> list[bytes]:
    return [value] if value else []


def _header(tx: Http2Transaction, to_client: bool) -> list[bytes]:
    """All fields but cookies, a line each, pseudo fields among them."""
    left_out = b"set-cookie" if to_client else b"cookie"
    lines = [b"%b: %b\r\n" % (name, value.strip(SPACE)) for name, value in tx.fields[to_client] if name != left_out]
    return _maybe(b"".join(lines))


def _raw(tx: Http2Transaction, to_client: bool) -> list[bytes]:
    return _maybe(b"".join([b"%b: %b\r\n" % field for field in tx.fields[to_client]]))


def _names(tx: Http2Transaction, to_client: bool) -> list[bytes]:
    fields = tx.fields[to_client]
    return [b"\r\n" + b"".join([name + b"\r\n" for name, _ in fields]) + b"\r\n"] if fields else []


def _start(tx: Http2Transaction, to_client: bool) -> list[bytes]:
    line = tx.message(to_client).line
    lines = b"".join([b"%b: %b\r\n" % field for field in tx.fields[to_client]])
    return [line + lines + b"\r\n"] if line or lines else []


def _cookie(tx: Http2Transaction, to_client: bool) -> list[bytes]:
    """The cookies of a side; a client may send each crumb as a field of its own, which is put together again (RFC 9113, 8.2.3)."""
    wanted = b"set-cookie" if to_client else b"cookie"
    values = [value for name, value in tx.fields[to_client] if name == wanted]
    return _maybe((b", " if to_client else b"; ").join(values))


def _each(to_client_only: bool) -> Maker:
    def make(tx: Http2Transaction, to_client: bool) -> list[bytes]:
        return [b"%b: %b" % field for field in tx.fields[to_client]] if to_client == to_client_only else []

    return make


def _raw_host(tx: Http2Transaction, to_client: bool) -> list[bytes]:
    if to_client:
        return []
    authority = tx.named(False, b":authority")
    return _maybe(authority if authority is not None else tx.named(False, b"host"))


_MAKERS: Final[dict[str, Maker]] = {
    "http.header": _header,
    "http.header.raw": _raw,
    "http.header_names": _names,
    "http.start": _start,
    "http.cookie": _cookie,
    "http.host.raw": _raw_host,
    "http.request_header": _each(False),
    "http.response_header": _each(True),
    "http2.header_name": lambda tx, to_client: [name for name, _ in tx.fields[to_client] if name],
}
