"""The kernel's answers are read exactly, and bytes that are none are refused."""

import socket
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.errors import Malformed
from host import sock_diag

ADDRESS = st.binary(min_size=16, max_size=16)
BOUND = st.tuples(
    st.sampled_from([socket.AF_INET, socket.AF_INET6]),
    ADDRESS,
    st.integers(0, 65535),
    st.integers(0, 2**31 - 1),
    st.integers(0, 2**32 - 1),
    st.integers(0, 2**32 - 1),
    st.integers(0, 2**32 - 1),
    st.sampled_from([None, False, True]),
)


def message(bound: sock_diag.Bound) -> bytes:
    """Return an inet_diag message as the kernel writes it."""
    family, address, port, interface, backlog, uid, inode, v6only = bound
    identity = struct.pack(">HH", port, 0) + address + bytes(16) + struct.pack("=I", interface) + bytes(8)
    body = bytes([family, 10, 0, 0]) + identity + struct.pack("=5I", 0, 0, backlog, uid, inode)
    body += struct.pack("=HHB3x", 5, 8, 0)
    if v6only is not None and family == socket.AF_INET6:
        body += struct.pack("=HHB3x", 5, 11, v6only)
    return struct.pack("=IHHII", 16 + len(body), 20, 2, 1, 0) + body


@given(st.lists(BOUND, max_size=20))
def test_what_the_kernel_writes_is_read_back(bounds: list[sock_diag.Bound]) -> None:
    raw = b"".join(map(message, bounds))
    found: list[sock_diag.Bound] = []
    assert sock_diag.parse(raw, found) == len(raw)
    expected = [bound if bound[0] == socket.AF_INET6 else (*bound[:7], None) for bound in bounds]
    assert found == expected


@given(st.binary(max_size=400))
def test_other_bytes_are_refused_or_left_alone(raw: bytes) -> None:
    found: list[sock_diag.Bound] = []
    try:
        end = sock_diag.parse(raw, found)
    except (Malformed, sock_diag._Inconsistent):
        return
    assert 0 <= end <= len(raw) + 3


@given(BOUND, st.integers(72, 120))
def test_a_message_cut_short_is_refused(bound: sock_diag.Bound, keep: int) -> None:
    raw = message(bound)
    if keep >= len(raw):
        return
    cut = raw[:keep] + bytes(88 - keep if keep < 88 else 0)
    longer = struct.pack("=I", len(cut) + 64) + cut[4:]
    with pytest.raises(Malformed):
        sock_diag.parse(longer, [])


def test_a_listener_of_this_process_is_told_with_its_backlog() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=7) as server:
        found = sock_diag.dump("tcp", socket.AF_INET)
        mine = [bound for bound in found if bound[2] == server.getsockname()[1]]
    assert [(sock_diag.text(bound[0], bound[1]), bound[4]) for bound in mine] == [("127.0.0.1", 7)]


def test_identities_name_the_same_sockets() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        names = sock_diag.identities("tcp", socket.AF_INET)
        port = server.getsockname()[1]
        before = [name for name in names if int.from_bytes(name[:2], "big") == port]
        again = [name for name in sock_diag.identities("tcp", socket.AF_INET) if name in before]
    assert len(before) == 1
    assert before == again


def test_a_protocol_that_the_kernel_does_not_have_is_named() -> None:
    with pytest.raises(sock_diag.NoSuchProtocol):
        sock_diag.dump("dccp", socket.AF_INET)
