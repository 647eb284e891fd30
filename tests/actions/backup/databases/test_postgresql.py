"""PostgreSQL dumps against a real server with writers, and everything that can go wrong on the way into the repository."""

import os
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from actions.backup.databases.options import PostgresqlOptions, ProveOptions, ProveQuery
from actions.backup.databases.postgresql import Postgresql, conninfo, role_statements
from actions.backup.databases.prove import prove_source
from actions.backup.databases.saving import Report, SourceFailed
from actions.backup.repository import Repository
from actions.backup.stores.local import LocalStore
from actions.backup.stores.store import StoreError
from host import commands
from host.linux import LinuxHost
from tests.actions.backup.conftest import CHEAP, PASSWORD, Restic
from tests.actions.backup.databases.conftest import Cluster, bin_folder

Save = Callable[..., Report]
ACCOUNTS = 500
TOTAL = ACCOUNTS * 100


@pytest.fixture
def shop(cluster: Cluster) -> Iterator[Cluster]:
    """Accounts whose total never changes, and bulk so that a dump takes its time."""
    cluster.sql("CREATE DATABASE shop")
    cluster.sql(
        f"""
        CREATE TABLE account(id int PRIMARY KEY, amount int NOT NULL, moves int NOT NULL DEFAULT 0);
        INSERT INTO account SELECT n, 100 FROM generate_series(1, {ACCOUNTS}) n;
        CREATE TABLE move(id serial PRIMARY KEY, one int, other int);
        CREATE TABLE bulk AS SELECT n, md5(n::text) || md5((n + 1)::text) AS text FROM generate_series(1, 120000) n;
        """,
        "shop",
    )
    yield cluster
    cluster.drop("shop")


def source(cluster: Cluster, role: str = "postgres", **more: Any) -> Postgresql:
    return Postgresql(PostgresqlOptions(host=str(cluster.folder), role=role, **more))


@contextmanager
def role(cluster: Cluster, name: str, *grants: str) -> Iterator[str]:
    cluster.sql(f'CREATE ROLE "{name}" LOGIN')
    for grant in grants:
        cluster.sql(grant)
    try:
        yield name
    finally:
        for database in cluster.sql("SELECT datname FROM pg_database WHERE datallowconn").split():
            cluster.sql(f'DROP OWNED BY "{name}"', database)
        cluster.sql(f'DROP ROLE "{name}"')


@contextmanager
def transfers(cluster: Cluster) -> Iterator[None]:
    """Move amounts between accounts, two at a time, until the end of the context."""
    stop = threading.Event()
    script = """
    DO $$ BEGIN FOR n IN 1..20 LOOP
      DECLARE a int := 1 + floor(random() * 499); b int := 1 + floor(random() * 499); BEGIN
        UPDATE account SET amount = amount - 3, moves = moves + 1 WHERE id = least(a, b);
        UPDATE account SET amount = amount + 3 WHERE id = greatest(a, b);
        UPDATE account SET amount = amount WHERE false;
        INSERT INTO move(one, other) VALUES (least(a, b), greatest(a, b));
        COMMIT;
      END;
    END LOOP; END $$;
    """

    def work() -> None:
        while not stop.is_set():
            cluster.sql(script, "shop")

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def dump(restic: Restic, report: Report, file: str) -> bytes:
    return restic("dump", report.snapshot, f"/databases/postgresql/{file}").stdout


