"""Trees are scanned through a real clamd: hostile names and kinds of files, the delta, the limits, and clamscan's exit codes."""

import contextlib
import os
import shutil
import time

import pytest

from actions.antivirus import scan as scan_module
from actions.antivirus.scan import ScanFiles
from contracts.outcome import Failed, Ok
from tests import clamav_lab

EICAR = clamav_lab.EICAR


@pytest.fixture
def tree(tmp_path):
    root = tmp_path / "tree"
    root.mkdir()
    for number in range(30):
        (root / f"d{number % 3}").mkdir(exist_ok=True)
        (root / f"d{number % 3}" / f"f{number}").write_bytes(f"file {number}".encode())
    return root


@pytest.fixture(autouse=True)
def nothing_stays_open(tmp_path):
    """However a scan ends: every file that it opened is closed again."""
    yield
    for descriptor in os.listdir("/proc/self/fd"):
        with contextlib.suppress(FileNotFoundError):  # that of the listing itself
            assert not os.readlink(f"/proc/self/fd/{descriptor}").startswith(f"{tmp_path}/")


def scan(do, *roots, settings=None, **more):
    return do(ScanFiles, settings, paths=[str(root) for root in roots], **more)


def names(result):
    return {event.key.rpartition("/")[2] for event in result.events if event.kind == "antivirus.malware_found"}


def test_a_clean_tree_ends_with_0_and_malware_with_1(do, tree):
    clean = scan(do, tree)
    assert (clean.answer["code"], clean.answer["files"], names(clean)) == (0, 30, set())
    (tree / "d1" / "bad").write_bytes(EICAR)
    (tree / "d1" / "bad").chmod(0)
    found = scan(do, tree)
    assert (found.answer["code"], found.answer["infected"], names(found)) == (1, 1, {"bad"})
    assert found.answer["found"] == [f"{tree}/d1/bad: {clamav_lab.NAME}.UNOFFICIAL FOUND"]


def test_a_name_that_is_not_there_was_not_scanned_and_is_named(do, tree, tmp_path):
    result = scan(do, tree, tmp_path / "none")
    assert (result.answer["code"], result.answer["files"]) == (2, 30)
    assert result.answer["not_scanned"] == [f"{tmp_path}/none: there is no such file or folder"]
    assert "all of it" not in result.summary


def test_what_is_named_twice_is_scanned_once_and_what_is_not_there_is_named_below_a_tree_too(do, tree):
    result = scan(do, tree, tree / "none", tree / "d0", tree)
    assert (result.answer["code"], result.answer["files"]) == (2, 30)
    assert result.answer["not_scanned"] == [f"{tree}/none: there is no such file or folder"]


def test_an_excluded_folder_that_is_named_below_another_one_is_scanned(do, tree):
    excluded = {"scan": {"excludes": [str(tree / "d0"), str(tree / "d1")]}}
    assert scan(do, tree, settings=excluded).answer["files"] == 10
    assert scan(do, tree, tree / "d0", settings=excluded).answer["files"] == 20


def test_debians_test_files_are_found_in_their_archives(do, tmp_path):
    (tmp_path / "files").mkdir()
    for name in ("clam.exe", "clam.zip", "clam.tar.gz", "clam.cab", "clam.mail"):
        shutil.copy(clamav_lab.TEST_FILES / name, tmp_path / "files")
    assert names(scan(do, tmp_path / "files")) == {"clam.exe", "clam.zip", "clam.tar.gz", "clam.cab", "clam.mail"}


