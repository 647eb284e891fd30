"""Copies of SQLite databases while others write: as of one moment, with all that was committed before, by one who may only read."""

import ctypes
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from actions.backup.databases import sqlite_copy as module
from actions.backup.databases.source import DumpFailed
from actions.backup.databases.sqlite import private_copy
from actions.backup.databases.sqlite_copy import NotSqlite, Unsettled, copy_database
from actions.backup.databases.sqlite_locks import Busy
from tests.actions.backup.databases import sqlite_writers as writing
from tests.actions.backup.databases.sqlite_writers import _fork, counter, create, look, writers

READER = 65533
_libc = ctypes.CDLL(None, use_errno=True)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    """A directory that others can reach, and a scratch directory of the reader beside it."""
    folder = Path(tempfile.mkdtemp(prefix="hfsqlite", dir="/tmp"))
    folder.chmod(0o755)
    (folder / "scratch").mkdir(0o700)
    os.chown(folder / "scratch", READER, READER)
    yield folder
    shutil.rmtree(folder)


def as_reader(deed: Callable[[], None], *, may_read_all: bool = False) -> None:
    """Do it in a process of a user who may not write any of the files, where asked for with CAP_DAC_READ_SEARCH, as the worker has it."""

    def child() -> None:
        os.setgroups([])
        os.setgid(READER)
        if may_read_all:
            _libc.prctl(8, 1, 0, 0, 0)  # PR_SET_KEEPCAPS
        os.setuid(READER)
        if may_read_all:
            header = (ctypes.c_uint32 * 2)(0x20080522, 0)
            data = (ctypes.c_uint32 * 6)(1 << 2, 1 << 2, 0, 0, 0, 0)  # CAP_DAC_READ_SEARCH
            assert _libc.capset(header, data) == 0
        deed()

    process = _fork.Process(target=child)
    process.start()
    process.join(240)
    assert process.exitcode == 0


def copied(path: Path, scratch: Path, timeout_s: float = 60) -> bytes:
    with private_copy(os.fsencode(path), str(scratch), timeout_s) as (file, blind):
        assert blind == []
        return file.read()


def test_the_plain_ways_fail_or_lose_what_was_committed(place: Path) -> None:
    """Why all of this is needed."""
    path = place / "live" / "shop.db"
    create(path, "wal")
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("UPDATE counter SET n = 77")
    for ending in ("-wal", "-shm"):
        os.chown(f"{path}{ending}", writing.WRITER, writing.WRITER)
        os.chmod(f"{path}{ending}", 0o600)

    def deed() -> None:
        with pytest.raises(sqlite3.OperationalError), closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
            db.execute("SELECT n FROM counter").fetchone()
        with closing(sqlite3.connect(f"file:{path}?immutable=1", uri=True)) as db:
            assert db.execute("SELECT n FROM counter").fetchone() != (77,)

    as_reader(deed)
    as_reader(lambda: _assert(look(copied(path, place / "scratch"), place / "scratch") == 77), may_read_all=True)
    holder.close()


def _assert(true: bool) -> None:
    assert true


@pytest.mark.parametrize(
    ("mode", "checkpoint", "filler"),
    [
        ("wal", "", 0),
        ("wal", "", 24 << 20),
        ("wal", "PASSIVE", 8 << 20),
        ("wal", "RESTART", 0),
        ("wal", "TRUNCATE", 8 << 20),
        ("delete", "", 8 << 20),
        ("truncate", "", 0),
        ("persist", "", 0),
    ],
)
def test_every_copy_beside_writers_holds_one_moment(place: Path, mode: str, checkpoint: str, filler: int) -> None:
    path = place / "live" / "shop.db"
    create(path, mode, filler_bytes=filler)

    def deed() -> None:
        last = 0
        for _ in range(15):
            before = counter_as_root[0]()
            found = look(copied(path, place / "scratch"), place / "scratch")
            assert found >= max(before, last)
            last = found
        assert last > 0

    asked, answered = _fork.Pipe()
    thread = threading.Thread(target=_answer, args=(answered, path), daemon=True)
    thread.start()

    def ask() -> int:
        asked.send(None)
        return int(asked.recv())

    counter_as_root = [ask]
    with writers(path, checkpoint=checkpoint, mode="" if mode == "wal" else mode):
        as_reader(deed, may_read_all=True)
    asked.close()
    assert list((place / "scratch").iterdir()) == []


