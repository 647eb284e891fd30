"""HTTPS to the console: TLS 1.3, the console's own authority and nothing else, one kept-open connection, every wait bounded.

Proxies from the environment are ignored: what the agent says is for the console alone, and a proxy could not present its certificate.
"""

import http.client
import socket
import ssl
import threading
import time
from urllib.parse import urlsplit

from contracts.errors import HoldfastError, Unreachable, UsageError
from contracts.record import Record
from contracts.wire import CHALLENGES, CONTENT_TYPE, UNDERSTANDS

MAX_ANSWER = 1 << 20
HEADERS = {"Content-Type": CONTENT_TYPE, "Accept": CONTENT_TYPE, UNDERSTANDS: CHALLENGES}
_CLOSED = (http.client.RemoteDisconnected, ConnectionError, ssl.SSLEOFError, ssl.SSLZeroReturnError)
"""What a kept connection shows that the console closed meanwhile."""


class Answer(Record):
    """What the console answered; `round_trip_s` from sending to the last byte."""

    status: int
    body: bytes
    round_trip_s: float
    retry_after_s: float = 0.0


class NotTrusted(HoldfastError):
    """TLS failed: one side does not accept the other's certificate."""

    exit_code = 77  # EX_NOPERM


class Interrupted(Unreachable):
    """The exchange was given up on purpose."""


def address(url: str) -> tuple[str, int]:
    """Return host and port of the console's URL; raises `UsageError`."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port, parts = None, None, urlsplit("")
    if parts.scheme != "https" or not host or parts.path.strip("/") or parts.query or parts.username:
        raise UsageError(
            f'"{url}" is not the address of a console',
            advice="write https://HOST:PORT, for example https://console:8444",
        )
    return host, port or 8444


def context(authority: str, certificate: str = "", key: str = "") -> ssl.SSLContext:
    """Return a client context that trusts the authority (PEM text) alone; raises `NotTrusted` for files that do not fit."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.minimum_version = ssl.TLSVersion.TLSv1_3
    try:
        made.load_verify_locations(cadata=authority)
        if certificate:
            made.load_cert_chain(certificate, key)
    except (ssl.SSLError, OSError, ValueError) as error:
        raise NotTrusted(
            f"the agent's certificate files cannot be used: {error}", advice="enrol this agent again"
        ) from error
    return made


