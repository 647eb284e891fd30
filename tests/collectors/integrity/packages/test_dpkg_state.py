"""dpkg's state, its lists and logs, and whether a run is under way."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from collectors.integrity.packages.dpkg_state import DpkgState, archives
from contracts.errors import Unavailable, Why
from host.linux import LinuxHost


@contextmanager
def held(made) -> Iterator[None]:
    """Have another process hold dpkg's lock, as it does while it works."""
    lock = str(made.folder / "dpkg/lock")
    code = f"import fcntl, sys; f = open({lock!r}, 'w'); fcntl.lockf(f, fcntl.LOCK_EX); print(flush=True); sys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stdout.readline() == b"\n"
        yield
        process.communicate()


@pytest.fixture
def state(made) -> DpkgState:
    made.installed("1.0")
    found = DpkgState(LinuxHost())
    found.refresh()
    return found


def test_what_is_installed_and_what_its_list_says(made, state) -> None:
    (one,) = state.packages().values()
    assert state.is_installed("hf-tool", "1.0", "all") and not state.is_installed("hf-tool", "1.1", "all")
    assert state.names(one)[-1] == b"/usr/bin/hf-tool"
    assert len(state.listing(one, b"/usr/bin/hf-tool").digest) == 32 and state.listing(one, b"/x").digest == ""


def test_a_removed_package_is_not_installed(made, state) -> None:
    time.sleep(0.01)
    made.installed("1.0", "config-files")
    state.refresh()
    assert not state.is_installed("hf-tool", "1.0", "all")


def test_no_dpkg_is_not_present(made) -> None:
    (made.folder / "dpkg/status").unlink()
    with pytest.raises(Unavailable, match="there is no dpkg here") as told:
        DpkgState(LinuxHost()).refresh()
    assert told.value.why is Why.NOT_PRESENT


def test_a_run_of_apt_and_one_of_dpkg_alone_are_told_apart(made, state) -> None:
    (made.folder / "history.log").write_text(
        "\nStart-Date: 2026-01-02  10:00:00\nCommandline: apt-get install a\nRequested-By: ada (1000)\n"
        "Install: a:amd64 (1.0), b:amd64 (2.0, automatic)\nEnd-Date: 2026-01-02  10:00:09\n"
    )
    (made.folder / "dpkg.log").write_text(
        "2026-01-02 10:00:01 startup archives unpack\n2026-01-02 10:00:02 install a:amd64 <none> 1.0\n"
        "2026-01-02 10:00:30 startup archives install\n2026-01-02 10:00:31 upgrade c:all 1 2\n"
    )
    apt, dpkg = state.runs(0)
    assert (apt.tool, apt.who, [one.name for one in apt.packages]) == ("apt", "ada (1000)", ["a", "b"])
    assert (dpkg.tool, dpkg.packages[0].before, dpkg.packages[0].after) == ("dpkg", "1", "2")
    assert state.runs(apt.ended_ms + 60_000) == []


def test_a_lock_that_a_process_holds_says_that_a_run_is_under_way(made, state) -> None:
    lock = made.folder / "dpkg/lock"
    lock.touch()
    assert not state.is_busy()
    with held(made):
        assert state.is_busy()
    assert not state.is_busy()


def test_archives_are_regular_files_that_end_so(made) -> None:
    made.archive()
    (made.folder / "archives/link.deb").symlink_to("/etc/passwd")
    assert [path.rpartition("/")[2] for path in archives(str(made.folder / "archives"))] == ["hf-tool_1.0_all.deb"]
    assert list(archives("/nonexistent")) == []


def test_a_run_without_an_end_is_under_way_while_the_lock_is_held_and_else_unfinished(made, state) -> None:
    log = made.folder / "history.log"
    log.write_text("\nStart-Date: 2026-01-02  10:00:00\nInstall: a:amd64 (1.0)\n")
    with held(made):
        (run,) = state.runs(0)
        assert (run.ended_ms, run.unfinished) == (0, "")
    (run,) = state.runs(0)
    assert run.ended_ms > 0 and run.unfinished == "its log has no end"
    assert state.runs(0, {run.id: 77})[0].ended_ms == 77, "when that was found is known"
    with log.open("a") as more:
        more.write("\nStart-Date: 2026-01-02  11:00:00\nRemove: a:amd64 (1.0)\n")
    with held(made):
        first, second = state.runs(0)
    assert first.unfinished and first.ended_ms == second.started_ms and not second.ended_ms


def test_what_dpkg_does_after_an_apt_that_died_is_a_run_of_its_own(made, state) -> None:
    (made.folder / "history.log").write_text("\nStart-Date: 2026-01-02  10:00:00\nInstall: a:amd64 (1.0)\n")
    (made.folder / "dpkg.log").write_text(
        "2026-01-02 10:00:02 startup archives unpack\n2026-01-02 10:00:02 install a:amd64 <none> 1.0\n"
        "2026-01-02 10:00:02 startup archives install\n2026-01-02 10:00:02 install other:amd64 <none> 1.0\n"
    )
    runs = state.runs(0, {state.runs(0)[0].id: state.runs(0)[0].started_ms + 5000})
    assert [(run.tool, [one.name for one in run.packages]) for run in runs] == [("apt", ["a"]), ("dpkg", ["other"])]


def test_what_dpkg_noted_before_it_was_killed_counts_more_than_its_status(made, state) -> None:
    (made.folder / "dpkg/updates").mkdir()
    stanza = "Package: hf-tool\nStatus: install ok half-configured\nArchitecture: all\nVersion: 1.1\n"
    (made.folder / "dpkg/updates/0001").write_text(stanza)
    state.refresh()
    (one,) = state.packages().values()
    assert (one.version, one.state) == ("1.1", "half-configured")
    (made.folder / "dpkg/updates/0001").unlink()
    state.refresh()
    assert state.is_installed("hf-tool", "1.0", "all")


def test_a_note_that_dpkg_takes_over_while_it_is_read_is_no_failure(made, state, monkeypatch) -> None:
    listed = iter([["0001"], ["0001", "0002"], []])
    made.installed("1.1")
    monkeypatch.setattr(DpkgState, "_updates", lambda self: next(listed))
    state.refresh()
    assert state.is_installed("hf-tool", "1.1", "all")
    monkeypatch.setattr(DpkgState, "_updates", lambda self: ["0009"])
    with pytest.raises(Unavailable, match="0009 was gone whenever"):
        state.refresh()
    assert state.is_installed("hf-tool", "1.1", "all")
