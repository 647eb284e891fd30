"""Signatures are brought up to date by a real freshclam from a mirror of the test's own, and clamd works with them afterwards."""

import errno
import os
import struct
import time

import pytest

from actions.antivirus import freshclam_run
from actions.antivirus.update import UpdateSignatures
from analysis.antivirus import cvd
from contracts.outcome import Failed, Ok
from tests import clamav_lab


@pytest.fixture
def mirror(lab):
    """A mirror with version 27002; the lab's freshclam.conf names it, and everything is put back afterwards."""
    folder = lab.folder / "mirror"
    folder.mkdir()
    (folder / "daily.cud").write_bytes(clamav_lab.database(27002))
    mirror = clamav_lab.Mirror(folder)
    lab.freshclam_conf.write_text(
        f"DatabaseDirectory {lab.databases}\nDatabaseMirror 127.0.0.1\nDatabaseCustomURL {mirror.url}/daily.cud\n"
        "ExcludeDatabase daily\nExcludeDatabase main\nExcludeDatabase bytecode\nMaxAttempts 1\n"
        f"UpdateLogFile {lab.folder}/no/such/log\nNotifyClamd /nowhere\nOnUpdateExecute touch {lab.folder}/executed\n"
    )
    yield mirror
    mirror.close()
    for path in (*folder.iterdir(), *lab.databases.iterdir()):
        path.unlink()
    folder.rmdir()
    lab.freshclam_conf.unlink()
    lab.put(27001)
    host_reload(lab)


def host_reload(lab):
    from host.clamd import LinuxClamd

    LinuxClamd().ask(lab.address, "RELOAD")
    end = time.monotonic() + 60
    while "/27001/" not in LinuxClamd().ask(lab.address, "VERSION") and time.monotonic() < end:
        time.sleep(0.05)


def on_disk(lab):
    return cvd.parse((lab.databases / "daily.cud").read_bytes()[:512]).version


def settings(mirror, **more):
    return {"update": {"mirror": mirror.url, "memory": 0.0, **more}}


def kinds(result):
    return [event.kind.partition(".")[2] for event in result.events]


def test_newer_signatures_are_fetched_placed_and_loaded(do, lab, mirror):
    result = do(UpdateSignatures, settings(mirror))
    assert isinstance(result.outcome, Ok), result
    assert kinds(result) == ["current_learnt", "signatures_updated"]
    updated = result.events[1].fields
    assert (updated["former_version"], updated["newest"], updated["loaded"]) == (27001, 27002, 27002)
    assert on_disk(lab) == 27002 and updated["databases"] == ["daily.cud"]
    found = (lab.databases / "daily.cud").stat()
    assert (found.st_uid, found.st_mode & 0o777) == (lab.databases.stat().st_uid, 0o644)
    assert not (lab.folder / "executed").exists(), "no command of the configuration is run"
    assert [path.name for path in lab.databases.iterdir()] == ["daily.cud"]


def test_what_is_current_is_left_alone(do, lab, mirror):
    do(UpdateSignatures, settings(mirror))
    mirror.asked.clear()
    result = do(UpdateSignatures, settings(mirror))
    assert kinds(result) == ["current_learnt"] and "27002 is current" in result.summary
    assert mirror.asked == ["/daily.cvd", "/daily.cld", "/daily.cud"], "the header alone"


@pytest.mark.parametrize(
    ("age_s", "told"),
    [
        (600, "version 27001 is current"),
        (4 * 3600, "would run freshclam"),
        (-4 * 3600, "what it says may be long past"),
    ],
)
def test_an_old_record_in_dns_does_not_make_old_signatures_current(do, lab, mirror, host, monkeypatch, age_s, told):
    """A name server that answers with one record for ever is not believed that there is nothing newer."""
    text = f"1.4.3:62:27001:{round(time.time() - age_s)}:0:90:49192:336"
    monkeypatch.setattr(type(host), "texts", lambda _, name: (text,) if name == "current.cvd.clamav.net" else ())
    result = do(UpdateSignatures, {"update": {"memory": 0.0}}, dry_run=True)
    assert told in result.summary, result.summary


def test_a_dry_run_and_a_switched_off_update_fetch_nothing(do, lab, mirror):
    assert "would run freshclam" in do(UpdateSignatures, settings(mirror), dry_run=True).summary
    assert "is off" in do(UpdateSignatures, settings(mirror, enabled=False)).summary
    assert on_disk(lab) == 27001
    assert isinstance(do(UpdateSignatures, settings(mirror, enabled=False), force=True).outcome, Ok)
    assert on_disk(lab) == 27002


def test_a_cool_down_is_respected(do, lab, mirror):
    until = int(time.time()) + 3600
    (lab.databases / "freshclam.dat").write_bytes(b"FreshClamData" + struct.pack("<I37s7xq", 1, b"u", until))
    mirror.asked.clear()
    result = do(UpdateSignatures, settings(mirror), force=True)
    assert kinds(result) == ["current_learnt", "update_held_back"] and on_disk(lab) == 27001
    assert result.events[1].fields["until_ms"] == until * 1000 and result.answer["code"] == 75
    assert not any(path.endswith("daily.cud") and "?" in path for path in mirror.asked)


