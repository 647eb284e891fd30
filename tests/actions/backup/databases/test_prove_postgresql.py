"""The throw-away cluster: no network, nobody else's tablespaces, another user's process, and gone afterwards."""

import multiprocessing
import os
import subprocess
from pathlib import Path

import pytest

from actions.backup.databases.options import ProveOptions
from actions.backup.databases.prove_postgresql import throwaway_postgresql
from actions.backup.databases.throwaway import ProofFailed
from contracts.errors import HoldfastError
from host.linux import LinuxHost
from tests.actions.backup.databases.conftest import Cluster

OPTIONS = ProveOptions(scratch="/tmp", run_as="nobody")


def processes(folder: Path) -> str:
    done = subprocess.run(["ps", "-ww", "-eo", "user,pid,args"], capture_output=True, text=True, check=True)
    return "\n".join(line for line in done.stdout.splitlines() if str(folder) in line)


def segments() -> dict[str, tuple[str, str]]:
    """Each segment of shared memory of this machine by its number: whose it is, and which process made it."""
    done = subprocess.run(["ipcs", "-m", "-p"], capture_output=True, text=True, check=True)
    rows = (line.split() for line in done.stdout.splitlines())
    return {row[0]: (row[1], row[2]) for row in rows if len(row) == 4 and row[0].isdigit()}


def test_it_is_private_and_leaves_nothing_behind(host: LinuxHost) -> None:
    with throwaway_postgresql(host, OPTIONS) as one:
        assert one.ask("postgres", "SHOW listen_addresses") == ""
        assert one.ask("postgres", "SELECT 1, 'a'") == "1\ta"
        assert one.folder.stat().st_mode & 0o777 == 0o700
        assert processes(one.folder).startswith("nobody")
        made_by = {line.split()[1] for line in processes(one.folder).splitlines()}
        (shared,) = (number for number, (user, pid) in segments().items() if user == "nobody" and pid in made_by)
    assert processes(one.folder) == ""
    assert not one.folder.exists()
    assert shared not in segments()


def test_a_failure_within_ends_it_too(host: LinuxHost) -> None:
    with pytest.raises(RuntimeError), throwaway_postgresql(host, OPTIONS) as one:
        raise RuntimeError
    assert processes(one.folder) == ""
    assert not one.folder.exists()


def test_a_tablespace_of_the_server_is_not_touched(host: LinuxHost, cluster: Cluster) -> None:
    space = cluster.folder / "space"
    subprocess.run(["install", "-d", "-o", "postgres", "-m", "700", space], check=True)
    cluster.sql(f"CREATE TABLESPACE space LOCATION '{space}'")
    cluster.sql("GRANT CREATE ON TABLESPACE space TO PUBLIC")
    cluster.sql("CREATE DATABASE spaced")
    cluster.sql("CREATE TABLE t TABLESPACE space AS SELECT 1 AS i", "spaced")
    try:
        words = ["-h", cluster.folder, "-U", "postgres"]
        globals = subprocess.run(["pg_dumpall", *words, "--globals-only"], capture_output=True, check=True).stdout
        assert b"CREATE TABLESPACE space" in globals
        dump = subprocess.run(["pg_dump", *words, "-d", "spaced", "-Fc"], capture_output=True, check=True).stdout
        before = sorted(space.rglob("*"))
        with throwaway_postgresql(host, OPTIONS) as one:
            one.restore_globals([globals])
            assert one.restore([dump]) == "spaced"
            assert one.counts("spaced") == {"public.t": 1}
        assert sorted(space.rglob("*")) == before
    finally:
        cluster.drop("spaced")
        cluster.sql("DROP TABLESPACE space")


def test_a_database_keeps_its_encoding(host: LinuxHost, cluster: Cluster) -> None:
    cluster.sql("CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")
    cluster.sql("SET client_encoding = 'UTF8'; CREATE TABLE t AS SELECT 'ärger' AS x", "latin")
    try:
        words = ["pg_dump", "-h", cluster.folder, "-U", "postgres", "-d", "latin", "-Fc", "-Z0"]
        dump = subprocess.run(words, capture_output=True, check=True).stdout
        with throwaway_postgresql(host, OPTIONS) as one:
            one.restore([dump[:100], dump[100:]])
            assert one.ask("latin", "SELECT x, length(x), octet_length(x) FROM t") == "ärger\t5\t5"
            assert one.ask("latin", "SHOW server_encoding") == "LATIN1"
    finally:
        cluster.drop("latin")


def test_what_does_not_restore_is_said_with_the_words_of_the_tool(host: LinuxHost, cluster: Cluster) -> None:
    words = ["pg_dump", "-h", cluster.folder, "-U", "postgres", "-d", "postgres", "-Fc"]
    dump = subprocess.run(words, capture_output=True, check=True).stdout
    with throwaway_postgresql(host, OPTIONS) as one:
        with pytest.raises(ProofFailed, match="pg_restore fails"):
            one.restore([dump[:-300]])
        with pytest.raises(ProofFailed, match="not in custom format"):
            one.restore([])
        with pytest.raises(ProofFailed, match="they cannot be made again"):
            one.restore_globals([b"CREATE ROLE x; GRANT nobody_there TO x;"])
        one.restore_globals([b"CREATE ROLE postgres;\n"])


def test_settings_that_do_not_start_are_named(host: LinuxHost) -> None:
    options = ProveOptions(scratch="/tmp", run_as="nobody", postgresql_settings={"shared_preload_libraries": "nothing"})
    with pytest.raises(ProofFailed, match="could not access file"), throwaway_postgresql(host, options):
        pass
    options = ProveOptions(scratch="/tmp", run_as="nobody", postgresql_bin="/nowhere")
    with pytest.raises(ProofFailed, match="failed to execute /nowhere/initdb"), throwaway_postgresql(host, options):
        pass


def test_the_worker_proves_as_itself() -> None:
    """Not root: there is nobody else to run as."""
    asked, told = multiprocessing.Pipe()

    def child() -> None:
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)
        try:
            with throwaway_postgresql(LinuxHost(), ProveOptions(scratch="/tmp")) as one:
                told.send((one.ask("postgres", "SELECT 1"), one.folder.stat().st_uid, str(one.folder)))
        except HoldfastError as error:
            told.send(repr(error))

    process = multiprocessing.get_context("fork").Process(target=child)
    process.start()
    answered = asked.recv()
    process.join()
    assert answered[:2] == ("1", 65534), answered
    assert not Path(answered[2]).exists()
    assert processes(Path(answered[2])) == ""
