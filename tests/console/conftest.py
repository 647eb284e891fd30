"""A console with real parts: agents that make keys, certificates and chained reports; and the whole server on loopback in a thread."""

import asyncio
import datetime as dt
import http.client
import socket
import ssl
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import pytest
import zstandard
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from console import tokens
from console.parts import Parts, now_ms
from console.serve import Serving, serve
from console.settings import AgentsSettings, ConsoleSettings, HeartbeatSettings, PeopleSettings
from console.store.records import Certificate
from contracts.coverage import Coverage, Sight
from contracts.event import GENESIS, Envelope, Event, Lane, Sealed, Severity, link
from contracts.host import Facts
from contracts.wire import Ack, Batch, Enrolled, EnrolRequest, Heartbeat, LanePart, Problem

T = TypeVar("T")


def make_facts(hostname: str = "web-1") -> Facts:
    return Facts(
        hostname=hostname,
        machine_id="a" * 32,
        boot_id="b" * 32,
        kernel="Linux 6.1",
        os_name="Debian 12",
        architecture="x86_64",
        cpus=2,
        memory_bytes=1 << 30,
    )


def make_beat(instance: str = "i1", hostname: str = "web-1", every_s: float = 30.0, state: str = "seen") -> Heartbeat:
    return Heartbeat(
        sent_ms=now_ms(),
        instance=instance,
        version="0.1.0",
        facts=make_facts(hostname),
        uptime_s=5.0,
        every_s=every_s,
        coverage=Coverage(sights=(Sight(subject="ports", state=state),)),
    )


class LaneWriter:
    """Seals events as an agent's spool does."""

    def __init__(self, agent: str, lane: Lane = Lane.NORMAL, seq: int = 0, chain: bytes = GENESIS) -> None:
        self.agent, self.lane, self.seq, self.chain = agent, lane, seq, chain

    def event(self, kind: str = "ports.listener_opened", key: str = "tcp 22", **options: Any) -> Sealed:
        self.seq += 1
        fields = options.pop("fields", {"port": self.seq})
        event = Event(
            kind=kind,
            key=key,
            severity=options.pop("severity", Severity.LOW),
            lane=self.lane,
            fields=fields,
            observed_ms=options.pop("observed_ms", 1_700_000_000_000 + self.seq * 1000),
        )
        envelope = Envelope(id=f"{self.seq:032x}", agent=self.agent, lane=self.lane, seq=self.seq, event=event)
        body = msgspec.msgpack.encode(envelope)
        self.chain = link(self.chain, body)
        return Sealed(seq=self.seq, chain=self.chain, body=body)

    def part(self, count: int = 1, **options: Any) -> LanePart:
        previous = self.chain
        return LanePart(
            lane=self.lane, previous=previous, items=tuple(self.event(**dict(options)) for _ in range(count))
        )


class TestAgent:
    """A key, a name, and certificates as they come."""

    __test__ = False

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self.folder = folder
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.file = folder / f"{name}.pem"

    def csr(self, name: str = "", key: Any = None) -> bytes:
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name or self.name)])
        request = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key or self.key, hashes.SHA256())
        return request.public_bytes(serialization.Encoding.PEM)

    def keep(self, certificate: bytes) -> None:
        key = self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        self.file.write_bytes(certificate + key)

    def request(self, token: str, hostname: str = "web-1") -> bytes:
        return msgspec.msgpack.encode(
            EnrolRequest(token=token, csr=self.csr(), facts=make_facts(hostname), version="0.1.0")
        )


def pack(batch: Batch) -> bytes:
    return zstandard.ZstdCompressor().compress(msgspec.msgpack.encode(batch))


