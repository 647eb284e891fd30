"""Changed files are scanned as they change, by a real clamd; and what could not be scanned is said."""

import os
import threading
import time

import pytest

from collectors.antivirus import watcher as watcher_module
from collectors.antivirus.watcher import AntivirusWatcher
from host.linux import LinuxHost
from tests import clamav_lab

EICAR = clamav_lab.EICAR


class Stop:
    def __init__(self):
        self._read, self._write = os.pipe()
        self._set = threading.Event()

    def is_set(self):
        return self._set.is_set()

    def wait(self, timeout_s):
        return self._set.wait(timeout_s)

    def fileno(self):
        return self._read

    def set(self):
        self._set.set()
        os.write(self._write, b"x")


class Heard:
    """What the watcher says."""

    def __init__(self):
        self.events, self.spots, self.gaps = [], (), []

    def event(self, event):
        self.events.append(event)

    def changed(self, subject):
        raise AssertionError("nothing polled looks at changed files")

    def gap(self, reason, seconds):
        self.gaps.append(reason)

    def blind(self, spots):
        self.spots = spots

    def found(self):
        return {event.key.rpartition("/")[2] for event in self.events if event.kind == "antivirus.malware_found"}

    def until(self, condition, seconds=60):
        end = time.monotonic() + seconds
        while not condition() and time.monotonic() < end:
            time.sleep(0.02)
        assert condition(), (self.events, self.spots)


@pytest.fixture
def watch(options):
    stops = []

    def start(*roots, **more):
        heard, stop = Heard(), Stop()
        watcher = AntivirusWatcher(options(watch=tuple(map(str, roots)), **more))
        thread = threading.Thread(target=watcher.watch, args=(LinuxHost(), heard, stop), daemon=True)
        thread.start()
        stops.append((stop, thread))
        time.sleep(0.3)
        return heard

    yield start
    for stop, thread in stops:
        stop.set()
        thread.join(60)
        assert not thread.is_alive()


def test_malware_is_found_as_it_comes_whatever_the_way(watch, tmp_path):
    root, outside = tmp_path / "root", tmp_path / "outside"
    root.mkdir()
    outside.mkdir()
    heard = watch(root)
    (root / "written").write_bytes(EICAR)
    (outside / "moved").write_bytes(EICAR)
    (outside / "moved").rename(root / "moved")
    (outside / "linked").write_bytes(EICAR)
    os.link(outside / "linked", root / "linked")
    (root / "new" / "deep").mkdir(parents=True)
    (root / "new" / "deep" / "inside").write_bytes(EICAR)
    (outside / "tree").mkdir()
    (outside / "tree" / "brought").write_bytes(EICAR)
    (outside / "tree").rename(root / "tree")
    (root / "clean").write_bytes(b"hello")
    (root / os.fsdecode(b"line\nbreak\xff")).write_bytes(EICAR)
    heard.until(lambda: len(heard.found()) >= 6)
    assert heard.found() == {"written", "moved", "linked", "inside", "brought", "line\nbreak\\xff"}
    one = next(event for event in heard.events if event.key.endswith("written"))
    assert one.fields["size"] == len(EICAR) and one.fields["signature"].startswith(clamav_lab.NAME)
    assert len(one.fields["sha256"]) == 64 and int(one.severity) == 5 and not one.drill
    assert heard.spots == ()


def test_links_fifos_and_devices_in_a_watched_folder_lead_nowhere(watch, tmp_path):
    root = tmp_path / "root"
    root.mkdir()
    (tmp_path / "secret").write_bytes(EICAR)
    heard = watch(root)
    (root / "link").symlink_to(tmp_path / "secret")
    os.mkfifo(root / "fifo")
    os.mknod(root / "device", 0o600 | 0o020000, os.makedev(1, 5))
    (root / "last").write_bytes(EICAR)
    heard.until(lambda: "last" in heard.found())
    assert heard.found() == {"last"}


def test_a_folder_that_comes_later_is_watched_from_then_on(watch, tmp_path):
    heard = watch(tmp_path / "later")
    (tmp_path / "later").mkdir()
    (tmp_path / "later" / "first").write_bytes(EICAR)
    heard.until(lambda: "first" in heard.found())
    (tmp_path / "later" / "second").write_bytes(EICAR)
    heard.until(lambda: "second" in heard.found())


def test_what_a_mapping_wrote_is_found_by_the_next_pass(watch, tmp_path):
    import mmap

    path = tmp_path / "mapped"
    path.write_bytes(bytes(len(EICAR)))
    heard = watch(tmp_path, watch_again=10.0)
    with path.open("r+b") as file, mmap.mmap(file.fileno(), len(EICAR)) as mapped:
        mapped[:] = EICAR
        mapped.flush()
        os.utime(path)
        # A notice of the close may come or not: what counts is that it is found.
    heard.until(lambda: "mapped" in heard.found())


