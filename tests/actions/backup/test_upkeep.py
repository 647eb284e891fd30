"""What follows a backup: each step stated, none that goes wrong keeping the others from their work."""

import os
import random
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from actions.backup.archiver import Archiver, Choices
from actions.backup.blobs import BlobType
from actions.backup.databases.options import ProveOptions, ProveQuery, SqliteOptions
from actions.backup.databases.saving import snapshot_source
from actions.backup.databases.sqlite import Sqlite
from actions.backup.ids import id_of
from actions.backup.memory import Memory
from actions.backup.options import JobOptions, KeepOptions, ProofOptions, ReplicaOptions, SshOptions
from actions.backup.repository import Repository
from actions.backup.stores.local import LocalStore
from actions.backup.stores.store import StoreError
from actions.backup.upkeep import Upkeep, scratch_in
from contracts.event import Event
from host.linux import LinuxHost
from tests.actions.backup.conftest import PASSWORD
from tests.actions.backup.stores.sshd import Sshd


@pytest.fixture
def made(repository: Repository, tmp_path: Path) -> str:
    (tmp_path / "source").mkdir()
    for number in range(5):
        (tmp_path / "source" / f"file{number}").write_bytes(os.urandom(2000))
    repository.load_index()
    id, _ = Archiver(repository).snapshot([str(tmp_path / "source")], hostname="here", tags=["etc"])
    return id


def upkeep(where: Path, tmp_path: Path, *snapshots: str, **options: object) -> Upkeep:
    state = tmp_path / "state"
    state.mkdir(exist_ok=True)
    job = JobOptions(repository=str(where), paths=(str(tmp_path / "source"),), **options)  # type: ignore[arg-type]
    return Upkeep(
        "etc",
        job,
        LocalStore(where),
        PASSWORD,
        "here",
        scratch_in(str(state)),
        Memory(),
        snapshots,
        dice=random.Random(1),
    )


def kinds(events: Iterator[Event]) -> list[str]:
    return [event.kind for event in events]


def test_a_new_snapshot_is_proved_and_the_repository_checked(where: Path, tmp_path: Path, made: str) -> None:
    work = upkeep(where, tmp_path, made)
    assert kinds(work.run()) == ["backup.proved", "backup.checked"]
    assert made in work.memory.proved
    assert kinds(work.run()) == ["backup.proved"], "a check is not due again"
    assert kinds(work.run("check")) == ["backup.checked"], "unless a person asks for it"
    assert list(Path(work.scratch).iterdir()) == []


def test_a_damaged_pack_fails_the_proof_and_the_check_by_name(where: Path, tmp_path: Path, made: str) -> None:
    for pack in (where / "data").rglob("*"):
        if pack.is_file() and pack.stat().st_size > 3000:
            pack.chmod(0o600)
            pack.write_bytes(pack.read_bytes()[:-2000] + bytes(2000))
    events = list(upkeep(where, tmp_path, made, proof=ProofOptions(check_data="100%")).run())
    assert [event.kind for event in events] == ["backup.not_proved", "backup.damaged"]
    assert any("file" in str(path) for path in events[0].fields["paths"])  # type: ignore[union-attr]
    assert events[1].fields["problems"]


