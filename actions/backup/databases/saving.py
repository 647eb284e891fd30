"""A source into a snapshot of its own: every dump verified before anything refers to it, and nothing incomplete passed off as complete.

A complete snapshot has the path /databases/NAME. When some dumps of a source fail, what is good is saved in a snapshot whose paths are the
files it holds, tagged `partial`: retention, which goes by host and paths, never counts it as the successor of a complete one.
"""

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from actions.backup.chunker import Chunker
from actions.backup.databases.source import Dump, DumpFailed, Listing, Source
from actions.backup.node import Node, user_name
from actions.backup.repository import Repository
from actions.backup.saver import Saved, Saver
from actions.backup.snapshot import Snapshot
from actions.backup.stream import file_node, save_folders, save_stream
from actions.backup.times import format_time
from contracts.coverage import Blind
from contracts.errors import HoldfastError, Unavailable, Why
from contracts.host import Host

PROGRAM = "holdfast"
FOLDER = b"databases"
TAG = "database"
PRODUCT_TAG = "database:"
"""Before the product, so that no name of a job is taken for one."""
PARTIAL = "partial"


class SourceFailed(HoldfastError):
    """A source, or some of it, could not be saved."""

    permanent = False
    exit_code = 3


@dataclass(frozen=True, slots=True)
class Dumped:
    """One dump that is good: its path below the source's folder, its bytes, and how long it took."""

    file: bytes
    size: int
    seconds: float


@dataclass(slots=True)
class Report:
    """What became of one source. `snapshot` is "" when nothing could be saved (or under dry run); `failed` what is missing, loudly."""

    name: str
    product: str
    snapshot: str = ""
    dumped: list[Dumped] = field(default_factory=list)
    failed: list[HoldfastError] = field(default_factory=list)
    blind: list[Blind] = field(default_factory=list)
    saved: Saved = field(default_factory=Saved)

    @property
    def complete(self) -> bool:
        """Whether everything that the source has is in the snapshot."""
        return bool(self.snapshot) and not self.failed

    def raise_for_failure(self) -> None:
        """SourceFailed, naming what is missing, unless nothing is."""
        if self.failed:
            words = "; ".join(error.message for error in self.failed[:5]) + ("; …" if len(self.failed) > 5 else "")
            count = f"{len(self.failed)} of {len(self.failed) + len(self.dumped)} dumps failed"
            advice = next((error.advice for error in self.failed if error.advice), "")
            raise SourceFailed(f"{self.product} {self.name}: {count}: {words}", advice=advice)


Progress = Callable[[bytes, int], None]


def snapshot_source(
    host: Host,
    repository: Repository,
    source: Source,
    *,
    hostname: str,
    tags: Sequence[str] = (),
    workers: int | None = None,
    progress: Progress = lambda _file, _bytes: None,
    sure: Callable[[Report], Sequence[str]] = lambda _: (),
) -> Report:
    """Dump everything that `source` has into a snapshot. The caller has loaded the index and holds a lock.

    What goes wrong with the source is in the report (see `Report.raise_for_failure`); errors of the repository pass through, and no
    snapshot is made then. `progress` is told the file and how many bytes came; what it raises ends the dump. `sure` is called when all
    is saved and before the snapshot is published: it gives further tags, and what it raises prevents that.
    """
    report = Report(source.name, source.product)
    if host.dry:
        report.blind.append(Blind(what=f"what {source.name} would save", why=Why.DISABLED, detail="dry run"))
        return report
    time_ns = time.time_ns()
    listing = _ask(host, source, report)
    saver = repository.saver(workers)
    try:
        files = _save_all(listing, saver, repository.chunker(), report, time_ns, progress)
        if not files:
            return report
        folder = b"/".join((FOLDER, os.fsencode(source.name)))
        tree = save_folders(saver, {folder + b"/" + path: node for path, node in files.items()}, time_ns)
        report.saved = saver.finish()
    finally:
        saver.close()
    tags = (*tags, *sure(report))
    paths = [os.fsdecode(b"/" + folder + (b"/" + path if report.failed else b"")) for path in files]
    report.snapshot = repository.save_snapshot(_snapshot(report, tree, time_ns, paths, hostname, tags))
    return report


def _ask(host: Host, source: Source, report: Report) -> Listing:
    try:
        listing = source.dumps(host)
    except (DumpFailed, Unavailable) as error:
        report.failed.append(error)
        return Listing()
    report.failed += listing.failed
    report.blind += listing.blind
    if not listing.dumps and not listing.failed:
        report.failed.append(DumpFailed(source.name, "there is nothing to save", advice="take it out of the settings"))
    return listing


def _save_all(
    listing: Listing, saver: Saver, chunker: Chunker, report: Report, time_ns: int, progress: Progress
) -> dict[bytes, Node]:
    """The nodes of the dumps that are good, by path."""
    files: dict[bytes, Node] = {}
    for dump in listing.dumps:
        began = time.monotonic()
        try:
            node, blind = _save(dump, saver, chunker, time_ns, progress)
        except (DumpFailed, Unavailable) as error:
            report.failed.append(error)
            continue
        files[dump.file] = node
        report.blind += blind
        report.dumped.append(Dumped(dump.file, node.size, time.monotonic() - began))
    return files


def _save(dump: Dump, saver: Saver, chunker: Chunker, time_ns: int, progress: Progress) -> tuple[Node, Sequence[Blind]]:
    """Stream one dump; its node comes out only when it has been verified to its end."""
    name = dump.file.rpartition(b"/")[2]
    if dump.owner is None:
        node = file_node(name, time_ns)
    else:
        owner = dump.owner
        node = file_node(name, owner.mtime_ns, mode=owner.mode, uid=owner.uid, gid=owner.gid)
    with dump.open() as reading:
        save_stream(saver, chunker, reading, node, lambda count: progress(dump.file, count))
        return node, reading.finish()


def _snapshot(
    report: Report, tree: str, time_ns: int, paths: Sequence[str], hostname: str, tags: Sequence[str]
) -> Snapshot:
    marks = {TAG, PRODUCT_TAG + report.product, *tags, *([PARTIAL] if report.failed else [])}
    return Snapshot(
        time=format_time(time_ns),
        tree=tree,
        paths=sorted({path.encode("utf-8", "replace").decode() for path in paths}),
        hostname=hostname,
        username=user_name(os.geteuid()),
        uid=os.geteuid(),
        gid=os.getegid(),
        tags=sorted(marks),
        program_version=PROGRAM,
    )
