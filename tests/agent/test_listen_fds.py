"""Descriptor 3 is a worker's socket only if everything says so."""

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from agent.listen_fds import FD_NAME, peer_uid

ROOT = Path(__file__).parents[2]

# Claims the socket at descriptor 3 with the variables given (LISTEN_PID filled in) and says what came of it.
PROGRAM = """
import os, sys
from agent import listen_fds
from contracts.errors import HoldfastError
listen_fds.ACCEPT_S = float(sys.argv[2])
if os.environ.get("LISTEN_PID") == "self":
    os.environ["LISTEN_PID"] = str(os.getpid())
try:
    sock = listen_fds.claim("reader", frozenset(map(int, sys.argv[1].split(","))))
    left = [name for name in os.environ if name.startswith("LISTEN_")]
    print("claimed", sock.getblocking(), left, os.get_inheritable(sock.fileno()))
    sock.sendall(b"hello")
except HoldfastError as error:
    print(type(error).__name__, error)
"""

MEANT = {"LISTEN_PID": "self", "LISTEN_FDS": "1", "LISTEN_FDNAMES": FD_NAME}


def run(descriptor, peers="0", accept_s=60.0, **environ):
    """Start a claiming process with `descriptor` as its number 3."""

    def third():
        os.dup2(descriptor, 3)

    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, peers, str(accept_s)],
        preexec_fn=third,
        close_fds=False,
        cwd=ROOT,
        env=os.environ | environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def said(process):
    out, err = process.communicate(timeout=120)
    return out + err


@pytest.fixture
def pair():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


@pytest.fixture
def server(tmp_path):
    path = Path(f"/tmp/holdfast-claim-{os.getpid()}-{time.monotonic_ns()}.sock")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        path.chmod(0o666)
        listening.listen()
        yield listening, str(path)
    path.unlink()


def test_a_connected_socket_of_the_core_is_taken_over_and_the_variables_removed(pair):
    ours, theirs = pair
    assert said(run(theirs.fileno(), **MEANT)) == "claimed True [] False\n"
    assert ours.recv(10) == b"hello"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"LISTEN_PID": "1"}, "was not handed a socket"),
        ({"LISTEN_PID": ""}, "was not handed a socket"),
        ({"LISTEN_FDS": "2"}, "was not handed a socket"),
        ({"LISTEN_FDNAMES": "sshd.socket"}, "is named 'sshd.socket'"),
    ],
)
def test_a_descriptor_that_is_not_meant_for_it_is_refused(pair, change, reason):
    assert reason in said(run(pair[1].fileno(), **(MEANT | change)))


def test_a_file_or_a_network_socket_is_refused(tmp_path):
    with (tmp_path / "x").open("w") as file:
        assert "is not a socket" in said(run(file.fileno(), **MEANT))
    with socket.socket() as internet:
        assert "not a Unix stream socket" in said(run(internet.fileno(), **MEANT))


def test_a_connected_socket_of_another_user_is_refused(pair):
    assert "Refused" in said(run(pair[1].fileno(), peers="4711", **MEANT))


def test_a_listening_socket_takes_the_core_and_refuses_others_without_losing_its_turn(server):
    listening, path = server
    process = run(listening.fileno(), **MEANT)
    stranger = subprocess.run(
        ["/usr/bin/setpriv", "--reuid=65534", "--clear-groups", "--regid=65534", "/usr/bin/python3", "-c",
         "import socket,sys; s=socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); print(s.recv(9))", path],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert stranger.stdout == "b''\n", stranger.stderr
    with socket.socket(socket.AF_UNIX) as core:
        core.connect(path)
        assert core.recv(10) == b"hello"
        assert peer_uid(core) == os.geteuid()
    out = said(process)
    assert "claimed True" in out and "refused a connection from user 65534" in out


def test_a_worker_that_nobody_speaks_to_ends(server):
    assert "Unreachable" in said(run(server[0].fileno(), accept_s=0.5, **MEANT))
