"""Sockets that are connected with a network are closed, and no others."""

import socket
import uuid
from collections.abc import Iterator

import pytest

from host import sock_destroy
from tests.actions.block.conftest import Space


@pytest.fixture
def space() -> Iterator[Space]:
    made = Space(f"hfbl-{uuid.uuid4().hex[:6]}")
    for address in ("10.9.9.1", "10.9.9.2", "10.9.8.2"):
        made.run("ip", "addr", "add", f"{address}/32", "dev", "lo")
    made.run("ip", "addr", "add", "fd00::2/128", "dev", "lo", "nodad")
    yield made
    made.close()


def connected(space: Space, source: str, target: str, bind: str = "") -> tuple[socket.socket, socket.socket]:
    server = space.socket(socket.SOCK_STREAM, bind or target, 0, listen=True)
    client = space.socket(socket.SOCK_STREAM, source, 0)
    client.connect((target, server.getsockname()[1]))
    held, _ = server.accept()
    server.close()
    return client, held


@pytest.mark.parametrize(
    ("source", "target", "bind", "network"),
    [
        ("10.9.9.2", "10.9.9.1", "", "10.9.9.2"),
        ("10.9.9.2", "10.9.9.1", "", "10.9.9.2/31"),
        ("10.9.9.2", "10.9.9.1", "::", "10.9.9.2"),
        ("fd00::2", "::1", "", "fd00::/64"),
    ],
)
def test_a_connection_with_the_network_is_closed(
    space: Space, source: str, target: str, bind: str, network: str
) -> None:
    client, held = connected(space, source, target, bind)
    assert space.do(sock_destroy.close, network) == (1, "")
    with pytest.raises(ConnectionAbortedError):
        held.recv(1)
    client.close()
    held.close()


def test_another_peer_s_connection_stays(space: Space) -> None:
    client, held = connected(space, "10.9.8.2", "10.9.9.1")
    assert space.do(sock_destroy.close, "10.9.9.2") == (0, "")
    client.send(b"x")
    assert held.recv(1) == b"x"
    client.close()
    held.close()


def test_a_connected_datagram_socket_is_closed(space: Space) -> None:
    one = space.socket(socket.SOCK_DGRAM, "10.9.9.1", 0)
    one.connect(("10.9.9.2", 9))
    closed, trouble = space.do(sock_destroy.close, "10.9.9.2")
    assert (closed, trouble) == (1, "")
    one.close()
