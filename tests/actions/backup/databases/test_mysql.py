"""MariaDB dumps against a real server with writers, and everything that can go wrong on the way into the repository."""

import os
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from actions.backup.databases.mysql import Mysql, user_statements
from actions.backup.databases.options import MysqlOptions, ProveOptions, ProveQuery
from actions.backup.databases.prove import prove_source
from actions.backup.databases.saving import Report
from actions.backup.repository import Repository
from host import commands
from host.linux import LinuxHost
from tests.actions.backup.conftest import Restic
from tests.actions.backup.databases.conftest import Server, bin_folder

Save = Callable[..., Report]
ACCOUNTS = 300
TOTAL = ACCOUNTS * 100


@pytest.fixture
def shop(mariadb: Server) -> Iterator[Server]:
    """Accounts whose total never changes, and all kinds of things that a dump must hold."""
    mariadb.sql(
        f"""
        CREATE DATABASE shop CHARACTER SET utf8mb4; USE shop;
        CREATE TABLE account(id int PRIMARY KEY, amount int NOT NULL, moves int NOT NULL DEFAULT 0) ENGINE=InnoDB;
        INSERT INTO account SELECT seq, 100, 0 FROM seq_1_to_{ACCOUNTS};
        CREATE TABLE move(id int AUTO_INCREMENT PRIMARY KEY, one int, other int) ENGINE=InnoDB;
        CREATE TABLE bulk(n int PRIMARY KEY, text varchar(64), raw varbinary(32)) ENGINE=InnoDB;
        INSERT INTO bulk SELECT seq, concat(md5(seq), md5(seq + 1)), unhex(md5(seq)) FROM seq_1_to_60000;
        CREATE VIEW rich AS SELECT * FROM account WHERE amount > 100;
        CREATE TRIGGER audit BEFORE INSERT ON bulk FOR EACH ROW SET NEW.text = upper(NEW.text);
        CREATE FUNCTION twice(n int) RETURNS int DETERMINISTIC RETURN 2 * n;
        CREATE EVENT nightly ON SCHEDULE EVERY 1 DAY DO DELETE FROM move WHERE false;
        """
    )
    yield mariadb
    mariadb.sql("DROP DATABASE shop")


def source(server: Server, user: str = "root", **more: Any) -> Mysql:
    return Mysql(MysqlOptions(socket=server.socket, user=user, **more))


@contextmanager
def user(server: Server, name: str, *grants: str, how: str = "") -> Iterator[str]:
    server.sql(
        f"CREATE USER {name}@localhost {how};" + ";".join(f"GRANT {grant} TO {name}@localhost" for grant in grants)
    )
    try:
        yield name
    finally:
        server.sql(f"DROP USER {name}@localhost")


@contextmanager
def transfers(server: Server) -> Iterator[None]:
    stop = threading.Event()
    script = f"""
    BEGIN NOT ATOMIC
      DECLARE n int DEFAULT 0; DECLARE a int; DECLARE b int;
      WHILE n < 20 DO
        SET a = 1 + floor(rand() * {ACCOUNTS - 1}), b = 1 + floor(rand() * {ACCOUNTS - 1}), n = n + 1;
        START TRANSACTION;
        UPDATE account SET amount = amount - 3, moves = moves + 1 WHERE id = least(a, b);
        UPDATE account SET amount = amount + 3 WHERE id = greatest(a, b);
        INSERT INTO move(one, other) VALUES (a, b);
        COMMIT;
      END WHILE;
    END;
    """

    def work() -> None:
        while not stop.is_set():
            server.sql(f"delimiter //\n{script}\n//", "shop")

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def test_beside_writers_a_dump_holds_one_moment_and_restores_to_the_same_answers(
    shop: Server, save: Save, host: LinuxHost, repository: Repository, restic: Restic
) -> None:
    with transfers(shop):
        moved = int(shop.sql("SELECT count(*) FROM shop.move"))
        reports = [save(source(shop)) for _ in range(2)]
    restic("check", "--read-data")
    bulk = "SELECT count(*), sum(crc32(concat(text, hex(raw)))) FROM bulk"
    questions = [
        (f"SELECT sum(amount) = {TOTAL} FROM account", "1"),
        ("SELECT (SELECT sum(moves) FROM account) = (SELECT count(*) FROM move)", "1"),
        (f"SELECT count(*) >= {moved} FROM move", "1"),
        (bulk, shop.sql(bulk, "shop")),
        ("SELECT twice(21)", "42"),
        ("SELECT count(*) FROM information_schema.triggers WHERE trigger_schema = 'shop'", "1"),
        ("SELECT count(*) FROM information_schema.events WHERE event_schema = 'shop'", "1"),
        ("SELECT count(*) >= 0 FROM rich", "1"),
    ]
    queries = tuple(ProveQuery(source="mysql", database="shop", sql=sql, expect=said) for sql, said in questions)
    for report in reports:
        report.raise_for_failure()
        options = ProveOptions(scratch="/tmp", run_as="nobody", queries=queries)
        proof = prove_source(host, repository, repository.load_snapshot(report.snapshot), options)
        proof.raise_for_failure()
        counts = {one.database: one.counts for one in proof.proved}
        assert counts["shop"]["account"] == ACCOUNTS
        assert counts["shop"]["bulk"] == 60_000
        assert counts[""]["users"] >= 2


