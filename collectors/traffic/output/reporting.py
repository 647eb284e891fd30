"""Alerts become events with their evidence, within limits; what is held back is counted and told."""

import numpy as np
from msgspec.structs import replace

from collectors.traffic.detectors.finding import Finding
from collectors.traffic.detectors.kinds import OUTBOUND_VOLUME
from collectors.traffic.detectors.prefixes import Prefixes
from collectors.traffic.options import Options
from collectors.traffic.output.eve import address
from collectors.traffic.output.events import Home, event, offender
from collectors.traffic.output.flow_records import FlowRecords
from collectors.traffic.output.history import History
from collectors.traffic.output.limits import MINUTE_S, Limiter, Limits
from collectors.traffic.output.sealing import Sealer
from collectors.traffic.pipeline import Passed
from collectors.traffic.rules.engine.verdicts import Alert
from collectors.traffic.rules.language.threshold_config import ThresholdConfig
from collectors.traffic.rules.site import Site
from contracts.collector import Emit
from contracts.event import Event
from contracts.subjects.traffic import SUBJECT, Outbound
from contracts.traffic_alert import HELD_BACK

MOST_NAMED = 10
MOST_OUTBOUND = 64


class Reporting:
    """States alerts. `names` are the interfaces by number; the site's wishes come with the rules, the sealer with its secret."""

    def __init__(self, options: Options, emit: Emit, now_s: float) -> None:
        self.site = Site(ThresholdConfig())
        self.alerts = 0
        self.evidence = self.evidence_left_out = 0
        self.sealer: Sealer | None = None
        self.may_keep = options.evidence.key is None
        """False while the secret that evidence is to be sealed with has not come."""
        self.banned = Prefixes()
        """Who is banned already: what they still send is counted, not stated."""
        self.held_banned = 0
        self.blocked = False
        """Whether something was stated that is to lead to a ban, since this was last set to False."""
        self._emit = emit
        self._number = 0
        self.outbound: dict[str, Outbound] = {}
        """Unusual volume that was found last, by its ends."""
        self.flows = FlowRecords(lambda name, piece: self._hand_over("flows", name, piece))
        self._minute: tuple[float, int] = (now_s, 0)
        self.limiter = Limiter(Limits(), now_s)
        self.tune(options)

    def tune(self, options: Options) -> None:
        """Go on with other settings; what is counted stays."""
        self._options, self._blocks, self._records = options.evidence, options.block, options.flow_records > 0
        self._proxies = Prefixes(options.detectors.proxies)
        self._home = Home(options.variables())
        self.limiter.limits = Limits(
            again_s=options.repeat_after, per_rule=options.per_rule, per_second=options.per_second
        )
        self._history = History(options.evidence.history) if options.evidence.enabled else None

    def unkept(self) -> tuple[str, ...]:
        """Return what is wanted and not kept, as long as the secret to seal it with has not come."""
        if self.may_keep:
            return ()
        wanted = ((self._options.enabled, "the packets of alerts"), (self._records, "the records of flows"))
        return tuple(what for wants, what in wanted if wants)

    def take(
        self, passed: Passed, names: list[str], serials: "np.ndarray[tuple[int], np.dtype[np.int64]]", now_s: float
    ) -> None:
        """State what a block brought; `serials` is the serial number of each row's flow, as of this block."""
        slots = passed.batch.flow_of_rows(len(passed.table))
        if self._history is not None:
            self._history.add(passed.block, passed.table, np.where(slots >= 0, serials[slots], 0))
        if self._records and self.may_keep:
            self.flows.take(passed.batch.ended, now_s)
        for finding in passed.findings:
            self._find(finding, names, now_s)
        if not passed.alerts:
            return
        wanted = self.site.apply(passed.alerts)
        self.alerts += len(wanted)
        for alert in wanted:
            self._state(alert, names, now_s)

    def leave_out(self, flows: int) -> None:
        """Count flows of which there will be no record."""
        if self._records and self.may_keep:
            self.flows.left_out += flows

    def tick(self, now_s: float, now_ms: int, at_end: bool = False) -> None:
        """Tell of what was held back, and hand over records of flows."""
        self.flows.tick(now_s, now_ms, at_end)
        for late in self.limiter.due(now_s, at_end):
            self._emit.event(late)
        since = now_s - self._minute[0]
        left_out = self.limiter.left_out(now_s, at_end)
        if left_out:
            most = [f"{sid & 0xFFFFFFFF}: {count}" for sid, count in left_out.most_common(MOST_NAMED)]
            told = HELD_BACK.event(
                "rules", count=left_out.total(), rules=len(left_out), most=most, seconds=round(max(since, MINUTE_S), 1)
            )
            self._emit.event(told)

    def _state(self, alert: Alert, names: list[str], now_s: float) -> None:
        sid, source = alert.rule.gid << 32 | alert.rule.sid, offender(alert, self._home)
        if self.banned and source[0] and self.banned.has(address(*source)):
            self.held_banned += 1
            return
        if not self.limiter.wants(sid, source, now_s):
            known = self.limiter.knows(sid, source)
            self.limiter.hold(sid, source, None if known else self._event(alert, names, ""))
            return
        capture = self._keep(alert, now_s)
        repeats = self.limiter.stated(sid, source, now_s)
        stated = replace(self._event(alert, names, capture), repeats=repeats)
        self.blocked |= bool(stated.fields["blocking"])
        self._emit.event(stated)

    def _find(self, finding: Finding, names: list[str], now_s: float) -> None:
        """State a finding; how often an equal one is told again, its detector has decided."""
        key = f"{finding.kind.name} {finding.key}"
        interface = names[finding.interface] if finding.interface < len(names) else ""
        event = finding.event(interface, blocking=self._blocks)
        if finding.kind is OUTBOUND_VOLUME:
            self._note_outbound(finding)
        if not self.limiter.wants(0, key, now_s):
            self.limiter.hold(0, key, event)
            return
        self.blocked |= bool(event.fields.get("blocking"))
        self._emit.event(replace(event, repeats=self.limiter.stated(0, key, now_s)))

    def _note_outbound(self, finding: Finding) -> None:
        """Put a finding where the judge sees it that knows the processes, and have that looked at."""
        key = f"{finding.local} {finding.subject}"
        self.outbound.pop(key, None)
        self.outbound[key] = Outbound(
            subject=finding.subject,
            local=finding.local,
            method=finding.method,
            protocol=finding.protocol,
            bytes_out=int(finding.numbers["bytes_out"]),
            usual_bytes=int(finding.numbers["usual_bytes"]),
            began_ms=finding.first_ns // 1_000_000,
            last_ms=finding.last_ns // 1_000_000,
        )
        while len(self.outbound) > MOST_OUTBOUND:
            del self.outbound[next(iter(self.outbound))]
        self._emit.changed(SUBJECT)

    def _event(self, alert: Alert, names: list[str], capture: str) -> Event:
        packet = alert.packet
        interface = ""
        if packet.row >= 0:
            number = int(packet.block.interface[packet.table.packet[packet.row]])
            interface = names[number] if number < len(names) else ""
        # (Prefixes that are empty need no address as text.)
        is_proxy = bool(self._proxies) and self._proxies.has(address(*offender(alert, self._home)))
        return event(alert, self._home, interface, capture, self._blocks and not is_proxy)

    def _keep(self, alert: Alert, now_s: float) -> str:
        """Hand over the packets of an alert; returns the name they are kept by, "" for none."""
        if self._history is None:
            return ""
        if not self.may_keep:
            self.evidence_left_out += 1
            return ""
        if now_s - self._minute[0] >= MINUTE_S:
            self._minute = (now_s, 0)
        if self._minute[1] >= self._options.per_minute:
            self.evidence_left_out += 1
            return ""
        packet = alert.packet
        if packet.slot >= 0:
            serial = int(packet.flows.serial[packet.place])
            content = self._history.capture(serial, packet.time_ns, self._options.packets, self._options.size)
        else:
            content = self._history.packet(int(packet.table.packet[packet.row])) if packet.row >= 0 else b""
        if not content:
            self.evidence_left_out += 1
            return ""
        self._minute = (self._minute[0], self._minute[1] + 1)
        self._number += 1
        self.evidence += 1
        name = f"{packet.time_ns // 1_000_000}-{alert.rule.sid}-{self._number}.pcap"
        self._hand_over("evidence", name, content)
        return name

    def _hand_over(self, what: str, name: str, content: bytes) -> None:
        self._emit.keep(what, name, self.sealer.seal(content, name) if self.sealer is not None else content)
