"""A console process and simulated agents that were enrolled beforehand: what the console's benchmarks measure with.

The agents are asyncio protocols over real mutual TLS, many per process; they speak the same HTTP as the real reporter.
"""

import asyncio
import datetime as dt
import json
import os
import signal
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

import msgspec
import zstandard

from contracts.coverage import Coverage, Sight
from contracts.event import GENESIS, Envelope, Event, Lane, Sealed, Severity, link
from contracts.host import Facts
from contracts.outcome import Cost, Ok, Run
from contracts.wire import CONTENT_TYPE, Ack, Batch, Heartbeat, LanePart, LaneState, WorkerState

FACTS = Facts(
    hostname="simulated",
    machine_id="a" * 32,
    boot_id="b" * 32,
    kernel="Linux 6.1.0-28-amd64",
    os_name="Debian GNU/Linux 12 (bookworm)",
    architecture="x86_64",
    cpus=2,
    memory_bytes=4 << 30,
)


def heartbeat(instance: str) -> Heartbeat:
    """Return a heartbeat of the usual size: five subjects, three workers, three lanes, two runs."""
    return Heartbeat(
        sent_ms=time.time_ns() // 1_000_000,
        instance=instance,
        version="0.1.0",
        facts=FACTS,
        uptime_s=3600.0,
        every_s=30.0,
        coverage=Coverage(
            sights=tuple(
                Sight(subject=name, state="seen", since_ms=1, last_ok_ms=2, rows=50)
                for name in ("firewall", "ports", "accounts", "packages", "integrity")
            )
        ),
        workers=tuple(
            WorkerState(name=name, state="running", pid=100, uid=990) for name in ("netfilter", "reader", "sensor")
        ),
        lanes=tuple(LaneState(lane=lane, waiting=0, bytes=0, next_seq=1, lost=0) for lane in Lane),
        runs=tuple(
            Run(name=name, started_ms=1, outcome=Ok(), cost=Cost(wall_s=0.1, cpu_s=0.02), rows=50)
            for name in ("firewall", "ports")
        ),
        config_digest="c" * 64,
    )


def events(agent: str, count: int, previous: bytes = GENESIS, first: int = 1) -> LanePart:
    """Return a part of the normal lane with `count` chained events."""
    chain, items = previous, []
    for seq in range(first, first + count):
        event = Event(
            kind="ports.listener_opened",
            key=f"tcp 0.0.0.0:{seq}",
            severity=Severity.LOW,
            fields={"port": seq, "process": "nginx", "user": "www-data"},
            observed_ms=time.time_ns() // 1_000_000,
            dedup=f"{agent}{seq}",
        )
        envelope = Envelope(id=f"{agent[:20]}{seq:012d}", agent=agent, lane=Lane.NORMAL, seq=seq, event=event)
        body = msgspec.msgpack.encode(envelope)
        chain = link(chain, body)
        items.append(Sealed(seq=seq, chain=chain, body=body))
    return LanePart(lane=Lane.NORMAL, previous=previous, items=tuple(items))


def request(batch: Batch) -> bytes:
    """Return the whole HTTP request of a report."""
    body = zstandard.ZstdCompressor(level=3).compress(msgspec.msgpack.encode(batch))
    head = f"POST /v1/report HTTP/1.1\r\nhost: localhost\r\ncontent-type: {CONTENT_TYPE}\r\ncontent-length: {len(body)}\r\n\r\n"
    return head.encode() + body