@pytest.mark.parametrize(("what", "mode"), [("share_checkpoint", "wal"), ("share_database", "delete")])
def test_without_our_locks_copies_beside_writers_are_torn(
    place: Path, monkeypatch: pytest.MonkeyPatch, what: str, mode: str
) -> None:
    """What shows that the test above could fail."""
    path = place / "live" / "shop.db"
    create(path, mode, filler_bytes=8 << 20)
    monkeypatch.setattr(module, what, lambda *_: None)
    monkeypatch.setattr(module._Attempt, "_still", lambda *_: None)
    deadline = time.monotonic() + 60
    with writers(path, checkpoint="PASSIVE" if mode == "wal" else "", mode="" if mode == "wal" else mode):
        while time.monotonic() < deadline:
            try:
                before = counter(path)
                assert look(copied(path, place / "scratch"), place) >= before
            except (DumpFailed, AssertionError):
                return
    pytest.fail("no copy was torn in a minute")


def _answer(pipe: "object", path: Path) -> None:
    """Tell how far the counter is, as one who may open the database properly."""
    while True:
        try:
            pipe.recv()  # type: ignore[attr-defined]
        except EOFError:
            return
        pipe.send(counter(path))  # type: ignore[attr-defined]


def test_writers_in_wal_mode_go_on_while_it_is_copied(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = place / "live" / "shop.db"
    create(path, "wal", filler_bytes=8 << 20)
    monkeypatch.setattr(module, "_PIECE", 256 << 10)
    real = os.copy_file_range
    pieces: list[int] = []

    def beside(*words: int) -> int:
        """One piece, once somebody has written since the last."""
        until = time.monotonic() + 60
        while counter(path) <= (pieces or [0])[-1]:
            assert time.monotonic() < until, "the writers stand still"
            time.sleep(0.005)
        pieces.append(counter(path))
        return real(*words)

    monkeypatch.setattr(os, "copy_file_range", beside)
    with writers(path):
        before = counter(path)
        content = copied(path, place / "scratch")
    assert len(pieces) > 20
    assert look(content, place) > before + 20


def test_a_wal_that_a_crash_left_is_taken_in(place: Path) -> None:
    path = place / "live" / "shop.db"
    create(path, "wal")
    code = f"""
import sqlite3, os
db = sqlite3.connect({str(path)!r}, isolation_level=None)
db.execute("UPDATE counter SET n = 4711")
db.execute("BEGIN")
db.execute("UPDATE counter SET n = 9999")
os._exit(9)
"""
    subprocess.run([sys.executable, "-c", code], check=False)
    assert Path(f"{path}-wal").stat().st_size > 0
    before = {one.name: one.read_bytes() for one in path.parent.iterdir()}
    assert look(copied(path, place / "scratch"), place) == 4711
    assert {one.name: one.read_bytes() for one in path.parent.iterdir()} == before


def test_a_database_from_the_future_is_not_waited_for(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = place / "live" / "shop.db"
    create(path, "wal")
    later = time.time() + 3600
    os.utime(path, (later, later))
    monkeypatch.setattr(module.time, "sleep", lambda _: pytest.fail("it waits, and holds its lock meanwhile"))
    assert look(copied(path, place / "scratch"), place) == 0


def test_a_hot_journal_is_rolled_back_in_the_copy_alone(place: Path) -> None:
    path = place / "live" / "shop.db"
    create(path, "delete", filler_bytes=1 << 20)
    code = f"""
import sqlite3, os
db = sqlite3.connect({str(path)!r}, isolation_level=None)
db.execute("PRAGMA cache_size=1"); db.execute("PRAGMA cache_spill=1")
db.execute("BEGIN")
db.execute("UPDATE counter SET n = 9999")
db.execute("UPDATE account SET amount = 5, note = hex(randomblob(900))")
db.execute("INSERT INTO filler SELECT randomblob(300000) FROM account LIMIT 20")
os._exit(9)
"""
    size = path.stat().st_size
    subprocess.run([sys.executable, "-c", code], check=False)
    assert path.stat().st_size != size, "nothing was spilled, so nothing is to be rolled back"
    before = {one.name: one.read_bytes() for one in path.parent.iterdir()}
    assert f"{path.name}-journal" in before
    content = copied(path, place / "scratch")
    assert look(content, place) == 0
    assert len(content) == size
    assert {one.name: one.read_bytes() for one in path.parent.iterdir()} == before


def test_a_crash_over_several_databases_is_left_to_their_program(place: Path) -> None:
    path = place / "live" / "shop.db"
    create(path, "delete")
    Path(f"{path}-journal").write_bytes(b"\xd9\xd5" + bytes(600) + bytes.fromhex("d9d505f920a163d7"))
    with pytest.raises(Unsettled, match="several databases"):
        copy_database(os.fsencode(path), place / "copy", time.monotonic() + 5)


def test_a_database_that_is_held_exclusively_is_named_and_not_copied_torn(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = place / "live" / "shop.db"
    create(path, "delete")
    monkeypatch.setattr(module, "_PATIENCE_S", 0.3)
    with closing(sqlite3.connect(path, isolation_level=None)) as holder:
        holder.execute("BEGIN EXCLUSIVE")
        holder.execute("UPDATE counter SET n = 5")
        with pytest.raises(Busy, match="being written"):
            copy_database(os.fsencode(path), place / "copy", time.monotonic() + 5)
        holder.execute("COMMIT")
    assert look(copied(path, place / "scratch"), place) == 5


def test_a_writer_that_has_only_begun_does_not_stop_it(place: Path) -> None:
    path = place / "live" / "shop.db"
    create(path, "delete")
    with closing(sqlite3.connect(path, isolation_level=None)) as holder:
        holder.execute("BEGIN IMMEDIATE")
        holder.execute("UPDATE counter SET n = 5")
        assert Path(f"{path}-journal").exists()
        assert look(copied(path, place / "scratch"), place) == 0
        holder.execute("COMMIT")


def test_a_file_that_changes_under_the_copy_without_locks_is_refused(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = place / "live" / "shop.db"
    create(path, "delete", filler_bytes=2 << 20)
    monkeypatch.setattr(module, "_PAUSE_S", 0)
    real = os.copy_file_range

    def beside(*words: int) -> int:
        with path.open("r+b") as file:
            file.seek(5000)
            file.write(os.urandom(8))
        return real(*words)

    monkeypatch.setattr(os, "copy_file_range", beside)
    with pytest.raises(Unsettled, match="changed under every copy"):
        copy_database(os.fsencode(path), place / "copy", time.monotonic() + 60)
    assert not (place / "copy").exists()


def test_one_that_is_replaced_meanwhile_is_copied_anew(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = place / "live" / "shop.db"
    create(path, "delete")
    other = place / "live" / "new.db"
    create(other, "delete")
    with closing(sqlite3.connect(other)) as db:
        db.execute("UPDATE counter SET n = 12")
        db.commit()
    real = os.copy_file_range

    def beside(*words: int) -> int:
        if other.exists():
            other.rename(path)
        return real(*words)

    monkeypatch.setattr(os, "copy_file_range", beside)
    assert look(copied(path, place / "scratch"), place) == 12


def test_where_the_kernel_cannot_copy_bytes_are_read_and_written(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = place / "live" / "shop.db"
    create(path, "wal", filler_bytes=1 << 20)

    def cannot(*_words: int) -> int:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "copy_file_range", cannot)
    assert look(copied(path, place / "scratch"), place) == 0


def test_what_is_no_database_is_said_to_be_none(place: Path) -> None:
    (place / "x").write_bytes(b"not a database" * 100)
    with pytest.raises(NotSqlite):
        copy_database(os.fsencode(place / "x"), place / "copy", time.monotonic() + 5)
    os.mkfifo(place / "fifo")
    with pytest.raises(NotSqlite, match="regular"):
        copy_database(os.fsencode(place / "fifo"), place / "copy", time.monotonic() + 5)
    with pytest.raises(FileNotFoundError):
        copy_database(os.fsencode(place / "none"), place / "copy", time.monotonic() + 5)


def test_a_wal_that_may_not_be_read_is_an_error_and_not_left_out(place: Path) -> None:
    path = place / "live" / "shop.db"
    create(path, "wal")
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("UPDATE counter SET n = 77")
    os.chmod(f"{path}-wal", 0o600)

    def deed() -> None:
        with pytest.raises((PermissionError, DumpFailed)):
            copied(path, place / "scratch")

    as_reader(deed)
    holder.close()
