"""Throw-away database servers on Unix sockets in directories of their own, run by their own users; never the system's services."""

import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from actions.backup.databases import saving
from actions.backup.databases.saving import Report
from actions.backup.databases.source import Source
from actions.backup.repository import Repository
from host.linux import LinuxHost
from tests.actions.backup.conftest import CHEAP, PASSWORD, Restic  # noqa: F401
from tests.actions.backup.conftest import entered as entered
from tests.actions.backup.conftest import repository as repository
from tests.actions.backup.conftest import restic as restic
from tests.actions.backup.conftest import where as where

POSTGRES_BIN = Path("/usr/lib/postgresql/15/bin")


def place_for(user: str) -> Path:
    """A directory below /tmp that belongs to `user`; the path is short enough for a socket."""
    folder = Path(tempfile.mkdtemp(prefix="hfdb", dir="/tmp"))
    entry = pwd.getpwnam(user)
    os.chown(folder, entry.pw_uid, entry.pw_gid)
    return folder


def until(condition: Callable[[], Any], seconds: float = 120.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it does not come up"
        time.sleep(0.1)


def end(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@dataclass
class Cluster:
    """A PostgreSQL of our own."""

    folder: Path

    def sql(self, text: str, database: str = "postgres", role: str = "postgres", code: int = 0) -> str:
        words = ["psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-h", self.folder, "-U", role, "-d", database, "-f", "-"]
        done = subprocess.run(words, input=text, capture_output=True, text=True, check=False)
        assert done.returncode == code, done.stderr
        return done.stdout.strip()

    def drop(self, *names: str) -> None:
        for name in names:
            self.sql(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    folder = place_for("postgres")
    data = folder / "data"
    subprocess.run(
        [POSTGRES_BIN / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "-N"],
        user="postgres", group="postgres", check=True, capture_output=True, cwd="/",
    )  # fmt: skip
    (data / "pg_hba.conf").write_text(
        "local all with_password scram-sha-256\nlocal all peered peer\nlocal all all trust\n"
    )
    words = [POSTGRES_BIN / "postgres", "-D", data, "-k", folder, "-c", "listen_addresses=", "-c", "fsync=off"]
    process = subprocess.Popen(words, user="postgres", group="postgres", cwd="/", stderr=subprocess.DEVNULL)
    try:
        there = [POSTGRES_BIN / "pg_isready", "-q", "-h", folder]
        until(lambda: subprocess.run(there, check=False).returncode == 0)
        yield Cluster(folder)
    finally:
        end(process)
        shutil.rmtree(folder)


@pytest.fixture
def host() -> LinuxHost:
    return LinuxHost()


@pytest.fixture
def save(repository: Repository, host: LinuxHost) -> Callable[[Source], Report]:
    """Dump a source into a snapshot of the repository."""

    def run(source: Source, **more: Any) -> Report:
        repository.load_index()
        with repository.lock():
            return saving.snapshot_source(host, repository, source, hostname="here", **more)

    return run


def bin_folder(folder: Path, **scripts: str) -> Path:
    """A folder with shell scripts in it, to stand in for tools."""
    folder.mkdir(exist_ok=True)
    folder.chmod(0o755)
    for name, text in scripts.items():
        script = folder / name
        script.write_text(f"#!/bin/sh\n{text}\n")
        script.chmod(0o755)
    return folder


@dataclass
class Server:
    """A MariaDB of our own."""

    folder: Path

    @property
    def socket(self) -> str:
        return str(self.folder / "socket")

    def sql(self, text: str, database: str = "", user: str = "root", code: int = 0) -> str:
        words = ["mariadb", "--no-defaults", "-S", self.socket, "-u", user, "--batch", "--skip-column-names"]
        done = subprocess.run([*words, database], input=text, capture_output=True, text=True, check=False)
        assert done.returncode == code, done.stderr
        return done.stdout.strip()


@pytest.fixture(scope="session")
def mariadb() -> Iterator[Server]:
    folder = place_for("mysql")
    data = folder / "data"
    subprocess.run(
        ["mariadb-install-db", "--no-defaults", f"--datadir={data}", "--auth-root-authentication-method=normal", "--skip-test-db"],
        user="mysql", group="mysql", extra_groups=[], check=True, capture_output=True, cwd="/",
    )  # fmt: skip
    words = ["mariadbd", "--no-defaults", f"--datadir={data}", f"--socket={folder}/socket", "--skip-networking"]
    words += [f"--pid-file={folder}/pid", f"--log-error={folder}/log", "--innodb-flush-log-at-trx-commit=0"]
    process = subprocess.Popen(words, user="mysql", group="mysql", extra_groups=[], cwd="/")
    try:
        folder.chmod(0o755)
        there = ["mariadb-admin", "--no-defaults", "-S", f"{folder}/socket", "-u", "root", "ping"]
        until(lambda: subprocess.run(there, check=False, capture_output=True).returncode == 0)
        yield Server(folder)
    finally:
        end(process)
        shutil.rmtree(folder)


@pytest.fixture(scope="session")
def redis_folder() -> Iterator[Path]:
    """A directory with the socket of a Redis of our own in it."""
    folder = place_for("redis")
    words = ["redis-server", "--port", "0", "--unixsocket", folder / "socket", "--unixsocketperm", "777"]
    words += ["--dir", folder, "--save", "", "--repl-diskless-sync-delay", "0", "--daemonize", "no"]
    process = subprocess.Popen(words, user="redis", group="redis", extra_groups=[], cwd="/", stdout=subprocess.DEVNULL)
    try:
        folder.chmod(0o755)
        until(lambda: redis(folder, "PING") == "PONG")
        yield folder
    finally:
        end(process)
        shutil.rmtree(folder)


def redis(folder: Path, *words: str) -> str:
    done = subprocess.run(["redis-cli", "-s", folder / "socket", *words], capture_output=True, text=True, check=False)
    return done.stdout.strip()
