"""The desk behind the command line: what it makes belongs to whom, and nothing half-made stays. The commands test the rest."""

import os
from pathlib import Path

import pytest

from actions.backup.desk import Desk
from actions.backup.errors import AlreadyRepository, NoRepository, WrongPassword
from actions.backup.options import BackupOptions, JobOptions
from contracts.errors import UsageError
from tests.actions.backup.conftest import CHEAP


@pytest.fixture(autouse=True)
def cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("actions.backup.keys.calibrate", lambda: CHEAP)


def job(tmp_path: Path) -> JobOptions:
    return JobOptions(repository=str(tmp_path / "deep" / "repository"), password=f"file:{tmp_path}/keys/etc")


def test_everything_in_a_new_repository_is_its_users(tmp_path: Path) -> None:
    made = Desk.create_for("etc", job(tmp_path), (4711, 4712))
    place = tmp_path / "deep" / "repository"
    owners = {(path.lstat().st_uid, path.lstat().st_gid) for path in (place, *place.rglob("*"))}
    assert owners == {(4711, 4712)}
    assert (tmp_path / "keys").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "keys" / "etc").stat().st_uid == os.getuid()
    assert Desk.open(str(place), made.password).snapshots() == []


def test_a_password_that_is_there_is_used_and_never_changed(tmp_path: Path) -> None:
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "etc").write_text("mine\n")
    made = Desk.create_for("etc", job(tmp_path), None)
    assert (made.password, made.made) == ("mine", False)
    assert (tmp_path / "keys" / "etc").read_text() == "mine\n"
    with pytest.raises(AlreadyRepository):
        Desk.create_for("etc", job(tmp_path), None)
    (tmp_path / "keys" / "etc").write_text("\n")
    with pytest.raises(UsageError, match="holds no password"):
        Desk.create_for("etc", job(tmp_path), None)


def test_opening_says_what_is_wrong(tmp_path: Path) -> None:
    with pytest.raises(NoRepository):
        Desk.open(str(tmp_path), "x")
    Desk.create_for("etc", job(tmp_path), None)
    with pytest.raises(WrongPassword):
        Desk.open(job(tmp_path).repository, "x")
    assert Desk.chosen(BackupOptions(jobs={"etc": job(tmp_path)}), "")[0] == "etc"
