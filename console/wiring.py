"""The console's composition root: which parts there are and how they hang together; parts know one another only through it."""

import asyncio
from dataclasses import dataclass
from functools import partial
from importlib import metadata

from uvicorn.config import Config

from console import tokens
from console.authority import Authority
from console.challenge_book import FOLDER, ChallengeBook
from console.challenges import Challenges
from console.enrol_protocol import Gateway
from console.enrolment import Enrolment
from console.hub import Hub
from console.ingest import Ingest
from console.listening import ListenerCertificate, own_names
from console.metrics import CONTENT_TYPE, Metrics
from console.parts import Parts, agents_url, now_ms
from console.patient_protocol import Patience
from console.peer_protocol import Gate
from console.peers import Peers
from console.pulse import Pulse
from console.store.interface import Store
from settings.secret import read_secret

LISTENERS = "tls"


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


def make_server(parts: Parts, people: str, agents: str) -> Server:
    """Put the server together for listeners at `people` and `agents` (ADDRESS:PORT as really bound)."""
    settings = parts.settings
    hub, metrics, holder = Hub(), Metrics(), AuthorityHolder(parts.authority)
    peers = Peers(parts.store)
    pulse = Pulse(hub, settings.heartbeats.grace, now_ms)
    peers.on_revoked = pulse.revoked
    enrolment = Enrolment(parts.store, holder, peers, hub, settings.agents.certificate_lifetime, now_ms)
    book = ChallengeBook(parts.state / FOLDER)
    every_s = settings.heartbeats.every
    ingest = Ingest(parts.store, peers, enrolment, hub, metrics, pulse, every_s, now_ms, book, settings.challenges)
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
        web=_web(parts, hub, holder, metrics, pulse, agents_url(settings, agents), ingest.challenges),
        authority=holder,
        agents_certificate=ListenerCertificate(tls, "agents", own_names(agents, settings.agents.names)),
        people_certificate=ListenerCertificate(tls, "people", own_names(people, settings.agents.names)),
    )


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


def _web(
    parts: Parts,
    hub: Hub,
    holder: AuthorityHolder,
    metrics: Metrics,
    pulse: Pulse,
    url: str,
    challenges: Challenges,
) -> object:
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
            challenges=challenges,
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
