"""The agent's settings: what `agent.yaml` may hold besides the sections of the single collectors and actions.

Those are added by `compose` from the options that each declares, so that a setting lives beside the code it configures. How the parts fit:
`vocabulary` in `agent/wiring.py` composes the type once and names the kinds and actions that rules may refer to.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from msgspec import Meta, field

from contracts.event import Event, Kind, Severity
from contracts.options import ActionOptions, Clock, CollectorOptions, Duration, Secret, Size
from contracts.policy import Policy
from contracts.record import Record, RecordMeta

_MAX_PORT = 65535

Scalar = bool | int | float | str


class ConsoleSettings(Record):
    """The console that this agent reports to. Everything may stay empty: `holdfast enroll` remembers where it enrolled."""

    url: Annotated[
        str,
        Meta(
            description="Where the console listens for agents; empty: where this agent was enrolled.",
            examples=["https://console.example.org:8444"],
        ),
    ] = ""
    ca: Annotated[
        str,
        Meta(description="File with the console's certificate authority (PEM); empty: the one pinned at enrolment."),
    ] = ""
    token: Annotated[
        Secret | None,
        Meta(
            description="One-time enrolment token; with it and url the agent enrols itself at its first start.",
            examples=["file:/etc/holdfast/token"],
        ),
    ] = None

    def __post_init__(self) -> None:
        if self.url and not re.fullmatch(r"https://[^/\s@]+/?", self.url):
            raise ValueError(
                "url must be https:// with host and port and no path, for example https://console.example.org:8444"
            )


class HeartbeatSettings(Record):
    """The sign of life."""

    every: Annotated[
        Duration, Meta(description="Time between two heartbeats; the console may ask for another.", ge=1.0, le=3600.0)
    ] = 30.0


class SpoolSettings(Record):
    """The durable queue between events and the console."""

    max_size: Annotated[
        Size,
        Meta(
            description="Most that waiting events may take on disk; beyond it the oldest of the least urgent lane go, which is recorded.",
            ge=1 << 20,
        ),
    ] = 256 << 20


class Directories(Record):
    """Where the agent keeps its files."""

    state: Annotated[
        str, Meta(description="Spool, snapshots, ledger and identity; must be private to the agent.", pattern="^/")
    ] = "/var/lib/holdfast/agent"
    runtime: Annotated[str, Meta(description="Sockets; emptied at boot.", pattern="^/")] = "/run/holdfast"


class ControlSettings(Record):
    """The socket on which `holdfast status` and the other commands reach the running agent."""

    socket: Annotated[str, Meta(description="Path of the socket; empty: control.sock in the runtime directory.")] = ""
    group: Annotated[str, Meta(description="Group that may use it besides root.", min_length=1)] = "holdfast"


class NdjsonSettings(Record):
    """A file with one OCSF event per line, for any log shipper."""

    enabled: Annotated[bool, Meta(description="Whether the file is written.")] = False
    path: Annotated[str, Meta(description="The file.", pattern="^/")] = "/var/log/holdfast/events.ndjson"
    rotate_at: Annotated[
        Size, Meta(description="Size at which the file is renamed to .1 and begun anew.", ge=64 << 10)
    ] = 64 << 20
    keep: Annotated[int, Meta(description="How many renamed files stay.", ge=0, le=100)] = 4


class JournaldSettings(Record):
    """Events in the systemd journal with structured fields (`journalctl HOLDFAST_KIND=ports.listener_opened`)."""

    enabled: Annotated[bool, Meta(description="Whether events go to the journal.")] = True
    least: Annotated[Severity, Meta(description="Least severity that goes there.")] = Severity.INFORMATIONAL


class PrometheusSettings(Record):
    """Metrics for Prometheus; never beyond this machine."""

    listen: Annotated[
        str,
        Meta(
            description="Where: unix:/path (for the agent's user and group) or a loopback address with port; empty: nowhere.",
            examples=["unix:/run/holdfast/metrics.sock", "127.0.0.1:9464"],
            pattern=r"^(unix:/.+|127\.0\.0\.1:\d{1,5}|\[::1\]:\d{1,5})?$",
        ),
    ] = ""

    def __post_init__(self) -> None:
        if self.listen and not self.listen.startswith("unix:"):
            port = int(self.listen.rpartition(":")[2])
            if not 1 <= port <= _MAX_PORT:
                raise ValueError(f"listen: {port} is not a port from 1 to {_MAX_PORT}")


class OutputSettings(Record):
    """Outputs besides the console."""

    ndjson: NdjsonSettings = NdjsonSettings()
    journald: JournaldSettings = JournaldSettings()
    prometheus: PrometheusSettings = PrometheusSettings()


class EventSettings(Record):
    """What events say."""

    severity: Annotated[
        dict[str, Severity],
        Meta(description="Another severity for a kind of event.", examples=[{"ports.listener_opened": "high"}]),
    ] = {}


class Compare(Record):
    """A comparison with a field of an event; all that is given must hold."""

    above: Annotated[float | None, Meta(description="The number is greater.")] = None
    at_least: Annotated[float | None, Meta(description="The number is this or greater.")] = None
    below: Annotated[float | None, Meta(description="The number is less.")] = None
    at_most: Annotated[float | None, Meta(description="The number is this or less.")] = None
    glob: Annotated[str | None, Meta(description="The text matches, where * stands for anything.")] = None
    other_than: Annotated[tuple[Scalar, ...], Meta(description="The value is none of these.")] = ()

    def __post_init__(self) -> None:
        if not (self.numeric or self.glob is not None or self.other_than):
            raise ValueError("compares with nothing; write above, at_least, below, at_most, glob or other_than")

    @property
    def numeric(self) -> bool:
        """Whether only a number can pass."""
        return any(bound is not None for bound in (self.above, self.at_least, self.below, self.at_most))

    def holds(self, value: Any) -> bool:
        """Say whether `value` passes."""
        if self.numeric and not self._within(value):
            return False
        if self.glob is not None and not (isinstance(value, str) and _glob(self.glob).fullmatch(value)):
            return False
        return all(not _same(value, other) for other in self.other_than)

    def _within(self, value: Any) -> bool:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            return False
        return (
            (self.above is None or value > self.above)
            and (self.at_least is None or value >= self.at_least)
            and (self.below is None or value < self.below)
            and (self.at_most is None or value <= self.at_most)
        )


class Rate(Record):
    """How often something may happen."""

    times: Annotated[int, Meta(description="How many times.", ge=1, le=100_000)] = 10
    per: Annotated[Duration, Meta(description="Within how long.", ge=1.0)] = 3600.0


class Rule(Record):
    """One answer to events: when a kind happens and its fields match, do an action."""

    when: Annotated[
        str,
        Meta(
            description="Kind of event, where * stands for anything.", examples=["ports.listener_opened"], min_length=1
        ),
    ]
    do: Annotated[str, Meta(description="Name of the action.", min_length=1)]
    match: Annotated[
        dict[str, Scalar | tuple[Scalar, ...] | Compare],
        Meta(
            description="Conditions on the event's fields (and key, severity): a value, a list of which one must match, or a comparison.",
            examples=[{"port": {"below": 1024}}],
        ),
    ] = {}
    arguments: Annotated[
        dict[str, Scalar | tuple[str, ...]],
        Meta(description='Arguments of the action; "{name}" stands for the event\'s field of that name.'),
    ] = field(name="with", default_factory=dict)
    dry_run: Annotated[bool, Meta(description="Only say what would be done.")] = True
    at_most: Annotated[Rate, Meta(description="Beyond this the rule rests, and says so.")] = Rate()

    def concerns(self, kind: str) -> bool:
        """Say whether the rule is about events of `kind`."""
        return _glob(self.when).fullmatch(kind) is not None

    def matches(self, event: Event) -> bool:
        """Say whether the rule is about `event`, its fields included."""
        return self.concerns(event.kind) and all(
            _passes(_field(event, name), wanted) for name, wanted in self.match.items()
        )


class GuardSettings(Record):
    """What becomes of a firewall that was flushed, lost a table, or whose policy turned to accept: the last accepted state is restored."""

    enabled: Annotated[
        bool, Meta(description="Whether it is restored; otherwise such a change only leads to an alarm.")
    ] = False
    at_most: Annotated[Rate, Meta(description="Beyond this it rests, and only alarms.")] = Rate(times=3)


class FirewallSettings(Record):
    """The firewall as it is meant to be."""

    policy: Policy = Policy()
    guard: GuardSettings = GuardSettings()


class LedgerSettings(Record):
    """The record of what every run cost."""

    keep: Annotated[Duration, Meta(description="How long it is kept.", ge=86400.0)] = 30 * 86400.0


class HousekeepingSettings(Record):
    """The daily check of the agent's own files."""

    at: Annotated[Clock, Meta(description="Local time of day at which they are read through.")] = "03:30"


