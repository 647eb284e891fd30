"""The console's own authority: what it signs, what it refuses, and how it is renewed without shutting anyone out."""

import datetime as dt
import socket
import ssl
import threading
from pathlib import Path
from typing import Any

import pytest

from console.authority import Authority, BadRequest, certificate_names
from contracts.errors import HoldfastError

DAY = dt.timedelta(days=1)


@pytest.fixture
def authority(tmp_path: Path, moment: dt.datetime) -> Authority:
    return Authority.create(tmp_path / "ca", moment)


def shake_hands(
    tmp_path: Path, server: tuple[bytes, bytes], trusted: bytes, client: Path | None = None
) -> dict[str, Any]:
    """Make a TLS handshake with a listener's key and chain; return the client's certificate as the server sees it."""
    (tmp_path / "s.key").write_bytes(server[0])
    (tmp_path / "s.crt").write_bytes(server[1])
    answering = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    answering.load_cert_chain(tmp_path / "s.crt", tmp_path / "s.key")
    if client:
        answering.load_verify_locations(cadata=server[1].decode())
        answering.verify_mode = ssl.CERT_REQUIRED
    asking = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    asking.load_verify_locations(cadata=trusted.decode())
    if client:
        asking.load_cert_chain(client)
    here, there = socket.socketpair()
    seen: dict[str, Any] = {}

    def answer() -> None:
        try:
            with answering.wrap_socket(there, server_side=True) as tls:
                seen.update(tls.getpeercert() or {})
                tls.sendall(b"x")
        except (ssl.SSLError, OSError) as error:
            seen["error"] = error

    thread = threading.Thread(target=answer)
    thread.start()
    try:
        with asking.wrap_socket(here, server_hostname="console.test") as tls:
            tls.recv(1)
    finally:
        thread.join(30)
    return seen


def test_files_are_private(authority: Authority, tmp_path: Path) -> None:
    modes = {entry.name: entry.stat().st_mode & 0o777 for entry in (tmp_path / "ca").iterdir()}
    assert modes == {"ca-1.key": 0o600, "ca-1.crt": 0o600}
    assert (tmp_path / "ca").stat().st_mode & 0o777 == 0o700


def test_it_is_the_same_after_a_restart_and_not_made_twice(authority: Authority, tmp_path: Path, moment: Any) -> None:
    assert Authority.load(tmp_path / "ca").pin == authority.pin
    with pytest.raises(HoldfastError, match="already holds"):
        Authority.create(tmp_path / "ca", moment)


def test_agent_and_console_accept_each_other(
    authority: Authority, tmp_path: Path, moment: dt.datetime, stranger: Any
) -> None:
    issued = authority.issue_agent(stranger.csr(), stranger.name, DAY, moment)
    stranger.keep(issued.pem)
    server = authority.issue_server(["console.test", "192.0.2.1"], moment)
    seen = shake_hands(tmp_path, server, authority.trusted(), stranger.file)
    assert seen["serialNumber"] == issued.serial
    assert seen["subject"] == ((("commonName", stranger.name),),)
    assert certificate_names(server[1]) == {"console.test", "192.0.2.1"}


def test_a_request_for_another_name_is_refused(authority: Authority, moment: dt.datetime, stranger: Any) -> None:
    with pytest.raises(BadRequest):
        authority.issue_agent(stranger.csr("f" * 32), stranger.name, DAY, moment)


def test_a_host_whose_clock_is_behind_accepts(authority: Authority, moment: dt.datetime, stranger: Any) -> None:
    from cryptography import x509

    issued = authority.issue_agent(stranger.csr(), stranger.name, DAY, moment)
    begins = x509.load_pem_x509_certificate(issued.pem).not_valid_before_utc
    assert moment - begins >= dt.timedelta(hours=23)


def test_after_a_renewal_old_and_new_agents_accept_the_console(
    authority: Authority, tmp_path: Path, moment: dt.datetime, stranger: Any, new_agent: Any
) -> None:
    stranger.keep(authority.issue_agent(stranger.csr(), stranger.name, DAY, moment).pem)
    renewed = authority.renew(moment)
    assert authority.stale()
    assert renewed.pin != authority.pin
    server = renewed.issue_server(["console.test"], moment)
    shake_hands(tmp_path, server, authority.trusted())
    newest_only = renewed.trusted().partition(b"-----END CERTIFICATE-----\n")
    shake_hands(tmp_path, server, newest_only[0] + newest_only[1])
    shake_hands(tmp_path, server, renewed.trusted(), stranger.file)
    fresh = new_agent("9")
    fresh.keep(renewed.issue_agent(fresh.csr(), fresh.name, DAY, moment).pem)
    assert "serialNumber" in shake_hands(tmp_path, server, renewed.trusted(), fresh.file)
    assert authority.trusted() in server[1]
    assert [one.number for one in renewed.show()] == [2, 1]


@pytest.mark.parametrize("damage", ["missing", "garbage", "swapped"])
def test_broken_files_are_named(authority: Authority, tmp_path: Path, moment: dt.datetime, damage: str) -> None:
    key = tmp_path / "ca" / "ca-1.key"
    if damage == "missing":
        key.unlink()
    elif damage == "garbage":
        key.write_bytes(b"-----BEGIN NONSENSE-----")
    else:
        Authority.create(tmp_path / "other", moment)
        key.write_bytes((tmp_path / "other" / "ca-1.key").read_bytes())
    with pytest.raises(HoldfastError, match=r"ca-1\.key") as caught:
        Authority.load(tmp_path / "ca")
    assert "restore" in caught.value.advice
