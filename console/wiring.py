"""The console's composition root: which parts there are and how they hang together; parts know one another only through it.

The pages are imported when the server is put together: the command line needs the store and the authority only, and soon.
"""

import asyncio
import datetime as dt
import socket
import time
from dataclasses import dataclass
from functools import partial
from importlib import metadata
from pathlib import Path

from uvicorn.config import Config

from console import tokens
from console.accounts import AccountPolicy, Accounts
from console.authority import Authority, generations
from console.enrol_protocol import Gateway
from console.enrolment import Enrolment
from console.hub import Hub
from console.ingest import Ingest
from console.listening import ListenerCertificate, check_state_directory, own_names
from console.metrics import CONTENT_TYPE, Metrics
from console.patient_protocol import Patience
from console.peer_protocol import Gate
from console.peers import Peers
from console.pulse import Pulse
from console.settings import ConsoleSettings, split_address
from console.store.interface import Store
from console.store.sql import open_sqlite
from settings.secret import read_secret

DATABASE = "console.db"
AUTHORITY = "ca"
LISTENERS = "tls"


def now_ms() -> int:
    """Return Unix time in milliseconds."""
    return time.time_ns() // 1_000_000


def now() -> dt.datetime:
    """Return the wall time in UTC."""
    return dt.datetime.now(dt.UTC)


class AuthorityHolder:
    """The authority in use; replaced when the command line has renewed it on disk."""

    def __init__(self, authority: Authority) -> None:
        self._authority = authority

    def __call__(self) -> Authority:
        """Return it."""
        return self._authority

    def replace(self, authority: Authority) -> None:
        """Use another from now on."""
        self._authority = authority


@dataclass(frozen=True)
class Parts:
    """What the command line works with: the store, the accounts and the authority, without any listener."""

    state: Path
    settings: ConsoleSettings
    store: Store
    accounts: Accounts
    authority: Authority


@dataclass(frozen=True)
class Server:
    """Everything `console.serve` runs."""

    parts: Parts
    hub: Hub
    peers: Peers
    pulse: Pulse
    metrics: Metrics
    gate: Gate
    web: object
    authority: AuthorityHolder
    agents_certificate: ListenerCertificate
    people_certificate: ListenerCertificate


def open_parts(settings: ConsoleSettings) -> Parts:
    """Open the store and the authority in the state directory, making them at the first start; raises `HoldfastError`."""
    state = Path(settings.state)
    check_state_directory(state)
    folder = state / AUTHORITY
    authority = Authority.load(folder) if generations(folder) or folder.exists() else _first_authority(state, folder)
    store: Store = open_sqlite(state / DATABASE, settings.heartbeats.grace)
    policy = AccountPolicy(session_idle_s=settings.sessions.idle, session_max_s=settings.sessions.longest)
    return Parts(
        state=state, settings=settings, store=store, accounts=Accounts(store, now_ms, policy), authority=authority
    )


def _first_authority(state: Path, folder: Path) -> Authority:
    """Make the authority, unless a database says that there was one: agents enrolled with it must not be shut out silently."""
    if (state / DATABASE).exists():
        return Authority.load(folder)  # raises with the advice to restore it
    return Authority.create(folder, now())


def make_server(parts: Parts, people: str, agents: str) -> Server:
    """Put the server together for listeners at `people` and `agents` (ADDRESS:PORT as really bound)."""
    settings = parts.settings
    hub, metrics, holder = Hub(), Metrics(), AuthorityHolder(parts.authority)
    peers = Peers(parts.store)
    pulse = Pulse(hub, settings.heartbeats.grace, now_ms)
    peers.on_revoked = pulse.revoked
    enrolment = Enrolment(parts.store, holder, peers, hub, settings.agents.certificate_lifetime, now_ms)
    ingest = Ingest(parts.store, peers, enrolment, hub, metrics, pulse, settings.heartbeats.every, now_ms)
    gateway = Gateway(enrolment.enrol, metrics)
    patience = Patience(max_connections=settings.agents.max_connections)
    tls = parts.state / LISTENERS
    return Server(
        parts=parts,
        hub=hub,
        peers=peers,
        pulse=pulse,
        metrics=metrics,
        gate=Gate(_agents_config(ingest, patience), peers, gateway, metrics, patience),
        web=_web(parts, hub, holder, metrics, pulse, agents_url(settings, agents)),
        authority=holder,
        agents_certificate=ListenerCertificate(tls, "agents", own_names(agents, settings.agents.names)),
        people_certificate=ListenerCertificate(tls, "people", own_names(people, settings.agents.names)),
    )


def agents_url(settings: ConsoleSettings, listening: str) -> str:
    """Return the URL that agents are told to use."""

    host, port = split_address(listening)
    named = settings.agents.names[0] if settings.agents.names else socket.gethostname()
    host = named if host in ("0.0.0.0", "::") else host
    return f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"


def people_url(settings: ConsoleSettings, listening: str) -> str:
    """Return the URL that people are told to use."""
    return settings.people.url.rstrip("/") or agents_url(settings, listening)


def version() -> str:
    """Return the version of this installation."""
    return metadata.version("holdfast")


def _agents_config(ingest: Ingest, patience: Patience) -> Config:
    config = Config(
        app=ingest,
        interface="asgi3",
        lifespan="off",
        ws="none",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        date_header=False,
        timeout_keep_alive=int(patience.idle_s),
    )
    config.load()
    return config


def _web(parts: Parts, hub: Hub, holder: AuthorityHolder, metrics: Metrics, pulse: Pulse, url: str) -> object:
    from console.web.app import make_web
    from console.web.context import Console
    from console.web.streams import Streams

    reference = parts.settings.people.metrics_token
    token = read_secret(reference) if reference else ""

    async def make_token(note: str, who: str, valid_s: float, hostname: str = "") -> tokens.NewToken:
        pin = holder().pin
        return await tokens.create(parts.store, pin, now_ms, who=who, lifetime_s=valid_s, hostname=hostname, note=note)

    return make_web(
        Console(
            store=parts.store,
            hub=hub,
            accounts=parts.accounts,
            now_ms=now_ms,
            agents_url=url,
            make_token=make_token,
            version=version(),
            streams=Streams(),
            metrics=partial(render_metrics, parts.store, metrics, pulse),
            metrics_token=token,
        )
    )


async def render_metrics(store: Store, metrics: Metrics, pulse: Pulse) -> tuple[bytes, str]:
    """Return the metrics as of now, and their content type."""
    health = await store.health()
    for one, count in pulse.counts().items():
        metrics.agents.labels(one.value).set(count)
    metrics.waiting.set(health.waiting)
    metrics.commit.set(health.commit_ms / 1000)
    metrics.size.set(health.bytes)
    return await asyncio.to_thread(metrics.render), CONTENT_TYPE
