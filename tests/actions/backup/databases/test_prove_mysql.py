"""The throw-away MariaDB: no network, another user's process, and gone afterwards."""

import subprocess

import pytest

from actions.backup.databases.options import ProveOptions
from actions.backup.databases.prove_mysql import throwaway_mysql
from actions.backup.databases.throwaway import ProofFailed
from host.linux import LinuxHost
from tests.actions.backup.databases.test_prove_postgresql import processes

OPTIONS = ProveOptions(scratch="/tmp", run_as="nobody")


def test_it_is_private_takes_dumps_and_leaves_nothing_behind(host: LinuxHost) -> None:
    with throwaway_mysql(host, OPTIONS) as one:
        assert one.ask("", "SELECT @@skip_networking, @@event_scheduler") == "1\tOFF"
        assert processes(one.folder).startswith("nobody")
        assert one.databases() == []
        assert one.restore(
            [
                b"CREATE DATABASE `a``b`; USE `a``b`;",
                b" CREATE TABLE `x``y`(i int); INSERT INTO `x``y` VALUES (1), (2);\n",
            ]
        ) == ["a`b"]
        assert one.counts("a`b") == {"x`y": 2}
        assert one.ask("a`b", "SELECT sum(i), 'x' FROM `x``y`") == "3\tx"
        with pytest.raises(ProofFailed, match="does not take the dump"):
            one.restore([b"CREATE TABEL x;"])
        with pytest.raises(ProofFailed, match="does not answer"):
            one.ask("a`b", "SELECT nonsense")
        assert one.restore_users([b"CREATE USER anna@localhost;"]) >= 2
    assert processes(one.folder) == ""
    assert not one.folder.exists()


def test_it_ends_even_when_the_dump_took_our_access_away(host: LinuxHost) -> None:
    with throwaway_mysql(host, OPTIONS) as one:
        one.restore_users([b"CREATE USER anna@localhost; "])
        one.restore_users([b"ALTER USER root@localhost IDENTIFIED BY 'other';"])
        with pytest.raises(ProofFailed, match="Access denied"):
            one.ask("", "SELECT 1")
    assert processes(one.folder) == ""
    assert not one.folder.exists()


def test_a_failure_within_ends_it_too(host: LinuxHost) -> None:
    with pytest.raises(RuntimeError), throwaway_mysql(host, OPTIONS) as one:
        raise RuntimeError
    assert processes(one.folder) == ""
    assert subprocess.run(["test", "-e", one.folder], check=False).returncode