@pytest.mark.parametrize("fault", ["half", "error", "rubbish", "gone"])
def test_a_mirror_that_fails_leaves_what_was_there(do, lab, mirror, fault):
    if fault == "half":
        mirror.cut = 700
    elif fault == "error":
        mirror.status = 503
    elif fault == "rubbish":
        (mirror.folder / "daily.cud").write_bytes(b"<html>not found</html>" * 100)
    else:
        (mirror.folder / "daily.cud").unlink()
    before = (lab.databases / "daily.cud").read_bytes()
    result = do(UpdateSignatures, settings(mirror), force=True)
    assert isinstance(result.outcome, Failed) and kinds(result)[-1] == "update_failed", result
    assert (lab.databases / "daily.cud").read_bytes() == before
    assert "/27001/" in __import__("host.clamd", fromlist=["x"]).LinuxClamd().ask(lab.address, "VERSION")


def test_one_source_that_fails_does_not_hold_back_the_others(do, lab, mirror):
    text = lab.freshclam_conf.read_text()
    lab.freshclam_conf.write_text(f"{text}DatabaseCustomURL {mirror.url}/others.ndb\n")
    result = do(UpdateSignatures, settings(mirror), force=True)
    assert on_disk(lab) == 27002 and kinds(result)[-2:] == ["signatures_updated", "update_failed"], result
    assert isinstance(result.outcome, Failed) and result.events[-2].fields["loaded"] == 27002
    assert "others.ndb" in result.summary and "daily.cud placed; clamd has loaded 27002" in result.summary


@pytest.mark.parametrize("why", ["cool-down", "failed"])
def test_what_lies_there_already_is_loaded_although_nothing_can_be_fetched(do, lab, mirror, why):
    lab.put(27002)
    until = int(time.time()) + 3600
    if why == "cool-down":
        (lab.databases / "freshclam.dat").write_bytes(b"FreshClamData" + struct.pack("<I37s7xq", 1, b"u", until))
    else:
        mirror.status = 503
    result = do(UpdateSignatures, settings(mirror), force=True)
    assert "clamd has loaded 27002" in result.summary and "signatures_updated" in kinds(result), result
    if why == "cool-down":
        assert result.answer["code"] == 75 and "left alone until" in result.summary
    else:
        assert isinstance(result.outcome, Failed)


def test_an_older_version_of_the_mirror_is_not_put_over_a_newer_one(do, lab, mirror):
    lab.put(27010)
    result = do(UpdateSignatures, settings(mirror), force=True)
    assert on_disk(lab) == 27010 and isinstance(result.outcome, Ok)


def test_a_daemon_that_did_not_reload_is_told_to(do, lab, mirror):
    lab.put(27002)
    result = do(UpdateSignatures, settings(mirror))
    assert result.events[-1].fields["loaded"] == 27002 and "clamd has loaded 27002" in result.summary


def test_without_memory_nothing_is_loaded(do, lab, mirror, monkeypatch):
    monkeypatch.setattr("actions.antivirus.update.available_bytes", lambda host: 32 << 20)
    result = do(UpdateSignatures, settings(mirror, memory=6.0))
    assert kinds(result)[-1] == "update_held_back" and "memory" in result.summary and on_disk(lab) == 27001


def test_a_stopped_daemon_does_not_stop_the_update(do, lab, mirror):
    lab.stop()
    try:
        result = do(UpdateSignatures, settings(mirror))
    finally:
        lab.start()
    assert (
        on_disk(lab) == 27002 and "clamd was not asked" in result.summary and result.events[-1].fields["loaded"] == -1
    )


def test_a_failure_that_was_told_is_not_told_again(do, lab, mirror):
    mirror.status = 503
    first = do(UpdateSignatures, settings(mirror), force=True)
    again = do(UpdateSignatures, settings(mirror), force=True, told=first.outcome.error)
    assert "update_failed" not in kinds(again)


def test_a_full_disk_is_an_update_that_failed_and_says_so(do, lab, mirror, monkeypatch):
    def full(source, target):
        raise OSError(errno.ENOSPC, "No space left on device", f"{target}/daily.cud")

    monkeypatch.setattr(freshclam_run, "seed", full)
    result = do(UpdateSignatures, settings(mirror), force=True)
    assert isinstance(result.outcome, Failed) and kinds(result)[-1] == "update_failed"
    assert "daily.cud: no space left on device" in result.summary and "make room on the disk" in result.summary
    assert on_disk(lab) == 27001


def test_it_works_with_the_capabilities_that_it_names(tmp_path):
    assert set(UpdateSignatures.capabilities) <= {"CAP_CHOWN", "CAP_DAC_OVERRIDE"} and os.geteuid() == 0
