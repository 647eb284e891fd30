"""A proof fails when a dump does, and says which: emptied, exchanged, damaged, incomplete, or answering otherwise than it should."""

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from actions.backup.databases.command import Command
from actions.backup.databases.options import (
    CommandOptions,
    PostgresqlOptions,
    ProveOptions,
    ProveQuery,
    SqliteOptions,
)
from actions.backup.databases.postgresql import Postgresql
from actions.backup.databases.prove import ProofReport, prove_source
from actions.backup.databases.saving import Report
from actions.backup.databases.sqlite import Sqlite
from actions.backup.databases.throwaway import ProofFailed
from actions.backup.node import Node
from actions.backup.repository import Repository
from actions.backup.snapshot import Snapshot
from actions.backup.stream import Pieces, file_node, save_folders, save_stream
from actions.backup.times import format_time
from host.linux import LinuxHost
from tests.actions.backup.databases.conftest import Cluster

Save = Callable[..., Report]


@pytest.fixture
def prove(host: LinuxHost, repository: Repository, entered: Path) -> Iterator[Callable[..., ProofReport]]:
    """Prove a snapshot; nothing may stay behind."""

    def run(snapshot: str, *queries: ProveQuery, **more: object) -> ProofReport:
        repository.load_index()
        options = ProveOptions(scratch=str(entered), run_as="nobody", queries=queries, **more)  # type: ignore[arg-type]
        return prove_source(host, repository, repository.load_snapshot(snapshot), options)

    yield run
    assert list(entered.iterdir()) == []


def replaced(repository: Repository, snapshot: str, path: bytes, content: list[bytes]) -> str:
    """A snapshot like the other, but that one file holds something else."""
    repository.load_index()
    before = repository.load_snapshot(snapshot)
    saver = repository.saver()
    nodes: dict[bytes, Node] = {}

    def gather(tree: str, folder: bytes) -> None:
        for name, node in repository.load_tree(bytes.fromhex(tree)):
            here = folder + b"/" + name if folder else name
            if node.subtree:
                gather(node.subtree, here)
            else:
                nodes[here] = node

    gather(before.tree, b"")
    nodes[path] = save_stream(saver, repository.chunker(), Pieces(content), file_node(path.rpartition(b"/")[2], 1))
    tree = save_folders(saver, nodes, 1)
    saver.finish()
    return repository.save_snapshot(
        Snapshot(time=format_time(2), tree=tree, paths=before.paths, hostname="here", tags=before.tags)
    )


@pytest.fixture
def saved(cluster: Cluster, save: Save) -> Iterator[str]:
    cluster.sql("CREATE DATABASE proof")
    cluster.sql("CREATE TABLE t AS SELECT generate_series(1, 1000) AS i; CREATE TABLE u(i int)", "proof")
    report = save(Postgresql(PostgresqlOptions(host=str(cluster.folder), role="postgres")))
    report.raise_for_failure()
    yield report.snapshot
    cluster.drop("proof")


def question(sql: str, expect: str | None = None, database: str = "proof") -> ProveQuery:
    return ProveQuery(source="postgresql", database=database, sql=sql, expect=expect)


def test_a_good_snapshot_is_proved_with_what_it_gave_back(saved: str, prove: Callable[..., ProofReport]) -> None:
    report = prove(saved, question("SELECT sum(i) FROM t", "500500"), question("SELECT 1"))
    report.raise_for_failure()
    assert report.good
    (found,) = [one for one in report.proved if one.database == "proof"]
    assert found.counts == {"public.t": 1000, "public.u": 0}
    assert found.answers == {"SELECT sum(i) FROM t": "500500", "SELECT 1": "1"}
    assert found.seconds > 0
    assert report.seconds > found.seconds


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ([], "it is not in custom format"),
        ([b"PGDMP"], "it is not in custom format"),
        ([b"nothing like a dump"], "begins with"),
    ],
)
def test_an_emptied_dump_fails_the_proof_and_is_named(
    saved: str, prove: Callable[..., ProofReport], repository: Repository, content: list[bytes], words: str
) -> None:
    report = prove(replaced(repository, saved, b"databases/postgresql/proof.dump", content))
    assert not report.good
    (failed,) = report.failed
    assert failed.message.startswith("postgresql/proof.dump: ")
    assert words in failed.message
    assert {one.file for one in report.proved} == {b"globals.sql", b"postgres.dump"}
    with pytest.raises(ProofFailed, match=r"postgresql postgresql: 1 proofs failed: postgresql/proof.dump"):
        report.raise_for_failure()


def test_a_dump_without_its_rows_fails_a_question(
    saved: str, prove: Callable[..., ProofReport], cluster: Cluster, repository: Repository
) -> None:
    import subprocess

    words = ["pg_dump", "-h", cluster.folder, "-U", "postgres", "-d", "proof", "-Fc", "--schema-only"]
    hollow = subprocess.run(words, capture_output=True, check=True).stdout
    other = replaced(repository, saved, b"databases/postgresql/proof.dump", [hollow])
    report = prove(other, question("SELECT count(*) > 0 FROM t", "t"))
    assert "answers 'f', not 't'" in report.failed[0].message
    assert prove(other).proved[-1].counts == {"public.t": 0, "public.u": 0}


