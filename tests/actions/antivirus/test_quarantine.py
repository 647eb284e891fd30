"""Files go out of reach by one rename and come back as they were; links, mounts, packages and swaps are not walked into."""

import errno
import json
import os
import subprocess
import threading
import time
from pathlib import Path

import pytest

from actions.antivirus import vault
from actions.antivirus.quarantine import Quarantine
from actions.antivirus.vault import NotMoved
from analysis.antivirus.kinds import FOUND
from contracts.errors import UsageError
from tests import clamav_lab

EICAR = clamav_lab.EICAR


@pytest.fixture
def bad(tmp_path):
    path = tmp_path / "files" / "bad"
    path.parent.mkdir()
    path.write_bytes(EICAR)
    os.chown(path, 12345, 54321)  # before the mode: it takes setuid away
    path.chmod(0o4755)
    os.utime(path, ns=(1, 1_700_000_000_000_000_000))
    return path


def add(do, path, **more):
    return do(Quarantine, {"quarantine": more.pop("quarantine", {})}, path=str(path), signature="Evil-1", **more)


def listed(do):
    return [json.loads(each) for each in do(Quarantine, step="list").answer["entries"]]


def test_a_file_is_out_of_reach_and_what_it_was_is_kept(do, host, bad):
    before = bad.stat()
    result = add(do, bad)
    assert not bad.exists() and result.events[0].kind == "antivirus.quarantined"
    (kept,) = listed(do)
    assert (kept["path"], kept["mode"], kept["uid"], kept["signature"], kept["who"]) == (
        str(bad),
        0o4755,
        12345,
        "Evil-1",
        "root",
    )
    inside = f"{kept['vault']}/{kept['entry']}"
    found = os.lstat(inside)
    assert (found.st_mode & 0o7777, found.st_ino, found.st_uid) == (0, before.st_ino, 12345)
    assert os.stat(kept["vault"]).st_mode & 0o077 == 0


def test_it_comes_back_as_it_was_but_without_setuid_and_never_over_another_file(do, bad):
    entry = add(do, bad).answer["entry"]
    bad.write_bytes(b"another")
    with pytest.raises(NotMoved, match="exists"):
        do(Quarantine, step="restore", entry=entry)
    bad.unlink()
    result = do(Quarantine, step="restore", entry=entry)
    found = bad.stat()
    assert (found.st_mode & 0o7777, found.st_uid, found.st_gid, found.st_mtime_ns) == (
        0o755,
        12345,
        54321,
        1_700_000_000_000_000_000,
    )
    assert bad.read_bytes() == EICAR and listed(do) == [] and "setuid" in result.summary
    answer = result.answer
    assert (answer["path"], answer["mode"], answer["inode"]) == (str(bad), 0o4755, found.st_ino), (
        "for who gives it back"
    )
    with pytest.raises(NotMoved, match="nothing called"):
        do(Quarantine, step="restore", entry=entry)


def test_a_deleted_file_is_gone_for_good(do, host, bad):
    entry = add(do, bad).answer["entry"]
    vault = listed(do)[0]["vault"]
    assert do(Quarantine, step="delete", entry=entry).events[0].kind == "antivirus.quarantine_deleted"
    assert listed(do) == [] and os.listdir(vault) == []


def test_links_folders_and_what_is_not_there_are_refused(do, bad, tmp_path):
    (tmp_path / "link").symlink_to(bad)
    (tmp_path / "way").symlink_to(bad.parent)
    for path in (tmp_path / "link", tmp_path / "way" / "bad", tmp_path, tmp_path / "none"):
        with pytest.raises(NotMoved):
            add(do, path)
    with pytest.raises(UsageError):
        add(do, "relative")
    assert bad.read_bytes() == EICAR and listed(do) == []