class LogSettings(Record):
    """What the agent's processes write to standard error."""

    level: Annotated[Literal["error", "warning", "info", "debug"], Meta(description="Least level that is written.")] = (
        "info"
    )


class AgentSettings(Record):
    """Settings of the agent, without those of single collectors and actions (see `compose`)."""

    console: ConsoleSettings = ConsoleSettings()
    heartbeat: HeartbeatSettings = HeartbeatSettings()
    spool: SpoolSettings = SpoolSettings()
    directories: Directories = Directories()
    control: ControlSettings = ControlSettings()
    outputs: OutputSettings = OutputSettings()
    events: EventSettings = EventSettings()
    rules: Annotated[
        tuple[Rule, ...],
        Meta(
            description="Answers to events, tried in this order; every rule that matches acts.",
            examples=[
                [{"when": "firewall.ruleset_flushed", "do": "notify", "with": {"channel": "admins"}, "dry_run": False}]
            ],
        ),
    ] = ()
    firewall: FirewallSettings = FirewallSettings()
    ledger: LedgerSettings = LedgerSettings()
    housekeeping: HousekeepingSettings = HousekeepingSettings()
    log: LogSettings = LogSettings()

    @property
    def control_socket(self) -> Path:
        """Where the control socket is."""
        return Path(self.control.socket) if self.control.socket else Path(self.directories.runtime) / "control.sock"


