"""All detectors: one call for each block, and what they found."""

import ipaddress
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from msgspec.structs import replace

from collectors.traffic.block import Block
from collectors.traffic.decode.table import Table
from collectors.traffic.detectors.amplification import Amplification
from collectors.traffic.detectors.arp_spoofing import ArpSpoofing
from collectors.traffic.detectors.beacons import Beacons
from collectors.traffic.detectors.copies import Copies
from collectors.traffic.detectors.credentials import Credentials
from collectors.traffic.detectors.dns_generated import DnsGenerated
from collectors.traffic.detectors.dns_tunnels import DnsTunnels
from collectors.traffic.detectors.finding import Finding
from collectors.traffic.detectors.floods import Floods
from collectors.traffic.detectors.glance import Glance
from collectors.traffic.detectors.held import Held
from collectors.traffic.detectors.load import Load
from collectors.traffic.detectors.logins import Logins
from collectors.traffic.detectors.memory import COPY, Memory
from collectors.traffic.detectors.options import DetectorOptions
from collectors.traffic.detectors.prefixes import Prefixes
from collectors.traffic.detectors.proxies import Proxies
from collectors.traffic.detectors.rates import Rates
from collectors.traffic.detectors.requests import Requests
from collectors.traffic.detectors.scans import Scans
from collectors.traffic.detectors.voice import Voice, VoiceCounts
from collectors.traffic.detectors.volume import Volume
from collectors.traffic.detectors.web import Web
from collectors.traffic.flows.batch import Batch
from collectors.traffic.flows.store import Columns
from collectors.traffic.protocols.news import FAILED, Change, Transaction
from collectors.traffic.streams.news import News

EVIDENCE = 32
"""Rows of a finding at most."""


@dataclass(slots=True)
class DetectorCounts:
    """What the detectors did since the start: findings by kind, and what their memories had to let go, by detector."""

    findings: dict[str, int]
    voice: VoiceCounts
    evicted: dict[str, int]