def enrol_all(state: Path, count: int) -> list[str]:
    """Enrol `count` agents in the state directory of a console that is not running; write `N.pem` per agent below `agents/`."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    from console import tokens
    from console.parts import now_ms, open_parts
    from console.settings import ConsoleSettings
    from console.store.records import Certificate

    folder = state.parent / "agents"
    folder.mkdir()
    key = ec.generate_private_key(ec.SECP256R1())
    key_pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    names = [f"{number:032x}" for number in range(1, count + 1)]

    async def enrol() -> None:
        parts = open_parts(ConsoleSettings(state=str(state)))

        async def one(name: str) -> None:
            subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
            csr = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
            pem = csr.public_bytes(serialization.Encoding.PEM)
            issued = parts.authority.issue_agent(pem, name, dt.timedelta(days=30), dt.datetime.now(dt.UTC))
            made = await tokens.create(parts.store, parts.authority.pin, now_ms, who="bench", lifetime_s=3600)
            certificate = Certificate(
                serial=issued.serial,
                agent=name,
                key=issued.key,
                pem=issued.pem,
                issued_ms=issued.issued_ms,
                ends_ms=issued.ends_ms,
            )
            assert await parts.store.enrol(made.id, certificate, FACTS, "0.1.0", now_ms())
            (folder / f"{name}.pem").write_bytes(issued.pem + key_pem)

        for start in range(0, count, 200):
            await asyncio.gather(*(one(name) for name in names[start : start + 200]))
        (folder / "ca.pem").write_bytes(parts.authority.trusted())
        await parts.store.close()

    asyncio.run(enrol())
    return names


@contextmanager
def console(count: int) -> Iterator[tuple[Path, int, int]]:
    """Enrol `count` agents, start a console, and yield its state directory, agents' port and process id."""
    with tempfile.TemporaryDirectory(prefix="holdfast-bench-") as root:
        state = Path(root) / "console"
        state.mkdir()
        enrol_all(state, count)
        holdfast = str(Path(sys.executable).with_name("holdfast"))
        listening = ("--people", "127.0.0.1:0", "--agents", "127.0.0.1:0")
        started = subprocess.Popen(
            [holdfast, "console", "serve", "--state-dir", str(state), *listening, "--json"], stdout=subprocess.PIPE
        )
        try:
            assert started.stdout is not None
            answer = json.loads(started.stdout.readline())
            yield state, int(answer["agents"].rpartition(":")[2]), started.pid
        finally:
            started.send_signal(signal.SIGTERM)
            started.wait(30)


class Agent(asyncio.Protocol):
    """One simulated agent: a kept-open connection that sends prepared requests and times the answers."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self._received = b""
        self._answered: asyncio.Future[bytes] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, end, body = self._received.partition(b"\r\n\r\n")
        if not end:
            return
        length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
        if len(body) < length or self._answered is None:
            return
        self._received = b""
        if not head.startswith(b"HTTP/1.1 200"):
            self._answered.set_exception(RuntimeError(f"{head[:30]!r} {body!r}"))
        else:
            self._answered.set_result(body)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._answered is not None and not self._answered.done():
            self._answered.set_exception(ConnectionError(f"the console closed the connection: {exc}"))

    async def send(self, whole: bytes) -> Ack:
        """Send a request and return its acknowledgement."""
        assert self.transport is not None
        self._answered = asyncio.get_running_loop().create_future()
        self.transport.write(whole)
        return msgspec.msgpack.decode(await self._answered, type=Ack)


def client_context(folder: Path, name: str) -> ssl.SSLContext:
    """Return the TLS settings of one agent."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.load_verify_locations(cafile=str(folder / "ca.pem"))
    context.load_cert_chain(str(folder / f"{name}.pem"))
    return context


async def connect(port: int, context: ssl.SSLContext) -> Agent:
    """Return a connected agent."""
    loop = asyncio.get_running_loop()
    _, agent = await loop.create_connection(
        Agent, "127.0.0.1", port, ssl=context, server_hostname="localhost", ssl_handshake_timeout=60
    )
    return agent


def in_child(script: str, *arguments: str) -> dict[str, float]:
    """Run the load of a benchmark in a process of its own and return what it measured."""
    done = subprocess.run(
        [sys.executable, script, "--load", *arguments], stdout=subprocess.PIPE, check=False, timeout=300
    )
    if done.returncode != 0:
        raise SystemExit(f"the load ended with {done.returncode}")
    measured: dict[str, float] = json.loads(done.stdout)
    return measured


def cpu_s(pid: int) -> float:
    """Return the CPU seconds that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def share(values: list[float], part: float) -> float:
    """Return the value below which `part` of all lie."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))]


def run_load(work: Callable[[], "asyncio.Future[dict[str, float]]"]) -> None:
    """Run a load on uvloop and print what it measured."""
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        print(json.dumps(runner.run(work())))  # type: ignore[arg-type]
