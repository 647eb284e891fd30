"""SQLite files: found by their header wherever they lie, saved as of one moment with their owner and mode, and nothing left behind."""

import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from actions.backup.databases import sqlite_copy
from actions.backup.databases.options import ProveOptions, ProveQuery, SqliteOptions
from actions.backup.databases.prove import prove_source
from actions.backup.databases.saving import Report
from actions.backup.databases.source import DumpFailed
from actions.backup.databases.sqlite import Sqlite, find_databases, is_sqlite
from actions.backup.repository import Repository
from host.linux import LinuxHost
from tests.actions.backup.conftest import Restic
from tests.actions.backup.databases.sqlite_writers import counter, create, look, writers

Save = Callable[..., Report]


@pytest.fixture
def place(entered: Path) -> Path:
    """Readable by the writers' user."""
    return entered


def source(*paths: Path, **more: object) -> Sqlite:
    return Sqlite(SqliteOptions(paths=tuple(map(str, paths)), **more))  # type: ignore[arg-type]


def content(restic: Restic, report: Report, path: Path) -> bytes:
    return restic("dump", report.snapshot, f"/databases/sqlite{path}").stdout


@pytest.mark.parametrize("mode", ["wal", "delete"])
def test_beside_writers_a_snapshot_holds_one_moment_and_is_proved(
    place: Path, save: Save, host: LinuxHost, repository: Repository, restic: Restic, mode: str
) -> None:
    path = place / "live" / "shop.db"
    create(path, mode, filler_bytes=4 << 20)
    with writers(path, mode="" if mode == "wal" else mode):
        before = counter(path)
        reports = [save(source(place)) for _ in range(3)]
    for report in reports:
        report.raise_for_failure()
        assert report.blind == []
        assert look(content(restic, report, path), place) >= before
        query = ProveQuery(
            source="sqlite", database=str(path), sql="SELECT sum(amount), count(*) FROM account", expect="200000\t200"
        )
        proof = prove_source(
            host, repository, repository.load_snapshot(report.snapshot), ProveOptions(scratch="/tmp", queries=(query,))
        )
        proof.raise_for_failure()
        assert proof.proved[0].counts["account"] == 200
    restic("check", "--read-data")


def test_the_file_keeps_its_place_owner_mode_and_time(place: Path, save: Save, restic: Restic) -> None:
    path = place / "live" / "shop.db"
    create(path, "wal", uid=4321)
    path.chmod(0o640)
    os.utime(path, ns=(1, 1_600_000_000_123_456_789))
    report = save(source(path))
    report.raise_for_failure()
    restic("restore", report.snapshot, "--target", place / "restored")
    restored = Path(f"{place}/restored/databases/sqlite{path}").stat()
    assert (restored.st_uid, restored.st_gid, restored.st_mode & 0o7777, restored.st_mtime_ns) == (
        4321,
        4321,
        0o640,
        1_600_000_000_123_456_789,
    )


def test_every_database_below_a_directory_is_found_by_its_header(place: Path) -> None:
    top = place / "data"
    for name in ("a.db", "deep/er/no ending", "cache/skipped.db", "deep/x.tmp"):
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        create(top / name, "delete")
    (top / "text").write_text("SQLite format 3 is what I am not")
    (top / "empty").touch()
    (top / "link").symlink_to("a.db")
    os.mkfifo(top / "fifo")
    raw = os.path.join(os.fsencode(top), b"\xff\xfe.db")
    shutil.copy(top / "a.db", os.fsdecode(raw))
    failed: list[DumpFailed] = []
    found = set(find_databases([str(top)], [f"{top}/cache", "*.tmp"], failed))
    assert found == {os.fsencode(top / "a.db"), os.fsencode(top / "deep/er/no ending"), raw}
    assert failed == []
    assert list(find_databases([str(top / "link")], [], failed)) == [os.fsencode(top / "link")]
    assert not is_sqlite(os.fsencode(top / "text"))


def test_names_that_are_not_utf8_are_saved(place: Path, save: Save, restic: Restic) -> None:
    create(place / "live" / "a.db", "delete")
    os.rename(place / "live" / "a.db", os.path.join(os.fsencode(place / "live"), b"\xff.db"))
    report = save(source(place / "live"))
    report.raise_for_failure()
    assert report.dumped[0].file.endswith(b"/\xff.db")
    restic("check", "--read-data")


