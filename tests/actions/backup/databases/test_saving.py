"""A source becomes a snapshot when, and only as far as, its dumps came to their proper end."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import pytest

from actions.backup.databases.saving import Report, SourceFailed, snapshot_source
from actions.backup.databases.source import Dump, DumpFailed, Listing, Owner, Reading
from actions.backup.repository import Repository
from actions.backup.stores.store import FileType
from actions.backup.stream import Pieces
from contracts.coverage import Blind
from contracts.errors import Unavailable, Why
from contracts.host import Host
from host.dry_run import DryRun
from host.linux import LinuxHost
from tests.actions.backup.conftest import Restic

Save = Callable[..., Report]


class Told:
    """A reading of a few bytes that ends as a test says."""

    def __init__(self, content: bytes, end: Exception | Sequence[Blind]) -> None:
        self._source = Pieces([content])
        self._end = end

    def readinto(self, buffer: memoryview, /) -> int:
        return self._source.readinto(buffer)

    def finish(self) -> Sequence[Blind]:
        if isinstance(self._end, Exception):
            raise self._end
        return self._end


class Made:
    """A source of dumps that a test makes up."""

    product = "command"

    def __init__(self, listing: Listing | Exception, name: str = "made") -> None:
        self.name = name
        self.listing = listing

    def dumps(self, host: Host) -> Listing:
        if isinstance(self.listing, Exception):
            raise self.listing
        return self.listing


def dump(
    file: bytes, content: bytes = b"content", end: Exception | Sequence[Blind] = (), owner: Owner | None = None
) -> Dump:
    @contextmanager
    def open() -> Iterator[Reading]:
        yield Told(content, end)

    return Dump(file, open, owner)


BAD = DumpFailed("made/bad", "it broke", said="its last words", advice="mend it")


def test_good_dumps_become_a_snapshot_of_the_source(save: Save, repository: Repository, restic: Restic) -> None:
    spot = Blind(what="something", why=Why.OTHER)
    seen: list[tuple[bytes, int]] = []
    report = save(
        Made(
            Listing([dump(b"a", b"1"), dump(b"b/c", b"23", [spot], Owner(12, 34, 0o604, 5_000_000_000))], blind=[spot])
        ),
        tags=["mine"],
        progress=lambda file, count: seen.append((file, count)),
    )
    report.raise_for_failure()
    assert report.complete
    assert [(one.file, one.size) for one in report.dumped] == [(b"a", 1), (b"b/c", 2)]
    assert report.blind == [spot, spot]
    assert seen == [(b"a", 1), (b"b/c", 2)]
    snapshot = repository.load_snapshot(report.snapshot)
    assert snapshot.paths == ["/databases/made"]
    assert snapshot.tags == ["database", "database:command", "mine"]
    assert snapshot.hostname == "here"
    restic("check", "--read-data")
    assert restic("dump", report.snapshot, "/databases/made/b/c").stdout == b"23"
    listed = restic("ls", "-l", report.snapshot, "/databases/made/b").stdout.decode()
    assert "-rw----r--    12    34" in listed


def test_a_dump_whose_end_was_not_verified_is_in_no_snapshot(
    save: Save, repository: Repository, restic: Restic
) -> None:
    report = save(Made(Listing([dump(b"good"), dump(b"bad", b"half of it", BAD), dump(b"also good")])))
    assert not report.complete
    assert report.failed == [BAD]
    assert b"half of it" not in restic("dump", report.snapshot, "/databases/made", "--archive", "tar").stdout
    assert repository.load_snapshot(report.snapshot).paths == ["/databases/made/also good", "/databases/made/good"]
    with pytest.raises(
        SourceFailed, match=r"command made: 1 of 3 dumps failed: made/bad: it broke \(its last words\); mend it"
    ) as caught:
        report.raise_for_failure()
    assert caught.value.exit_code == 3


@pytest.mark.parametrize(
    "listing",
    [
        Listing([dump(b"bad", b"x", BAD)]),
        Listing(failed=[BAD]),
        Listing(),
        BAD,
        Unavailable(Why.TOOL_MISSING, "pg_dump is not installed", advice="install it"),
        Listing([dump(b"late", b"x", Unavailable(Why.TIMEOUT, "too late"))]),
    ],
    ids=[
        "the one dump is bad",
        "nothing can be dumped",
        "there is nothing",
        "it cannot be asked",
        "no tool",
        "too late",
    ],
)
def test_a_source_of_which_nothing_is_good_makes_no_snapshot(
    save: Save, repository: Repository, listing: Listing | Exception
) -> None:
    report = save(Made(listing))
    assert report.snapshot == ""
    assert report.failed
    with pytest.raises(SourceFailed):
        report.raise_for_failure()
    assert list(repository.snapshots()) == []


def test_what_the_caller_raises_ends_the_dump(save: Save, repository: Repository) -> None:
    def stop(_file: bytes, _count: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        save(Made(Listing([dump(b"a")])), progress=stop)
    assert list(repository.snapshots()) == []


def test_retention_keeps_the_last_complete_snapshot_whatever_comes_after(
    save: Save, repository: Repository, restic: Restic
) -> None:
    good = save(Made(Listing([dump(b"a"), dump(b"b")]))).snapshot
    for _ in range(3):
        save(Made(Listing([dump(b"a"), dump(b"b", b"", BAD)])))
    other = save(Made(Listing([dump(b"a")]), "other")).snapshot
    restic("forget", "--keep-last", "1", "--prune")
    left = {id for id, _ in repository.snapshots()}
    assert {good, other} < left
    assert len(left) == 3


def test_under_dry_run_nothing_is_run(repository: Repository) -> None:
    report = snapshot_source(DryRun(LinuxHost()), repository, Made(BAD), hostname="here")
    assert report.snapshot == ""
    assert report.failed == []
    assert report.blind[0].detail == "dry run"


def test_the_caller_is_asked_before_it_is_published(save: Save, repository: Repository) -> None:
    def lost(_: Report) -> list[str]:
        assert list(repository.snapshots()) == []
        assert list(repository.store.list(FileType.INDEX))
        raise RuntimeError("the lock is lost")

    with pytest.raises(RuntimeError, match="the lock is lost"):
        save(Made(Listing([dump(b"a")])), sure=lost)
    assert list(repository.snapshots()) == []
