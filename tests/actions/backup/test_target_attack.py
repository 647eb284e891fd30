"""The attack finds what a server lets happen, all of it and nothing else, whatever the server says."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from actions.backup.crypto import ScryptParameters
from actions.backup.replicate import replicate_to
from actions.backup.repository import Repository
from actions.backup.stores.local import LocalStore
from actions.backup.stores.sftp import open_session
from actions.backup.stores.sftp_session import Session
from actions.backup.stores.sftp_target import SftpTarget
from actions.backup.stores.sftp_wire import Code, Refusal, Type
from actions.backup.target_attack import CANARY, NAME, Attacked, State, attack
from tests.actions.backup.conftest import PASSWORD
from tests.actions.backup.stores.sshd import WRITE_ONCE, Sshd, chrooted, make_write_once_folders

PLACES = 5
"""The root, keys, snapshots, index and one folder of packs."""


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> LocalStore:
    store = LocalStore(tmp_path_factory.mktemp("source") / "repository")
    Repository.create(store, PASSWORD, cost=ScryptParameters(1024, 8, 1))
    return store


def filled(server: Sshd, source: LocalStore) -> SftpTarget:
    target = server.target("/repositories/r")
    make_write_once_folders(server, "r")
    assert replicate_to(source, target).ok
    return target


def root_of(server: Sshd) -> Path:
    return server.root / "repositories" / "r"


@pytest.fixture(scope="module")
def vault() -> Iterator[Sshd]:
    with chrooted(WRITE_ONCE) as running:
        yield running


@pytest.fixture(scope="module")
def locked(vault: Sshd, source: LocalStore) -> SftpTarget:
    return filled(vault, source)


def deeds(result: Attacked) -> set[str]:
    return {deed.what for deed in result.succeeded}


def test_a_write_once_target_withstands_every_attempt_day_after_day(vault: Sshd, locked: SftpTarget) -> None:
    for _ in range(3):
        result = attack(locked)
        assert (result.state, result.succeeded, result.why) == (State.IMMUTABLE, [], [])
        assert result.tried == 19 * PLACES + 2 * 2  # and the config and the key
        assert "withstood all 99 attempts" in result.summary
    canaries = list(root_of(vault).rglob(NAME))
    assert all(path.read_bytes() == CANARY for path in canaries)
    strangers = {path for path in root_of(vault).rglob(f"{NAME}*") if path.parent.name not in {"data"}}
    assert len(strangers) <= 2 * (PLACES + 2)  # they cannot be taken away, but they do not pile up


def test_what_the_attack_leaves_disturbs_neither_restic_nor_us(
    vault: Sshd, locked: SftpTarget, source: LocalStore
) -> None:
    attack(locked)
    done = subprocess.run(
        ["restic", "--no-cache", "--no-lock", "-r", root_of(vault), "check", "--read-data"],
        env={"RESTIC_PASSWORD": PASSWORD, "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    again = replicate_to(source, locked)
    assert again.ok
    assert again.strangers == {}


def test_an_open_target_is_mutable_in_every_way_and_left_clean(source: LocalStore) -> None:
    with chrooted() as server:
        target = filled(server, source)
        before = {path: path.read_bytes() for path in root_of(server).rglob("*") if path.is_file()}
        result = attack(target)
        assert result.state is State.MUTABLE
        assert {"delete", "rename", "rename (posix)", "rename over (posix)", "chmod"} <= deeds(result)
        assert {"chmod through a handle", "set the times of", "set the times of (lsetstat)"} <= deeds(result)
        assert not {"link over", "symlink over", "rename over", "chown"} & deeds(result)
        assert "can destroy the copies there (" in result.summary
        assert {path: path.read_bytes() for path in root_of(server).rglob("*") if path.is_file()} == before


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("remove", {"delete"}),
        ("rename", {"rename"}),
        ("posix-rename", {"rename (posix)", "rename over (posix)"}),
        ("setstat", {"chmod", "set the times of", "set the mode of"}),
        ("fsetstat", {"chmod through a handle"}),
        ("lsetstat", {"set the times of (lsetstat)"}),
        ("symlink", set()),
        ("rmdir", set()),
    ],
)
def test_each_request_that_is_not_refused_is_found(source: LocalStore, word: str, expected: set[str]) -> None:
    force = WRITE_ONCE.replace("-P remove,", "-P ", 1) if word == "remove" else WRITE_ONCE.replace(f",{word}", "", 1)
    assert force != WRITE_ONCE
    with chrooted(force) as server:
        result = attack(filled(server, source))
        assert deeds(result) - {"truncate", "truncate through a handle"} == expected
        assert result.state is (State.MUTABLE if expected else State.IMMUTABLE)


def test_files_from_before_the_umask_are_found(source: LocalStore) -> None:
    """Without the umask, or before it, a file that another program left writable can be truncated by opening it."""
    with chrooted(WRITE_ONCE) as server:
        target = filled(server, source)
        assert attack(target).state is State.IMMUTABLE
        (root_of(server) / "config").chmod(0o600)
        result = attack(target)
        assert [(deed.where, deed.what) for deed in result.succeeded] == [("config", "open for writing")]
        assert result.state is State.MUTABLE


def test_the_umask_alone_is_not_enough(source: LocalStore) -> None:
    with chrooted("internal-sftp -u 0277") as server:
        assert {"delete", "rename", "chmod"} <= deeds(attack(filled(server, source)))


def test_what_cannot_be_tried_is_unknown_and_never_immutable(source: LocalStore) -> None:
    with chrooted(WRITE_ONCE) as server:
        target = filled(server, source)
        shutil.chown(root_of(server) / "index", "root")
        result = attack(target)
        assert result.state is State.UNKNOWN
        assert any(why.startswith(f"index/{NAME}: the canary cannot be placed") for why in result.why)
        assert "not known" in result.summary


def test_a_canary_that_somebody_changed_is_not_trusted(source: LocalStore) -> None:
    with chrooted(WRITE_ONCE) as server:
        target = filled(server, source)
        attack(target)
        path = root_of(server) / "keys" / NAME
        path.chmod(0o600)
        path.write_bytes(b"changed")
        path.chmod(0o400)
        result = attack(target)
        assert result.state is State.UNKNOWN
        assert any("is not what was put there" in why for why in result.why)


def test_a_server_that_is_away_is_unknown(source: LocalStore) -> None:
    with chrooted(WRITE_ONCE) as server:
        target = filled(server, source)
        server.stop()
        result = attack(target)
    assert (result.state, result.tried) == (State.UNKNOWN, 0)
    assert "refused" in result.why[0]


def test_a_place_without_a_repository_is_unknown() -> None:
    with chrooted(WRITE_ONCE) as server:
        assert attack(server.target("/nothing")).state is State.UNKNOWN


class Wrapped:
    """A session that answers otherwise than it does."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)


class SaysYes(Wrapped):
    def call(self, type: Type, body: bytes, expect: Type = Type.STATUS) -> Any:
        try:
            return self._session.call(type, body, expect)
        except Refusal:
            if expect is Type.STATUS:
                return None
            raise


class SaysNo(Wrapped):
    def call(self, type: Type, body: bytes, expect: Type = Type.STATUS) -> Any:
        answer = self._session.call(type, body, expect)
        if type is Type.REMOVE:
            raise Refusal(Code.PERMISSION_DENIED, "Permission denied")
        return answer


def test_a_yes_that_does_nothing_is_no_deed(locked: SftpTarget) -> None:
    result = attack(locked, open=lambda target: SaysYes(open_session(target)))  # type: ignore[arg-type,return-value]
    assert (result.state, result.succeeded) == (State.IMMUTABLE, [])


def test_a_no_that_does_it_is_a_deed(source: LocalStore) -> None:
    with chrooted() as server:
        target = filled(server, source)
        result = attack(target, open=lambda target: SaysNo(open_session(target)))  # type: ignore[arg-type,return-value]
        assert "delete" in deeds(result)
        assert [deed.answer for deed in result.succeeded if deed.what == "delete"] == ["Permission denied"] * PLACES
