"""Throw-away instances leave nothing behind: no process, no file, whatever happens."""

import multiprocessing
import os
import pwd
import subprocess
import time
from pathlib import Path

import pytest

from actions.backup.databases.throwaway import (
    ProofFailed,
    check_root,
    scratch_folder,
    server,
    untroubled,
    without_privileges,
    write_file,
)
from agent import privileges
from contracts.errors import HoldfastError
from host.linux import LinuxHost


def running(mark: str) -> bool:
    return mark in subprocess.run(["ps", "-ww", "-eo", "args"], capture_output=True, text=True, check=True).stdout


@pytest.fixture
def short(tmp_path: Path) -> str:
    return "/tmp"


def test_the_folder_belongs_to_its_user_alone_and_is_wiped_after_a_failure(short: str) -> None:
    with pytest.raises(RuntimeError), scratch_folder(short, "nobody") as folder:
        status = folder.stat()
        assert (status.st_uid, status.st_mode & 0o777) == (pwd.getpwnam("nobody").pw_uid, 0o700)
        (folder / "deep" / "er").mkdir(parents=True)
        (folder / "deep" / "er" / "file").write_text("secret")
        raise RuntimeError
    assert not folder.exists()


def test_a_place_that_will_not_do_is_named(tmp_path: Path) -> None:
    with (
        pytest.raises(ProofFailed, match="no private directory can be made"),
        scratch_folder(str(tmp_path / "none"), ""),
    ):
        pass
    deep = tmp_path / ("x" * 100)
    deep.mkdir()
    with pytest.raises(ProofFailed, match="too long for a socket"), scratch_folder(str(deep), ""):
        pass
    assert list(deep.iterdir()) == []
    with pytest.raises(ProofFailed, match="no such user"), scratch_folder("/tmp", "no-such-user"):
        pass


def test_a_server_runs_until_the_end_and_is_asked_to_go(short: str) -> None:
    with scratch_folder(short, "nobody") as folder:
        script = f"trap 'touch {folder}/gone; exit 0' TERM; touch {folder}/up; while :; do sleep 0.1; done # {folder}"
        with server(
            LinuxHost(), ("sh", "-c", script), folder, run_as="nobody", ready=(folder / "up").exists, timeout_s=30
        ):
            assert running(f"done # {folder}")
        assert (folder / "gone").exists()
    assert not running(f"done # {folder}")


def test_one_that_does_not_come_up_is_named_with_the_end_of_its_log(short: str) -> None:
    with (
        scratch_folder(short, "nobody") as folder,
        pytest.raises(ProofFailed, match=r"does not come up \(starting \| no such locale\)"),
        server(
            LinuxHost(),
            ("sh", "-c", "echo starting; echo no such locale >&2; exit 1"),
            folder,
            run_as="nobody",
            ready=lambda: False,
            timeout_s=30,
        ),
    ):
        pass


def test_one_that_does_not_go_when_asked_is_killed(short: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from actions.backup.databases import throwaway

    monkeypatch.setattr(throwaway, "_GOES_S", 0.3)
    began = time.monotonic()
    with scratch_folder(short, "nobody") as folder:
        script = f"trap '' TERM; touch {folder}/up; while :; do sleep 0.1; done # {folder}"
        with server(
            LinuxHost(), ("sh", "-c", script), folder, run_as="nobody", ready=(folder / "up").exists, timeout_s=30
        ):
            pass
    assert time.monotonic() - began < 60
    assert not running(f"done # {folder}")


def test_it_has_no_capabilities_and_can_gain_none() -> None:
    argv = without_privileges(LinuxHost(), "sh", "-c", "grep -E 'CapInh|CapAmb|NoNewPrivs' /proc/self/status")
    said = subprocess.run(argv, capture_output=True, text=True, check=True).stdout.split()
    assert sorted(said) == sorted(["CapInh:", "0" * 16, "CapAmb:", "0" * 16, "NoNewPrivs:", "1"])


def test_root_must_name_a_user() -> None:
    assert os.geteuid() == 0
    with pytest.raises(ProofFailed, match="not run as root"):
        check_root("")
    check_root("nobody")


def test_questions_that_fail_are_untroubled_about() -> None:
    def fails() -> None:
        raise ProofFailed("a", "b")

    assert untroubled(lambda: 1)
    assert not untroubled(fails)


def test_no_room_for_a_dump_is_a_failure_with_advice(tmp_path: Path) -> None:
    place = tmp_path / "small"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", place], check=True)
    try:
        with pytest.raises(ProofFailed, match="No space left on device"):
            write_file(place / "a", [bytes(700_000)] * 3)
    finally:
        subprocess.run(["umount", "-l", place], check=True)
    write_file(tmp_path / "b", [b"12", b"", b"3"])
    assert (tmp_path / "b").read_bytes() == b"123"
    assert (tmp_path / "b").stat().st_mode & 0o777 == 0o600


def test_a_worker_that_the_agent_made_small_runs_one_too(tmp_path: Path) -> None:
    """Its securebits are locked, and setpriv does not even start there."""
    asked, told = multiprocessing.Pipe()

    def child() -> None:
        privileges.drop(privileges.Account(uid=65534, gid=65534), ["CAP_DAC_READ_SEARCH"])
        try:
            with scratch_folder("/tmp", "") as folder:
                script = "cat /proc/self/status > status; touch up; while :; do sleep 0.1; done"
                words = ("sh", "-c", f"cd {folder}; {script}")
                up = folder / "up"
                with server(LinuxHost(), words, folder, run_as="", ready=up.exists, timeout_s=60):
                    told.send((folder / "status").read_text())
        except HoldfastError as error:
            told.send(repr(error))

    process = multiprocessing.get_context("fork").Process(target=child)
    process.start()
    status = asked.recv()
    process.join()
    assert "CapEff:\t0000000000000000" in status, status
    assert "CapPrm:\t0000000000000000" in status
    assert "NoNewPrivs:\t1" in status


def test_one_that_does_not_even_start_says_why() -> None:
    words = ("sh", "-c", "exit 0")
    with scratch_folder("/tmp", "nobody") as folder:
        missing = folder / "not there"
        with (
            pytest.raises(ProofFailed, match=r"cannot create|nonexistent|[Nn]o such file"),
            server(LinuxHost(), words, missing, run_as="nobody", ready=lambda: False, timeout_s=60),
        ):
            pass
