"""Which connections have sent much, asked of the real kernel."""

import os
import socket
import struct
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.errors import Malformed
from contracts.host import Sender
from host import netlink, senders

MUCH = 3_000_000


def bulk(family: int, address: str, bind: str) -> tuple[socket.socket, socket.socket, socket.socket]:
    """Return a listener, a client that has sent `MUCH`, and the server's end of it, which has read all of it."""
    listener = socket.create_server((bind, 0), family=family, dualstack_ipv6=False)
    client = socket.create_connection((address, listener.getsockname()[1]))
    server, _ = listener.accept()

    def read() -> None:
        left = MUCH
        while left:
            left -= len(server.recv(min(left, 1 << 20)))

    reader = threading.Thread(target=read)
    reader.start()
    client.sendall(bytes(MUCH))
    reader.join()
    return listener, client, server


@pytest.mark.parametrize(
    ("family", "address", "bind"),
    [(socket.AF_INET, "127.0.0.1", "127.0.0.1"), (socket.AF_INET6, "::1", "::1")],
    ids=["ipv4", "ipv6"],
)
def test_who_sent_much_is_told_with_both_ends_and_its_processes(family: int, address: str, bind: str) -> None:
    ends = bulk(family, address, bind)
    try:
        client = ends[1].getsockname()[:2]
        found = senders.sending(MUCH, 1000)
        (mine,) = [one for one in found.connections if (one.address, one.port) == client]
        assert (mine.peer, mine.peer_port) == ends[1].getpeername()[:2]
        assert MUCH <= mine.bytes_sent < MUCH + 10 and os.getpid() in mine.pids
        assert not [one for one in found.connections if (one.peer, one.peer_port) == client], (
            "that end has sent nothing"
        )
        none = senders.sending(MUCH, 0)
        assert none.connections == () and none.left_out >= 1
    finally:
        for one in ends:
            one.close()


def test_an_address_of_ipv4_within_ipv6_is_told_as_packets_have_it() -> None:
    listener = socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True)
    client = socket.create_connection(("127.0.0.1", listener.getsockname()[1]))
    server, _ = listener.accept()
    try:
        ours = {(one.address, one.port, one.peer) for one in senders.sending(0, 100_000).connections}
        assert ("127.0.0.1", listener.getsockname()[1], "127.0.0.1") in ours
    finally:
        for one in (listener, client, server):
            one.close()


@given(st.binary(max_size=300))
def test_what_is_no_answer_is_malformed_and_never_anything_else(data: bytes) -> None:
    found: list[Sender] = []
    whole = struct.pack("=IHHII", 16 + len(data), 20, 0, 1, 1) + data
    for part in (data, whole + bytes(-len(whole) % 4)):
        try:
            senders.parse(part, found)
        except (Malformed, OSError):
            continue


def test_a_refusal_is_no_empty_answer() -> None:
    refusal = netlink.HEADER.pack(20, netlink.NLMSG_ERROR, 0, 1, 1) + struct.pack("=i", -1)
    with pytest.raises(OSError, match="not permitted"):
        senders.parse(refusal, [])
