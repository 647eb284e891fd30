"""rpm's database, copied and read; formats that are not read, and databases that are none."""

import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from analysis.integrity.rpm_header import Header
from collectors.integrity.packages import rpm_database
from collectors.integrity.packages.rpm_database import RpmDatabase, SqliteCopy, folder_of
from contracts.errors import Unavailable, Why
from host.linux import LinuxHost


def _database(folder: Path, place: Path) -> RpmDatabase:
    place.mkdir(exist_ok=True)
    return RpmDatabase(LinuxHost(), str(folder), place)


def test_headers_are_read_from_a_copy_and_nothing_is_written_where_the_database_lies(rpms, tmp_path: Path) -> None:
    rpms.install(rpms.build())
    before = {path: path.stat().st_mtime_ns for path in (rpms.database, *rpms.database.iterdir())}
    database = _database(rpms.database, tmp_path / "own")
    assert database.refresh() and not database.refresh()
    ((number, blob),) = database.blobs()
    assert Header(blob).text(1000) == "hf-tool" and database.blob(number) == blob and database.blob(99) == b""
    assert {path: path.stat().st_mtime_ns for path in (rpms.database, *rpms.database.iterdir())} == before
    rpms.install(rpms.build("1.1"))
    assert Header(database.blob(number)).text(1001) == "1.0", "a copy stays as it was"
    assert database.refresh() and [Header(blob).text(1001) for _, blob in database.blobs()] == ["1.1"]
    assert list((tmp_path / "own").iterdir()) == [], "whatever becomes of this process, nothing stays on the disk"
    database.close()


def test_a_copy_leaves_others_room_on_the_disk(rpms, tmp_path: Path, monkeypatch) -> None:
    rpms.install(rpms.build())
    database = _database(rpms.database, tmp_path / "own")
    monkeypatch.setattr(rpm_database, "LEFT_BYTES", 1 << 60)
    with pytest.raises(Unavailable, match="MiB are free") as told:
        database.refresh()
    assert "Free space" in told.value.advice and list((tmp_path / "own").iterdir()) == []
    monkeypatch.undo()
    assert database.refresh()
    database.close()


def test_a_disk_that_is_full_in_the_middle_of_a_copy_is_said_and_nothing_stays(tmp_path: Path) -> None:
    base = sqlite3.connect(tmp_path / "rpmdb.sqlite")
    base.execute("CREATE TABLE Packages (hnum INTEGER PRIMARY KEY, blob BLOB NOT NULL)")
    base.execute("INSERT INTO Packages (blob) VALUES (zeroblob(300000))")
    base.commit()
    base.close()
    small = tmp_path / "own"
    small.mkdir()
    code = (
        "import resource, signal, sys; from pathlib import Path;"
        "from collectors.integrity.packages.rpm_database import RpmDatabase; from contracts.errors import Unavailable;"
        "from host.linux import LinuxHost; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100000, 100000))\n"
        "try: RpmDatabase(LinuxHost(), sys.argv[1], Path(sys.argv[2])).refresh()\n"
        "except Unavailable as error: print(error.message, '|', error.advice)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path), str(small)], capture_output=True, text=True, check=True
    )
    assert "rpmdb.sqlite cannot be copied: File too large | Free space" in done.stdout
    assert list(small.iterdir()) == []


def test_what_is_only_in_the_write_ahead_log_is_read_too(tmp_path: Path) -> None:
    path, own = tmp_path / "rpmdb.sqlite", tmp_path / "own"
    own.mkdir()
    base = sqlite3.connect(path)
    base.executescript("PRAGMA journal_mode=WAL; CREATE TABLE Packages (hnum INTEGER PRIMARY KEY, blob BLOB NOT NULL);")
    base.execute("INSERT INTO Packages (blob) VALUES (x'01')")
    base.commit()
    database = _database(tmp_path, own)
    assert Path(f"{path}-wal").stat().st_size and database.refresh() and list(database.blobs()) == [(1, b"\1")]
    base.close()
    database.close()


def test_the_other_formats_of_rpm_are_named(rpms, tmp_path: Path) -> None:
    for name, what in (("Packages", "Berkeley DB"), ("Packages.db", "ndb")):
        (rpms.database / name).touch()
        assert folder_of(LinuxHost()) == str(rpms.database)
        with pytest.raises(Unavailable, match=f"of the format {what}, which is not read") as told:
            _database(rpms.database, tmp_path / "own").refresh()
        assert told.value.why is Why.INCOMPATIBLE and "sqlite" in told.value.advice


def test_a_database_that_is_none_is_said(tmp_path: Path, monkeypatch) -> None:
    place = tmp_path / "own"
    with pytest.raises(Unavailable, match="there is no database of rpm"):
        _database(tmp_path, place).refresh()
    (tmp_path / "rpmdb.sqlite").write_bytes(b"nonsense" * 1000)
    with pytest.raises(Unavailable, match="not a database"):
        _database(tmp_path, place).refresh()
    (tmp_path / "rpmdb.sqlite").unlink()
    base = sqlite3.connect(tmp_path / "rpmdb.sqlite")
    base.execute(
        "CREATE VIEW Packages AS WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x FROM c) SELECT x AS hnum, x AS blob FROM c"
    )
    base.commit()
    base.close()
    with pytest.raises(Unavailable, match="no table of packages"):
        _database(tmp_path, place).refresh()
    monkeypatch.setattr(rpm_database, "MOST_DATABASE", 100)
    with pytest.raises(Unavailable, match="larger than"):
        _database(tmp_path, place).refresh()


def test_copies_of_a_process_that_was_killed_are_removed_and_those_of_others_stay(tmp_path: Path) -> None:
    sqlite3.connect(tmp_path / "a").close()
    (tmp_path / "a").write_bytes(b"")
    own = tmp_path / "own"
    for name, is_old in (("rpmdb-old", True), ("rpmdb-new", False)):
        (own / name).mkdir(parents=True)
        if is_old:
            os.utime(own / name, (1, 1))
    copy = SqliteCopy(LinuxHost(), str(tmp_path / "a"), own)
    assert copy.refresh() and not (own / "rpmdb-old").exists() and (own / "rpmdb-new").exists()
    copy.close()


def test_a_database_that_changes_whenever_it_is_read_is_said(tmp_path: Path, monkeypatch) -> None:
    sqlite3.connect(tmp_path / "a").execute("CREATE TABLE t (x)")
    copy = SqliteCopy(LinuxHost(), str(tmp_path / "a"), tmp_path)
    marks = iter(range(100))
    monkeypatch.setattr(copy, "stamp", lambda: (next(marks),))
    with pytest.raises(Unavailable, match="changed whenever"):
        copy.refresh()
