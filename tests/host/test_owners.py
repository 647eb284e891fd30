"""Which processes hold which sockets, as /proc tells it."""

import os
import socket
import subprocess
from pathlib import Path

from host.namespaces import process_name
from host.owners import Owners, all_pids, is_user_process


def test_a_socket_is_found_by_its_inode_and_the_process_named_once() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket(fileno=os.dup(server.fileno())):
        inode = os.fstat(server.fileno()).st_ino
        found = Owners(all_pids(), [inode]).by_inode
    assert found == {inode: (os.getpid(),)}


def test_a_socket_that_nobody_holds_has_no_owner() -> None:
    assert Owners([str(os.getpid())], [1]).by_inode == {}


def test_a_process_that_has_ended_is_no_blind_spot() -> None:
    process = subprocess.Popen(["/usr/bin/true"])
    process.wait()
    owners = Owners([str(process.pid)], [1])
    assert owners.complete
    assert owners.blind() == ()


def test_kernel_threads_and_the_dead_hold_nothing() -> None:
    process = subprocess.Popen(["/usr/bin/true"])
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # a zombie now
    assert not is_user_process(str(process.pid))
    process.wait()
    assert not is_user_process(str(process.pid))
    assert is_user_process(str(os.getpid()))
    kthreadd = [pid for pid in all_pids() if process_name(pid) == "kthreadd"]
    assert not any(map(is_user_process, kthreadd))


def test_an_open_file_whose_path_is_too_long_to_be_told_hides_nobody(tmp_path: Path) -> None:
    here = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    for _ in range(20):  # 5,000 bytes: more than a page
        os.mkdir("d" * 250, dir_fd=here)  # deeper than a path can say
        below = os.open("d" * 250, os.O_RDONLY | os.O_DIRECTORY, dir_fd=here)
        os.close(here)
        here = below
    try:
        with socket.create_server(("127.0.0.1", 0)) as server:
            inode = os.fstat(server.fileno()).st_ino
            owners = Owners(all_pids(), [inode])
            assert owners.by_inode == {inode: (os.getpid(),)}
    finally:
        os.close(here)
