"""A small console for the agent's tests: real TLS with an authority of its own, and every way to misbehave.

Test files load it by path (`importlib`), because the test folders are no packages, and take its fixtures into their namespace.
"""

import datetime as dt
import hashlib
import http.server
import ipaddress
import ssl
import threading
import time
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
import zstandard
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from contracts.event import GENESIS, Envelope, Lane, Loss, Sealed, link
from contracts.host import Facts
from contracts.wire import Ack, Batch, Enrolled, EnrolRequest, Heartbeat, Problem, RenewRequest

FACTS = Facts(hostname="h", machine_id="", boot_id="", kernel="", os_name="", architecture="", cpus=1, memory_bytes=1)


class Authority:
    """Signs for the tests."""

    def __init__(self, name: str = "test authority") -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.certificate = self._sign(name, self.key.public_key(), None, True, self.key, name)
        self.pem = self.certificate.public_bytes(serialization.Encoding.PEM)

    def pin(self) -> bytes:
        form = serialization.PublicFormat.SubjectPublicKeyInfo
        return hashlib.sha256(self.key.public_key().public_bytes(serialization.Encoding.DER, form)).digest()

    def token(self, secret: bytes = b"s" * 32) -> str:
        return ".".join(["hf1", *(urlsafe_b64encode(part).rstrip(b"=").decode() for part in (secret, self.pin()))])

    def client(self, csr: bytes) -> tuple[str, bytes]:
        request = x509.load_pem_x509_csr(csr)
        name = str(request.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value)
        made = self._sign(name, request.public_key(), None, False, self.key, "test authority")
        return name, made.public_bytes(serialization.Encoding.PEM)

    def server_files(self, folder: Path, chain: bytes | None = None) -> tuple[str, str]:
        key = ec.generate_private_key(ec.SECP256R1())
        made = self._sign("console", key.public_key(), "127.0.0.1", False, self.key, "test authority")
        (folder / "server.key").write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        (folder / "server.crt").write_bytes(
            made.public_bytes(serialization.Encoding.PEM) + (self.pem if chain is None else chain)
        )
        (folder / "ca.crt").write_bytes(self.pem)
        return str(folder / "server.crt"), str(folder / "server.key")

    def _sign(self, name, public, address, is_ca, key, issuer) -> x509.Certificate:
        now = dt.datetime.now(dt.UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
            .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(hours=1))
            .not_valid_after(now + dt.timedelta(hours=1))
            .add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True)
        )
        if address:
            names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))])
            builder = builder.add_extension(names, critical=False)
        return builder.sign(key, hashes.SHA256())


class Conflict(Exception):
    """The report does not follow on what is held."""