def test_beside_writers_a_dump_holds_one_moment_and_restores_to_the_same_answers(
    shop: Cluster, save: Save, host: LinuxHost, repository: Repository, restic: Restic
) -> None:
    with transfers(shop):
        moved = int(shop.sql("SELECT count(*) FROM move", "shop"))
        reports = [save(source(shop)) for _ in range(3)]
    restic("check", "--read-data")
    bulk = "SELECT count(*), md5(string_agg(text, '' ORDER BY n)) FROM bulk"
    for report in reports:
        report.raise_for_failure()
        assert report.complete
        questions = [
            (f"SELECT sum(amount) = {TOTAL} FROM account", "t"),
            ("SELECT (SELECT sum(moves) FROM account) = (SELECT count(*) FROM move)", "t"),
            (f"SELECT count(*) >= {moved} FROM move", "t"),
            (bulk, shop.sql(f"\\pset fieldsep '\t'\n{bulk}", "shop")),
        ]
        queries = tuple(
            ProveQuery(source="postgresql", database="shop", sql=sql, expect=said) for sql, said in questions
        )
        options = ProveOptions(scratch="/tmp", run_as="nobody", queries=queries)
        proof = prove_source(host, repository, repository.load_snapshot(report.snapshot), options)
        proof.raise_for_failure()
        counts = {one.database: one.counts for one in proof.proved}["shop"]
        assert counts["public.account"] == ACCOUNTS
        assert counts["public.bulk"] == 120_000


def test_stock_tools_restore_what_was_saved(shop: Cluster, save: Save, restic: Restic, tmp_path: Path) -> None:
    report = save(source(shop))
    content = dump(restic, report, "shop.dump")
    shop.sql("CREATE DATABASE again")
    try:
        words = ["pg_restore", "-h", shop.folder, "-U", "postgres", "-d", "again", "--exit-on-error"]
        subprocess.run(words, input=content, check=True)
        query = "SELECT sum(amount), count(*) FROM account"
        assert shop.sql(query, "again") == shop.sql(query, "shop")
    finally:
        shop.drop("again")
    assert b"cluster dump complete" in dump(restic, report, "globals.sql")


def test_every_database_is_there_whatever_its_name_and_templates_are_not(
    cluster: Cluster, save: Save, restic: Restic
) -> None:
    names = ["a b", "host=nowhere dbname=x", "a/b", "..", "postgresql://x", 'quo"te', "ärger%2F", "it's"]
    for name in names:
        quoted = '"' + name.replace('"', '""') + '"'
        cluster.sql(f"CREATE DATABASE {quoted}")
    try:
        for name in names:
            cluster.sql("CREATE TABLE mine AS SELECT 1", conninfo(dbname=name))
        report = save(source(cluster))
        report.raise_for_failure()
        files = {one.file for one in report.dumped}
        assert len(files) == len(names) + 2
        assert b"a%2Fb.dump" in files
        assert not any(file.startswith(b"template") for file in files)
        for file in files - {b"globals.sql", b"postgres.dump"}:
            listed = subprocess.run(
                ["pg_restore", "--list"], input=dump(restic, report, file.decode()), capture_output=True, check=True
            )
            assert b"TABLE DATA public mine" in listed.stdout
    finally:
        for name in names:
            quoted = '"' + name.replace('"', '""') + '"'
            cluster.sql(f"DROP DATABASE {quoted}")


def test_a_table_that_the_role_may_not_read_fails_its_database_and_only_that(shop: Cluster, save: Save) -> None:
    with role(shop, "reader"):
        report = save(source(shop, "reader"))
        assert not report.complete
        (failed,) = [error for error in report.failed if error.message.startswith("postgresql/shop:")]
        assert "pg_dump ended with code 1" in failed.message
        assert "permission denied for table" in failed.message
        assert 'GRANT pg_read_all_data TO "reader"' in failed.advice
        assert {one.file for one in report.dumped} == {b"postgres.dump", b"globals.sql"}
        with pytest.raises(SourceFailed, match="1 of 3 dumps failed"):
            report.raise_for_failure()
        found = source(shop, "reader").unreadable(LinuxHost())
        assert any("4 tables and sequences" in one.what and "public.account" in one.detail for one in found)


def test_an_incomplete_snapshot_never_counts_as_the_successor_of_a_complete_one(
    shop: Cluster, save: Save, repository: Repository, restic: Restic
) -> None:
    good = save(source(shop)).snapshot
    with role(shop, "reader"):
        bad = save(source(shop, "reader")).snapshot
    assert bad
    restic("forget", "--keep-last", "1", "--prune")
    assert {id for id, _ in repository.snapshots()} == {good, bad}
    assert repository.load_snapshot(bad).tags == ["database", "database:postgresql", "partial"]
    assert repository.load_snapshot(bad).paths == [
        "/databases/postgresql/globals.sql",
        "/databases/postgresql/postgres.dump",
    ]
    restic("check", "--read-data")


