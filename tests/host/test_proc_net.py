"""Lines of /proc/net are read as the kernel means them."""

import socket
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.errors import Malformed
from host import proc_net, sock_diag


def line(address: bytes, port: int, uid: int, inode: int) -> list[bytes]:
    words = struct.unpack(f"={len(address) // 4}I", address)
    local = "".join(f"{word:08X}" for word in words)
    text = f"0: {local}:{port:04X} {'0' * len(local)}:0000 0A 00000000:00000000 00:00000000 00000000 {uid} 0 {inode} 1"
    return text.encode().split()


@given(
    st.binary(min_size=4, max_size=4) | st.binary(min_size=16, max_size=16),
    st.integers(0, 65535),
    st.integers(0, 2**32 - 1),
)
def test_an_address_is_read_back(address: bytes, port: int, uid: int) -> None:
    family = socket.AF_INET if len(address) == 4 else socket.AF_INET6
    bound = proc_net.parse(line(address, port, uid, 77), family)
    assert sock_diag.text(bound[0], bound[1]) == socket.inet_ntop(family, address)
    assert (bound[2], bound[5], bound[6], bound[7]) == (port, uid, 77, None)


@given(st.lists(st.binary(min_size=1, max_size=20), min_size=10, max_size=12))
def test_anything_else_is_malformed(fields: list[bytes]) -> None:
    try:
        proc_net.parse(fields, socket.AF_INET)
    except Malformed:
        pass


def test_a_family_that_does_not_fit_is_malformed() -> None:
    with pytest.raises(Malformed):
        proc_net.parse(line(bytes(16), 1, 1, 1), socket.AF_INET)


def test_listeners_are_found_and_connections_are_not() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()):
        port = server.getsockname()[1]
        found = proc_net.table("/proc/self/net/tcp", "tcp", socket.AF_INET)
    assert [bound[2] for bound in found if bound[2] == port] == [port]
