"""The console's settings: what `console.yaml` may hold. Everything has a default that works on a fresh machine."""

from typing import Annotated

from msgspec import Meta

from contracts.options import Duration, Secret
from contracts.record import Record

LISTEN = r"^([0-9A-Za-z.-]+|\[[0-9A-Fa-f:.]+\]):\d{1,5}$"


class PeopleSettings(Record):
    """The listener for people: pages and API over HTTPS."""

    listen: Annotated[
        str,
        Meta(
            description="Address and port for browsers.",
            examples=["0.0.0.0:8443"],
            pattern=LISTEN,
        ),
    ] = "0.0.0.0:8443"
    url: Annotated[
        str,
        Meta(
            description="How people reach the console, for links; empty: made from the host name and the port.",
            examples=["https://console.example.org"],
            pattern=r"^(https://[^/\s]+/?)?$",
        ),
    ] = ""
    certificate: Annotated[
        str,
        Meta(description="Certificate chain (PEM file) for browsers; empty: issued by the console's own authority."),
    ] = ""
    key: Annotated[str, Meta(description="Private key (PEM file) of that certificate.")] = ""
    metrics_token: Annotated[
        Secret | None,
        Meta(
            description="Bearer token that lets Prometheus read /metrics from anywhere; empty: only admins, API tokens and this machine.",
            examples=["file:/etc/holdfast/metrics-token"],
        ),
    ] = None

    def __post_init__(self) -> None:
        if bool(self.certificate) != bool(self.key):
            raise ValueError("certificate and key belong together; give both or neither")


class AgentsSettings(Record):
    """The listener for agents: mutual TLS with the console's own authority."""

    listen: Annotated[
        str,
        Meta(
            description="Address and port for agents.",
            examples=["0.0.0.0:8444"],
            pattern=LISTEN,
        ),
    ] = "0.0.0.0:8444"
    names: Annotated[
        tuple[str, ...],
        Meta(
            description="Host names and addresses under which agents reach the console, besides this machine's host name and loopback.",
            examples=[["console.example.org", "192.0.2.10"]],
        ),
    ] = ()
    certificate_lifetime: Annotated[
        Duration,
        Meta(
            description="How long an agent's certificate holds; it is renewed after half of that.",
            ge=3600.0,
            le=31536000.0,
        ),
    ] = 30 * 86400.0
    max_connections: Annotated[
        int, Meta(description="Most connections from agents at one time; more are closed at once.", ge=16, le=200000)
    ] = 20000


class HeartbeatSettings(Record):
    """When an agent counts as late and as down."""

    every: Annotated[
        Duration, Meta(description="How often agents are asked to send a sign of life.", ge=0.5, le=3600.0)
    ] = 30.0
    grace: Annotated[
        Duration,
        Meta(
            description="An agent is late after one and a half periods, and down when this much more has passed.",
            ge=0.0,
            le=86400.0,
        ),
    ] = 60.0


class ChallengeSettings(Record):
    """Hosts that watch files are asked at random moments to prove again what some of them hold."""

    every: Annotated[
        Duration,
        Meta(description="How often each host is asked on average; 0 never asks.", ge=0.0, le=30 * 86400.0),
    ] = 3600.0
    patience: Annotated[
        Duration,
        Meta(
            description="An answer that takes longer is none; so long a change that was found may still be told of.",
            ge=1.0,
            le=86400.0,
        ),
    ] = 1200.0
    files: Annotated[int, Meta(description="Of how many files each proof is made.", ge=1, le=64)] = 8


class RetentionSettings(Record):
    """How long things are kept."""

    events: Annotated[Duration, Meta(description="How long events are kept.", ge=3600.0)] = 365 * 86400.0
    presence: Annotated[
        Duration, Meta(description="How long it is kept when each agent was heard, and counts of events.", ge=86400.0)
    ] = 90 * 86400.0


class SessionSettings(Record):
    """How long a login lasts."""

    idle: Annotated[Duration, Meta(description="A login ends after this long without use.", ge=60.0)] = 12 * 3600.0
    longest: Annotated[Duration, Meta(description="A login ends after this long in any case.", ge=60.0)] = 7 * 86400.0


class ConsoleSettings(Record):
    """Everything in `console.yaml`."""

    state: Annotated[
        str,
        Meta(description="Directory of the database and the certificate authority; must be private to the console."),
    ] = "/var/lib/holdfast/console"
    people: PeopleSettings = PeopleSettings()
    agents: AgentsSettings = AgentsSettings()
    heartbeats: HeartbeatSettings = HeartbeatSettings()
    challenges: ChallengeSettings = ChallengeSettings()
    retention: RetentionSettings = RetentionSettings()
    sessions: SessionSettings = SessionSettings()


def split_address(address: str) -> tuple[str, int]:
    """Return host and port of an `ADDRESS:PORT`; raises `ValueError`."""
    host, _, port = address.rpartition(":")
    number = int(port)
    if not host or not 0 <= number <= 65535:
        raise ValueError(f"{address} is not ADDRESS:PORT")
    return host.strip("[]"), number