def test_roles_that_are_missing_fail_the_proof(
    saved: str, prove: Callable[..., ProofReport], cluster: Cluster, save: Save, repository: Repository
) -> None:
    cluster.sql("CREATE ROLE owner_of_t")
    cluster.sql("ALTER TABLE t OWNER TO owner_of_t", "proof")
    try:
        good = save(Postgresql(PostgresqlOptions(host=str(cluster.folder), role="postgres"))).snapshot
        assert prove(good).good
        without = [b"--\n-- PostgreSQL database cluster dump complete\n--\n"]
        report = prove(replaced(repository, good, b"databases/postgresql/globals.sql", without))
        assert any('role "owner_of_t" does not exist' in error.message for error in report.failed)
    finally:
        cluster.sql("ALTER TABLE t OWNER TO postgres", "proof")
        cluster.sql("DROP ROLE owner_of_t")


def test_a_question_that_nobody_can_be_asked_is_a_failure(saved: str, prove: Callable[..., ProofReport]) -> None:
    (failed,) = prove(saved, question("SELECT 1", database="proofs")).failed
    assert "no dump became that database" in failed.message
    assert "no_such_table" in prove(saved, question("SELECT * FROM no_such_table")).failed[0].message
    assert prove(saved, ProveQuery(source="another", database="x", sql="SELECT 1")).good


def test_damage_in_the_repository_fails_the_proof(
    saved: str, prove: Callable[..., ProofReport], where: Path, repository: Repository
) -> None:
    for pack in sorted((where / "data").rglob("?" * 64), key=lambda one: one.stat().st_size)[-1:]:
        content = bytearray(pack.read_bytes())
        content[len(content) // 3] ^= 1
        pack.chmod(0o600)
        pack.write_bytes(content)
    report = prove(saved)
    assert not report.good
    assert any("data/" in error.message for error in report.failed)


def test_an_incomplete_snapshot_is_no_proof(cluster: Cluster, save: Save, prove: Callable[..., ProofReport]) -> None:
    report = save(
        Postgresql(PostgresqlOptions(host=str(cluster.folder), role="postgres", databases=("postgres", "none")))
    )
    assert report.snapshot
    proof = prove(report.snapshot)
    assert "incomplete" in proof.failed[0].message
    assert not proof.good


def test_a_snapshot_of_files_is_none_of_a_database(repository: Repository, prove: Callable[..., ProofReport]) -> None:
    repository.load_index()
    saver = repository.saver()
    tree = save_folders(saver, {}, 1)
    saver.finish()
    for paths, tags in (
        (["/etc"], []),
        (["/databases/a"], ["database"]),
        (["/databases/a", "/databases/b"], ["database", "database:redis"]),
    ):
        id = repository.save_snapshot(Snapshot(time=format_time(1), tree=tree, paths=list(paths), tags=list(tags)))
        with pytest.raises(ProofFailed, match="not one of a database"):
            prove(id)
    id = repository.save_snapshot(
        Snapshot(time=format_time(1), tree=tree, paths=["/databases/a"], tags=["database", "database:redis"])
    )
    assert "no such directory" in prove(id).failed[0].message


def test_the_output_of_a_command_is_read_whole(save: Save, prove: Callable[..., ProofReport]) -> None:
    report = save(Command(CommandOptions(name="x", argv=("seq", "100000"))))
    proof = prove(report.snapshot)
    assert proof.proved[0].counts == {"bytes": 588_895}


def test_an_sqlite_file_that_is_not_sound_any_more_is_named(
    tmp_path: Path, save: Save, prove: Callable[..., ProofReport], repository: Repository
) -> None:
    for name in ("a.db", "b.db"):
        with closing(sqlite3.connect(tmp_path / name)) as db:
            db.execute("CREATE TABLE t(x)")
            db.executemany("INSERT INTO t VALUES (?)", [(os.urandom(300),) for _ in range(300)])
            db.commit()
    report = save(Sqlite(SqliteOptions(paths=(str(tmp_path),))))
    assert prove(report.snapshot).good
    file = os.fsencode(f"databases/sqlite{tmp_path}/a.db")
    broken = bytearray((tmp_path / "a.db").read_bytes())
    broken[4096 * 3 : 4096 * 3 + 200] = bytes(200)
    for content in ([bytes(broken)], [b"hello"], [bytes(broken[:50_000])]):
        proof = prove(replaced(repository, report.snapshot, file, content))
        assert len(proof.failed) == 1
        assert f"{tmp_path}/a.db" in proof.failed[0].message
        assert len(proof.proved) == 1
