"""Open the console's database: connections, pragmas, and bringing its schema up to date."""

import sqlite3
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, inspect, text
from sqlalchemy.exc import SQLAlchemyError

from contracts.errors import HoldfastError, NewerData

HEAD = "0002"
"""The newest revision in `console/migrations/versions`; a test compares."""

BUSY_MS = 15_000


def open_engines(path: Path) -> tuple[Engine, Engine]:
    """Return an engine that writes and one that reads the SQLite file at `path`, its schema brought up to date.

    Raises `NewerData`, with the file untouched, when a newer version wrote it, and `HoldfastError` when it cannot be opened.
    """
    try:
        _refuse_newer(path)
        path.touch(mode=0o600)
        writer = _sqlite(path, read_only=False)
        with writer.connect() as connection:
            _upgrade(connection)
    except (SQLAlchemyError, sqlite3.Error, OSError) as error:
        cause = getattr(error, "orig", None) or error
        raise HoldfastError(
            f"the database {path} cannot be opened: {cause}",
            advice="check that the directory is writable by this user and the file is the console's",
        ) from error
    return writer, _sqlite(path, read_only=True)


def _refuse_newer(path: Path) -> None:
    """Look at the version without changing a byte: a newer file must stay as it is."""
    if not path.exists() or path.stat().st_size == 0:
        return
    probe = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
    try:
        rows = probe.execute("SELECT name FROM sqlite_master WHERE name = 'alembic_version'").fetchall()
        found = probe.execute("SELECT version_num FROM alembic_version").fetchall() if rows else []
    finally:
        probe.close()
    for (revision,) in found:
        if str(revision) not in known_revisions():
            raise NewerData(
                f"the database {path} has schema {revision}, newer than this version of Holdfast knows ({HEAD})",
                advice="install the newer version, or restore the database from a backup made with this one",
            )


def known_revisions() -> frozenset[str]:
    """Return every revision that this version can come from."""
    versions = Path(__file__).resolve().parent.parent / "migrations" / "versions"
    return frozenset(entry.name.split("_", 1)[0] for entry in versions.glob("[0-9]*_*.py"))


def _sqlite(path: Path, *, read_only: bool) -> Engine:
    engine = create_engine(
        f"sqlite:///{path}",
        connect_args={"timeout": BUSY_MS / 1000, "check_same_thread": False},
        pool_size=1 if not read_only else 4,
        max_overflow=4,
    )

    @event.listens_for(engine, "connect")
    def _configure(connection: Any, _record: object) -> None:
        connection.isolation_level = None  # transactions are begun below, not guessed by the driver
        for pragma in (
            "journal_mode=WAL",
            "synchronous=FULL",
            "foreign_keys=ON",
            "temp_store=MEMORY",
            "cache_size=-16384",
            f"query_only={int(read_only)}",
        ):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")

    return engine


def _upgrade(connection: Connection) -> None:
    """Bring the schema to `HEAD`; Alembic is loaded only when there is something to do."""
    if _revision(connection) == HEAD:
        return
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).resolve().parent.parent / "migrations"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
    connection.commit()


def _revision(connection: Connection) -> str:
    if not inspect(connection).has_table("alembic_version"):
        return ""
    found = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    connection.rollback()
    return str(found or "")
