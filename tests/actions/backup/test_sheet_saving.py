"""The sheet in the repository: found by the stock restic, and its commands, followed to the letter on an empty directory, give the data."""

import os
import shlex
import sqlite3
import subprocess
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest

from actions.backup.archiver import Archiver
from actions.backup.databases.command import Command
from actions.backup.databases.options import CommandOptions, SqliteOptions
from actions.backup.databases.saving import snapshot_source
from actions.backup.databases.sqlite import Sqlite
from actions.backup.job import newest
from actions.backup.memory import Memory
from actions.backup.options import JobOptions, ReplicaOptions
from actions.backup.recovery_key import RecoveryState, make_recovery_key, save_states
from actions.backup.replicate import replicate
from actions.backup.repository import Repository
from actions.backup.selection import Selection, find_snapshot
from actions.backup.sheet import TAG, HostFacts, command_lines
from actions.backup.sheet_saving import before, kept_sheet, make_sheet, newest_saved, save_sheet, sheet_files
from actions.backup.stores.sftp import open_sftp
from actions.backup.walk import NoSuchEntry
from host.linux import LinuxHost
from tests.actions.backup.conftest import CHEAP, PASSWORD, Restic
from tests.actions.backup.odd_tree import make, shape
from tests.actions.backup.stores.sshd import WRITE_ONCE, chrooted, make_write_once_folders

HOST: Any = LinuxHost()
FACTS = HostFacts(hostname="web1", packages=["nginx\tinstall"])


@pytest.fixture
def saved(repository: Repository, tmp_path: Path) -> list[str]:
    """Files, an SQLite database and the output of a command, each in a snapshot of its own."""
    make(tmp_path / "tree", non_utf8_links=False)
    with sqlite3.connect(tmp_path / "app.db") as database:
        database.execute("CREATE TABLE t(x)")
        database.execute("INSERT INTO t VALUES (42)")
    repository.load_index()
    ids = [Archiver(repository).snapshot([str(tmp_path / "tree")], hostname="web1", tags=["system"])[0]]
    sources = [
        Sqlite(SqliteOptions(paths=(str(tmp_path / "app.db"),), scratch=str(tmp_path))),
        Command(CommandOptions(name="ldap", argv=("/bin/echo", "dn: x"), file="ldap.ldif")),
    ]
    for source in sources:
        report = snapshot_source(HOST, repository, source, hostname="web1", tags=["system"])
        assert report.complete, report.failed
        ids.append(report.snapshot)
    return ids


def sheet(repository: Repository, tmp_path: Path, target: str = "/mnt/restored", **more: Any) -> str:
    job = JobOptions(repository=repository.store.location, paths=(str(tmp_path / "tree"),), **more)
    states = str(tmp_path / "recovery.json")
    repository.load_index()
    return make_sheet(repository, "system", job, FACTS, HOST.files, states, Memory(), target)


def keep(repository: Repository, tmp_path: Path, ids: list[str]) -> str:
    job = JobOptions(repository=repository.store.location, paths=("/x",))
    text = sheet(repository, tmp_path)
    return save_sheet(repository, "system", job, "web1", sheet_files(text, FACTS), before(repository, ids))