class TestConsole:
    """Keeps what agents report by the rules of docs/design/lanes.md. `faults` are used up one per report."""

    __test__ = False

    def __init__(self, folder: Path, port: int = 0) -> None:
        self.folder = folder
        self.authority = Authority()
        self.files = self.authority.server_files(folder)
        self.port = port
        self.held: dict[Lane, int] = {}
        self.chains: dict[Lane, bytes] = {}
        self.events: dict[Lane, list[Envelope]] = {lane: [] for lane in Lane}
        self.losses: dict[Lane, list[Loss]] = {lane: [] for lane in Lane}
        self.breaks: list[tuple[Lane, int, int]] = []
        self.subjects: dict[str, int] = {}
        self.rows: dict[str, dict[str, bytes]] = {}
        self.staged: dict[str, list] = {}
        self.beats: list[tuple[float, Heartbeat]] = []
        self.reports: list[bool] = []
        """One for each report: whether a heartbeat rode in it."""
        self.order: list[Lane] = []
        self.faults: list = []
        self.tokens: dict[str, tuple[bytes, bytes]] = {}
        self.renew_after_ms = 2**50
        self.renewals = 0
        self.received: list[str] = []
        self.skew_ms = 0
        self.interval_s = 30.0
        self.lock = threading.Lock()
        self.server: http.server.ThreadingHTTPServer | None = None
        self.connections: list = []

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    def start(self) -> None:
        console = self
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.minimum_version = ssl.TLSVersion.TLSv1_3
        tls.load_cert_chain(*self.files)
        tls.load_verify_locations(cadata=self.authority.pem.decode())
        tls.verify_mode = ssl.CERT_OPTIONAL

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            timeout = 20

            def setup(self) -> None:
                self.request = tls.wrap_socket(self.request, server_side=True)
                console.connections.append(self.request)
                super().setup()

            def handle(self) -> None:
                try:
                    super().handle()
                except OSError:
                    return

            def finish(self) -> None:
                try:
                    super().finish()
                    self.request.close()
                except OSError:
                    return

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                console.answer(self, self.path, body)

            def log_message(self, *_: object) -> None:
                return

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True
            allow_reuse_address = True

            def handle_error(self, *_: object) -> None:
                return

        self.server = Server(("127.0.0.1", self.port), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        if self.server is not None:
            self.server.shutdown()
            self.server.server_close()
            self.server = None
            for connection in self.connections:
                try:
                    connection.shutdown(2)
                except OSError:
                    continue
            self.connections.clear()

    def answer(self, handler: http.server.BaseHTTPRequestHandler, path: str, body: bytes) -> None:
        with self.lock:
            self.received.append(path)
        if path == "/v1/report":
            fault = self.faults.pop(0) if self.faults else None
            if callable(fault):
                fault = fault(handler)
            if fault == "drop":
                handler.close_connection = True
                return
            if fault == "lose the answer":
                self._report(handler, body)
                handler.close_connection = True
                return
            if fault == "half":
                handler.send_response(200)
                handler.send_header("Content-Length", "100")
                handler.end_headers()
                handler.wfile.write(b"half")
                handler.close_connection = True
                return
            if isinstance(fault, int):
                self._send(handler, fault, Problem(error=f"told to say {fault}"))
                return
            if not handler.request.getpeercert():
                self._send(handler, 403, Problem(error="no certificate"))
                return
            self._send(handler, *self._report(handler, body))
        elif path == "/v1/enrol":
            self._send(handler, *self._enrol(msgspec.msgpack.decode(body, type=EnrolRequest)))
        else:
            request = msgspec.msgpack.decode(body, type=RenewRequest)
            name, certificate = self.authority.client(request.csr)
            self.renewals += 1
            self._send(handler, 200, self._enrolled(name, certificate))

    def _send(self, handler, status: int, answer: object) -> None:
        body = msgspec.msgpack.encode(answer)
        handler.send_response(status)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    def _enrolled(self, name: str, certificate: bytes) -> Enrolled:
        return Enrolled(
            agent=name, certificate=certificate, authority=self.authority.pem, renew_after_ms=self.renew_after_ms
        )

    def _enrol(self, request: EnrolRequest) -> tuple[int, object]:
        public = x509.load_pem_x509_csr(request.csr).public_key()
        key = public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        if request.token not in self.tokens:
            return 401, Problem(error="this enrolment token has expired", advice="make a new one", permanent=True)
        used, certificate = self.tokens[request.token]
        if used and used != key:
            return 401, Problem(error="this enrolment token has been used with another key", permanent=True)
        name, fresh = self.authority.client(request.csr)
        self.tokens[request.token] = (key, certificate or fresh)
        return 200, self._enrolled(name, certificate or fresh)

    def _report(self, handler, body: bytes) -> tuple[int, object]:
        raw = zstandard.ZstdDecompressor().decompress(body, max_output_size=64 << 20)
        batch = msgspec.msgpack.decode(raw, type=Batch)
        with self.lock:
            self.reports.append(batch.heartbeat is not None)
            if batch.heartbeat is not None:
                self.beats.append((time.monotonic(), batch.heartbeat))
            before = (dict(self.held), dict(self.chains), {lane: list(self.events[lane]) for lane in Lane})
            try:
                for part in batch.lanes:
                    self._lane(part)
                for page in batch.subjects:
                    self._subject(page)
            except Conflict as conflict:
                self.held, self.chains, self.events = before
                return 409, Problem(error=str(conflict), lanes=dict(self.held), subjects=dict(self.subjects))
            now_ms = int(time.time() * 1000) + self.skew_ms
            ack = Ack(lanes=dict(self.held), subjects=dict(self.subjects), now_ms=now_ms, interval_s=self.interval_s)
            return 200, ack

    def _lane(self, part) -> None:
        lane, first = part.lane, part.items[0]
        self.order.append(lane)
        held, chain = self.held.get(lane, 0), self.chains.get(lane, GENESIS)
        if part.previous == GENESIS and isinstance(first, Sealed) and first.seq > max(1, held):
            kind = msgspec.msgpack.decode(first.body, type=Envelope).event.kind
            if kind != "agent.spool_set_aside":
                raise Conflict(f"a new chain begins with {kind}")
            self.breaks.append((lane, held + 1, first.seq - 1))
            held, chain = first.seq - 1, GENESIS
        for item in part.items:
            begin, end = (item.first, item.last) if isinstance(item, Loss) else (item.seq, item.seq)
            if end <= held:
                continue
            if begin > held + 1:
                raise Conflict(f"{lane}: {held + 1} to {begin - 1} are missing")
            if isinstance(item, Loss):
                self.losses[lane].append(item)
            else:
                if link(chain, item.body) != item.chain:
                    raise Conflict(f"{lane}: {item.seq} breaks the chain")
                self.events[lane].append(msgspec.msgpack.decode(item.body, type=Envelope))
            held, chain = end, item.chain
        self.held[lane], self.chains[lane] = held, chain

    def _subject(self, page) -> None:
        if page.base and page.base != self.subjects.get(page.subject, 0):
            raise Conflict(f"{page.subject}: base {page.base} is not held")
        pages = self.staged.setdefault(page.subject, [])
        if pages and (pages[0].base, pages[0].revision) != (page.base, page.revision):
            pages.clear()
        pages.append(page)
        if page.more:
            return
        rows = {} if page.base == 0 else self.rows.get(page.subject, {})
        for one in pages:
            for key in one.removed:
                rows.pop(key, None)
            rows.update(one.put)
        self.rows[page.subject], self.subjects[page.subject] = rows, page.revision
        pages.clear()


@pytest.fixture
def console(tmp_path: Path) -> Iterator[TestConsole]:
    folder = tmp_path / "console"
    folder.mkdir()
    made = TestConsole(folder)
    made.start()
    yield made
    made.stop()


@pytest.fixture
def facts() -> Facts:
    return FACTS


@pytest.fixture
def authority() -> type[Authority]:
    return Authority