def test_hostile_names_links_fifos_and_devices_neither_hide_nor_block(do, tmp_path):
    root, outside = tmp_path / "root", tmp_path / "outside"
    root.mkdir()
    outside.mkdir()
    (outside / "secret").write_bytes(EICAR)
    for raw in (b"new\nline", b"\xff\xfe", b"-rf", b"x" * 255):
        with open(os.fsencode(root) + b"/" + raw, "wb") as file:
            file.write(EICAR)
    (root / "link").symlink_to(outside / "secret")
    (root / "folder").symlink_to(outside)
    os.mkfifo(root / "fifo")
    os.mknod(root / "zero", 0o600 | 0o020000, os.makedev(1, 5))
    folder = os.open(root, os.O_RDONLY)
    for _ in range(20):
        os.mkdir("d" * 250, dir_fd=folder)
        below = os.open("d" * 250, os.O_RDONLY, dir_fd=folder)
        os.close(folder)
        folder = below
    descriptor = os.open("deep", os.O_CREAT | os.O_WRONLY, dir_fd=folder)
    os.write(descriptor, EICAR)
    os.close(descriptor)
    os.close(folder)
    began = time.monotonic()
    result = scan(do, root)
    assert names(result) == {"new\nline", "\\xff\\xfe", "-rf", "x" * 255, "deep"} and time.monotonic() - began < 60


def test_a_delta_looks_only_at_what_changed_until_the_signatures_move(do, lab, tree):
    assert scan(do, tree, delta=True).answer["files"] == 30
    again = scan(do, tree, delta=True)
    assert (again.answer["files"], again.answer["unchanged"]) == (0, 30)
    (tree / "d0" / "f0").write_bytes(b"changed!")
    (tree / "d0" / "new").write_bytes(EICAR)
    (tree / "d1" / "f1").unlink()
    changed = scan(do, tree, delta=True)
    assert changed.answer["files"] == 2 and names(changed) == {"new"}
    assert names(scan(do, tree, delta=True)) == {"new"}, "malware is told of as long as it is there"
    lab.put(27002)
    reload(lab, 27002)
    try:
        assert scan(do, tree, delta=True).answer["files"] == 30
    finally:
        lab.put(27001)
        reload(lab, 27001)


def reload(lab, version):
    from host.clamd import LinuxClamd

    LinuxClamd().ask(lab.address, "RELOAD")
    end = time.monotonic() + 60
    while f"/{version}/" not in LinuxClamd().ask(lab.address, "VERSION") and time.monotonic() < end:
        time.sleep(0.05)


def test_what_was_seen_to_change_comes_first_wherever_it_is(do, tree, tmp_path):
    """The book knows it as clean, and it lies outside of the paths of the scan: it is scanned nevertheless."""
    elsewhere = tmp_path / "usr" / "bin"
    elsewhere.mkdir(parents=True)
    settings = {"scan": {"paths": [str(tree)], "excludes": [str(tmp_path / "out")]}}
    do(ScanFiles, settings, delta=True)
    (elsewhere / "sshd").write_bytes(EICAR)
    (elsewhere / "link").symlink_to("sshd")
    os.mkfifo(elsewhere / "fifo")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "bad").write_bytes(EICAR)
    here = [elsewhere / name for name in ("gone", "link", "fifo", "sshd/below", ".", "sshd")]
    first = [str(tree / "d0" / "f0"), "\\odd", "relative", str(tmp_path / "out" / "bad"), *map(str, here)]
    result = do(ScanFiles, settings, delta=True, first=first, beyond=3)
    assert (result.answer["first"], result.answer["files"], result.answer["unchanged"]) == (len(first), 2, 30)
    assert (names(result), result.answer["not_scanned"]) == ({"sshd"}, [])
    (scanned,) = [event for event in result.events if event.kind == "antivirus.scanned"]
    assert scanned.fields["first"] == len(first) and "3 changed files were too many" in scanned.fields["detail"]


def test_a_person_does_not_wait_for_others_and_the_schedule_does(do, tree, monkeypatch):
    patient = []
    pace = scan_module.Pace
    monkeypatch.setattr(
        scan_module, "Pace", lambda *given, **more: patient.append(more["patient"]) or pace(*given, **more)
    )
    scan(do, tree, delta=True)
    scan(do, tree)
    assert patient == [False, False]