class Detectors:
    """The detectors over the flows whose `columns` are given (`FlowTable.columns`). Time is the packets' own."""

    def __init__(self, options: DetectorOptions, columns: Columns) -> None:
        self._columns = columns
        self.voice = voice = Voice(options.home, options.again)
        voice.proxies = Proxies(options.proxies)
        self._memory = memory = Memory()
        self._copies = Copies()
        self._now_ns = 0
        self._found: dict[str, int] = {}
        self._requests = Requests(memory)
        self._scans = Scans(options.scans, voice, memory) if options.scans.enabled else None
        self._floods = Floods(options.floods, voice, memory) if options.floods.enabled else None
        self._rates = Rates(options.rates, voice) if options.rates.enabled else None
        self._held = Held(options.held, voice, memory) if options.held.enabled else None
        self._arp = ArpSpoofing(options.arp, voice) if options.arp.enabled else None
        self._tunnels = DnsTunnels(options.dns, voice) if options.dns.enabled else None
        self._generated = DnsGenerated(options.dns, voice) if options.dns.enabled else None
        self._beacons = Beacons(options.beacons, voice, memory) if options.beacons.enabled else None
        self._volume = Volume(options.volume, voice, memory) if options.volume.enabled else None
        self._amplification = Amplification(options.amplification, voice) if options.amplification.enabled else None
        self._load = Load(options.load, voice, memory) if options.load.enabled else None
        credentials = Credentials(options.credentials, voice)
        self._logins = Logins(options.logins, voice, memory, credentials) if options.logins.enabled else None
        self._web = Web(options.web, voice, self._logins, credentials)
        parts = (self._scans, self._floods, self._rates, self._held, self._beacons, self._volume, self._amplification)
        self._folds: list[Callable[[Glance], None]] = [part.feed for part in (*parts, self._load) if part is not None]
        self._takers: Mapping[str, Callable[[Change, Transaction], None]] = {
            "http": self._requests.take,
            "http2": self._requests.take_stream,
            "dns": self._name,
        }

    def ban(self, networks: Iterable[str]) -> None:
        """Say who is banned now (addresses and networks, all of them): these are not spoken of."""
        self.voice.banned = Prefixes(networks)

    def ours(self, networks: Iterable[str]) -> None:
        """Say which networks and addresses are ours now, in the place of the settings'."""
        self.voice.home = Prefixes(networks)

    def feed(self, block: Block, table: Table, batch: Batch, news: News, changes: list[Change]) -> list[Finding]:
        """Take a block after streams and protocols have; returns what was found, its `rows` valid until the next block is decoded."""
        if len(block):
            self._now_ns = max(self._now_ns, int(block.time_ns[-1]))
            self.voice.interface = int(block.interface[0])
        if len(batch.rows):
            glance = Glance(block, table, batch, news, self._columns, self._memory)
            glance.drop_copies(self._copies)
            glance.name(self.voice.mixer, self.voice.home)
            for fold in self._folds:
                fold(glance)
        else:
            glance = Glance.nothing(block, table, batch, self._columns, self._memory, self._now_ns)
        if changes or news.runs or batch.ended:
            self._talks(glance, news, changes)
        if self._arp is not None:
            self._arp.feed(glance)
        return [_with_rows(one, table) for one in self.sweep(self._now_ns)]

    def sweep(self, now_ns: int) -> list[Finding]:
        """Look at what only time shows; call it now and then when no packets come, with a time on the packets' clock."""
        if self._scans is not None:
            self._scans.sweep(self._columns, now_ns)
        if self._held is not None:
            self._held.sweep(self._columns, now_ns)
        if self._load is not None:
            self._load.sweep(now_ns)
        found = self.voice.take()
        for one in found:
            self._found[one.kind.name] = self._found.get(one.kind.name, 0) + 1
        return found

    def counts(self) -> DetectorCounts:
        """Return the counts since the start."""
        parts = {
            name: getattr(self, f"_{name}")
            for name in (
                "scans",
                "floods",
                "rates",
                "arp",
                "tunnels",
                "generated",
                "beacons",
                "volume",
                "amplification",
                "load",
                "logins",
                "web",
            )
        }
        return DetectorCounts(
            dict(self._found),
            self.voice.counts,
            {name: part.evicted for name, part in parts.items() if part is not None},
        )

    def _talks(self, glance: Glance, news: News, changes: list[Change]) -> None:
        """Take what conversations say, and the flows that ended."""
        takers, logins, columns = self._takers, self._logins, self._columns
        for change in changes:
            if change.transaction is None:
                self._memory.asking[change.conversation.slot] = change.conversation.protocol != FAILED
                if logins is not None:
                    logins.talks(change, columns)
                continue
            take = takers.get(change.transaction.protocol)
            if take is not None:
                take(change, change.transaction)
        requests = self._requests
        if requests.begun:
            begun = np.array(requests.begun, np.int64)
            if self._rates is not None:
                self._rates.count_requests(glance, begun)
            if self._load is not None:
                self._load.count_requests(columns, begun, glance.now_ns)
        if requests.answered:
            for one in requests.answered:
                self.voice.proxies.request(columns, one.slot, one.tx.request_message.headers)
            self._web.feed(requests.answered, columns, glance.now_ns)
        requests.clear()
        if logins is not None:
            logins.feed(glance, news)
        if self._scans is not None:
            self._scans.ended(glance.batch, columns, glance.now_ns)

    def _name(self, change: Change, tx: Transaction) -> None:
        if self._copies.several and self._memory.home[0, change.conversation.slot] == COPY:
            return
        part = self._generated if change.to_client else self._tunnels
        if part is not None:
            part.take(change, tx, self._columns)


def _with_rows(finding: Finding, table: Table) -> Finding:
    """Return a finding with the sender's first rows of the block as evidence, where it has none of its own."""
    try:
        number = int(ipaddress.ip_address(finding.sender))
    except ValueError:
        return finding
    if finding.rows:
        return finding
    high, low = np.uint64(number >> 64), np.uint64(number & (1 << 64) - 1)
    rows = np.flatnonzero((table.src_lo == low) & (table.src_hi == high))[:EVIDENCE]
    return replace(finding, rows=tuple(rows.tolist()))