def test_a_step_that_breaks_is_stated_and_the_others_go_on(
    where: Path, tmp_path: Path, made: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise StoreError("the store is gone")

    def defect(*_: object, **__: object) -> None:
        raise ZeroDivisionError("a defect")

    monkeypatch.setattr("actions.backup.upkeep.prove", broken)
    monkeypatch.setattr("actions.backup.upkeep.retire", defect)
    events = list(upkeep(where, tmp_path, made).run())
    assert [(event.kind, event.fields.get("step")) for event in events] == [
        ("backup.upkeep_failed", "prove"),
        ("backup.checked", None),
        ("backup.upkeep_failed", "retire"),
    ]


def test_retention_follows_the_proof_of_the_same_run(
    where: Path, tmp_path: Path, repository: Repository, made: str
) -> None:
    repository.load_index()
    ids = [made]
    for _ in range(3):
        id, _ = Archiver(repository).snapshot([str(tmp_path / "source")], hostname="here", tags=["etc"])
        repository.load_index()
        ids.append(id)
    keep = KeepOptions(last=2)
    assert "backup.retention_held" in kinds(upkeep(where, tmp_path, keep=keep).run())
    assert kinds(upkeep(where, tmp_path, ids[-1], keep=keep).run())[-1] == "backup.forgotten"
    assert {name for name, _ in repository.snapshots()} == set(ids[-2:])


def test_a_copy_is_made_whole_and_attacked(where: Path, tmp_path: Path, made: str) -> None:
    folder, root = tmp_path / "ssh", tmp_path / "server"
    folder.mkdir()
    root.mkdir()
    server = Sshd(folder, root).start()
    ssh = SshOptions(key_file=str(folder / "client_key"), known_hosts=str(folder / "known_hosts"))
    try:
        target = f"sftp://root@127.0.0.1:{server.port}/{root}/copy"
        events = list(upkeep(where, tmp_path, replicas=(ReplicaOptions(target=target, ssh=ssh),)).run("replicate"))
        assert [event.kind for event in events] == ["backup.replicated", "backup.target_mutable"], events
        copy = Repository.open(LocalStore(root / "copy"), PASSWORD)
        assert made in {name for name, _ in copy.snapshots()}
        other = " ".join((folder / "client_key.pub").read_text().split()[:2])
        (folder / "known_hosts").write_text(f"[127.0.0.1]:{server.port} {other}\n")  # not the key that the server shows
        events = list(
            upkeep(where, tmp_path, replicas=(ReplicaOptions(target=target, ssh=ssh, attack=False),)).run("replicate")
        )
        assert [event.kind for event in events] == ["backup.replication_failed"]
    finally:
        server.stop()


def test_what_is_wrong_with_one_place_keeps_no_other_from_its_copy(where: Path, tmp_path: Path, made: str) -> None:
    folder, root = tmp_path / "ssh", tmp_path / "server"
    folder.mkdir()
    root.mkdir()
    server = Sshd(folder, root).start()
    ssh = SshOptions(key_file=str(folder / "client_key"), known_hosts=str(folder / "known_hosts"))
    good = ReplicaOptions(target=f"sftp://root@127.0.0.1:{server.port}/{root}/copy", ssh=ssh, attack=False)
    try:
        work = upkeep(where, tmp_path, replicas=(ReplicaOptions(target="ftp://elsewhere/copy"), good))
        events = list(work.run("replicate"))
    finally:
        server.stop()
    assert kinds(iter(events)) == ["backup.replication_failed", "backup.target_untried", "backup.replicated"]
    assert "is not a place" in str(events[0].fields["detail"])


def test_dumps_are_restored_into_a_throw_away_instance_and_an_empty_one_fails(
    where: Path, tmp_path: Path, repository: Repository, made: str
) -> None:
    database = tmp_path / "shop.db"
    with sqlite3.connect(database) as db:
        db.execute("CREATE TABLE orders (id INTEGER)")
        db.executemany("INSERT INTO orders VALUES (?)", [(number,) for number in range(7)])
    db.close()
    host: Any = LinuxHost()
    host.state = str(tmp_path)
    repository.load_index()
    source = Sqlite(SqliteOptions(name="shop", paths=(str(database),)))
    report = snapshot_source(host, repository, source, hostname="here", tags=["etc"])
    assert report.complete, report.failed
    work = upkeep(where, tmp_path, report.snapshot)
    work.host = host
    events = list(work.run("prove"))
    assert [event.kind for event in events] == ["backup.proved", "backup.database_proved"], events
    assert work.memory.databases_ns
    wrong = ProveQuery(source="shop", database=str(database), sql="SELECT count(*) FROM orders", expect="8")
    work = upkeep(where, tmp_path, report.snapshot, proof=ProofOptions(databases=ProveOptions(queries=(wrong,))))
    work.host = host
    events = list(work.run("prove"))
    assert events[-1].kind == "backup.database_not_proved", events
    assert not work.memory.databases_ns


def test_a_dump_that_was_emptied_fails_the_next_proof_unless_it_may_be_empty(
    where: Path, tmp_path: Path, repository: Repository, made: str
) -> None:
    """A database without tables is sound: what tells is that it held something when it was proved before."""
    database = tmp_path / "shop.db"
    host: Any = LinuxHost()
    host.state = str(tmp_path)
    memory = Memory()

    def proof(*may_be_empty: str) -> list[Event]:
        repository.load_index()
        report = snapshot_source(
            host, repository, Sqlite(SqliteOptions(name="shop", paths=(str(database),))), hostname="here", tags=["etc"]
        )
        assert report.complete, report.failed
        options = ProofOptions(databases=ProveOptions(may_be_empty=may_be_empty))
        work = upkeep(where, tmp_path, report.snapshot, proof=options)
        work.host, work.memory = host, memory
        return [event for event in work.run("prove") if event.kind.startswith("backup.database")]

    sqlite3.connect(database).execute("VACUUM").connection.close()
    assert [event.kind for event in proof()] == ["backup.database_proved"], "it was empty from the beginning"
    with sqlite3.connect(database) as db:
        db.execute("CREATE TABLE orders (id INTEGER)")
        db.executemany("INSERT INTO orders VALUES (?)", [(number,) for number in range(7)])
    db.close()
    assert [event.kind for event in proof()] == ["backup.database_proved"]
    with sqlite3.connect(database) as db:
        db.execute("DROP TABLE orders")
    db.close()
    for _ in range(2):
        (event,) = proof()
        assert event.kind == "backup.database_not_proved"
        assert "shop.db: it holds nothing, and held 7" in str(event.fields["detail"])
    assert [event.kind for event in proof("shop")] == ["backup.database_proved"]
    assert [event.kind for event in proof()] == ["backup.database_proved"], "and from then on that is what it holds"


def test_of_several_snapshots_what_failed_is_the_last_word(where: Path, tmp_path: Path, repository: Repository) -> None:
    """The book of the jobs goes by the last event: a good dump must not take back what a bad snapshot of files has said."""
    (tmp_path / "source").mkdir(exist_ok=True)
    ids = []
    for number in range(2):
        (tmp_path / "source" / f"file{number}").write_bytes(os.urandom(2000))
        repository.load_index()
        archiver = Archiver(repository)
        ids.append(archiver.snapshot([str(tmp_path / "source" / f"file{number}")], hostname="here", tags=["etc"])[0])
    pack = repository.index.find(BlobType.DATA, id_of((tmp_path / "source" / "file0").read_bytes()))[0].pack.hex()
    path = where / "data" / pack[:2] / pack
    path.chmod(0o600)
    path.write_bytes(bytes(path.stat().st_size))
    events = list(upkeep(where, tmp_path, *ids).run("prove"))
    assert [(event.kind, event.fields["snapshot"]) for event in events] == [
        ("backup.proved", ids[1]),
        ("backup.not_proved", ids[0]),
    ]
    events = list(upkeep(where, tmp_path, ids[0], "f" * 64).run("prove"))
    assert [event.kind for event in events] == ["backup.not_proved", "backup.upkeep_failed"], (
        "nor is it lost by another"
    )


@pytest.mark.parametrize("tags", [["etc"], ["etc", "partial"]])
def test_names_are_missed_unless_the_snapshot_says_itself_that_it_lacks_some(
    where: Path, tmp_path: Path, repository: Repository, tags: list[str]
) -> None:
    """The run that made it has told what it could not read, as `partial`; the daily proof does not tell it as lost every day."""
    source = tmp_path / "source"
    source.mkdir()
    for name in ("kept", "left"):
        (source / name).write_bytes(os.urandom(500))
    repository.load_index()
    archiver = Archiver(repository, Choices(excluded=lambda path, _: path.endswith(b"left")))
    id, _ = archiver.snapshot([str(source)], hostname="here", tags=tags)
    work = upkeep(where, tmp_path, id)
    work.host = LinuxHost()
    events = list(work.prove())
    assert kinds(iter(events)) == ["backup.proved" if "partial" in tags else "backup.not_proved"]
    if "partial" not in tags:
        assert f"{source}/left: is not in the snapshot" in str(events[0].fields["detail"])
