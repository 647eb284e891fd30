"""Settings of the sensor."""

from typing import Annotated

from msgspec import Meta, field

from collectors.traffic.detectors.options import DetectorOptions
from collectors.traffic.filter import complaint
from collectors.traffic.rules.language.errors import Refused
from collectors.traffic.rules.language.groups import addresses, ports
from collectors.traffic.rules.language.variables import ADDRESS_GROUPS, PORT_GROUPS, Variables
from contracts.options import CollectorOptions, Duration, Secret, Size
from contracts.record import Record

RING_BLOCK = 256 << 10


class EvidenceOptions(Record):
    """Packets that are kept of an alert."""

    enabled: Annotated[bool, Meta(description="Whether packets are kept at all.")] = True
    packets: Annotated[int, Meta(description="Packets of one alert, the newest ones.", ge=1, le=4096)] = 64
    size: Annotated[Size, Meta(description="Bytes of one alert.", ge=4 << 10, le=512 << 10)] = 128 << 10
    total: Annotated[Size, Meta(description="Bytes of all alerts together; beyond it the oldest go.", ge=512 << 10)] = (
        64 << 20
    )
    per_minute: Annotated[int, Meta(description="So many alerts within a minute get evidence.", ge=1, le=600)] = 60
    history: Annotated[
        Size, Meta(description="Memory for packets that came before an alert.", ge=1 << 20, le=256 << 20)
    ] = 16 << 20
    key: Annotated[
        Secret | None,
        Meta(
            description="Secret with which evidence is encrypted before it leaves the sensor; none: it is kept as it is.",
            examples=["file:/etc/holdfast/evidence.key"],
        ),
    ] = None


class Options(CollectorOptions):
    """Settings of the sensor, which watches the traffic of interfaces."""

    enabled: Annotated[
        bool,
        Meta(
            description="Whether traffic is watched; needs the sensor's libraries, which `make install` brings"
            " (else: `pip install holdfast[sensor]`)."
        ),
    ] = False
    every: Annotated[Duration, Meta(description="How often the sensor's numbers are looked at.", ge=1.0)] = 30.0
    interfaces: Annotated[
        tuple[str, ...],
        Meta(description="Interfaces that are watched; one that is not there yet is waited for.", examples=[["eth0"]]),
    ] = ()
    rules: Annotated[
        tuple[str, ...],
        Meta(
            description="Files of rules, or folders of `*.rules` files, in Suricata's language.",
            examples=[["/etc/holdfast/rules"]],
        ),
    ] = ()
    block: Annotated[
        bool,
        Meta(
            description="Whether the source of a `drop` or `reject` rule's alert is banned; one that may be forged is limited instead."
            " During actions.block.shadow bans are only recorded."
        ),
    ] = False
    addresses: Annotated[
        dict[str, str],
        Meta(description="What address variables of rules stand for; those that are not named keep these values."),
    ] = field(default_factory=lambda: dict(ADDRESS_GROUPS))
    ports: Annotated[
        dict[str, str], Meta(description="What port variables stand for; those that are not named keep these values.")
    ] = field(default_factory=lambda: dict(PORT_GROUPS))
    classification: Annotated[str, Meta(description="A classification.config; empty: Suricata's classes.")] = ""
    thresholds: Annotated[
        str, Meta(description="A threshold.config: suppress, threshold, event_filter and rate_filter.")
    ] = ""
    lists: Annotated[
        tuple[str, ...],
        Meta(
            description="Files that rules name with `load` (dataset, datarep), or folders of them; rules that name others are refused.",
            examples=[["/etc/holdfast/rules/lists"]],
        ),
    ] = ()
    reputation_categories: Annotated[
        str, Meta(description="Names of the categories of reputation (iprep): Suricata's reputation-categories-file.")
    ] = ""
    reputation: Annotated[
        tuple[str, ...],
        Meta(
            description="Reputations of addresses (iprep): files as Suricata's reputation-files, or folders of such files.",
            examples=[["/etc/holdfast/reputation"]],
        ),
    ] = ()
    rules_every: Annotated[Duration, Meta(description="How often files are looked at for changes.", ge=1.0)] = 10.0
    filter: Annotated[
        str,
        Meta(
            description="What the kernel lets through to the sensor (pcap-filter(7), numbers only); empty: everything."
        ),
    ] = ""
    ring: Annotated[Size, Meta(description="Memory per interface for packets that wait.", ge=2 << 20, le=512 << 20)] = (
        16 << 20
    )
    fanout: Annotated[
        int,
        Meta(
            description="Number of a group of sensors that share an interface's packets flow by flow; 0: none.",
            ge=0,
            le=65535,
        ),
    ] = 0
    checksums: Annotated[bool, Meta(description="Whether packets with bad checksums are refused.")] = True
    midstream: Annotated[
        bool,
        Meta(description="Whether sessions are followed whose beginning was not seen; their evidence bans nobody."),
    ] = False
    async_oneside: Annotated[
        bool, Meta(description="Whether sessions are followed of which only one side is seen.")
    ] = False
    max_flows: Annotated[int, Meta(description="Flows that are known at once.", ge=1024, le=4_000_000)] = 262_144
    stream_memory: Annotated[
        Size, Meta(description="Memory for bytes that wait for those before them.", ge=1 << 20, le=4 << 30)
    ] = 64 << 20
    body_memory: Annotated[
        Size,
        Meta(
            description="Memory for requests, answers, bodies and files that have not ended; beyond it those that hold most are cut.",
            ge=1 << 20,
            le=4 << 30,
        ),
    ] = 64 << 20
    repeat_after: Annotated[
        Duration,
        Meta(
            description="Alerts of one rule about one source within this time are one event with their number.", ge=1.0
        ),
    ] = 60.0
    per_rule: Annotated[
        int, Meta(description="Events of one rule within a minute, of all sources; the rest is counted.", ge=1)
    ] = 120
    per_second: Annotated[
        int, Meta(description="Events of all rules within a second; the rest is counted.", ge=1, le=200)
    ] = 50
    evidence: EvidenceOptions = EvidenceOptions()
    flow_records: Annotated[
        Size,
        Meta(
            description="Bytes of records of ended flows that are kept for `holdfast traffic flows`; beyond it the oldest go. 0: none."
            " With evidence.key they are encrypted, too.",
            le=4 << 30,
        ),
    ] = 0
    detectors: DetectorOptions = DetectorOptions()

    def __post_init__(self) -> None:
        if self.enabled and not self.interfaces:
            raise ValueError("interfaces: name at least one interface to watch, for example [eth0]")
        if self.filter and (wrong := complaint(self.filter)):
            raise ValueError(f"filter: {wrong}")
        variables = self.variables()
        for given, known, read in (
            (self.addresses, variables.addresses, addresses),
            (self.ports, variables.ports, ports),
        ):
            for name, value in given.items():
                try:
                    read(value, known)
                except Refused as refused:
                    raise ValueError(f"{name}: {refused}") from None

    def variables(self) -> Variables:
        """Return what `$NAME` stands for in rules."""
        return Variables(self.addresses, self.ports)

    @property
    def ring_blocks(self) -> int:
        """Return how many blocks of `RING_BLOCK` bytes a ring has."""
        return max(2, self.ring // RING_BLOCK)
