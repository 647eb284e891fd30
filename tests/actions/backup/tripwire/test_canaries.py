"""Canaries: planted as their directory's owner's, and missed when they are changed, renamed or gone."""

import os
import time
from pathlib import Path

import pytest

from actions.backup.tripwire import canaries
from actions.backup.tripwire.book import Canary
from actions.backup.tripwire.canaries import check, plant
from contracts.errors import UsageError
from host.linux import LinuxHost

FILES = LinuxHost().files


def planted(folder: Path) -> list[Canary]:
    import hashlib

    return [
        Canary(path=path, sha256=hashlib.sha256(Path(path).read_bytes()).hexdigest()) for path in plant(str(folder))
    ]


def test_they_belong_to_the_directorys_owner_and_no_two_are_alike(tmp_path: Path) -> None:
    os.chown(tmp_path, 12345, 23456)
    found = planted(tmp_path)
    names = sorted(os.listdir(tmp_path))
    assert len({canary.sha256 for canary in found}) == len(names) == 3
    for name in names:
        status = (tmp_path / name).stat()
        assert (status.st_uid, status.st_gid, status.st_mode & 0o777) == (12345, 23456, 0o640)
        assert status.st_mtime < time.time() - 86_400
    assert check(FILES, found, {}) == ((), ())


def test_none_is_from_the_future_at_the_beginning_of_a_year(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1_830_384_000.0  # 2 January 2028
    january = time.gmtime(now)
    monkeypatch.setattr(canaries.time, "time", lambda: now)
    monkeypatch.setattr(canaries.time, "localtime", lambda: january)
    assert all(Path(path).stat().st_mtime < now - 86_400 for path in plant(str(tmp_path)))


def test_changed_gone_renamed_and_unseen_are_told_apart(tmp_path: Path) -> None:
    changed, gone, renamed = planted(tmp_path)
    Path(changed.path).write_bytes(os.urandom(100))
    Path(gone.path).unlink()
    Path(renamed.path).rename(tmp_path / "x")
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    unseen = Canary(path=str(pipe), sha256="00")
    found = check(FILES, [changed, gone, renamed, unseen], {renamed.sha256: "/elsewhere/x"})
    assert [each.what for each in found.broken] == ["is changed", "is gone", "was renamed to /elsewhere/x"]
    assert [each.canary for each in found.unseen] == [unseen]


def test_nothing_is_overwritten_and_nothing_left_behind_when_it_fails(tmp_path: Path) -> None:
    first = planted(tmp_path)
    last = first[-1].path
    for canary in first[:-1]:
        Path(canary.path).unlink()
    with pytest.raises(UsageError, match="is there already"):
        plant(str(tmp_path))
    assert os.listdir(tmp_path) == [Path(last).name]
    with pytest.raises(UsageError):
        plant(str(tmp_path / "nowhere"))