class RunningConsole:
    """The whole console on loopback, on a loop in a thread of its own."""

    def __init__(self, settings: ConsoleSettings) -> None:
        self.settings = settings
        self.serving: Serving
        self.parts: Parts
        self._stop: asyncio.Event
        self._loop: asyncio.AbstractEventLoop
        self._ready = threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        try:
            # Not uvloop, as `console serve` has it (tests/faults run that): libuv closes and opens descriptors in every later fork of
            # this process, by numbers that are somebody else's by then, and other tests fork.
            with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
                self._loop = runner.get_loop()
                runner.run(self._serve())
        except BaseException as error:  # noqa: BLE001 - raised again in the test
            self._error = error
        finally:
            self._ready.set()

    async def _serve(self) -> None:
        self._stop = asyncio.Event()

        def started(serving: Serving, parts: Parts) -> None:
            self.serving, self.parts = serving, parts
            self._ready.set()

        await serve(self.settings, started, self._stop)

    def start(self) -> "RunningConsole":
        self._thread.start()
        assert self._ready.wait(120)
        if self._error is not None:
            raise self._error
        return self

    def stop(self) -> None:
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(60)
        assert not self._thread.is_alive()

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(60)

    @property
    def port(self) -> int:
        return int(self.serving.agents.rpartition(":")[2])

    def token(self, **options: Any) -> str:
        lifetime_s = options.pop("lifetime_s", 600.0)
        pin = self.parts.authority.pin
        made = self.do(tokens.create(self.parts.store, pin, now_ms, who="test", lifetime_s=lifetime_s, **options))
        return made.text

    def context(self, agent: TestAgent | None = None) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(cadata=self.parts.authority.trusted().decode())
        if agent is not None:
            context.load_cert_chain(agent.file)
        return context

    def connect(self, agent: TestAgent | None = None, timeout: float = 60) -> ssl.SSLSocket:
        plain = socket.create_connection(("127.0.0.1", self.port), timeout=timeout)
        return self.context(agent).wrap_socket(plain, server_hostname="localhost")

    def post(self, path: str, body: bytes, agent: TestAgent | None = None) -> tuple[int, bytes]:
        client = http.client.HTTPSConnection("localhost", self.port, context=self.context(agent), timeout=60)
        try:
            client.request("POST", path, body)
            answer = client.getresponse()
            return answer.status, answer.read()
        finally:
            client.close()

    def enrol(self, agent: TestAgent, hostname: str = "web-1") -> Enrolled:
        status, body = self.post("/v1/enrol", agent.request(self.token(), hostname))
        assert status == 200, body
        enrolled = msgspec.msgpack.decode(body, type=Enrolled)
        agent.keep(enrolled.certificate)
        return enrolled

    def report(self, agent: TestAgent, batch: Batch) -> Ack | tuple[int, Problem]:
        status, body = self.post("/v1/report", pack(batch), agent)
        if status == 200:
            return msgspec.msgpack.decode(body, type=Ack)
        return status, msgspec.msgpack.decode(body, type=Problem)


@pytest.fixture(scope="session")
def lanes() -> type[LaneWriter]:
    return LaneWriter


@pytest.fixture(scope="session")
def beat() -> Callable[..., Heartbeat]:
    return make_beat


@pytest.fixture(scope="session")
def facts() -> Callable[..., Facts]:
    return make_facts


@pytest.fixture(scope="session")
def packed() -> Callable[[Batch], bytes]:
    return pack


@pytest.fixture
def moment() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


@pytest.fixture
def new_agent(tmp_path: Path) -> Callable[[str], TestAgent]:
    return lambda digit="1": TestAgent(digit * 32, tmp_path)


@pytest.fixture
def certificate() -> Callable[..., Certificate]:
    def make(agent: str, serial: str = "01", key: bytes = b"k" * 32) -> Certificate:
        return Certificate(serial=serial, agent=agent, key=key, pem=b"pem", issued_ms=1000, ends_ms=9_000_000)

    return make


@pytest.fixture
def console_settings(tmp_path: Path) -> ConsoleSettings:
    return ConsoleSettings(
        state=str(tmp_path / "state"),
        people=PeopleSettings(listen="127.0.0.1:0"),
        agents=AgentsSettings(listen="127.0.0.1:0"),
        heartbeats=HeartbeatSettings(every=1.0, grace=2.0),
    )


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningConsole]:
    """One running console per test module, because starting it takes a second."""
    settings = ConsoleSettings(
        state=str(tmp_path_factory.mktemp("console") / "state"),
        people=PeopleSettings(listen="127.0.0.1:0"),
        agents=AgentsSettings(listen="127.0.0.1:0"),
        heartbeats=HeartbeatSettings(every=1.0, grace=2.0),
    )
    running = RunningConsole(settings).start()
    yield running
    running.stop()


@pytest.fixture
def run_console() -> Iterator[Callable[[ConsoleSettings], RunningConsole]]:
    started: list[RunningConsole] = []

    def run(settings: ConsoleSettings) -> RunningConsole:
        started.append(RunningConsole(settings).start())
        return started[-1]

    yield run
    for one in started:
        one.stop()


_number = iter(range(1, 1 << 30))


@pytest.fixture
def agent(console: RunningConsole, tmp_path: Path) -> TestAgent:
    """A freshly enrolled agent of the module's console."""
    one = TestAgent(f"{next(_number):08x}{time.time_ns():024x}", tmp_path)
    console.enrol(one)
    return one


@pytest.fixture
def stranger(tmp_path: Path) -> TestAgent:
    """An agent that is not enrolled."""
    return TestAgent(f"{next(_number):08x}{time.time_ns():024x}", tmp_path)
