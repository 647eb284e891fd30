"""What the sensor could not see, as events and blind spots; and its numbers as rows."""

from collectors.traffic.kinds import CUT, DROPPED, EVICTED, NOT_RECORDED
from collectors.traffic.live import LiveSource
from collectors.traffic.native import ROOM
from collectors.traffic.output.eve import address
from collectors.traffic.output.interfaces import Interfaces
from collectors.traffic.output.reporting import Reporting
from collectors.traffic.output.statistics import Talkers
from collectors.traffic.pipeline import Passed, Pipeline
from contracts.collector import Emit
from contracts.coverage import Blind
from contracts.errors import Why
from contracts.plural import plural
from contracts.subjects.traffic import RULES, SENSOR, Interface, Peer, Protocol, Row, Rules, Sensor

AGAIN_S = 60.0
"""So often at most is it told that packets are dropped, or flows given up, while that goes on."""
LINGER_S = 300.0
"""So long what was missed is a blind spot."""
WINDOW_S = 10.0
"""Rates and shares are those of so long at least."""
LEAST_BYTES = 100_000
"""Of conversations, before a share of them is told."""


Lost = tuple[int, int, float]
"""How many were lost, of how many, within how many seconds."""


class _Loss:
    """Something that is lost from time to time: counted by somebody else, told once a minute, a blind spot for five."""

    def __init__(self) -> None:
        self.known = 0
        self.base = 0
        self.told_s = -AGAIN_S
        self.last_s = -LINGER_S
        self._untold = self._of = 0
        self._since_s = 0.0

    def take(self, total: int, of: int, since_s: float, now_s: float) -> None:
        """Take the total so far, as it has become since `since_s`; one that is smaller than before was begun anew."""
        if total < self.known or of < self.base:
            self.known = self.base = 0
        fresh, self.known = total - self.known, total
        passed, self.base = of - self.base, of
        if fresh and not self._untold:
            self._since_s, self._of = since_s, 0
        self._untold += fresh
        self._of += passed
        if fresh:
            self.last_s = now_s

    def due(self, now_s: float, at_end: bool = False) -> Lost | None:
        """Return what is to be told, None when there is nothing, or it is too early."""
        if not self._untold or (now_s - self.told_s < AGAIN_S and not at_end):
            return None
        told = (self._untold, max(self._of, self._untold), round(now_s - self._since_s, 1))
        self.told_s, self._untold = now_s, 0
        return told

    def lately(self, now_s: float) -> bool:
        """Return whether something was lost lately."""
        return now_s - self.last_s < LINGER_S


