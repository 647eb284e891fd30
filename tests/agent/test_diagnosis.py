"""Each check of the machine sees what is there and names the fix for what is not."""

import os
import socket
from pathlib import Path

import pytest

from agent import diagnosis


def test_a_private_folder_passes(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    assert diagnosis.folder("state folder", tmp_path, private=True).state == "ok"


@pytest.mark.parametrize(
    ("mode", "private", "said", "fix"),
    [
        (0o755, True, "others may read the agent's key", "chmod 0700"),
        (0o777, False, "everyone may write there", "chmod o-w"),
    ],
)
def test_an_open_folder_fails_with_its_fix(tmp_path: Path, mode: int, private: bool, said: str, fix: str) -> None:
    tmp_path.chmod(mode)
    check = diagnosis.folder("state folder", tmp_path, private=private)
    assert check.state == "failed"
    assert said in check.found
    assert fix in check.fix


def test_a_missing_folder_and_a_file_in_its_place_fail(tmp_path: Path) -> None:
    check = diagnosis.folder("state folder", tmp_path / "x", private=True)
    assert (check.state, check.fix) == ("failed", f"run: install -d -m 0700 {tmp_path}/x")
    (tmp_path / "x").write_text("")
    assert diagnosis.folder("state folder", tmp_path / "x", private=True).found == "is not a folder"


def test_a_folder_of_another_user_fails(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    os.chown(tmp_path, 65534, 65534)
    assert diagnosis.folder("state folder", tmp_path, private=True, owner="root").found == "belongs to user 65534"


def test_missing_tools_are_named_with_their_package(tmp_path: Path) -> None:
    (tmp_path / "nft").write_text("#!/bin/sh\n")
    (tmp_path / "nft").chmod(0o755)
    checks = {check.name: check for check in diagnosis.tools(str(tmp_path))}
    assert checks["tool nft"].state == "ok"
    assert checks["tool iptables-save"].state == "noted"
    assert checks["tool iptables-save"].fix == "install the Debian package iptables"
    (tmp_path / "nft").unlink()
    assert {check.name: check.state for check in diagnosis.tools(str(tmp_path))}["tool nft"] == "failed"


def test_a_workers_socket_is_for_the_core_alone(tmp_path: Path) -> None:
    for name, mode in {"reader": 0o600, "netfilter": 0o666}.items():
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(str(tmp_path / f"{name}.sock"))
        (tmp_path / f"{name}.sock").chmod(mode)
    (tmp_path / "messenger.sock").write_text("")
    checks = {check.name: check for check in diagnosis.sockets(tmp_path, "root")}
    assert checks["socket of reader"].state == "ok"
    assert "others than the core may connect" in checks["socket of netfilter"].found
    assert checks["socket of messenger"].found == "is not a socket"
    assert list(diagnosis.sockets(tmp_path / "none", "root")) == []


def test_a_missing_socket_is_named_with_its_unit(tmp_path: Path) -> None:
    (tmp_path / "reader.sock").write_text("")
    (check,) = diagnosis.listening(tmp_path, ["reader", "netfilter"])
    assert (check.name, check.fix) == ("socket of netfilter", "run: systemctl enable --now holdfast-netfilter.socket")


def test_missing_users_fail_in_an_installation_and_are_noted_in_a_checkout() -> None:
    assert [check.state for check in diagnosis.users(["root", "no-such-user"], ["root", "no-such-group"], True)] == [
        "ok",
        "failed",
        "ok",
        "failed",
    ]
    assert [check.state for check in diagnosis.users(["no-such-user"], ["no-such-group"], False)] == ["noted", "noted"]


def test_what_the_system_withholds_is_named() -> None:
    needed = {"netfilter": ("CAP_NET_ADMIN", "CAP_NET_RAW"), "reader": ("CAP_SYS_PTRACE",)}
    first, second = diagnosis.bounding(needed, frozenset({"CAP_SYS_PTRACE", "CAP_NET_RAW"}))
    assert (first.state, first.found) == ("failed", "this system withholds CAP_NET_ADMIN")
    assert second.state == "ok"


def test_a_disk_without_room_for_the_spool_fails(tmp_path: Path) -> None:
    assert diagnosis.disk(tmp_path / "not" / "yet", 1).state == "ok"
    check = diagnosis.disk(tmp_path, 1 << 60)
    assert check.state == "failed"
    assert "spool.max_size" in check.fix


def test_the_kernel_says_what_it_has(tmp_path: Path) -> None:
    checks = {check.name: check.state for check in diagnosis.kernel(tmp_path)}
    assert checks["kernel socket diagnosis"] == "ok"
    assert checks["kernel pressure"] == "noted"


def test_time_sync_is_asked_of_the_kernel() -> None:
    check = diagnosis.time_sync()
    assert check.state in {"ok", "noted"}
    assert check.found
