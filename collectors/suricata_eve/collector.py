"""Follows the output of a Suricata on this host (EVE JSON): its alerts become events like the sensor's own, its losses are told.

How far it was read is the snapshot: kept by the core when the events are, so that nothing is told twice and nothing is passed over.
"""

from typing import Annotated, ClassVar

import msgspec
from msgspec import Meta

from collectors.suricata_eve import following
from collectors.suricata_eve.alerts import Home, collapsed, event
from collectors.suricata_eve.following import Lines
from collectors.suricata_eve.records import Record as Line
from collectors.suricata_eve.records import at_ms, number, read
from contracts.collector import Emit, Report
from contracts.coverage import Blind
from contracts.errors import Unavailable, Why
from contracts.event import Event, Kind, Severity
from contracts.host import ReadOnlyHost, Stop
from contracts.options import CollectorOptions, Duration, Size
from contracts.snapshot import Snapshot, compare
from contracts.subjects.suricata_eve import SUBJECT, Row, Stats
from contracts.traffic_alert import ALERT, HELD_BACK

MISSED = Kind(
    name="suricata.output_missed",
    meaning="A part of Suricata's output was gone before it was read: alerts in it were not told.",
    title="A part of {file} was not read: {detail}",
    severity=Severity.MEDIUM,
    fields={"file": "str", "detail": "str"},
    advice="Rotate the file by renaming it, and keep the last one unpacked (logrotate: delaycompress).",
    ocsf_class=6008,
)
DROPPED = Kind(
    name="suricata.packets_dropped",
    meaning="Suricata says that the kernel dropped packets before it had read them.",
    title="Suricata did not see {packets} packets ({share:.1f} %)",
    severity=Severity.MEDIUM,
    fields={"file": "str", "packets": "int", "share": "float"},
    attack=("T1562.006",),
    advice="Give Suricata more memory for its ring or more threads (suricata.yaml: af-packet).",
    ocsf_class=6008,
)


class Options(CollectorOptions):
    """Settings of what follows Suricata's output."""

    enabled: Annotated[bool, Meta(description="Whether Suricata's output is followed.")] = True
    every: Annotated[Duration, Meta(description="Time between two looks; new lines are looked at at once.")] = 30.0
    files: Annotated[
        tuple[str, ...], Meta(description="EVE JSON files (suricata.yaml: outputs, eve-log), as absolute paths.")
    ] = ("/var/log/suricata/eve.json",)
    from_beginning: Annotated[
        bool,
        Meta(
            description="Whether what a file holds at the first look is told, too; one that appears later is read from its beginning."
        ),
    ] = False
    most: Annotated[Size, Meta(description="So much of a file is read at a time.", ge=64 << 10, le=64 << 20)] = 8 << 20
    events: Annotated[
        int, Meta(description="Different alerts (by rule and source) of one look; the rest is counted.", ge=1, le=5000)
    ] = 500
    home: Annotated[
        tuple[str, ...], Meta(description="Networks at home: of the two ends of an alert the other one is to blame.")
    ] = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7")
    block: Annotated[bool, Meta(description="Whether the source of an alert of a drop or reject rule is banned.")] = (
        False
    )
    midstream: Annotated[
        bool,
        Meta(
            description="Whether Suricata picks sessions up in the middle (stream.midstream): nothing is proven then."
        ),
    ] = False
    quiet_after: Annotated[
        Duration, Meta(description="A Suricata that has written nothing for so long is told as not seen.")
    ] = 900.0

    def __post_init__(self) -> None:
        for path in self.files:
            if not path.startswith("/"):
                raise ValueError(f"files: {path!r} is not an absolute path")
        Home(self.home)


