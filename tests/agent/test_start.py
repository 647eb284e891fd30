"""What must hold before the agent starts, each failure in one sentence."""

import os
from pathlib import Path

import pytest

from agent import start
from agent.privileges import WORKERS, account
from agent.sdnotify import Notifier
from contracts.errors import UsageError


def paths(folder: Path) -> start.Paths:
    return start.Paths(
        config=folder / "agent.yaml",
        state=folder / "state",
        runtime=folder / "run",
        control=folder / "run" / "control.sock",
    )


def test_the_command_line_is_read() -> None:
    found = start.parse(["-c", "/x/agent.yaml", "--state-dir=/s", "--runtime-dir", "/r"])
    assert (found.config, found.state_dir, found.runtime_dir) == ("/x/agent.yaml", "/s", "/r")


@pytest.mark.parametrize("words", [["-x"], ["-c"], ["agent.yaml"]])
def test_wrong_words_are_refused(words: list[str]) -> None:
    with pytest.raises(UsageError):
        start.parse(words)


def test_what_the_command_line_gives_wins_over_the_configuration() -> None:
    found = start.Arguments(config="/e/agent.yaml").paths("/s", "/r", "")
    assert (str(found.state), str(found.control)) == ("/s", "/r/control.sock")
    assert str(start.Arguments(config="/e/a.yaml").paths("/s", "/r", "/c.sock").control) == "/c.sock"
    moved = start.Arguments(config="/e/a.yaml", state_dir="/S", runtime_dir="/R").paths("/s", "/r", "/c.sock")
    assert (str(moved.state), str(moved.control)) == ("/S", "/R/control.sock")


def test_directories_are_made_private_and_open_whatever_the_umask(tmp_path: Path) -> None:
    former = os.umask(0o077)
    try:
        start.make_directories(paths(tmp_path))
    finally:
        os.umask(former)
    assert (tmp_path / "state").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "run").stat().st_mode & 0o777 == 0o755


def test_a_state_directory_that_others_may_read_is_closed(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir(mode=0o755)
    start.make_directories(paths(tmp_path))
    assert (tmp_path / "state").stat().st_mode & 0o077 == 0


def test_a_directory_that_cannot_be_made_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file")
    with pytest.raises(start.CannotStart, match="cannot be made"):
        start.make_directories(paths(tmp_path))


def test_only_one_agent_holds_the_lock(tmp_path: Path) -> None:
    start.make_directories(paths(tmp_path))
    held = start.lock(paths(tmp_path))
    with pytest.raises(start.CannotStart, match="another agent runs here already"):
        start.lock(paths(tmp_path))
    os.close(held)
    os.close(start.lock(paths(tmp_path)))


def test_workers_are_systemds_only_where_it_watches_and_made_their_sockets(tmp_path: Path) -> None:
    watched = Notifier({"NOTIFY_SOCKET": "/run/x"})
    assert not start.under_systemd(watched, paths(tmp_path))
    (tmp_path / "run" / "workers").mkdir(parents=True)
    assert start.under_systemd(watched, paths(tmp_path))
    assert not start.under_systemd(Notifier({}), paths(tmp_path))


def test_whether_the_way_to_its_files_is_open_is_tried_without_privileges(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    start.make_directories(paths(home))
    (home / "agent.yaml").write_text("{}")
    assert start.reachable_without_privileges(paths(home))
    os.chown(home, 65534, 65534)
    home.chmod(0o700)
    assert not start.reachable_without_privileges(paths(home))


def test_each_worker_that_keeps_something_has_a_folder_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    workers = {"netfilter": WORKERS["netfilter"], "reader": WORKERS["reader"]}
    for _ in range(2):
        assert start.make_worker_folders(paths(tmp_path), workers) == {
            "netfilter": str(tmp_path / "state-workers" / "netfilter"),
            "reader": str(tmp_path / "state-workers" / "reader"),
        }
    status = (tmp_path / "state-workers" / "netfilter").stat()
    assert status.st_mode & 0o777 == 0o700
    assert status.st_uid == account("netfilter", WORKERS["netfilter"].user).uid


def test_a_worker_folder_that_cannot_be_made_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "state-workers").write_text("in the way")
    with pytest.raises(start.CannotStart, match=r"state-workers/netfilter cannot be made: "):
        start.make_worker_folders(paths(tmp_path), WORKERS)