def test_what_came_while_nobody_watched_is_scanned_at_the_start(watch, tmp_path):
    (tmp_path / "before").write_bytes(EICAR)
    heard = watch(tmp_path)
    heard.until(lambda: "before" in heard.found())


def test_more_than_can_wait_is_found_nevertheless_also_what_is_old_and_moved_in(watch, tmp_path, monkeypatch):
    """Each way in which more comes than may wait: a folder that is moved in, one that comes later, and single files."""
    monkeypatch.setattr(watcher_module, "MOST_WAITING", 10)
    root, later, outside = tmp_path / "root", tmp_path / "later", tmp_path / "outside"
    for folder in (root, outside / "tree" / "a", outside / "tree" / "b", outside / "later"):
        folder.mkdir(parents=True)
    expected = set()
    for folder in ("tree/a", "tree/b", "later"):
        for number in range(40):
            name = f"{folder.replace('/', '-')}-{number}"
            (outside / folder / name).write_bytes(EICAR)
            expected.add(name)
    time.sleep(2.1)  # what is older than the last pass is not found by its time alone
    heard = watch(root, later)
    (outside / "tree").rename(root / "tree")
    (outside / "later").rename(later)
    for number in range(60):
        (root / f"single-{number}").write_bytes(EICAR)
        expected.add(f"single-{number}")
    heard.until(lambda: heard.found() == expected, 60)
    assert heard.spots == ()


def test_what_does_not_fit_while_there_is_no_daemon_is_found_when_it_is_back(watch, lab, tmp_path, monkeypatch):
    monkeypatch.setattr(watcher_module, "MOST_WAITING", 10)
    monkeypatch.setattr(watcher_module, "RETRY_S", 0.2)
    (tmp_path / "outside").mkdir()
    expected = {f"moved-{number}" for number in range(40)} | {f"single-{number}" for number in range(40)}
    for number in range(40):
        (tmp_path / "outside" / f"moved-{number}").write_bytes(EICAR)
    (tmp_path / "root").mkdir()
    time.sleep(2.1)
    heard = watch(tmp_path / "root")
    lab.stop()
    try:
        for number in range(40):
            (tmp_path / "root" / f"single-{number}").write_bytes(EICAR)
        (tmp_path / "outside").rename(tmp_path / "root" / "moved")
        heard.until(lambda: heard.spots != ())
    finally:
        lab.start()
    heard.until(lambda: heard.found() == expected, 60)
    heard.until(lambda: heard.spots == ())


def test_every_name_of_a_malicious_file_is_told(watch, tmp_path):
    heard = watch(tmp_path)
    (tmp_path / "one").write_bytes(EICAR)
    os.link(tmp_path / "one", tmp_path / "two")
    heard.until(lambda: heard.found() == {"one", "two"})


def test_without_a_daemon_it_waits_and_says_so_and_loses_nothing(watch, lab, tmp_path):
    heard = watch(tmp_path)
    lab.stop()
    (tmp_path / "meanwhile").write_bytes(EICAR)
    heard.until(lambda: heard.spots != ())
    assert "malicious" in heard.spots[0].what and heard.found() == set()
    lab.start()
    heard.until(lambda: "meanwhile" in heard.found())
    heard.until(lambda: heard.spots == ())


def test_files_that_are_too_large_are_not_clean_but_not_scanned(watch, tmp_path):
    heard = watch(tmp_path, largest=1 << 10)
    (tmp_path / "large").write_bytes(EICAR + bytes(2000))
    heard.until(lambda: any(event.kind == "antivirus.not_scanned" for event in heard.events))
    event = next(event for event in heard.events if event.kind == "antivirus.not_scanned")
    assert event.fields["files"] == 1
    assert "over the setting" in event.fields["detail"]


def test_a_test_file_of_a_proof_is_a_drill_and_malware_with_its_name_is_none(watch, tmp_path):
    heard = watch(tmp_path)
    (tmp_path / "holdfast-drill-abc").write_bytes(EICAR)
    (tmp_path / "holdfast-drill-def").write_bytes(EICAR + b"\n" + b"more")
    heard.until(lambda: len(heard.found()) == 2)
    drills = {
        event.key.rpartition("-")[2]: (event.drill, int(event.severity), str(event.lane)) for event in heard.events
    }
    assert drills == {"abc": ("abc", 1, "critical"), "def": ("", 5, "critical")}


def test_a_folder_that_the_settings_name_and_that_is_not_there_is_said_until_it_is(watch, tmp_path):
    root = tmp_path / "uplods"
    heard = watch(root, watch_again=0.1)
    heard.until(lambda: any(str(root) in spot.what and "no such file" in spot.detail for spot in heard.spots))
    root.mkdir()
    heard.until(lambda: heard.spots == ())
