"""Tripwire: one run of a job measured, judged against its past, and what stands afterwards."""

import hashlib
import time
from collections.abc import Mapping
from typing import Any

import msgspec

from actions.backup import kinds
from actions.backup.archiver import Report
from actions.backup.hold import SUSPECTED_TAG
from actions.backup.index import Index
from actions.backup.options import JobOptions
from actions.backup.snapshot import Snapshot
from actions.backup.tripwire import canaries
from actions.backup.tripwire.book import (
    MAX_RUNS,
    NAMED,
    Suspicion,
    Turned,
    added,
    kept,
    measured,
    path_in,
    recall,
    suspected,
)
from actions.backup.tripwire.dumps import DumpWatch
from actions.backup.tripwire.gauge import Gauge, Totals
from analysis.excludes import Excludes
from analysis.tripwire import Figures, Finding, findings, turned
from contracts.event import Event, Severity
from contracts.host import Host


class Tripwire:
    """Made for one run of the job `name`: `gauge` before it, `judge` before its snapshot is published, `settle` after that."""

    def __init__(self, host: Host, name: str, job: JobOptions) -> None:
        self._host, self._name, self._job = host, name, job
        self._options = job.tripwire
        self.book = recall(host.files, path_in(host.state, name))
        self._parent: tuple[str, Snapshot] | None = None
        self._gauge = Gauge()
        self._figures: Figures | None = None
        self._turned: list[Turned] = []
        self._findings: tuple[Finding, ...] = ()
        self._checked = canaries.Checked((), ())

    def dumps(self) -> DumpWatch:
        """What watches the dumps of the databases of this run; asked for after `settle`, its book goes on from there."""
        return DumpWatch(self._host, self._name, self._options, self.book)

    def gauge(self, parent: tuple[str, Snapshot] | None) -> Gauge | None:
        """What measures this run; None for the first one, which can be compared with nothing, and when the settings want none."""
        self._parent = parent
        if not self._options.enabled or parent is None:
            return None
        sums = frozenset(canary.sha256 for canary in self.book.canaries)
        self._gauge = Gauge(sums, ignored=Excludes(self._options.ignore))
        return self._gauge

    def judge(self, report: Report, index: Index) -> list[str]:
        """Judge the run, all of whose blobs are in the index; the tags that its snapshot is to bear on account of it."""
        if not self._options.enabled or self._parent is None:
            return []
        id, parent = self._parent
        files_before, bytes_before = _past(parent.summary, self.book.runs)
        totals = Totals(
            files_before, report.files, bytes_before, report.bytes_total, report.files_unmodified, self._same()
        )
        self._figures, bad = self._gauge.figures(index, totals)
        now_ns = time.time_ns()
        self._turned = [Turned(path=look.path, at_ns=now_ns, why=turned(look), good=id) for look in bad]
        limits = self._options.limits()
        added_up = len(added(self.book, self._turned, now_ns, limits.window_s)) + self._figures.turned - len(bad)
        self._checked = canaries.check(self._host.files, self.book.canaries, self._gauge.canaries_seen)
        self._findings = (*findings(self._figures, self.book.runs, added_up, limits), *self._canaries())
        return [SUSPECTED_TAG] if self._findings else []

    def settle(self, snapshot: str) -> list[Event]:
        """The run's snapshot is published: keep what was found, and state it."""
        if not self._options.enabled:
            return []
        told = self._unknown_suspicion()
        if self._figures is not None:
            told += self._keep(snapshot, self._figures)
            told += [
                kinds.UPKEEP_FAILED.event(
                    self._name, job=self._name, step="tripwire", detail=f"{each.canary.path} was not seen: {each.what}"
                )
                for each in self._checked.unseen
            ]
        self.book = msgspec.structs.replace(self.book, choices=choices_of(self._job))
        return told + kept(self._host, self._name, self.book)

    def _keep(self, snapshot: str, figures: Figures) -> list[Event]:
        now_ns = time.time_ns()
        files = added(self.book, self._turned, now_ns, self._options.window)
        if not self._findings:
            runs = self.book.runs
            if self.book.standing is None:
                runs = (*runs, figures)[-MAX_RUNS:]
            self.book = msgspec.structs.replace(self.book, runs=runs, turned=files)
            return []
        assert self._parent is not None
        good = () if self.book.standing is not None else (self._parent[0], *(each.good for each in files[:1]))
        self.book = msgspec.structs.replace(
            suspected(self.book, now_ns, snapshot, good, self._findings),
            turned=files,
        )
        return [self._event(snapshot, figures, files)]

    def _event(self, snapshot: str, figures: Figures, files: tuple[Turned, ...]) -> Event:
        assert self.book.standing is not None
        broken = [f"{each.canary.path} {each.what}" for each in self._checked.broken]
        return kinds.ANOMALY_SUSPECTED.event(
            self._name,
            severity=Severity.CRITICAL if broken else None,
            job=self._name,
            snapshot=snapshot,
            good=list(self.book.standing.good),
            detail="; ".join(found.says for found in self._findings)[:500],
            measures=list(measured(self._findings)),
            paths=[*broken, *(f"{each.path}: {each.why}" for each in files[-NAMED:])][:NAMED],
            files_before=figures.files_before,
            files_changed=figures.changed,
            files_new=figures.new,
            files_lost=figures.lost,
            files_turned=figures.turned,
        )

    def _canaries(self) -> tuple[Finding, ...]:
        broken = self._checked.broken
        if not broken:
            return ()
        more = f" (and {len(broken) - 1} more)" if len(broken) > 1 else ""
        says = f"the canary {broken[0].canary.path} {broken[0].what}{more}"
        return (Finding(name="canary", value=len(broken), limit=0, says=says),)

    def _unknown_suspicion(self) -> list[Event]:
        """A snapshot that was marked as suspected, and nobody stated it: the run before was cut off in between."""
        if self._parent is None or self.book.standing is not None:
            return []
        id, parent = self._parent
        if SUSPECTED_TAG not in parent.tags or id in self.book.cleared:
            return []
        says = ("the snapshot before is marked as suspected, and the run that made it was cut off",)
        good = (parent.parent,) if parent.parent else ()
        standing = Suspicion(since_ns=parent.time_ns, snapshot=id, says=says, good=good)
        self.book = msgspec.structs.replace(self.book, standing=standing)
        event = kinds.ANOMALY_SUSPECTED.event(
            self._name, job=self._name, snapshot=id, good=list(good), detail=says[0], measures=[], paths=[]
        )
        return [event]

    def _same(self) -> bool:
        return self.book.choices in ("", choices_of(self._job))


def choices_of(job: JobOptions) -> str:
    """A sum over the settings that say what is saved: of a run after they changed nothing is said to be lost."""
    said = (
        *(job.paths, job.excludes, job.iexcludes, job.exclude_files, job.exclude_caches),
        *(job.exclude_if_present, job.exclude_larger_than, job.one_file_system),
    )
    return hashlib.sha256(repr(said).encode("utf-8", "surrogateescape")).hexdigest()[:16]


def _past(summary: Mapping[str, Any], runs: tuple[Figures, ...]) -> tuple[int, int]:
    """Files and bytes of the snapshot before; 0 when nobody wrote them down."""
    files, size = summary.get("total_files_processed"), summary.get("total_bytes_processed")
    last = runs[-1] if runs else Figures()
    return (files if isinstance(files, int) else last.files, size if isinstance(size, int) else last.bytes_total)
