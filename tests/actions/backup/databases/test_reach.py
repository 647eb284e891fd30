"""What roles cannot read, asked of real servers, by `holdfast backup databases check` and by itself; the statements it prints mend it."""

import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from actions.backup.databases.options import (
    CommandOptions,
    DatabaseOptions,
    MysqlOptions,
    PostgresqlOptions,
    RedisOptions,
    SqliteOptions,
)
from actions.backup.databases.reach import Reach, reaches
from agent import command
from contracts.errors import UsageError
from host.linux import LinuxHost
from tests.actions.backup.databases.conftest import Cluster, Server, redis

Check = Callable[..., tuple[int, Any]]


@pytest.fixture
def check(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Check:
    """Run `holdfast backup databases check` with these databases in the settings; returns its code and what it said."""

    def run(databases: dict[str, Any], *words: str) -> tuple[int, Any]:
        job = {"repository": "/srv/x", "paths": [], "databases": databases}
        config = tmp_path / "agent.yaml"
        config.write_text(json.dumps({"backup": {"jobs": {"etc": job}}}))
        capfd.readouterr()
        code = command.run(["backup", "databases", "check", "-c", str(config), *words])
        said = capfd.readouterr()
        assert "Traceback" not in said.err
        return code, json.loads(said.out) if "--json" in words else said.out + said.err

    return run


@contextmanager
def shop(cluster: Cluster) -> Iterator[None]:
    """A database with what an ordinary role cannot read: a table, a large object, row security, passwords of roles."""
    cluster.drop("reach")
    cluster.sql("CREATE ROLE keeper LOGIN PASSWORD 'secret'")
    cluster.sql('CREATE DATABASE "reach"')
    cluster.sql(
        "CREATE TABLE account(n int); ALTER TABLE account ENABLE ROW LEVEL SECURITY; SELECT lo_from_bytea(0, 'x')",
        "reach",
    )
    try:
        yield
    finally:
        cluster.drop("reach")
        cluster.sql("DROP ROLE keeper")


def test_postgresql_names_what_the_role_lacks_and_its_statements_mend_it(cluster: Cluster, check: Check) -> None:
    databases = {
        "postgresql": [{"host": str(cluster.folder), "role": "poor", "databases": ["reach"], "run_as": "postgres"}]
    }
    with shop(cluster):
        cluster.sql("CREATE ROLE poor LOGIN")
        try:
            code, said = check(databases)
            assert code == 3
            for part in (
                'CREATE ROLE "poor" LOGIN',
                "passwords",
                "large objects",
                "1 tables and sequences",
            ):
                assert part in said, said
            cluster.sql("GRANT pg_read_all_data TO poor")
            code, (row,) = check(databases, "--json")
            assert code == 3
            assert any("row security" in blind["what"] for blind in row["unreadable"])
            cluster.sql("REVOKE pg_read_all_data FROM poor; DROP ROLE poor")
            cluster.sql(row["statements"])
            code, said = check(databases)
            assert (code, "Everything of it can be read." in said) == (0, True), said
        finally:
            cluster.sql("DROP ROLE IF EXISTS poor")


def test_mariadb_names_each_missing_privilege_once(mariadb: Server, check: Check) -> None:
    databases = {"mysql": [{"socket": mariadb.socket, "run_as": "nobody"}]}
    mariadb.sql("CREATE DATABASE reach; CREATE TABLE reach.t(n int) ENGINE=InnoDB")
    mariadb.sql("CREATE USER nobody@localhost IDENTIFIED VIA unix_socket; GRANT SELECT ON *.* TO nobody@localhost")
    try:
        code, (row,) = check(databases, "--json")
        assert code == 3
        lacking = [blind["what"] for blind in row["unreadable"]]
        assert sorted(lacking) == sorted(set(lacking)) != []
        assert any("triggers" in what for what in lacking)
        mariadb.sql("DROP USER nobody@localhost")
        mariadb.sql(row["statements"])
        code, said = check(databases)
        assert (code, "Everything of it can be read." in said) == (0, True), said
    finally:
        mariadb.sql("DROP USER IF EXISTS nobody@localhost; DROP DATABASE reach")


def test_redis_is_asked_without_making_it_save_anything(redis_folder: Path, check: Check, tmp_path: Path) -> None:
    (tmp_path / "password").write_text("pw")
    (tmp_path / "password").chmod(0o600)
    options = {"socket": str(redis_folder / "socket"), "user": "backup", "password": f"file:{tmp_path}/password"}
    redis(redis_folder, "ACL", "SETUSER", "backup", "on", ">pw", "resetkeys", "-@all", "+ping")
    before = redis(redis_folder, "INFO", "stats").split("total_forks:")[1].split()[0]
    try:
        code, (row,) = check({"redis": [options]}, "--json")
        assert (code, {blind["why"] for blind in row["unreadable"]}) == (3, {"permission"})
        statement = row["statements"].strip().replace(">PASSWORD", ">pw").split()
        assert redis(redis_folder, *statement) == "OK"
        code, said = check({"redis": [options]})
        assert (code, "Everything" in said) == (0, True), said
        assert redis(redis_folder, "INFO", "stats").split("total_forks:")[1].split()[0] == before
    finally:
        redis(redis_folder, "ACL", "DELUSER", "backup")


def test_what_cannot_be_asked_is_said_and_is_no_success(check: Check, tmp_path: Path) -> None:
    databases = {"postgresql": [{"host": str(tmp_path)}], "command": [{"name": "x", "argv": ["/nowhere/tool"]}]}
    code, said = check(databases)
    assert code == 3
    assert said.count("NOT ASKED") == 2
    code, said = check({"command": [{"name": "x", "argv": ["/bin/echo"]}]})
    assert (code, "Everything" in said) == (0, True)


def test_files_of_sqlite_are_looked_at(tmp_path: Path, check: Check) -> None:
    with sqlite3.connect(tmp_path / "good.db") as database:
        database.execute("CREATE TABLE t(x)")
    assert check({"sqlite": [{"paths": [str(tmp_path / "good.db")]}]})[0] == 0
    (tmp_path / "text").write_text("no database")
    code, said = check({"sqlite": [{"paths": [str(tmp_path / "text")]}]})
    assert (code, "not an SQLite database" in said) == (3, True)


def test_the_tools_run_as_the_workers_user_unless_the_settings_say_another() -> None:
    seen: list[str] = []

    class Host(LinuxHost):
        def stream(self, *argv: str, user: str = "", **more: Any) -> Any:
            seen.append(user)
            return super().stream("false", user="", **more)

    options = DatabaseOptions(
        postgresql=(PostgresqlOptions(), PostgresqlOptions(name="other", run_as="postgres")), mysql=(MysqlOptions(),)
    )
    found = list(reaches(options, Host(), "nobody"))  # type: ignore[arg-type]
    assert (seen[0], seen[1], seen[-1]) == ("nobody", "postgres", "nobody")
    assert all(isinstance(reach, Reach) and reach.failed and not reach.whole for reach in found)
    assert 'CREATE ROLE "holdfast-backup"' not in found[0].statements
    assert 'CREATE ROLE "nobody"' in found[0].statements


def test_two_of_one_name_are_refused() -> None:
    twice = DatabaseOptions(redis=(RedisOptions(),), command=(CommandOptions(name="redis", argv=("/bin/true",)),))
    with pytest.raises(UsageError, match="called 'redis'"):
        list(reaches(twice, LinuxHost()))  # type: ignore[arg-type]
    assert list(reaches(DatabaseOptions(sqlite=()), LinuxHost())) == []  # type: ignore[arg-type]
    assert SqliteOptions(paths=("/x",)).name == "sqlite"
