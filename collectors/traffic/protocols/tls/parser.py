"""TLS over one connection: records, handshake messages, and the one transaction that holds what they say."""

from typing import Final

from collectors.traffic.protocols.news import Conversation, Fields
from collectors.traffic.protocols.parser import Facts, Limits, Parser
from collectors.traffic.protocols.tls import certificate, hello
from collectors.traffic.protocols.tls.hello import Hello

CHANGE_CIPHER: Final = 20
ALERT: Final = 21
HANDSHAKE: Final = 22
APPLICATION: Final = 23
HEARTBEAT: Final = 24
CLIENT_HELLO: Final = 1
SERVER_HELLO: Final = 2
CERTIFICATE: Final = 11
SERVER_KEYS: Final = 12
SERVER_DONE: Final = 14
CLIENT_KEYS: Final = 16

MAX_HANDSHAKE: Final = 131_072
"""Bytes of one handshake message that are put together."""
MAX_CHAIN: Final = 16
MAX_RECORDS: Final = 255
"""Records that one packet may hold without being odd."""


class TlsParser(Parser):
    """Reads a connection that speaks TLS (or an SSLv2 hello that leads to it) up to where it is encrypted."""

    protocol = "tls"

    def __init__(self, conversation: Conversation, facts: Facts, limits: Limits) -> None:
        super().__init__(conversation, facts, limits)
        self._record = [b"", b""]
        self._shake = [b"", b""]
        self._ciphered = [False, False]
        self._dead = [False, False]
        self._state = 0
        self._tx: Fields | None = None
        self._v13 = False

    @property
    def tx(self) -> Fields:
        """Return the connection's transaction."""
        if self._tx is None:
            self._tx = self.fields()
        return self._tx

    def data(self, to_client: bool, data: bytes, gap: int) -> None:
        """Take bytes of one side."""
        if gap:
            self._dead[to_client] = True
        if self._dead[to_client]:
            return
        buffer = self._record[to_client] + data if self._record[to_client] else data
        at = count = 0
        while len(buffer) - at >= 5 and not self._dead[to_client]:
            kind = buffer[at]
            if kind & 0x80 and not self._state and not to_client and buffer[at + 2] == CLIENT_HELLO:
                at = self._sslv2(buffer, at)
                continue
            length = buffer[at + 3] << 8 | buffer[at + 4]
            if not self._header(kind, buffer[at + 1], buffer[at + 2], length, to_client):
                break
            if len(buffer) - at - 5 < length:
                if kind == HANDSHAKE:
                    self.touch(self.tx)  # it has begun: `app-layer-state` may ask for that
                break
            self._take(kind, buffer[at + 5 : at + 5 + length], to_client)
            at += 5 + length
            count += 1
            if count > MAX_RECORDS:
                self._event("too_many_records_in_packet", to_client)
        self._record[to_client] = b"" if self._dead[to_client] else buffer[at:]
        if self._ciphered[0] and self._ciphered[1]:
            self._encrypted()

    def unread(self) -> int:
        """Return how many bytes wait for those behind them."""
        return len(self._record[0]) + len(self._record[1]) + len(self._shake[0]) + len(self._shake[1])

    def end(self, to_client: bool) -> None:
        """Hear that one side says no more."""
        if self._tx is not None and not self._tx.done and to_client:
            self._tx.done = True
            self.touch(self._tx)

    def _header(self, kind: int, major: int, minor: int, length: int, to_client: bool) -> bool:
        if major != 3 or minor > 4:
            self._event("invalid_record_version" if 20 <= kind <= 24 else "invalid_tls_header", to_client)
            return self._stop(to_client)
        if not 20 <= kind <= 24:
            self._event("invalid_record_type", to_client)
            return self._stop(to_client)
        if length > 16_384 + 2_048:
            self._event("invalid_record_length", to_client)
            return self._stop(to_client)
        return True

    def _stop(self, to_client: bool) -> bool:
        self._event("invalid_ssl_record", to_client)
        self._dead[to_client] = True
        return False

    def _event(self, name: str, to_client: bool) -> None:
        self.tx.event(name, to_client)
        self.touch(self.tx)

    def _take(self, kind: int, body: bytes, to_client: bool) -> None:
        if kind == HANDSHAKE and not self._ciphered[to_client]:
            self._handshake(body, to_client)
        elif kind == CHANGE_CIPHER:
            if not self._v13:
                self._ciphered[to_client] = True
                self._step(to_client, 4 if to_client else 3)
        elif kind == APPLICATION:
            self._ciphered[to_client] = True
        elif kind == ALERT and not self._ciphered[to_client]:
            if len(body) != 2:
                self._event("invalid_alert_message", to_client)
            elif body[0] == 2:
                self._event("error_message_encountered", to_client)
        elif kind == HEARTBEAT:
            self._heartbeat(body, to_client)

    def _heartbeat(self, body: bytes, to_client: bool) -> None:
        self._event("heartbeat_message", to_client)
        if self._ciphered[to_client]:
            return
        if len(body) < 3 or body[0] not in (1, 2):
            self._event("invalid_heartbeat_message", to_client)
        elif (body[1] << 8 | body[2]) + 19 > len(body):
            self._event("overflow_heartbeat_message", to_client)

    def _handshake(self, body: bytes, to_client: bool) -> None:
        buffer = self._shake[to_client] + body
        at = 0
        while len(buffer) - at >= 4:
            kind, length = buffer[at], int.from_bytes(buffer[at + 1 : at + 4])
            if length > MAX_HANDSHAKE:
                self._event("handshake_invalid_length", to_client)
                self._dead[to_client] = True
                break
            if len(buffer) - at - 4 < length:
                break
            self._message(kind, buffer[at + 4 : at + 4 + length], to_client)
            at += 4 + length
        self._shake[to_client] = buffer[at:]

    def _message(self, kind: int, body: bytes, to_client: bool) -> None:
        if kind == CLIENT_HELLO and not to_client:
            self._client_hello(hello.read(body, True))
        elif kind == SERVER_HELLO and to_client:
            self._server_hello(hello.read(body, False))
        elif kind == CERTIFICATE:
            self._certificates(body, to_client)
            self._step(to_client, 2)
        elif kind == SERVER_DONE and to_client:
            self._step(True, 3)
        elif kind in (SERVER_KEYS, CLIENT_KEYS):
            self._mark(4 if kind == CLIENT_KEYS else 8)
        elif kind not in (0, 1, 2, 4, 5, 8, 13, 15, 20, 21, 22, 23, 24, 67, 254):
            self._event("invalid_handshake_message", to_client)

    def _step(self, to_client: bool, step: int) -> None:
        tx = self.tx
        if to_client:
            tx.response = max(tx.response, step)
        else:
            tx.request = max(tx.request, step)
        self.touch(tx)

    def _mark(self, bit: int) -> None:
        self._state |= bit
        for side in (False, True):
            self.tx.number_is("ssl_state", side, bit)

    def _client_hello(self, said: Hello) -> None:
        tx = self.tx
        if self._state & 1:
            return
        self._mark(1)
        for name in said.events:
            tx.event(name, False)
        versions = [number for number in said.versions if not hello.grease(number)]
        self._version(False, versions[0] if versions else said.version)
        if said.sni:
            tx.set("tls.sni", False, said.sni)
        for offered in said.alpn:
            tx.add("tls.alpn", False, offered)
        self._random(said, False)
        if said.random:
            tx.set_later("ja3.string", False, lambda: hello.ja3(said).encode())
            tx.set_later("ja3.hash", False, lambda: hello.md5(hello.ja3(said)))
            tx.set_later("ja4.hash", False, lambda: hello.ja4(said).encode())
        self._step(False, 1)

    def _server_hello(self, said: Hello) -> None:
        tx = self.tx
        if self._state & 2:
            return
        self._mark(2)
        for name in said.events:
            tx.event(name, True)
        self._v13 = 0x0304 in said.versions
        self._version(True, said.versions[0] if said.versions else said.version)
        for chosen in said.alpn:
            tx.add("tls.alpn", True, chosen)
        self._random(said, True)
        if said.random:
            tx.set_later("ja3s.string", True, lambda: hello.ja3s(said).encode())
            tx.set_later("ja3s.hash", True, lambda: hello.md5(hello.ja3s(said)))
        self._step(True, 1)

    def _version(self, to_client: bool, number: int) -> None:
        self.tx.number_is("tls.version", to_client, number)
        self.tx.number_is("ssl_version", to_client, number)

    def _random(self, said: Hello, to_client: bool) -> None:
        if len(said.random) == 32:
            self.tx.set("tls.random", to_client, said.random)
            self.tx.set("tls.random_time", to_client, said.random[:4])
            self.tx.set("tls.random_bytes", to_client, said.random[4:])

    def _certificates(self, body: bytes, to_client: bool) -> None:
        tx = self.tx
        if len(body) < 3 or tx.buffers("tls.certs", to_client):
            return
        end = 3 + int.from_bytes(body[:3])
        if end > len(body):
            self._faulty("invalid_certificate", to_client)
            end = len(body)
        at, count = 3, 0
        while at + 3 <= end and count < MAX_CHAIN:
            length = int.from_bytes(body[at : at + 3])
            if at + 3 + length > end:
                self._faulty("certificate_invalid_length", to_client)
                break
            tx.add("tls.certs", to_client, body[at + 3 : at + 3 + length])
            if not count:
                self._first(body[at + 3 : at + 3 + length], to_client)
            at += 3 + length
            count += 1
        tx.number_is("tls.cert_chain_len", to_client, count)

    def _faulty(self, name: str, to_client: bool) -> None:
        """Note what is wrong with a certificate: with Suricata, the handshake message that carried it is invalid, too."""
        self._event(name, to_client)
        self._event("invalid_handshake_message", to_client)

    def _first(self, der: bytes, to_client: bool) -> None:
        tx = self.tx
        read, problem = certificate.read(der)
        if problem:
            self._event("invalid_certificate", to_client)
            self._faulty(problem, to_client)
        for name, value in (
            ("tls.cert_subject", read.subject),
            ("tls.cert_issuer", read.issuer),
            ("tls.cert_serial", read.serial),
            ("tls.cert_fingerprint", read.fingerprint),
        ):
            if value:
                tx.set(name, to_client, value)
        for alternative in read.names:
            tx.add("tls.subjectaltname", to_client, alternative)
        for name, when in (("tls_cert_notbefore", read.not_before), ("tls_cert_notafter", read.not_after)):
            if when is not None:
                tx.number_is(name, to_client, when)

    def _sslv2(self, buffer: bytes, at: int) -> int:
        """Pass over an SSLv2 hello; returns the position behind it."""
        length = (buffer[at] & 0x7F) << 8 | buffer[at + 1]
        if length < 9:
            self._event("invalid_sslv2_header", False)
            self._dead[False] = True
            return len(buffer)
        self._version(False, buffer[at + 3] << 8 | buffer[at + 4])
        self._mark(1)
        self._step(False, 1)
        return min(len(buffer), at + 2 + length)

    def _encrypted(self) -> None:
        tx = self.tx
        tx.request, tx.response = 4, 5
        tx.done = True
        self.touch(tx)
        self.conversation.encrypted = True