class Sight:
    """Keeps the books of what was seen and what was not."""

    def __init__(self, emit: Emit, now_s: float, now_ms: int) -> None:
        self._emit = emit
        self._talkers = Talkers()
        self._interfaces = Interfaces(emit)
        self._drops: dict[str, _Loss] = {}
        self._evicted, self._unrecorded, self._cut = _Loss(), _Loss(), _Loss()
        self._most = ""
        self._looked_s = now_s
        self._stated: tuple[Blind, ...] | None = None
        self._since_ms = now_ms
        self._packets = self._bytes = 0
        self._lag_ns = 0
        self._last: tuple[float, int, int] = (now_s, 0, 0)
        self._rates = (0.0, 0.0)
        self._passed: dict[str, tuple[int, int]] = {}
        self._shares: dict[str, float] = {}
        self._peers: dict[str, Peer] = {}

    def take(self, passed: Passed, now_ns: int) -> None:
        """Count a block on whose packets the work is done."""
        self._talkers.ended(passed.batch.ended)
        count = len(passed.block)
        if count:
            self._packets += count
            self._bytes += int(passed.block.wire.sum())
            self._lag_ns = max(self._lag_ns, now_ns - int(passed.block.time_ns[0]))

    def tick(self, source: LiveSource, pipeline: Pipeline, reporting: Reporting, rules: Rules, now_s: float) -> None:
        """State what is new of interfaces, drops, evictions and records, and what cannot be seen."""
        self._interfaces.look(source, now_s)
        since_s, self._looked_s = self._looked_s, now_s
        for name, counts in source.counts().items():
            self._drops.setdefault(name, _Loss()).take(counts.dropped, counts.seen, since_s, now_s)
        self._count_flows(pipeline, reporting, since_s, now_s)
        self._tell(now_s)
        spots = tuple(self._blind(pipeline, rules, now_s))
        spots += tuple(_not_kept(what) for what in reporting.unkept())
        if spots != self._stated:
            self._stated = spots
            self._emit.blind(spots)

    def flush(self, pipeline: Pipeline, reporting: Reporting, now_s: float) -> None:
        """Tell what has not been told yet: the sensor, or its tables, end."""
        self._count_flows(pipeline, reporting, self._looked_s, now_s)
        self._tell(now_s, at_end=True)

    def _count_flows(self, pipeline: Pipeline, reporting: Reporting, since_s: float, now_s: float) -> None:
        flows, records = pipeline.flows.counts, reporting.flows
        self._evicted.take(flows.evicted, flows.begun, since_s, now_s)
        account = pipeline.protocols.account
        self._cut.take(account.cut, flows.begun, since_s, now_s)
        if account.most:
            (family, client, server), held = account.most[0]
            ends = [address(family, high << 64 | low) for high, low in (client, server)]
            self._most = f"{ends[0]} and {ends[1]} held {held} bytes"
        self._unrecorded.take(records.left_out, records.made + records.left_out, since_s, now_s)

    def _tell(self, now_s: float, at_end: bool = False) -> None:
        for name, loss in self._drops.items():
            if lost := loss.due(now_s, at_end):
                packets, of, seconds = lost
                share = round(100 * packets / of, 1)
                self._emit.event(DROPPED.event(name, interface=name, packets=packets, share=share, seconds=seconds))
        for kind, loss in ((EVICTED, self._evicted), (NOT_RECORDED, self._unrecorded)):
            if lost := loss.due(now_s, at_end):
                self._emit.event(kind.event("flows", count=lost[0], seconds=lost[2]))

        if lost := self._cut.due(now_s, at_end):
            self._emit.event(CUT.event("flows", count=lost[0], holders=self._most, seconds=lost[2]))

    def rows(
        self, source: LiveSource, pipeline: Pipeline, reporting: Reporting, rules: Rules, now_s: float
    ) -> dict[str, Row]:
        """Return the numbers as they are; rates, shares and peers are those of the last ten seconds or more."""
        if now_s - self._last[0] >= WINDOW_S or not self._peers:
            self._roll(source, pipeline, now_s)
        rows = {SENSOR: Row(what="sensor", sensor=self._sensor(pipeline, reporting))}
        rows[RULES] = Row(what="rules", rules=rules)
        missing, still = set(source.missing()), source.standing_still()
        for name, counts in source.counts().items():
            rows[f"interface {name}"] = Row(
                what="interface",
                interface=Interface(
                    present=name not in missing,
                    standstill=still.get(name, ""),
                    seen=counts.seen,
                    dropped=counts.dropped,
                    freezes=counts.freezes,
                    read=counts.read,
                    drop_share=self._shares.get(name, 0.0),
                ),
            )
        for name, peer in self._peers.items():
            rows[f"peer {name}"] = Row(what="peer", peer=peer)
        for name, outbound in reporting.outbound.items():
            rows[f"outbound {name}"] = Row(what="outbound", outbound=outbound)
        found = pipeline.protocols.counts
        for name in {*found.conversations, *found.transactions}:
            protocol = Protocol(conversations=found.conversations[name], transactions=found.transactions[name])
            rows[f"protocol {name}"] = Row(what="protocol", protocol=protocol)
        return rows

    def _sensor(self, pipeline: Pipeline, reporting: Reporting) -> Sensor:
        lag_ns, self._lag_ns = self._lag_ns, 0
        flows, found = pipeline.flows, pipeline.protocols.counts
        voice = pipeline.detectors.voice.counts
        return Sensor(
            since_ms=self._since_ms,
            packets=self._packets,
            bytes=self._bytes,
            packets_per_s=self._rates[0],
            bytes_per_s=self._rates[1],
            flows=len(flows),
            flows_begun=flows.counts.begun,
            flows_evicted=flows.counts.evicted,
            emergency=flows.emergency,
            memory_bytes=pipeline.memory_bytes(),
            lag_ms=round(lag_ns / 1e6, 1),
            alerts=reporting.alerts,
            held_back=reporting.limiter.held,
            discarded=pipeline.engine.verdicts.discarded if pipeline.engine is not None else 0,
            banned=reporting.held_banned,
            suppressed=reporting.site.suppressed,
            undecoded=pipeline.decoder.counts.invalid,
            parsers_broken=found.parsers_broken,
            encrypted=found.encrypted,
            encrypted_share=round(100 * found.bytes_encrypted / found.bytes_seen, 1) if found.bytes_seen else 0.0,
            findings=voice.told,
            findings_repeated=voice.repeated,
            findings_banned=voice.banned,
            evidence=reporting.evidence,
            evidence_left_out=reporting.evidence_left_out,
            code=ROOM.how(),
            bodies_bytes=pipeline.protocols.account.total,
            bodies_cut=pipeline.protocols.account.cut,
            flow_records=reporting.flows.made,
            flow_records_left_out=reporting.flows.left_out,
        )

    def _roll(self, source: LiveSource, pipeline: Pipeline, now_s: float) -> None:
        """Work out rates, shares and peers since the last time."""
        then_s, packets, size = self._last
        passed_s = max(now_s - then_s, 0.001)
        self._last = (now_s, self._packets, self._bytes)
        self._rates = (round((self._packets - packets) / passed_s, 1), round((self._bytes - size) / passed_s, 1))
        for name, counts in source.counts().items():
            seen, dropped = self._passed.get(name, (0, 0))
            came = counts.seen - seen
            self._shares[name] = round(100 * (counts.dropped - dropped) / came, 2) if came > 0 else 0.0
            self._passed[name] = (counts.seen, counts.dropped)
        self._peers = self._talkers.report(pipeline.flows.columns)

    def _blind(self, pipeline: Pipeline, rules: Rules, now_s: float) -> list[Blind]:
        spots = list(self._interfaces.blind())
        spots += [_dropping(name) for name, loss in sorted(self._drops.items()) if loss.lately(now_s)]
        if self._evicted.lately(now_s):
            spots.append(
                Blind(
                    what="all flows from their beginning to their end",
                    why=Why.TOO_LARGE,
                    detail="some were given up within the last minutes, because there were more than collectors.traffic.max_flows",
                    fix="Raise collectors.traffic.max_flows, or look for a flood.",
                )
            )
        if self._cut.lately(now_s):
            spots.append(
                Blind(
                    what="all requests, answers, bodies and files to their end",
                    why=Why.TOO_LARGE,
                    detail="some within the last minutes were cut, because more were open than collectors.traffic.body_memory holds",
                    fix="Look at who holds most (traffic.bodies_cut), or raise collectors.traffic.body_memory.",
                )
            )
        if self._unrecorded.lately(now_s):
            spots.append(
                Blind(
                    what="the records of all flows that ended",
                    why=Why.TOO_LARGE,
                    detail="of some within the last minutes none was made, because too many ended at once",
                    fix="Look for a flood or a scan; flows themselves are followed all the same.",
                )
            )
        spots += _of_rules(rules)
        spots += _of_protocols(pipeline)
        return spots


