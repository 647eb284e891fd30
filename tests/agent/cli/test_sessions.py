"""Whose SSH sessions are open: the command's own, and those that the records of logins confirm."""

import os
import socket
import struct
from pathlib import Path

from agent.cli.sessions import Session, sessions
from tests.analysis.test_logins import record

HEAD = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"


def line(local: tuple[str, int], remote: tuple[str, int], state: str) -> str:
    def word(address: str, port: int) -> str:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        raw = socket.inet_pton(family, address)
        words = (struct.unpack("=I", raw[n : n + 4])[0] for n in range(0, len(raw), 4))
        return "".join(f"{each:08X}" for each in words) + f":{port:04X}"

    return f"   0: {word(*local)} {word(*remote)} {state} 00000000:00000000 00:00000000 00000000     0        0 1 1\n"


def machine(root: Path, *lines: str, six: tuple[str, ...] = (), utmp: bytes | None = b"", environ: bytes = b"") -> Path:
    pid = os.getpid()
    (root / "proc/net").mkdir(parents=True)
    (root / "proc/net/tcp").write_text(HEAD + "".join(lines))
    (root / "proc/net/tcp6").write_text(HEAD + "".join(six))
    for number, parent, content in ((pid, 4242, b"PATH=/bin\0"), (4242, 1, environ)):
        (root / f"proc/{number}").mkdir()
        (root / f"proc/{number}/environ").write_bytes(content)
        (root / f"proc/{number}/stat").write_text(f"{number} (a ) name) S {parent} 1 1")
    (root / "run").mkdir()
    if utmp is not None:
        (root / "run/utmp").write_bytes(utmp)
    return root


def login(user: str, address: str, kind: int = 7) -> bytes:
    return record(kind, "host", 1, address, user)


LISTENS = line(("0.0.0.0", 22), ("0.0.0.0", 0), "0A")
PEER = line(("192.0.2.1", 22), ("203.0.113.5", 50000), "01")


def test_a_login_from_elsewhere_with_its_connection_is_a_session(tmp_path: Path) -> None:
    root = machine(tmp_path, LISTENS, PEER, utmp=login("anna", "203.0.113.5"))
    assert sessions(root) == ((Session("anna", "203.0.113.5", "192.0.2.1", 22),), ())


def test_who_is_merely_connected_is_none(tmp_path: Path) -> None:
    assert sessions(machine(tmp_path, LISTENS, PEER)) == ((), ())


def test_a_login_that_is_over_or_whose_connection_is_gone_is_none(tmp_path: Path) -> None:
    root = machine(tmp_path, LISTENS, PEER, utmp=login("anna", "203.0.113.5", kind=8) + login("bob", "203.0.113.6"))
    assert sessions(root)[0] == ()


def test_a_connection_of_this_host_to_the_same_peer_is_no_session(tmp_path: Path) -> None:
    outward = line(("192.0.2.1", 45000), ("203.0.113.5", 22), "01")
    assert sessions(machine(tmp_path, LISTENS, outward, utmp=login("anna", "203.0.113.5")))[0] == ()


def test_addresses_of_ipv6_and_mapped_ones_are_read(tmp_path: Path) -> None:
    listens = line(("::", 22), ("::", 0), "0A")
    six = line(("2001:db8::1", 22), ("2001:db8::5", 50000), "01")
    mapped = line(("::ffff:192.0.2.1", 22), ("::ffff:203.0.113.5", 50000), "01")
    utmp = login("anna", "2001:db8::5") + login("bob", "203.0.113.5")
    found, _ = sessions(machine(tmp_path, six=(listens, six, mapped), utmp=utmp))
    assert {(each.user, each.peer, each.address) for each in found} == {
        ("anna", "2001:db8::5", "2001:db8::1"),
        ("bob", "203.0.113.5", "192.0.2.1"),
    }


def test_the_own_session_is_found_above_sudo(tmp_path: Path) -> None:
    root = machine(tmp_path, environ=b"A=b\0SSH_CONNECTION=203.0.113.9 50001 192.0.2.1 2222\0")
    assert sessions(root)[0] == (Session("this session", "203.0.113.9", "192.0.2.1", 2222),)


def test_a_forged_variable_is_not_taken(tmp_path: Path) -> None:
    root = machine(tmp_path, environ=b"SSH_CONNECTION=nonsense\0SSH_CONNECTION=a b c d\0")
    assert sessions(root)[0] == ()


def test_a_session_of_systemd_is_found(tmp_path: Path) -> None:
    root = machine(tmp_path, LISTENS, PEER, utmp=None)
    (root / "run/systemd/sessions").mkdir(parents=True)
    (root / "run/systemd/sessions/3").write_text(
        "UID=1000\nUSER=anna\nSTATE=active\nREMOTE=1\nREMOTE_HOST=203.0.113.5\n"
    )
    (root / "run/systemd/sessions/3.ref").write_text("")
    assert [each.user for each in sessions(root)[0]] == ["anna"]


def test_without_any_record_of_logins_it_says_that_it_cannot_know(tmp_path: Path) -> None:
    found, blind = sessions(machine(tmp_path, LISTENS, PEER, utmp=None))
    assert found == ()
    assert "not known" in blind[0]
