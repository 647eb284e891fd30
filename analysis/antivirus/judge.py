"""Judges antivirus: states once when something stops being as it should be, once more when it gets worse, and when it is well again."""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import msgspec

from analysis.antivirus import standing
from contracts.collector import Report
from contracts.coverage import Blind
from contracts.errors import Why
from contracts.event import Event, FieldType, Kind, Severity
from contracts.judge import View
from contracts.record import Record
from contracts.snapshot import Snapshot, compare
from contracts.subjects.antivirus import CLAMAV, RUNS, STATES, SUBJECT, Done, Finding, Product

_FIELDS: Mapping[str, FieldType] = {"product": "str", "detail": "str"}


def _kind(name: str, meaning: str, title: str, severity: Severity, advice: str, attack: tuple[str, ...] = ()) -> Kind:
    return Kind(
        name=name,
        meaning=meaning,
        title=title,
        severity=severity,
        fields=_FIELDS,
        advice=advice,
        attack=attack,
        ocsf_class=6008,
    )


STALE = _kind(
    standing.STALE,
    "The signatures that an antivirus product works with are older than its settings allow.",
    "{product}: {detail}",
    Severity.MEDIUM,
    "See `holdfast antivirus status`, and update with `holdfast antivirus update`.",
)
UNKNOWN = _kind(
    standing.UNKNOWN,
    "How old the signatures of an antivirus product are could not be found out: they are not taken to be fresh.",
    "It is not known how fresh {product} is: {detail}",
    Severity.MEDIUM,
    "See `holdfast coverage` for what cannot be seen, and why.",
)
BEHIND = _kind(
    standing.BEHIND,
    "An antivirus daemon works with older signatures than lie on the disk.",
    "{product}: {detail}",
    Severity.HIGH,
    "Have it reload them: `holdfast antivirus update`, or clamdscan --reload.",
)
SILENT = _kind(
    standing.SILENT,
    "An antivirus daemon that should run does not answer.",
    "The daemon of {product} does not answer: {detail}",
    Severity.HIGH,
    "See why: systemctl status clamav-daemon. Nothing is scanned until it answers.",
    ("T1562.001",),
)
BROKEN = _kind(
    standing.BROKEN,
    "A file of signatures cannot be used, or its digital signature is not right.",
    "A database of {product} is broken: {detail}",
    Severity.HIGH,
    "Remove it and update anew; ask who put it there.",
    ("T1562.001",),
)
UNPROTECTED = _kind(
    standing.UNPROTECTED,
    "An antivirus product says that its realtime protection is off, or that it is not healthy.",
    "{product}: {detail}",
    Severity.HIGH,
    "Switch it on, or say why not.",
    ("T1562.001",),
)
NONE_INSTALLED = _kind(
    standing.NONE,
    "This host has no antivirus product that is known here or named in the settings.",
    "No antivirus: {detail}",
    Severity.MEDIUM,
    "Install one (apt-get install clamav-daemon), or name yours under collectors.antivirus.products.",
)
UNPROVED = _kind(
    standing.UNPROVED,
    "No test file was written, detected and reported of late: nobody knows whether malware would be.",
    "Antivirus is unproved: {detail}",
    Severity.MEDIUM,
    "Prove it: `holdfast antivirus prove`.",
)
WELL = Kind(
    name="antivirus.well_again",
    meaning="Something about antivirus that was not as it should be is so again.",
    title="{product} is well again; it was: {detail}",
    severity=Severity.INFORMATIONAL,
    fields=_FIELDS,
    ocsf_class=6002,
)
KINDS = (STALE, UNKNOWN, BEHIND, SILENT, BROKEN, UNPROTECTED, NONE_INSTALLED, UNPROVED)
_BY_NAME = {kind.name: kind for kind in KINDS}


class AntivirusJudge:
    """What is not as it should be, each change stated once."""

    name: ClassVar[str] = STATES
    kinds: ClassVar[tuple[Kind, ...]] = (*KINDS, WELL)
    subjects: ClassVar[Mapping[str, type[Record]]] = {SUBJECT: Product, RUNS: Done}
    row: type[Finding] = Finding
    every_s: ClassVar[float] = 300.0

    def judge(self, view: View, before: Snapshot[Finding]) -> Report[Finding]:
        """Conclude; nothing as long as nobody has looked."""
        products: Snapshot[Product] = view.snapshots[SUBJECT]
        if products.first:
            return Report()
        rows = {}
        events = []
        found = standing.findings(products.rows, view.snapshots[RUNS].rows, view.now_ms)
        for key, finding in sorted(found.items()):
            former = before.rows.get(key)
            held = former is not None and former.kind == finding.kind and former.severity == finding.severity
            since_ms = former.since_ms if held and former is not None else view.now_ms
            # What is said of an age changes with every look: the row keeps the words with which it was stated.
            detail = former.detail if held and former is not None else finding.detail
            rows[key] = msgspec.structs.replace(finding, since_ms=since_ms, detail=detail)
            if not held:
                events.append(_event(_BY_NAME[finding.kind], key, finding))
        events += [_well(key, former) for key, former in sorted(before.rows.items()) if key not in rows]
        return Report(events=tuple(events), changes=compare(before.rows, rows), blind=tuple(_unseen(products.rows)))


def _event(kind: Kind, key: str, finding: Finding) -> Event:
    severity = Severity(finding.severity)
    return kind.event(key, severity=severity, product=finding.product or "antivirus", detail=finding.detail)


def _well(key: str, former: Finding) -> Event:
    return WELL.event(key, product=former.product or "antivirus", detail=former.detail)


def _unseen(products: Mapping[str, Any]) -> Iterator[Blind]:
    """What a scan cannot tell although it says that all is clean."""
    clamav: Product | None = products.get(CLAMAV)
    if clamav is None or clamav.daemon == "none":
        return
    limits = clamav.limits
    if not limits.known:
        yield Blind(
            what="up to where clamd looks into files",
            why=Why.NOT_PRESENT,
            detail="its configuration could not be read, and it answers that a file over its limits is clean",
            fix="Name it in collectors.antivirus.clamav.clamd_conf.",
        )
    elif not limits.alerts:
        yield Blind(
            what="whether files and archives that clamd calls clean were looked at as a whole (limits unknown)",
            why=Why.TOO_LARGE,
            detail=f"AlertExceedsMax is off: beyond {limits.file_bytes >> 20} MiB a file, {limits.scan_bytes >> 20} MiB "
            f"unpacked, {limits.files} files or {limits.recursion} levels clamd answers OK without looking",
            fix="Set `AlertExceedsMax yes` in clamd.conf and restart clamd.",
        )