def test_one_file_by_two_names_is_saved_once(place: Path, save: Save) -> None:
    create(place / "live" / "a.db", "delete")
    (place / "link").symlink_to(place / "live" / "a.db")
    report = save(source(place / "live", place / "link", place / "live" / "a.db"))
    assert [one.file for one in report.dumped] == [os.fsencode(place / "live/a.db").lstrip(b"/")]


def test_what_cannot_be_read_or_is_none_is_a_failure_and_the_rest_is_saved(place: Path, save: Save) -> None:
    create(place / "live" / "a.db", "delete")
    (place / "text").write_text("no")
    report = save(source(place / "live", place / "text", place / "none"))
    assert [error.message for error in report.failed] == [
        f"{place}/text: it is not an SQLite database",
        f"{place}/none: No such file or directory",
    ]
    assert len(report.dumped) == 1
    assert not report.complete


def test_what_a_user_may_not_look_into_is_named(place: Path) -> None:
    (place / "live" / "hidden").mkdir(parents=True)
    (place / "live" / "hidden").chmod(0o700)
    create(place / "live" / "b.db", "delete")
    (place / "live" / "b.db").chmod(0o600)
    import multiprocessing

    asked, told = multiprocessing.Pipe()

    def child() -> None:
        os.setgid(65533)
        os.setgroups([])
        os.setuid(65533)
        failed: list[DumpFailed] = []
        found = list(find_databases([str(place / "live")], [], failed))
        told.send((found, sorted(error.message for error in failed)))

    process = multiprocessing.get_context("fork").Process(target=child)
    process.start()
    found, failed = asked.recv()
    process.join()
    assert found == []
    assert failed == [f"{place}/live/b.db: Permission denied", f"{place}/live/hidden: Permission denied"]


def test_a_damaged_database_is_not_kept_as_if_it_were_good(place: Path, save: Save, repository: Repository) -> None:
    path = place / "live" / "a.db"
    create(path, "delete", filler_bytes=1 << 20)
    good = save(source(path)).snapshot
    with path.open("r+b") as file:
        file.seek(4096 * 2)
        file.write(os.urandom(4096))
    report = save(source(path))
    assert report.snapshot == ""
    assert "integrity_check says" in report.failed[0].message or "cannot read it" in report.failed[0].message
    assert [id for id, _ in repository.snapshots()] == [good]


def test_one_that_is_held_for_good_is_a_failure(place: Path, save: Save, monkeypatch: pytest.MonkeyPatch) -> None:
    path = place / "live" / "a.db"
    create(path, "delete")
    monkeypatch.setattr(sqlite_copy, "_PATIENCE_S", 0.2)
    code = f"""
import sqlite3, sys
db = sqlite3.connect({str(path)!r}, isolation_level=None)
db.execute("PRAGMA locking_mode=EXCLUSIVE"); db.execute("BEGIN EXCLUSIVE")
print("held", flush=True); sys.stdin.read()
"""
    holder = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert holder.stdout
    assert holder.stdout.readline() == b"held\n"
    report = save(source(path))
    holder.communicate()
    assert "it is being written, or held by a program" in report.failed[0].message
    assert not report.snapshot


def test_no_room_for_the_copy_is_said_and_nothing_stays_behind(place: Path, save: Save) -> None:
    path = place / "live" / "a.db"
    create(path, "delete", filler_bytes=3 << 20)
    scratch = place / "scratch"
    scratch.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", scratch], check=True)
    try:
        report = save(source(path, scratch=str(scratch)))
        assert "No space left on device" in report.failed[0].message
        assert "make room" in report.failed[0].advice
        assert list(scratch.iterdir()) == []
    finally:
        subprocess.run(["umount", "-l", scratch], check=True)


def test_an_index_that_needs_its_program_is_said_not_to_be_checked(place: Path, save: Save) -> None:
    path = place / "live" / "a.db"
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as db:
        db.create_collation("own", lambda one, other: (one > other) - (one < other))
        db.execute("CREATE TABLE t(x TEXT COLLATE own)")
        db.execute("CREATE INDEX i ON t(x)")
        db.executemany("INSERT INTO t VALUES (?)", [("b",), ("a",)])
        db.commit()
    report = save(source(path))
    report.raise_for_failure()
    assert "no such collation sequence: own" in report.blind[0].detail
