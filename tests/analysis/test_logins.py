"""Records of logins and the kernel's table of sockets are read as their formats say, and no bytes break the reader."""

import socket
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis import logins
from analysis.logins import Connection, Login, canonical, connections, utmp

BEGAN_S = 1_767_225_600
HEAD = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"


def logind(host: str = "203.0.113.50", state: str = "active", service: str = "sshd") -> str:
    return (
        f"# kept\nUSER=eva\nSTATE={state}\nREMOTE=1\nREMOTE_HOST={host}\nSERVICE={service}\nREALTIME={BEGAN_S}000000\n"
    )


def record(kind: int, host: str, at_s: int, address: str = "", user: str = "eva") -> bytes:
    packed = socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address) if address else b""
    return struct.pack(
        "<hxxi32s4s32s256shhiii16s20x", kind, 1, b"pts/0", b"", user.encode(), host.encode(), 0, 0, 0, at_s, 0, packed
    )


def socket_line(local: tuple[str, int], remote: tuple[str, int], state: str, uid: int = 0) -> str:
    def word(address: str, port: int) -> str:
        raw = socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)
        words = struct.unpack(f"={len(raw) // 4}I", raw)
        return "".join(f"{each:08X}" for each in words) + f":{port:04X}"

    ends = f"{word(*local)} {word(*remote)}"
    return f"   0: {ends} {state} 00000000:00000000 00:00000000 00000000  {uid}        0 12345 1 0\n"


def test_a_record_says_who_from_where_and_since_when() -> None:
    (one,) = utmp(record(7, "203.0.113.5", BEGAN_S, user="anna") + b"torn")
    assert one == Login("anna", "203.0.113.5", BEGAN_S * 1000, 7)


@pytest.mark.parametrize("address", ["203.0.113.5", "2001:db8::5"])
def test_where_the_host_is_a_name_the_address_beside_it_counts(address: str) -> None:
    assert [one.address for one in utmp(record(7, "name.example", 1, address))] == [address]


def test_a_login_from_nowhere_else_has_no_address() -> None:
    assert [one.address for one in utmp(record(7, ":0", 1))] == [""]


def test_a_session_of_logind_counts_while_it_lives() -> None:
    assert logins.logind(logind()) == Login("eva", "203.0.113.50", BEGAN_S * 1000, service="sshd")
    for text in (logind(state="closing"), logind(host=""), logind(host="name.example"), "", "\0"):
        assert logins.logind(text) is None


def test_sockets_of_both_families_are_read_and_other_lines_passed_over() -> None:
    four = socket_line(("192.0.2.1", 22), ("203.0.113.5", 50000), "01", 990)
    six = socket_line(("2001:db8::1", 22), ("::ffff:203.0.113.6", 50000), "0A")
    assert list(connections(f"{HEAD}{four}nonsense\n   0: 1 2 01 x y z 42 0\n{six}")) == [
        Connection("192.0.2.1", 22, "203.0.113.5", "01", 990),
        Connection("2001:db8::1", 22, "203.0.113.6", "0A", 0),
    ]


@given(st.binary(max_size=1600))
def test_any_bytes_are_records_or_nothing(content: bytes) -> None:
    assert len(list(utmp(content))) == len(content) // 384


@given(st.text(max_size=300))
def test_any_text_is_sockets_or_nothing(text: str) -> None:
    assert all(canonical(each.peer) == each.peer for each in connections(HEAD + text))