def test_a_file_on_another_mount_stays_on_it(do, tmp_path):
    folder = tmp_path / "mnt"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "none", str(folder)], check=True)
    try:
        (folder / "deep").mkdir()
        (folder / "deep" / "bad").write_bytes(EICAR)
        entry = add(do, folder / "deep" / "bad").answer["entry"]
        (kept,) = listed(do)
        assert kept["vault"] == f"{folder}/.holdfast-quarantine" and not (folder / "deep" / "bad").exists()
        do(Quarantine, step="restore", entry=entry)
        assert (folder / "deep" / "bad").read_bytes() == EICAR
        subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)
        with pytest.raises(NotMoved, match="read-only"):
            add(do, folder / "deep" / "bad")
        assert (folder / "deep" / "bad").read_bytes() == EICAR and listed(do) == []
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_without_room_for_the_vault_the_file_stays_and_that_is_said(do, tmp_path):
    folder = tmp_path / "mnt"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k,nr_inodes=2", "none", str(folder)], check=True)
    try:
        (folder / "bad").write_bytes(EICAR)
        with pytest.raises(NotMoved, match="no space left on device") as told:
            add(do, folder / "bad")
        assert "make room" in told.value.advice and (folder / "bad").read_bytes() == EICAR and listed(do) == []
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_a_vault_that_somebody_prepared_is_not_used(do, tmp_path):
    folder = tmp_path / "mnt"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "none", str(folder)], check=True)
    try:
        (folder / "bad").write_bytes(EICAR)
        (folder / "trap").mkdir()
        (folder / ".holdfast-quarantine").symlink_to(folder / "trap")
        with pytest.raises(NotMoved):
            add(do, folder / "bad")
        (folder / ".holdfast-quarantine").unlink()
        (folder / ".holdfast-quarantine").mkdir(mode=0o777)
        (folder / ".holdfast-quarantine").chmod(0o777)
        with pytest.raises(NotMoved, match="alone: it belongs to user 0, with mode 0777") as told:
            add(do, folder / "bad")
        assert f"look at who made {folder}/.holdfast-quarantine" in told.value.advice
        assert (folder / "bad").exists() and os.listdir(folder / "trap") == []
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_a_packages_file_is_not_moved_unless_that_is_said(do, host, bad, monkeypatch):
    monkeypatch.setattr(type(host.packages), "owner", lambda self, path: "coreutils")
    with pytest.raises(NotMoved, match="belongs to the package coreutils"):
        add(do, bad)
    assert bad.exists()
    result = add(do, bad, owned=True)
    assert "belongs to the package coreutils" in result.summary and not bad.exists()


def test_a_real_packages_file_is_known_as_such(do):
    with pytest.raises(NotMoved, match="package coreutils"):
        add(do, "/usr/bin/sha256sum")


def found(path, **fields):
    stat = os.lstat(path)
    given = {"path": str(path), "signature": "Evil-2", "device": stat.st_dev, "inode": stat.st_ino, "sha256": "ab" * 32}
    return FOUND.event(str(path), **{**given, **fields})


def test_a_rule_moves_what_was_found_only_when_it_is_switched_on(do, bad):
    with pytest.raises(UsageError, match="switched off"):
        do(Quarantine, cause="1", event=found(bad))
    assert bad.exists()
    do(Quarantine, {"quarantine": {"enabled": True}}, cause="1", event=found(bad))
    (kept,) = listed(do)
    assert not bad.exists() and (kept["signature"], kept["sha256"]) == ("Evil-2", "ab" * 32)


def test_another_file_than_was_scanned_and_a_drill_are_left_alone(do, bad):
    from msgspec.structs import replace

    settings = {"quarantine": {"enabled": True}}
    with pytest.raises(NotMoved, match="another file now"):
        do(Quarantine, settings, cause="1", event=found(bad, inode=1))
    assert do(Quarantine, settings, cause="1", event=replace(found(bad), drill="abc")).summary == ""
    assert bad.exists()


def test_other_names_of_a_file_are_told_of(do, bad):
    os.link(bad, bad.with_name("other"))
    assert "1 more names" in add(do, bad).summary
    assert bad.with_name("other").stat().st_mode & 0o777 == 0


def test_hostile_names_go_there_and_back(do, tmp_path):
    from contracts.text import escape

    raw = os.fsencode(tmp_path) + b"/new\nline\xff \\x41"
    with open(raw, "wb") as file:
        file.write(EICAR)
    entry = add(do, escape(raw)).answer["entry"]
    assert not os.path.lexists(raw)
    do(Quarantine, step="restore", entry=entry)
    assert os.path.lexists(raw)


def test_a_dry_run_moves_nothing(do, bad):
    assert "would move" in add(do, bad, dry_run=True).summary and bad.exists()