def _not_kept(what: str) -> Blind:
    return Blind(
        what=f"{what} later on",
        why=Why.PERMISSION,
        detail="the secret that they are to be encrypted with has not been read, so that none are kept",
        fix="Make the file that collectors.traffic.evidence.key names readable for the user holdfast.",
    )


def _dropping(name: str) -> Blind:
    return Blind(
        what=f"all packets of {name}",
        why=Why.TOO_LARGE,
        detail="the kernel dropped some within the last minutes before they were read",
        fix="Give collectors.traffic.ring more memory, or leave traffic out with collectors.traffic.filter.",
    )


def _of_rules(rules: Rules) -> list[Blind]:
    spots: list[Blind] = []
    if rules.problem:
        spots.append(
            Blind(
                what="what newer rules describe",
                why=Why.MALFORMED,
                detail=rules.problem[:300],
                fix="Mend it; files are looked at again by themselves. `holdfast traffic rules check FILE` says what loads.",
            )
        )
    if not rules.loaded:
        detail = "rules are being loaded" if rules.loading else "no rules are in use"
        fix = "" if rules.loading else "Name rules files under collectors.traffic.rules."
        spots.append(Blind(what="what rules describe", why=Why.DISABLED, detail=detail, fix=fix))
    check = "See `holdfast traffic rules check` for each."
    if rules.refused:
        spots.append(
            Blind(
                what=f"what {plural(rules.refused, 'rule describes', 'rules describe')}",
                why=Why.INCOMPATIBLE,
                detail="it could not be loaded" if rules.refused == 1 else "they could not be loaded",
                fix=check,
            )
        )
    return spots


def _of_protocols(pipeline: Pipeline) -> list[Blind]:
    counts = pipeline.protocols.counts
    spots: list[Blind] = []
    if counts.bytes_seen > LEAST_BYTES and counts.bytes_encrypted:
        share = max(10, round(10 * counts.bytes_encrypted / counts.bytes_seen) * 10)
        spots.append(
            Blind(
                what="what encrypted connections carry",
                why=Why.OTHER,
                detail=f"about {share} % of what conversations carry is encrypted; their beginnings are seen",
                fix="Look at the services themselves where the content matters; the wire does not show it.",
            )
        )
    if counts.parsers_broken:
        spots.append(
            Blind(
                what="some conversations to their end",
                why=Why.OTHER,
                detail="a parser met what it did not expect and gave them up",
                fix="Report it with holdfast support-bundle.",
            )
        )
    return spots
