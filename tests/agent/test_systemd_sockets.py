"""Workers behind systemd's socket units."""

import os
import socket

import pytest

from agent.systemd_sockets import SystemdSockets
from contracts.errors import Refused, Unreachable


@pytest.fixture
def folder(tmp_path):
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "reader.sock"))
        server.listen()
        yield tmp_path


def test_it_connects_to_the_workers_socket(folder):
    connector = SystemdSockets(folder, {"reader": "daemon"}, frozenset({os.geteuid()}))
    with connector.connect("reader") as sock:
        assert sock.family == socket.AF_UNIX and not sock.getblocking()


def test_a_socket_that_is_not_there_says_where_to_look(folder):
    with pytest.raises(Unreachable, match=r"systemctl status 'holdfast-netfilter\.socket'"):
        SystemdSockets(folder, {}).connect("netfilter")


def test_a_socket_of_somebody_else_is_refused(folder):
    with pytest.raises(Refused, match="not to the service manager"):
        SystemdSockets(folder, {}, frozenset({4711})).connect("reader")


def test_only_the_workers_own_user_may_speak(folder):
    connector = SystemdSockets(folder, {"reader": "daemon", "netfilter": "no-such-user"})
    assert len(connector.uids("reader")) == 1 and connector.uids("netfilter") == connector.uids("other") == frozenset()
    assert connector.kill("reader") is False