def test_rows_that_row_security_hides_are_never_left_out_silently(shop: Cluster, save: Save) -> None:
    shop.sql("ALTER TABLE account ENABLE ROW LEVEL SECURITY; CREATE POLICY few ON account USING (id < 10)", "shop")
    with role(shop, "reader", 'GRANT pg_read_all_data TO "reader"'):
        assert shop.sql("SELECT count(*) FROM account", "shop", "reader") == "9"
        report = save(source(shop, "reader"))
        (failed,) = report.failed
        assert "row-level security" in failed.message
        assert 'ALTER ROLE "reader" BYPASSRLS' in failed.advice
        assert "public.account" in str(source(shop, "reader").unreadable(LinuxHost()))


def test_large_objects_that_the_role_may_not_read_fail_the_database(shop: Cluster, save: Save) -> None:
    shop.sql("SELECT lo_from_bytea(0, 'picture')", "shop")
    with role(shop, "reader", 'GRANT pg_read_all_data TO "reader"'):
        report = save(source(shop, "reader"))
        (failed,) = report.failed
        assert "large object" in failed.message
        assert "1 large objects of postgresql/shop" in failed.advice
        assert save(source(shop)).complete


def test_the_role_that_is_printed_reads_everything(
    shop: Cluster, save: Save, host: LinuxHost, repository: Repository
) -> None:
    shop.sql("SELECT lo_from_bytea(0, 'picture')", "shop")
    shop.sql(
        "ALTER TABLE account ENABLE ROW LEVEL SECURITY; CREATE SCHEMA hidden; CREATE TABLE hidden.x AS SELECT 1", "shop"
    )
    shop.sql("CREATE ROLE anna LOGIN PASSWORD 'secret'")
    shop.sql(role_statements("holdfast-backup"))
    try:
        ours = source(shop, "holdfast-backup")
        assert ours.unreadable(host) == []
        report = save(ours)
        report.raise_for_failure()
        assert report.blind == []
        query = ProveQuery(
            source="postgresql", database="shop", sql="SELECT count(*) FROM pg_largeobject_metadata", expect="1"
        )
        options = ProveOptions(scratch="/tmp", run_as="nobody", queries=(query,))
        proof = prove_source(host, repository, repository.load_snapshot(report.snapshot), options)
        proof.raise_for_failure()
        denied = subprocess.run(
            ["psql", "-h", shop.folder, "-U", "holdfast-backup", "-d", "shop", "-c", "DELETE FROM account"],
            capture_output=True,
            check=False,
        )
        assert denied.returncode
    finally:
        for database in ("postgres", "shop"):
            shop.sql('DROP OWNED BY "holdfast-backup"', database)
        shop.sql('DROP ROLE "holdfast-backup"; DROP ROLE anna')


def test_passwords_of_roles_that_cannot_be_read_are_reported(shop: Cluster, save: Save, restic: Restic) -> None:
    shop.sql("CREATE ROLE anna LOGIN PASSWORD 'secret'")
    try:
        with role(shop, "reader", 'GRANT pg_read_all_data TO "reader"'):
            whole = save(source(shop, "reader"))
            assert whole.blind == []
            assert b"SCRAM-SHA-256" in dump(restic, whole, "globals.sql")
        with role(shop, "reader"):
            shop.sql('GRANT SELECT ON ALL TABLES IN SCHEMA public TO "reader"', "shop")
            shop.sql('GRANT SELECT ON ALL SEQUENCES IN SCHEMA public TO "reader"', "shop")
            report = save(source(shop, "reader"))
            report.raise_for_failure()
            (blind,) = report.blind
            assert blind.what == "the passwords of postgresql's roles"
            assert "GRANT SELECT ON pg_catalog.pg_authid" in blind.fix
            without = dump(restic, report, "globals.sql")
        assert b"CREATE ROLE anna" in without
        assert b"SCRAM-SHA-256" not in without
    finally:
        shop.sql("DROP ROLE anna")