def test_exchanging_the_file_under_its_hands_never_takes_another_file(do, tmp_path):
    folder = tmp_path / "race"
    folder.mkdir()
    innocent, target = tmp_path / "innocent", folder / "bad"
    innocent.write_bytes(b"innocent")
    over = threading.Event()

    def swap():
        while not over.is_set():
            try:
                target.unlink(missing_ok=True)
                target.symlink_to(innocent)
                target.unlink()
                os.link(innocent, target)
                target.unlink()
                target.write_bytes(EICAR)
            except OSError:
                continue

    thread = threading.Thread(target=swap)
    thread.start()
    try:
        end = time.monotonic() + 2
        while time.monotonic() < end:
            try:
                add(do, target)
            except NotMoved:
                continue
    finally:
        over.set()
        thread.join()
    assert innocent.read_bytes() == b"innocent"
    for kept in listed(do):
        place = f"{kept['vault']}/{kept['entry']}"
        assert os.path.lexists(place) and not os.path.islink(place)


@pytest.mark.parametrize("call", ["chmod", "fsync"])
def test_a_move_that_fails_after_the_rename_puts_the_file_back(do, bad, monkeypatch, call):
    genuine, before = getattr(os, call), bad.stat()

    def fails(path, *words, **more):
        if words == (0,) or (call == "fsync" and os.path.samestat(os.fstat(path), bad.parent.stat())):
            raise OSError(errno.EIO, "Input/output error")
        return genuine(path, *words, **more)

    monkeypatch.setattr(vault.os, call, fails)
    with pytest.raises(NotMoved, match="cannot be moved: input/output error"):
        add(do, bad)
    monkeypatch.undo()
    found = bad.stat()
    assert (found.st_ino, found.st_mode, found.st_nlink) == (before.st_ino, before.st_mode, 1)
    assert listed(do) == []


def test_a_file_system_that_cannot_write_its_names_down_hinders_nothing(do, bad, monkeypatch):
    genuine = os.fsync

    def fails(descriptor):
        if os.path.samestat(os.fstat(descriptor), bad.parent.stat()):
            raise OSError(errno.EINVAL, "Invalid argument")
        genuine(descriptor)

    monkeypatch.setattr(vault.os, "fsync", fails)
    entry = add(do, bad).answer["entry"]
    do(Quarantine, step="restore", entry=entry)
    assert bad.read_bytes() == EICAR and listed(do) == []


def test_what_can_neither_be_moved_nor_put_back_is_listed_and_comes_back_by_its_name(do, bad, monkeypatch):
    """A file system without second names, on which the last step fails."""
    genuine = os.chmod

    def no_link(*_, **__):
        raise OSError(errno.EPERM, "Operation not permitted")

    def no_chmod(path, mode, **more):
        if mode == 0:
            raise OSError(errno.EIO, "Input/output error")
        genuine(path, mode, **more)

    monkeypatch.setattr(vault.os, "link", no_link)
    monkeypatch.setattr(vault.os, "chmod", no_chmod)
    with pytest.raises(NotMoved, match="what stood there is in quarantine as") as told:
        add(do, bad)
    monkeypatch.undo()
    (kept,) = listed(do)
    assert kept["entry"] in told.value.advice and not bad.exists()
    do(Quarantine, step="restore", entry=kept["entry"])
    assert bad.read_bytes() == EICAR and bad.stat().st_mode & 0o7777 == 0o755


def test_a_link_that_came_into_the_vault_is_never_followed(do, bad, tmp_path):
    entry = add(do, bad).answer["entry"]
    (kept,) = listed(do)
    victim = tmp_path / "victim"
    victim.write_text("x")
    victim.chmod(0o600)
    inside = Path(kept["vault"], entry)
    inside.unlink()
    inside.symlink_to(victim)
    do(Quarantine, step="restore", entry=entry)
    assert bad.is_symlink() and victim.stat().st_mode & 0o7777 == 0o600


def test_a_note_whose_file_never_came_is_said_to_be_that_and_can_be_forgotten(do, bad):
    """A crash between note and rename leaves it."""
    entry = add(do, bad).answer["entry"]
    (kept,) = listed(do)
    Path(kept["vault"], entry).unlink()
    with pytest.raises(NotMoved, match="never came there, or was removed") as told:
        do(Quarantine, step="restore", entry=entry)
    assert f"quarantine delete {entry}" in told.value.advice
    do(Quarantine, step="delete", entry=entry)
    assert listed(do) == []
