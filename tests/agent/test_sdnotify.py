"""sd_notify against a socket that stands for the manager's."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.sdnotify import Notifier


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as made:
        made.bind(str(tmp_path / "notify"))
        made.settimeout(20)
        yield made


def heard(manager: socket.socket) -> list[str]:
    return manager.recv(4096).decode().splitlines()


def test_ready_carries_the_status_line(manager: socket.socket) -> None:
    Notifier({"NOTIFY_SOCKET": manager.getsockname()}).ready("watching 2 subjects")
    assert heard(manager) == ["READY=1", "STATUS=watching 2 subjects"]


def test_reloading_names_the_monotonic_time(manager: socket.socket) -> None:
    Notifier({"NOTIFY_SOCKET": manager.getsockname()}).reloading()
    first, second = heard(manager)
    assert first == "RELOADING=1"
    assert second.startswith("MONOTONIC_USEC=") and int(second.partition("=")[2]) > 0


def test_a_status_cannot_smuggle_an_assignment(manager: socket.socket) -> None:
    Notifier({"NOTIFY_SOCKET": manager.getsockname()}).status("bad\nREADY=1")
    assert heard(manager) == ["STATUS=bad READY=1"]


def test_abstract_addresses_are_reached() -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(f"\0holdfast-test-{os.getpid()}")
        manager.settimeout(20)
        Notifier({"NOTIFY_SOCKET": f"@holdfast-test-{os.getpid()}"}).alive()
        assert heard(manager) == ["WATCHDOG=1"]


def test_without_a_manager_nothing_is_said_and_nothing_fails(tmp_path: Path) -> None:
    assert not Notifier({}).present
    Notifier({}).stopping()
    Notifier({"NOTIFY_SOCKET": str(tmp_path / "gone")}).stopping()


def test_the_watchdog_is_only_ours_when_it_names_us() -> None:
    assert Notifier({"WATCHDOG_USEC": "30000000"}).watchdog_s == 30
    assert Notifier({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}).watchdog_s == 30
    assert Notifier({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}).watchdog_s == 0
    assert Notifier({"WATCHDOG_USEC": "soon"}).watchdog_s == 0


def test_a_held_connection_speaks_when_no_other_could_be_made(manager: socket.socket) -> None:
    notifier = Notifier({"NOTIFY_SOCKET": manager.getsockname()})
    notifier.hold()
    os.rename(manager.getsockname(), manager.getsockname() + ".gone")
    notifier.alive()
    assert heard(manager) == ["WATCHDOG=1"]
    Notifier({}).hold()