def test_a_database_without_a_way_in_is_a_failure_and_can_be_excluded(shop: Cluster, save: Save) -> None:
    shop.sql("CREATE DATABASE closed ALLOW_CONNECTIONS false; CREATE DATABASE refused")
    shop.sql("REVOKE CONNECT ON DATABASE refused FROM public")
    try:
        with role(shop, "reader", 'GRANT pg_read_all_data TO "reader"'):
            report = save(source(shop, "reader"))
            said = sorted(error.message for error in report.failed)
            assert said == [
                "postgresql/closed: it takes no connections",
                "postgresql/refused: the role may not connect to it",
            ]
            assert save(source(shop, "reader", exclude=("closed", "refused"))).complete
            report = save(source(shop, "reader", databases=("shop", "none")))
            assert [error.message for error in report.failed] == ["postgresql/none: there is no such database"]
            assert {one.file for one in report.dumped} == {b"shop.dump", b"globals.sql"}
    finally:
        shop.drop("closed", "refused")


def test_what_lies_on_other_servers_is_said_not_to_be_there(shop: Cluster, save: Save) -> None:
    shop.sql(
        "CREATE EXTENSION postgres_fdw; CREATE SERVER far FOREIGN DATA WRAPPER postgres_fdw;"
        "CREATE FOREIGN TABLE remote(x int) SERVER far;"
        "CREATE USER MAPPING FOR postgres SERVER far OPTIONS (user 'a', password 'b')",
        "shop",
    )
    with role(shop, "reader", 'GRANT pg_read_all_data TO "reader"'):
        report = save(source(shop, "reader"))
        report.raise_for_failure()
        assert any("1 foreign tables" in one.what and "public.remote" in one.detail for one in report.blind)
        assert any("user mappings" in one.what for one in report.blind)


MUCH = "CREATE TABLE much AS SELECT n, md5(n::text) || md5((n + 1)::text) AS text FROM generate_series(1, 600000) n"


def _pids(cluster: Cluster, tool: bytes) -> list[int]:
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes()
        except OSError:
            continue
        if tool in words.split(b"\0")[0] and str(cluster.folder).encode() in words:
            found.append(int(folder.name))
    return found


def test_a_dump_that_is_killed_in_the_middle_is_not_kept(shop: Cluster, save: Save, repository: Repository) -> None:
    shop.sql(MUCH, "shop")
    killed: list[int] = []

    def kill(file: bytes, _count: int) -> None:
        if file == b"shop.dump" and not killed:
            killed.extend(_pids(shop, b"pg_dump"))
            for pid in killed:
                os.kill(pid, signal.SIGKILL)

    report = save(source(shop), progress=kill)
    assert killed
    (failed,) = report.failed
    assert "was killed by signal 9" in failed.message
    assert b"shop.dump" not in {one.file for one in report.dumped}
    assert repository.load_snapshot(report.snapshot).tags[-1] == "partial"


def test_a_server_that_ends_the_session_fails_the_dump_with_its_words(shop: Cluster, save: Save) -> None:
    shop.sql(MUCH, "shop")
    done: list[str] = []

    def end(file: bytes, _count: int) -> None:
        if file == b"shop.dump" and not done:
            done.append(
                # Those that have asked their question are idle, and may be there still.
                shop.sql(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE application_name = 'holdfast' AND state <> 'idle'"
                )
            )

    report = save(source(shop), progress=end)
    assert done == ["t"]
    (failed,) = report.failed
    assert "server closed the connection unexpectedly" in failed.message


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ('/usr/bin/pg_dump "$@" | head -c 900000', "breaks off"),
        ('/usr/bin/pg_dump "$@" | head -c -9', "breaks off"),
        ("exit 0", "breaks off"),
        ("echo pg_dump: all is well", "it begins with"),
        ('/usr/bin/pg_dump "$@" -Fp', "it begins with"),
        ('/usr/bin/pg_dump "$@"; echo more', "unknown kind"),
        (
            '/usr/bin/pg_dump "$@"; echo "pg_dump: error: oh no" >&2; exit 3',
            "ended with code 3 (pg_dump: error: oh no)",
        ),
    ],
)
def test_a_tool_that_lies_about_success_is_found_out(
    shop: Cluster, save: Save, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, words: str
) -> None:
    folder = bin_folder(tmp_path / "bin", pg_dump=script)
    monkeypatch.setattr(commands, "SEARCH", (str(folder), *commands.SEARCH))
    report = save(source(shop, databases=("shop",)))
    (failed,) = report.failed
    assert words in failed.message
    assert {one.file for one in report.dumped} == {b"globals.sql"}