class Transport:
    """One connection to the console, opened when needed and kept. `interrupt` may be called from another thread."""

    def __init__(self, url: str, tls: ssl.SSLContext, timeout_s: float) -> None:
        self.host, self.port = address(url)
        self._tls = tls
        self._timeout_s = timeout_s
        self._connection: http.client.HTTPSConnection | None = None
        self._interrupted = self._too_late = False
        self.connected = False

    def post(self, path: str, body: bytes) -> Answer:
        """Send `body` and return the answer; raises `Unreachable` or `NotTrusted`. Never takes longer than twice the timeout."""
        if self._interrupted:
            raise Interrupted("the agent is stopping")
        fresh = self._connection is None
        try:
            return self._exchange(path, body)
        except _CLOSED as error:
            self.close()
            if fresh or self._interrupted:
                raise self._translated(error) from error
            # The console closed the kept connection while it was idle; everything it takes may be sent twice.
            return self._exchange_anew(path, body)
        except (OSError, http.client.HTTPException, ValueError) as error:
            self.close()
            raise self._translated(error) from error

    def close(self) -> None:
        """Drop the connection."""
        self.connected = False
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def interrupt(self) -> None:
        """Make an exchange that is under way, and every later one, fail at once."""
        self._interrupted = True
        self._cut()

    def _exchange_anew(self, path: str, body: bytes) -> Answer:
        try:
            return self._exchange(path, body)
        except (OSError, http.client.HTTPException, ValueError) as error:
            self.close()
            raise self._translated(error) from error

    def _exchange(self, path: str, body: bytes) -> Answer:
        # A timer bounds the whole exchange: a timeout of the socket bounds only each wait, and an answer may drip.
        self._too_late = False
        guard = threading.Timer(self._timeout_s, self._give_up)
        guard.daemon = True
        guard.start()
        try:
            if self._connection is None:
                self._connection = self._connect()
            begun = time.monotonic()
            self._connection.request("POST", path, body, HEADERS)
            response = self._connection.getresponse()
            content = response.read(MAX_ANSWER + 1)
            if len(content) > MAX_ANSWER:
                raise ValueError(f"an answer of more than {MAX_ANSWER} bytes")
            if response.length:
                raise http.client.IncompleteRead(content, response.length)
            took = time.monotonic() - begun
            self.connected = True
            if response.will_close:
                self.close()
            return Answer(
                status=response.status,
                body=content,
                round_trip_s=took,
                retry_after_s=_seconds(response.getheader("Retry-After")),
            )
        finally:
            guard.cancel()

    def _connect(self) -> http.client.HTTPSConnection:
        """Return a connection after its handshake, which `_cut` ends, too: `http.client` knows of a TLS socket only once that is over."""
        made = http.client.HTTPSConnection(self.host, self.port, timeout=self._timeout_s, context=self._tls)
        with socket.create_connection((self.host, self.port), self._timeout_s) as plain:
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            made.sock = self._tls.wrap_socket(plain, server_hostname=self.host, do_handshake_on_connect=False)
        self._connection = made
        if self._too_late or self._interrupted:  # said while there was nothing to cut
            raise TimeoutError
        made.sock.do_handshake()
        return made

    def _give_up(self) -> None:
        self._too_late = True
        self._cut()

    def _cut(self) -> None:
        connection = self._connection
        sock = getattr(connection, "sock", None)
        if sock is not None:
            try:
                socket.socket.shutdown(sock, socket.SHUT_RDWR)
            except OSError:
                return  # it is gone already

    def _translated(self, error: Exception) -> HoldfastError:
        """Return the condition behind a failed exchange in people's words."""
        if self._interrupted:
            return Interrupted("the agent is stopping")
        where = f"{self.host}:{self.port}"
        if isinstance(error, ssl.SSLCertVerificationError):
            why = error.verify_message or str(error)
            return NotTrusted(
                f"the certificate of {where} was not accepted: {why}",
                advice="check that this is the console's address and that this agent was enrolled there; check both clocks",
                permanent=False,
            )
        if isinstance(error, ssl.SSLError) and "ALERT" in (error.reason or ""):
            return NotTrusted(
                f"{where} does not accept this agent's certificate ({(error.reason or '').lower().replace('_', ' ')})",
                advice="enrol this agent again with a new token",
                permanent=False,
            )
        if isinstance(error, ssl.SSLError) and not isinstance(error, _CLOSED):
            advice = "check that the address is that of the console's listener for agents"
            return Unreachable(f"{where} does not speak TLS 1.3: {error.reason or error}", advice=advice)
        reason = "it does not answer in time" if self._too_late else _reason(error)
        return Unreachable(f"the console at {where} is not reachable: {reason}", advice=_advice(error))


def _reason(error: Exception) -> str:
    if isinstance(error, socket.gaierror):
        return "its name does not resolve"
    if isinstance(error, TimeoutError):
        return "it does not answer in time"
    if isinstance(error, http.client.RemoteDisconnected | ssl.SSLEOFError | ssl.SSLZeroReturnError):
        return "it closed the connection without an answer"
    if isinstance(error, http.client.HTTPException | ValueError):
        return f"its answer is not whole ({type(error).__name__})"
    return str(getattr(error, "strerror", None) or error).lower()


def _advice(error: Exception) -> str:
    if isinstance(error, socket.gaierror):
        return "check the name in console.url and the name service of this host"
    if isinstance(error, ConnectionRefusedError):
        return "check that the console runs and that console.url names its port for agents"
    return "check the network and the firewalls between this host and the console"


def _seconds(text: str | None) -> float:
    return min(float(text), 3600.0) if text and text.isascii() and text.isdecimal() else 0.0
