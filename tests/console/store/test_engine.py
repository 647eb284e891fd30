"""The schema: made by migrations, the same as declared, brought forward from every version, and never touched when it is newer."""

import sqlite3
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from console.store.engine import HEAD, known_revisions, open_engines
from console.store.schema import metadata
from console.store.sql import open_sqlite
from contracts.errors import HoldfastError, NewerData


def test_migrations_make_what_is_declared(tmp_path: Path) -> None:
    writing, _ = open_engines(tmp_path / "console.db")
    with writing.connect() as connection:
        context = MigrationContext.configure(connection)
        assert compare_metadata(context, metadata) == []
        assert context.get_current_revision() == HEAD
    assert max(known_revisions()) == HEAD


def test_a_newer_database_is_refused_and_left_untouched(tmp_path: Path) -> None:
    path = tmp_path / "console.db"
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE alembic_version (version_num TEXT)")
        database.execute("INSERT INTO alembic_version VALUES ('9999')")
    database.close()
    before = path.read_bytes()
    with pytest.raises(NewerData, match="9999") as caught:
        open_sqlite(path, 1.0)
    assert caught.value.exit_code == 78
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["console.db"]


def test_data_of_the_first_version_is_brought_forward(tmp_path: Path) -> None:
    """The dump is what version 0001 wrote; it stays as it is when later versions come."""
    dump = Path(__file__).parents[2] / "fixtures" / "console" / "schema-0001.sql"
    database = sqlite3.connect(tmp_path / "console.db")
    database.executescript(dump.read_text())
    database.close()
    writing, _ = open_engines(tmp_path / "console.db")
    with writing.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
        rows = connection.exec_driver_sql("SELECT id, hostname FROM agents").fetchall()
        events = connection.exec_driver_sql("SELECT kind, seq FROM events ORDER BY seq").fetchall()
    assert [tuple(row) for row in rows] == [("a" * 32, "web-1")]
    assert [tuple(row) for row in events] == [("ports.listener_opened", 1), ("ports.listener_opened", 2)]


def test_an_upgrade_that_fails_leaves_the_old_version_as_it_was(tmp_path: Path) -> None:
    dump = Path(__file__).parents[2] / "fixtures" / "console" / "schema-0001.sql"
    path = tmp_path / "console.db"
    database = sqlite3.connect(path)
    database.executescript(dump.read_text())
    database.execute("CREATE TABLE api_tokens (in_the_way)")
    database.close()
    with pytest.raises(HoldfastError, match="cannot be opened"):
        open_engines(path)
    database = sqlite3.connect(path)
    assert database.execute("SELECT version_num FROM alembic_version").fetchall() == [("0001",)]
    database.execute("DROP TABLE api_tokens")
    database.close()
    writing, _ = open_engines(path)
    with writing.connect() as connection:
        assert MigrationContext.configure(connection).get_current_revision() == HEAD


@pytest.mark.parametrize("content", [b"this is not a database" * 100, b"SQLite format 3\0" + b"\xff" * 5000])
def test_a_damaged_file_is_one_sentence(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "console.db").write_bytes(content)
    with pytest.raises(HoldfastError, match=r"console\.db cannot be opened"):
        open_engines(tmp_path / "console.db")


def test_readers_cannot_write(tmp_path: Path) -> None:
    _, reading = open_engines(tmp_path / "console.db")
    with reading.connect() as connection, pytest.raises(Exception, match="readonly"):
        connection.exec_driver_sql("DELETE FROM events")