def section(settings: AgentSettings, part: Literal["collectors", "actions"], name: str) -> Any:
    """Return the options of the collector or action `name` from settings of a composed type."""
    return getattr(getattr(settings, part), name)


def compose(
    collectors: Mapping[str, type[CollectorOptions]],
    actions: Mapping[str, type[ActionOptions]],
    shared: Mapping[str, type[ActionOptions]] | None = None,
) -> type[AgentSettings]:
    """Return the type of a whole `agent.yaml`: `AgentSettings` with a section for each collector and each action by name.

    `shared` are the sections at the top that several actions have in common.
    """
    looks = _struct("CollectorSettings", "What this agent looks at, one section per collector.", (Record,), collectors)
    deeds = _struct("ActionSettings", "What this agent may do, one section per action.", (Record,), actions)
    doc = "Settings of the agent."
    whole: type[AgentSettings] = _struct(
        "Settings", doc, (AgentSettings,), {**(shared or {}), "collectors": looks, "actions": deeds}
    )
    return whole


class Vocabulary(Record):
    """What a file may speak of: the composed type, the kinds that are declared, and each action's arguments with their types.

    It never travels.
    """

    settings: type[AgentSettings]
    kinds: Mapping[str, Kind]
    actions: Mapping[str, Mapping[str, str]]


def _struct(name: str, doc: str, bases: tuple[type, ...], fields: Mapping[str, type]) -> Any:
    namespace: dict[str, Any] = {"__module__": __name__, "__doc__": doc, "__annotations__": dict(fields)}
    namespace.update({attribute: kind() for attribute, kind in fields.items()})
    return RecordMeta(name, bases, namespace, frozen=True, forbid_unknown_fields=True)


def _glob(pattern: str) -> re.Pattern[str]:
    """Return `pattern` with `*` for anything as a regular expression; `re` keeps the compiled ones."""
    return re.compile(".*".join(re.escape(part) for part in pattern.split("*")), re.DOTALL)


def _field(event: Event, name: str) -> Any:
    if name in event.fields:
        return event.fields[name]
    return {"key": event.key, "severity": event.severity.name.lower()}.get(name)


def _passes(value: Any, wanted: Any) -> bool:
    """Say whether a field's value is what a rule wants; of a list it is enough that one item is."""
    values = value if isinstance(value, list) else [value]
    if isinstance(wanted, Compare):
        return (
            any(wanted.holds(each) for each in values)
            if not wanted.other_than
            else all(wanted.holds(each) for each in values)
        )
    choices = wanted if isinstance(wanted, tuple) else (wanted,)
    return any(_same(each, choice) for each in values for choice in choices)


def _same(value: Any, wanted: Any) -> bool:
    """Equal and of one type: 1 is not true, "22" is not 22."""
    return isinstance(value, bool) == isinstance(wanted, bool) and value == wanted
