"""The subject `traffic`: how the sensor stands, as keyed rows that commands, pages and metrics read.

Keys: `sensor`; `rules`; `interface NAME`; `peer ADDRESS`; `protocol NAME`; `outbound LOCAL SUBJECT`.
"""

from contracts.record import Record

SUBJECT = "traffic"
SENSOR, RULES = "sensor", "rules"
OUTBOUND_UNUSUAL = "traffic.outbound_volume_unusual"
"""The kind of event upon which it is looked who sends."""


class Sensor(Record):
    """What the sensor has seen since it began. Rates are of the last seconds; bytes are on the wire."""

    since_ms: int = 0
    packets: int = 0
    bytes: int = 0
    packets_per_s: float = 0.0
    bytes_per_s: float = 0.0
    flows: int = 0
    flows_begun: int = 0
    flows_evicted: int = 0
    emergency: bool = False
    memory_bytes: int = 0
    """Of the tables of flows and streams."""
    lag_ms: float = 0.0
    """Longest time between a packet and the end of the work on it, since the last look."""
    alerts: int = 0
    held_back: int = 0
    """Alerts that were counted instead of stated."""
    discarded: int = 0
    """Alerts that were too many for one packet."""
    banned: int = 0
    """Alerts about sources that were banned already."""
    suppressed: int = 0
    """Alerts that the site's threshold.config does not want."""
    undecoded: int = 0
    """Packets that could not be decoded as far as they went."""
    parsers_broken: int = 0
    encrypted: int = 0
    """Conversations that became unreadable."""
    encrypted_share: float = 0.0
    """Of the bytes of conversations."""
    findings: int = 0
    """What detectors found and told."""
    findings_repeated: int = 0
    """Findings equal to one that had just been told."""
    findings_banned: int = 0
    """Findings about senders that were banned already."""
    evidence: int = 0
    evidence_left_out: int = 0
    code: str = ""
    """`compiled`, or `uncompiled` with the reason: how the modules run that look at sessions and protocols."""
    flow_records: int = 0
    flow_records_left_out: int = 0
    """Flows that ended without a record, because too many ended at once."""
    bodies_bytes: int = 0
    """Held of requests, answers, bodies and files that have not ended, as of the last look."""
    bodies_cut: int = 0
    """Conversations of which something was cut because that was too much."""


class Rules(Record):
    """The rules in use. `signature` names the state of their files, `problem` says why newer ones are not in use."""

    loaded: int = 0
    refused: int = 0
    files: int = 0
    signature: str = ""
    loaded_ms: int = 0
    seconds: float = 0.0
    cached: bool = False
    loading: bool = False
    problem: str = ""
    examples: tuple[str, ...] = ()
    """Some of the refused ones, with the reason."""


class Interface(Record):
    """One interface: what the kernel saw and dropped, how often its ring was full, what the sensor read."""

    present: bool = True
    standstill: str = ""
    """Why nothing can come over an interface that is there: `down`, or `no carrier`; "" where something can."""
    seen: int = 0
    dropped: int = 0
    freezes: int = 0
    read: int = 0
    drop_share: float = 0.0
    """Per cent of what came lately."""


class Peer(Record):
    """One address of those with the most bytes lately."""

    bytes_sent: int = 0
    bytes_received: int = 0
    packets: int = 0
    flows: int = 0


class Protocol(Record):
    """One application protocol since the sensor began."""

    conversations: int = 0
    transactions: int = 0


class Outbound(Record):
    """Unusually much that left for one peer, as the sensor saw it lately: both ends as `traffic.outbound_volume_unusual` has them."""

    subject: str
    local: str
    method: str
    protocol: str
    bytes_out: int
    usual_bytes: int
    began_ms: int
    last_ms: int


class Row(Record, omit_defaults=True):
    """One part: `what` is sensor, rules, interface, peer, protocol or outbound; the field of that name holds it."""

    what: str
    sensor: Sensor | None = None
    rules: Rules | None = None
    interface: Interface | None = None
    peer: Peer | None = None
    protocol: Protocol | None = None
    outbound: Outbound | None = None