def test_its_commands_followed_to_the_letter_bring_everything_back(
    repository: Repository, saved: list[str], tmp_path: Path
) -> None:
    keep(repository, tmp_path, saved)
    target = tmp_path / "an empty place"
    text = sheet(repository, tmp_path, str(target))
    lines = list(command_lines(text))
    loads = [line for line in lines if line.startswith("cp ")]
    followed = [line for line in lines if line.startswith(("export", "read", "restic"))]
    assert len(followed) >= 7
    assert len(loads) == 1
    bare = {"PATH": os.environ["PATH"], "HOME": str(tmp_path / "home")}
    (tmp_path / "home").mkdir()
    (tmp_path / "app.db").unlink()
    script = "set -e\n" + "\n".join([*followed, *loads])
    done = subprocess.run(
        ["bash", "-c", script],
        input=PASSWORD + "\n",
        env=bare,
        cwd=tmp_path / "home",
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, (done.stdout, done.stderr)
    source = tmp_path / "tree"
    restored = shape(target / source.relative_to("/"))
    assert {path: what for path, what in restored.items() if path != b"."} == {
        path: what for path, what in shape(source).items() if path != b"."
    }
    assert sqlite3.connect(tmp_path / "app.db").execute("SELECT x FROM t").fetchall() == [(42,)], (
        "copied back into its place"
    )
    assert (target / "databases" / "ldap" / "ldap.ldif").read_text() == "dn: x\n"
    assert (tmp_path / "home" / "packages.txt").read_text() == "nginx\tinstall\n"


def test_the_stock_restic_reads_it_and_latest_stays_what_it_was(
    repository: Repository, saved: list[str], tmp_path: Path, restic: Restic
) -> None:
    id = keep(repository, tmp_path, saved)
    text = restic("dump", "--tag", f"system,{TAG}", "latest", "/recovery/sheet.txt").stdout.decode()
    assert text.startswith("RECOVERY SHEET of web1")
    assert saved[0][:16] in text
    assert find_snapshot(repository, "latest")[0] == saved[-1] != id
    assert newest(repository, "web1", "system") is not None
    assert newest(repository, "web1", "system")[0] == saved[0]  # type: ignore[index]
    restic("check", "--read-data")
    assert kept_sheet(repository, Selection()) == text
    assert kept_sheet(repository, Selection(hosts=("web1",), tags=(("system",),))) == text
    with pytest.raises(NoSuchEntry, match="no recovery sheet"):
        kept_sheet(repository, Selection(hosts=("other",)))


def test_whether_the_recovery_key_is_proved_stands_on_it(
    repository: Repository, saved: list[str], tmp_path: Path
) -> None:
    assert "NOT PROVED: there is no recovery key" in sheet(repository, tmp_path)
    made = make_recovery_key(repository, cost=CHEAP)
    state = RecoveryState(made.key_id, time.time_ns(), time.time_ns())
    save_states(tmp_path / "recovery.json", {repository.config.id: state})
    text = sheet(repository, tmp_path)
    assert "proved: the paper opens the repository" in text
    assert made.text not in text
    assert PASSWORD not in text


def test_a_complete_snapshot_of_a_database_is_named_before_a_newer_partial_one(
    repository: Repository, saved: list[str]
) -> None:
    good = repository.load_snapshot(saved[2])
    later = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 100))
    repository.save_snapshot(msgspec.structs.replace(good, time=later, tags=[*good.tags, "partial"]))
    named = {each.name: each.id for each in newest_saved(repository, "web1", "system")}
    assert named == {"": saved[0], "sqlite": saved[1], "ldap": saved[2]}


def test_paths_with_odd_names_are_quoted_for_the_shell(
    repository: Repository, saved: list[str], tmp_path: Path
) -> None:
    for line in command_lines(sheet(repository, tmp_path, "/a b'c/$(reboot)")):
        if "--target" in line:
            assert shlex.split(line)[-1] == "/a b'c/$(reboot)"


def test_the_commands_for_a_write_once_copy_read_it_without_leaving_a_lock(
    repository: Repository, saved: list[str], tmp_path: Path
) -> None:
    """The machine's ssh knows the server and has a key, as whoever restores must see to; the commands themselves are the sheet's."""
    with chrooted(force=WRITE_ONCE) as server:
        make_write_once_folders(server, "web1")
        target = server.target("/repositories/web1")
        copy = open_sftp(target)
        assert replicate(repository.store, copy).ok
        copy.close()
        place = f"sftp://{target.user}@127.0.0.1:{target.port}//repositories/web1"
        text = sheet(repository, tmp_path, str(tmp_path / "far"), replicas=(ReplicaOptions(target=place),))
        lines = list(command_lines(text))
        begin = lines.index(f"export RESTIC_REPOSITORY={place}")
        followed = [line for line in lines[begin:] if line.startswith(("export", "read", "restic --no-lock restore"))]
        assert len(followed) == 5
        (tmp_path / "bin").mkdir()
        wrapper = tmp_path / "bin" / "ssh"
        wrapper.write_text(
            f'#!/bin/sh\nexec /usr/bin/ssh -i {target.key_file} -o UserKnownHostsFile={target.known_hosts} -o BatchMode=yes "$@"\n'
        )
        wrapper.chmod(0o755)
        bare = {"PATH": f"{tmp_path}/bin:{os.environ['PATH']}", "HOME": str(tmp_path)}
        done = subprocess.run(
            ["bash", "-c", "set -e\n" + "\n".join(followed)],
            input=PASSWORD + "\n",
            env=bare,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, (done.stdout, done.stderr)
        assert list((server.root / "repositories" / "web1" / "locks").iterdir()) == []
    restored = shape(tmp_path / "far" / (tmp_path / "tree").relative_to("/"))
    assert {path for path in restored if path != b"."} == {path for path in shape(tmp_path / "tree") if path != b"."}
    assert (tmp_path / "far" / "databases" / "ldap" / "ldap.ldif").read_text() == "dn: x\n"