def test_every_database_is_there_whatever_its_name(mariadb: Server, save: Save) -> None:
    names = ["a b", "-h", "a/b", "quo`te", "ärger", "it's"]
    for name in names:
        quoted = name.replace("`", "``")
        mariadb.sql(f"CREATE DATABASE `{quoted}`; CREATE TABLE `{quoted}`.mine(i int)")
    try:
        report = save(source(mariadb))
        report.raise_for_failure()
        assert {one.file for one in report.dumped} >= {
            b"a b.sql",
            b"-h.sql",
            b"a%2Fb.sql",
            b"quo%60te.sql",
            "ärger.sql".encode(),
            b"it%27s.sql",
        }
        assert not {b"mysql.sql", b"information_schema.sql"} & {one.file for one in report.dumped}
        report = save(source(mariadb, databases=("-h", "none"), exclude=("a b",)))
        assert [error.message for error in report.failed] == ["mysql/none: there is no such database, or it is hidden"]
        assert {one.file for one in report.dumped} == {b"-h.sql", b"users.sql"}
    finally:
        for name in names:
            quoted = name.replace("`", "``")
            mariadb.sql(f"DROP DATABASE `{quoted}`")


def test_tables_without_transactions_and_histories_are_named(shop: Server, save: Save) -> None:
    shop.sql("CREATE TABLE old(i int) ENGINE=MyISAM; CREATE TABLE past(i int) WITH SYSTEM VERSIONING", "shop")
    report = save(source(shop))
    report.raise_for_failure()
    said = {one.what: one.detail for one in report.blind}
    assert said["1 tables of mysql/shop as of the same moment as the others"].endswith("old (MyISAM)")
    assert said["the history of 1 system-versioned tables of mysql/shop"].endswith("past")


def test_what_a_server_hides_from_a_user_is_reported(shop: Server, save: Save) -> None:
    with user(shop, "few", "SELECT, LOCK TABLES, SHOW VIEW ON shop.*", "SELECT ON mysql.*"):
        report = save(source(shop, "few"))
        said = {one.what for one in report.blind}
        assert "databases of mysql in which the user has no privilege" in said
        assert {"all triggers of mysql/shop", "all events of mysql/shop"} <= said
    with user(shop, "fewer", "SELECT ON shop.account", "SELECT ON mysql.*"):
        said = {one.what for one in save(source(shop, "fewer")).blind}
        assert "all tables and routines of mysql/shop" in said


def test_a_routine_that_is_left_out_fails_the_dump(shop: Server, save: Save) -> None:
    grants = ("SELECT, LOCK TABLES, SHOW VIEW, TRIGGER, EVENT, EXECUTE ON shop.*", "SHOW DATABASES ON *.*")
    with user(shop, "few", *grants):
        report = save(source(shop, "few", databases=("shop",)))
        said = [error.message for error in report.failed]
        assert any("insufficient privileges to" in one for one in said), said
        assert not any(one.file == b"shop.sql" for one in report.dumped)


def test_the_user_that_is_printed_reads_everything(
    shop: Server, save: Save, host: LinuxHost, repository: Repository
) -> None:
    shop.sql(user_statements("nobody"))
    try:
        ours = Mysql(MysqlOptions(socket=shop.socket, run_as="nobody"))
        assert ours.unreadable(host) == []
        report = save(ours)
        report.raise_for_failure()
        assert report.blind == []
        options = ProveOptions(scratch="/tmp", run_as="nobody")
        prove_source(host, repository, repository.load_snapshot(report.snapshot), options).raise_for_failure()
        denied = subprocess.run(
            ["mariadb", "--no-defaults", "-S", shop.socket, "-e", "DELETE FROM shop.account"],
            user="nobody",
            check=False,
            capture_output=True,
        )
        assert denied.returncode
    finally:
        shop.sql("DROP USER nobody@localhost")