class SuricataEveCollector:
    """How far each file was read, and what Suricata counts of itself."""

    name: ClassVar[str] = SUBJECT
    kinds: ClassVar[tuple[Kind, ...]] = (ALERT, HELD_BACK, MISSED, DROPPED)
    row: type[Row] = Row
    options: ClassVar[type[Options]] = Options

    def __init__(self, options: Options) -> None:
        self._options = options
        self._home = Home(options.home)
        self._absent: set[str] = set()
        """Files that were not there at an earlier look: all that they hold when they appear is new."""

    def collect(self, host: ReadOnlyHost, before: Snapshot[Row]) -> Report[Row]:
        """Read what is new; raises `Unavailable` where none of the files can be read: `NOT_PRESENT` only where not one of them exists."""
        after: dict[str, Row] = {}
        events: list[Event] = []
        blind: list[Blind] = []
        troubles: list[Unavailable] = []
        for path in self._options.files:
            try:
                self._file(host, path, before, after, events, blind)
            except Unavailable as error:
                if error.why is Why.NOT_PRESENT:
                    self._absent.add(path)
                troubles.append(error)
                after.update({key: row for key, row in before.rows.items() if key.partition(" ")[2] == path})
        if troubles and len(troubles) == len(self._options.files):
            worst = min(troubles, key=lambda error: error.why is Why.NOT_PRESENT)
            raise _worse(worst) if before.rows else worst
        blind += [_unread(error) for error in troubles]
        stated, left_out = collapsed(events, self._options.events)
        if left_out:
            stated.append(HELD_BACK.event("suricata", count=left_out, rules=0, most=[], seconds=0.0))
        return Report(events=tuple(stated), changes=compare(before.rows, after), blind=tuple(blind))

    def _file(
        self,
        host: ReadOnlyHost,
        path: str,
        before: Snapshot[Row],
        after: dict[str, Row],
        events: list[Event],
        blind: list[Blind],
    ) -> None:
        key, stats_key = f"file {path}", f"stats {path}"
        former, known = before.rows.get(key), before.rows.get(stats_key)
        if former is None or former.place is None:
            is_new = self._options.from_beginning or path in self._absent
            place = following.begin(host.files, path, at_end=not is_new)
            found = following.follow(host.files, path, place, self._options.most)
        else:
            found = following.follow(host.files, path, former.place, self._options.most)
        after[key] = Row(what="file", place=found.place)
        if found.lost:
            events.append(MISSED.event(path, file=path, detail=found.lost))
        stats, malformed = self._lines(path, found, known.stats if known is not None else None, events)
        if stats is not None:
            after[stats_key] = Row(what="stats", stats=stats)
        blind += self._unseen(host, path, found, malformed, stats)

    def _lines(self, path: str, found: Lines, stats: Stats | None, events: list[Event]) -> tuple[Stats | None, int]:
        """Take the lines; returns the newest statistics, and how many lines are no records."""
        malformed = found.too_long
        for line in found.lines:
            try:
                record = read(line)
            except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
                malformed += 1
                continue
            if record is None:
                continue
            if record.event_type == "stats":
                fresh = _stats(record, stats)
                events += _dropped(path, fresh, stats)
                stats = fresh
            elif record.alert is not None:
                events.append(event(record, line, self._home, self._options.block, self._options.midstream))
            else:
                malformed += 1
        return stats, malformed

    def _unseen(self, host: ReadOnlyHost, path: str, found: Lines, malformed: int, stats: Stats | None) -> list[Blind]:
        spots: list[Blind] = []
        if found.place.behind > self._options.most:
            detail = "there is more to read than one look takes; it is caught up with"
            spots.append(Blind(what=f"the newest of {path}", why=Why.TOO_LARGE, detail=detail))
        if malformed:
            detail = f"{malformed} of the last lines are no EVE records"
            spots.append(Blind(what=f"some lines of {path}", why=Why.MALFORMED, detail=detail))
        if stats is not None and stats.drop_share:
            detail = f"it says that the kernel dropped {stats.drop_share:.1f} % of its packets lately"
            spots.append(Blind(what="all packets that Suricata watches", why=Why.TOO_LARGE, detail=detail))
        if host.now().timestamp() - found.written_ns / 1e9 > self._options.quiet_after:
            spots.append(
                Blind(
                    what="what Suricata sees",
                    why=Why.OTHER,
                    detail=f"it has written nothing into {path} for a long time",
                    fix="Look whether it runs; switch its statistics on (suricata.yaml: stats), so that silence can be told from death.",
                )
            )
        return spots


class SuricataEveWatcher:
    """Asks for a look whenever one of the files grows or is exchanged."""

    name: ClassVar[str] = SUBJECT
    kinds: ClassVar[tuple[Kind, ...]] = ()
    options: ClassVar[type[Options]] = Options

    def __init__(self, options: Options) -> None:
        self._options = options

    def watch(self, host: ReadOnlyHost, emit: Emit, stop: Stop) -> None:
        """Watch until `stop`. A file that is not there yet is waited for."""
        known: tuple[object, ...] = ()
        while not stop.is_set():
            now = tuple(_state(host, path) for path in self._options.files)
            if now != known:
                known = now
                emit.changed(SUBJECT)
            if stop.wait(1.0):
                return


def _state(host: ReadOnlyHost, path: str) -> tuple[int, int] | None:
    try:
        found = host.files.stat(path)
    except Unavailable:
        return None  # the look says so
    return found.inode, found.size


def _stats(record: Line, before: Stats | None) -> Stats:
    told = record.stats
    packets, dropped = number(told, "capture", "kernel_packets"), number(told, "capture", "kernel_drops")
    uptime = number(told, "uptime")
    since = before if before is not None and uptime >= before.uptime_s else None
    seen = packets - (since.packets if since is not None else 0)
    lost = dropped - (since.dropped if since is not None else 0)
    return Stats(
        at_ms=at_ms(record),
        uptime_s=uptime,
        packets=packets,
        dropped=dropped,
        drop_share=round(100 * lost / max(seen, lost), 2) if lost > 0 else 0.0,
        alerts=number(told, "detect", "alert"),
        memory_refused=number(told, "tcp", "segment_memcap_drop"),
    )


def _dropped(path: str, fresh: Stats, before: Stats | None) -> list[Event]:
    """State drops once, when they begin; the row has the numbers."""
    if not fresh.drop_share or (before is not None and before.drop_share):
        return []
    packets = fresh.dropped - (before.dropped if before is not None and fresh.uptime_s >= before.uptime_s else 0)
    return [DROPPED.event(path, file=path, packets=packets, share=fresh.drop_share)]


def _worse(error: Unavailable) -> Unavailable:
    """Return the trouble with a file that was there before: that it is gone is no finding."""
    if error.why is not Why.NOT_PRESENT:
        return error
    return Unavailable(Why.OTHER, f"{error.message}; it was there before", advice="Look whether Suricata still runs.")


def _unread(error: Unavailable) -> Blind:
    return Blind(what="a part of Suricata's output", why=error.why, detail=error.message, fix=error.advice)