def test_a_timestomped_file_is_scanned_again(do, tree):
    assert scan(do, tree, delta=True).answer["files"] == 30
    path = tree / "d0" / "f0"
    before = path.stat()
    path.write_bytes(EICAR[: before.st_size].ljust(before.st_size))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert scan(do, tree, delta=True).answer["files"] == 1


def test_a_scan_whose_time_is_up_goes_on_the_next_time(do, tree, monkeypatch):
    settings = {"scan": {"at_most": 1.0}}
    calls = iter(range(10**6))
    monkeypatch.setattr("actions.antivirus.pace.Pace.go_on", lambda self: next(calls) < 10)
    first = scan(do, tree, delta=True, settings=settings)
    assert first.answer["files"] == 10 and "its time was up" in first.summary
    monkeypatch.undo()
    assert scan(do, tree, delta=True, settings=settings).answer["files"] == 20


def test_what_is_too_large_is_not_clean(do, tmp_path):
    (tmp_path / "large").write_bytes(bytes(5000) + EICAR)
    result = scan(do, tmp_path / "large", settings={"scan": {"largest": 4096}})
    assert (result.answer["code"], result.answer["unscanned"], result.answer["files"]) == (2, 1, 0)
    assert "over the setting" in result.answer["not_scanned"][0]
    event = next(event for event in result.events if event.kind == "antivirus.not_scanned")
    assert event.fields["files"] == 1


def test_clamds_own_limits_are_read_and_make_a_file_not_scanned(do, lab, tmp_path):
    (tmp_path / "large").write_bytes(bytes(3 << 20))
    conf = tmp_path / "clamd.conf"
    conf.write_text(lab.clamd_conf.read_text() + "MaxFileSize 1M\n")
    result = scan(do, tmp_path / "large", settings={"clamav": {"clamd_conf": str(conf)}})
    assert result.answer["code"] == 2 and "MaxFileSize" in result.answer["not_scanned"][0]


def test_a_path_that_is_not_there_or_no_path_is_an_error_not_clean(do, tmp_path):
    assert scan(do, tmp_path / "none").answer["code"] == 2
    with pytest.raises(Exception, match="absolute path"):
        scan(do, "relative")


def test_excluded_folders_are_left_out_unless_they_are_named(do, tree):
    settings = {"scan": {"excludes": [str(tree / "d1")]}}
    assert scan(do, tree, settings=settings).answer["files"] == 20
    assert scan(do, tree / "d1", settings=settings).answer["files"] == 10


def test_a_daemon_that_goes_away_makes_the_scan_fail_with_2(do, lab, tree, monkeypatch):
    lab.stop()
    try:
        result = scan(do, tree)
        assert isinstance(result.outcome, Failed) and result.answer["code"] == 2
    finally:
        lab.start()
    original = type(lab)

    def gone(tally, path):
        lab.stop()

    monkeypatch.setattr("actions.antivirus.scan._teller", lambda progress, pace: gone)
    monkeypatch.setattr(
        "actions.antivirus.scanning.Scan._progress", lambda self, opened: self._tell(self.tally, opened.path)
    )
    try:
        result = scan(do, tree)
    finally:
        original.start(lab)
    assert isinstance(result.outcome, Failed) and result.answer["code"] == 2
    assert result.events[-1].kind == "antivirus.scan_failed"


def test_a_dry_run_only_says(do, tree):
    result = scan(do, tree, dry_run=True)
    assert isinstance(result.outcome, Ok) and "would scan" in result.summary


def test_a_damaged_book_is_begun_anew(do, host, tree):
    scan(do, tree, delta=True)
    from pathlib import Path

    Path(host.state, "scans.db").write_bytes(b"rubbish" * 1000)
    for name in ("scans.db-wal", "scans.db-shm"):
        Path(host.state, name).unlink(missing_ok=True)
    assert scan(do, tree, delta=True).answer["files"] == 30