def test_globals_without_their_end_are_not_kept(
    shop: Cluster, save: Save, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = bin_folder(tmp_path / "bin", pg_dumpall='/usr/bin/pg_dumpall "$@" | head -n 12')
    monkeypatch.setattr(commands, "SEARCH", (str(folder), *commands.SEARCH))
    (failed,) = save(source(shop)).failed
    assert "its end marker is missing" in failed.message


def test_a_full_store_makes_no_snapshot_and_leaves_the_last_one_good(
    shop: Cluster, host: LinuxHost, tmp_path: Path
) -> None:
    from actions.backup.databases.saving import snapshot_source

    place = tmp_path / "small"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1500k", "none", place], check=True)
    try:
        repository = Repository.create(LocalStore(place / "r"), PASSWORD, cost=CHEAP)
        repository.load_index()
        first = snapshot_source(host, repository, source(shop, databases=("postgres",)), hostname="here")
        assert first.complete
        with pytest.raises((StoreError, OSError)):
            snapshot_source(host, repository, source(shop), hostname="here")
        assert [id for id, _ in repository.snapshots()] == [first.snapshot]
    finally:
        subprocess.run(["umount", "-l", place], check=True)


def test_a_password_goes_by_a_file_in_memory(shop: Cluster, save: Save, tmp_path: Path) -> None:
    password = r"a:b\c 'd' #e"
    quoted = password.replace("'", "''")
    with role(
        shop,
        "with_password",
        f"""ALTER ROLE "with_password" PASSWORD '{quoted}'""",
        'GRANT pg_read_all_data TO "with_password"',
    ):
        secret = tmp_path / "secret"
        secret.write_text(password + "\n")
        report = save(source(shop, "with_password", password=f"file:{secret}"))
        report.raise_for_failure()
        secret.write_text("wrong")
        report = save(source(shop, "with_password", password=f"file:{secret}"))
        assert not report.snapshot
        assert "password authentication failed" in report.failed[0].message
        secret.unlink()
        report = save(source(shop, "with_password", password=f"file:{secret}"))
        assert "it is not there" in report.failed[0].message


def test_the_unix_user_vouches_for_the_role(shop: Cluster, save: Save) -> None:
    shop.folder.chmod(0o755)
    shop.sql("CREATE ROLE nobody LOGIN SUPERUSER; CREATE ROLE peered LOGIN SUPERUSER")
    try:
        assert save(Postgresql(PostgresqlOptions(host=str(shop.folder), run_as="nobody"))).complete
        report = save(source(shop, "peered", run_as="nobody"))
        assert 'Peer authentication failed for user "peered"' in report.failed[0].message
    finally:
        shop.sql("DROP ROLE nobody; DROP ROLE peered")


def test_a_server_that_is_not_there_is_a_failure_without_a_snapshot(save: Save, tmp_path: Path) -> None:
    report = save(Postgresql(PostgresqlOptions(host=str(tmp_path))))
    assert not report.snapshot
    assert "No such file or directory" in report.failed[0].message


def test_what_did_not_change_is_not_stored_again(shop: Cluster, save: Save) -> None:
    first = save(source(shop))
    shop.sql("UPDATE account SET amount = amount", "shop")
    second = save(source(shop))
    assert sum(one.size for one in second.dumped) > 8_000_000
    assert second.saved.plain_bytes < first.saved.plain_bytes / 2