def test_a_password_goes_by_a_file_in_memory(shop: Server, save: Save, tmp_path: Path) -> None:
    password = "a\"b'c\\d #e=; "
    quoted = password.replace("\\", "\\\\").replace("'", "''")
    secret = tmp_path / "secret"
    secret.write_text(password + "\n")
    with user(shop, "paul", "ALL PRIVILEGES ON *.*", how=f"IDENTIFIED BY '{quoted}'"):
        save(source(shop, "paul", password=f"file:{secret}")).raise_for_failure()
        secret.write_text("wrong")
        report = save(source(shop, "paul", password=f"file:{secret}"))
        assert not report.snapshot
        assert "Access denied for user 'paul'@'localhost' (using password: YES)" in report.failed[0].message


def test_a_table_that_cannot_be_read_fails_its_database(shop: Server, save: Save) -> None:
    with user(shop, "few", "SHOW DATABASES ON *.*", "INSERT ON shop.account", "SELECT ON mysql.*"):
        report = save(source(shop, "few", databases=("shop",)))
        (failed,) = report.failed
        assert "ended with code 2" in failed.message
        assert "SELECT command denied" in failed.message


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ('/usr/bin/mariadb-dump "$@" | head -c 200000', "its end marker is missing"),
        ('/usr/bin/mariadb-dump "$@" | head -n -1', "its end marker is missing"),
        ("exit 0", "0 bytes"),
        ("echo '-- Dump completed on 2026-01-01'", "it begins with"),
        ('/usr/bin/mariadb-dump "$@"; echo oh no >&2; exit 2', "ended with code 2 (oh no)"),
    ],
)
def test_a_tool_that_lies_about_success_is_found_out(
    shop: Server, save: Save, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, words: str
) -> None:
    lying = f'case "$*" in *shop*) ;; *) exec /usr/bin/mariadb-dump "$@";; esac\n{script}'
    folder = bin_folder(tmp_path / "bin", **{"mariadb-dump": lying})
    monkeypatch.setattr(commands, "SEARCH", (str(folder), *commands.SEARCH))
    report = save(source(shop, databases=("shop",)))
    (failed,) = report.failed
    assert words in failed.message
    assert {one.file for one in report.dumped} == {b"users.sql"}


def test_a_dump_whose_session_is_killed_is_not_kept(shop: Server, save: Save) -> None:
    shop.sql("INSERT INTO bulk SELECT seq + 100000, md5(seq), unhex(md5(seq)) FROM seq_1_to_400000", "shop")
    killed: list[int] = []

    def kill(file: bytes, _count: int) -> None:
        if file == b"shop.sql" and not killed:
            for folder in Path("/proc").glob("[0-9]*"):
                try:
                    words = (folder / "cmdline").read_bytes().split(b"\0")
                except OSError:
                    continue
                if words[0].endswith(b"mariadb-dump") and b"shop" in words:
                    killed.append(int(folder.name))
                    os.kill(killed[0], signal.SIGKILL)

    report = save(source(shop), progress=kill)
    assert killed
    (failed,) = report.failed
    assert "was killed by signal 9" in failed.message


def test_a_server_that_is_not_there_is_a_failure_without_a_snapshot(save: Save, tmp_path: Path) -> None:
    report = save(Mysql(MysqlOptions(socket=str(tmp_path / "none"))))
    assert not report.snapshot
    assert "Can't connect to local server" in report.failed[0].message


def test_the_users_of_a_server_without_a_tool_for_them_are_asked_one_by_one(
    shop: Server, save: Save, restic: Restic, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What MySQL gets; here MariaDB is taken for it, which answers the same questions."""
    monkeypatch.setattr(Mysql, "_is_mariadb", lambda *_: False)
    with user(shop, "paul", "SELECT ON shop.*", how="IDENTIFIED BY 'x'"):
        report = save(source(shop, databases=("shop",)))
        said = restic("dump", report.snapshot, "/databases/mysql/users.sql").stdout.decode()
    assert "set-gtid-purged" in str(report.failed[0]), "an option of mysqldump that mariadb-dump refuses"
    assert "CREATE USER IF NOT EXISTS `paul`@`localhost` IDENTIFIED BY PASSWORD" in said
    assert "GRANT SELECT ON `shop`.* TO `paul`@`localhost`;" in said
    assert said.endswith("-- Dump completed\n")
