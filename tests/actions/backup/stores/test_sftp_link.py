"""Connecting to a real sshd: who is let in, who is refused and how that reads, and what a broken or slow line does."""

import shutil
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from paramiko import ChannelException, SSHException

from actions.backup.stores import sftp_link
from actions.backup.stores.known_hosts import HostKeyRefused
from actions.backup.stores.sftp import open_session
from actions.backup.stores.sftp_link import LinkBroken, connect
from actions.backup.stores.sftp_session import Session
from actions.backup.stores.store import Denied, StoreError
from tests.actions.backup.stores.proxy import Proxy
from tests.actions.backup.stores.sshd import Sshd, make_key, normal
from tests.free_port import free_port


@pytest.fixture(scope="module")
def server() -> Iterator[Sshd]:
    with normal() as running:
        yield running


def test_the_cipher_is_aes_gcm(server: Sshd) -> None:
    link = connect(server.target())
    assert link.cipher == "aes128-gcm@openssh.com"
    assert link.is_alive
    link.close()


def test_a_server_without_aes_gcm_is_served_by_paramiko_s_own_packets() -> None:
    with normal("Ciphers aes256-ctr") as server:
        link = connect(server.target())
        assert link.cipher == "aes256-ctr"
        round_trip(Session(link, 10), server.root / "file")
        link.close()


@pytest.mark.parametrize("cipher", ["aes128-gcm@openssh.com", "aes256-ctr"])
def test_keys_are_exchanged_anew_while_data_flows(cipher: str) -> None:
    with normal(f"Ciphers {cipher}\nRekeyLimit 1M") as server:
        session = open_session(server.target())
        round_trip(session, server.root / "file", size=24 << 20)
        session.close()


def test_keys_are_exchanged_anew_when_we_want_it(server: Sshd, monkeypatch: pytest.MonkeyPatch) -> None:
    from actions.backup.stores.sftp_packets import FastPacketizer

    monkeypatch.setattr(FastPacketizer, "REKEY_BYTES", 2 << 20)
    session = open_session(server.target())
    round_trip(session, server.root / "rekeyed", size=24 << 20)
    session.close()


def round_trip(session: Session, path: Path, size: int = 3 << 20) -> None:
    """Write a file in a session and read it back in the same one."""
    import os

    from actions.backup.stores import sftp_wire as wire
    from actions.backup.stores.sftp_wire import Type

    data = os.urandom(size)
    flags = (wire.READ | wire.WRITE | wire.CREAT).to_bytes(4, "big") + wire.attributes()
    handle = session.call(Type.OPEN, wire.string(str(path)) + flags, Type.HANDLE).string()
    assert session.write(handle, [data]) == size
    assert session.read(handle, 0, size) == data
    assert path.read_bytes() == data


def test_an_unknown_server_is_refused_and_nobody_logged_in(server: Sshd, tmp_path: Path) -> None:
    (tmp_path / "known").write_text("")
    with pytest.raises(HostKeyRefused, match="is unknown: it shows ssh-ed25519 SHA256:"):
        connect(server.target(known_hosts=str(tmp_path / "known")))


def test_a_changed_host_key_is_refused() -> None:
    with normal() as server:
        connect(server.target()).close()
        server.stop()
        make_key(server.folder / "host_key")
        server.start()
        with pytest.raises(HostKeyRefused, match="has changed") as caught:
            connect(server.target())
        assert caught.value.permanent
        assert str(caught.value).count("SHA256:") == 2
        server.pin()
        connect(server.target()).close()


def test_a_server_without_a_key_of_the_pinned_type_is_refused(server: Sshd, tmp_path: Path) -> None:
    key = (server.folder / "host_key.pub").read_text().split()[1]
    (tmp_path / "known").write_text(f"[127.0.0.1]:{server.port} ecdsa-sha2-nistp256 {key}\n")
    with pytest.raises(Denied, match="ecdsa-sha2-nistp256"):
        connect(server.target(known_hosts=str(tmp_path / "known")))


def test_a_key_that_the_server_does_not_take_is_named_with_the_line_to_add(server: Sshd, tmp_path: Path) -> None:
    make_key(tmp_path / "stranger")
    with pytest.raises(Denied, match=r"does not take the key SHA256:.* for root") as caught:
        connect(server.target(key_file=str(tmp_path / "stranger")))
    assert caught.value.permanent
    assert f"restrict {' '.join((tmp_path / 'stranger.pub').read_text().split()[:2])}" in str(caught.value)


def test_a_user_that_is_not_there_is_refused(server: Sshd) -> None:
    with pytest.raises(Denied, match="for nobody-here"):
        connect(server.target(user="nobody-here"))


def test_a_server_without_sftp_is_refused() -> None:
    with normal() as server:
        server.stop()
        server.config.write_text(server.config.read_text().replace("Subsystem sftp internal-sftp", ""))
        server.start()
        with pytest.raises(Denied, match="offers no SFTP to root"):
            connect(server.target())


class Asked:
    """A connection that stands, of which `open_session` and what it gives raise what they are told to."""

    refused = False

    def __init__(self, opening: Exception | None = None, asking: Exception | None = None) -> None:
        self.transport, self._opening, self._asking = self, opening, asking

    def is_active(self) -> bool:
        return True

    def open_session(self, **_: object) -> "Asked":
        if self._opening is not None:
            raise self._opening
        return self

    def settimeout(self, _: float) -> None:
        pass

    def close(self) -> None:
        pass

    def invoke_subsystem(self, _: str) -> None:
        assert self._asking is not None
        raise self._asking


@pytest.mark.parametrize(
    "asked",
    [
        Asked(opening=SSHException("Timeout opening channel.")),
        Asked(opening=EOFError()),
        Asked(asking=EOFError()),
        Asked(asking=ConnectionResetError(104, "Connection reset by peer")),
        Asked(asking=SSHException("Channel closed.")),
    ],
    ids=["no answer", "cut before the answer", "cut", "reset", "hung up"],
)
def test_a_line_that_breaks_while_sftp_is_asked_for_is_no_refusal(server: Sshd, asked: Asked) -> None:
    """paramiko wakes who waits for an answer before it notes that the connection is gone: it still seems to stand then."""
    with pytest.raises(LinkBroken) as caught:
        sftp_link._open_channel(asked, server.target(), "there")  # type: ignore[arg-type]
    assert not caught.value.permanent


def test_a_channel_that_is_refused_is_denied(server: Sshd) -> None:
    with pytest.raises(Denied, match="offers no SFTP to root"):
        sftp_link._open_channel(Asked(opening=ChannelException(1, "no")), server.target(), "there")  # type: ignore[arg-type]


def test_a_server_that_thinks_about_the_key_for_long_has_not_refused_it() -> None:
    with normal("AuthorizedKeysCommand /usr/bin/sleep 120\nAuthorizedKeysCommandUser root") as server:
        server.stop()
        server.config.write_text(
            server.config.read_text().replace(f"AuthorizedKeysFile {server.folder}/client_key.pub", "")
        )
        server.start()
        with pytest.raises(LinkBroken) as caught:
            connect(server.target(connect_timeout_s=3))
        assert not caught.value.permanent


def test_nobody_listening_may_pass(server: Sshd) -> None:
    with pytest.raises(LinkBroken, match="refused") as caught:
        connect(server.target(port=free_port()))
    assert not caught.value.permanent


def test_a_name_that_is_not_known_may_pass(server: Sshd, tmp_path: Path) -> None:
    key = " ".join((server.folder / "host_key.pub").read_text().split()[:2])
    (tmp_path / "known").write_text(f"nowhere.invalid {key}\n")
    with pytest.raises(LinkBroken, match="cannot be resolved"):
        connect(server.target(host="nowhere.invalid", port=22, known_hosts=str(tmp_path / "known")))


@pytest.mark.parametrize(
    "greeting", [b"", b"220 mail.example ESMTP\r\n" * 200, b"SSH-1.5-old\r\n", b"SSH-2.0-x\r\n\xff" * 99]
)
def test_something_else_that_listens_is_no_ssh_server(server: Sshd, greeting: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            sock, _ = listener.accept()
            sock.sendall(greeting)
            time.sleep(0.2)
            sock.close()

        thread = threading.Thread(target=serve)
        thread.start()
        server.pin(listener.getsockname()[1])
        with pytest.raises(StoreError, match="SSH"):
            connect(server.target(port=listener.getsockname()[1], connect_timeout_s=60))
        thread.join()


def test_a_server_that_says_nothing_is_given_up(server: Sshd) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server.pin(listener.getsockname()[1])
        began = time.monotonic()
        with pytest.raises(LinkBroken):
            connect(server.target(port=listener.getsockname()[1], connect_timeout_s=0.5))
        assert time.monotonic() - began < 20


def test_a_line_that_is_cut_is_a_broken_link(server: Sshd) -> None:
    with Proxy(server.port) as proxy:
        server.pin(proxy.port)
        session = open_session(server.target(port=proxy.port))
        threading.Timer(0.2, proxy.cut_all).start()
        with pytest.raises(LinkBroken) as caught:
            while True:
                round_trip(session, server.root / "cut")
        assert not caught.value.permanent
        assert not session.is_usable


@pytest.mark.parametrize("deed", ["read", "write"])
def test_a_line_that_goes_silent_is_given_up_after_the_time_limit(server: Sshd, deed: str) -> None:
    from actions.backup.stores import sftp_wire as wire
    from actions.backup.stores.sftp_wire import Type

    with Proxy(server.port, delay_s=0.001) as proxy:
        server.pin(proxy.port)
        session = open_session(server.target(port=proxy.port))
        flags = (wire.READ | wire.WRITE | wire.CREAT).to_bytes(4, "big") + wire.attributes()
        handle = session.call(Type.OPEN, wire.string(str(server.root / "silent")) + flags, Type.HANDLE).string()
        proxy.delay_s = 600.0
        session._timeout_s = session._link._timeout_s = 1.0  # from here on: getting there may take longer
        began = time.monotonic()
        with pytest.raises(LinkBroken, match="no answer for 1 seconds") as caught:
            session.read(handle, 0, 1000) if deed == "read" else session.write(handle, [bytes(8 << 20)])
        assert 0.9 < time.monotonic() - began < 30
        assert not caught.value.permanent


def test_a_slow_line_is_not_a_silent_one(server: Sshd) -> None:
    with Proxy(server.port, rate=6e5) as proxy:
        server.pin(proxy.port)
        session = open_session(
            server.target(port=proxy.port, timeout_s=5.0)
        )  # this machine may stand still for one or two
        began = time.monotonic()
        round_trip(session, server.root / "slow", size=2 << 20)
        assert time.monotonic() - began > 6.5
        session.close()


def test_no_thread_and_no_descriptor_is_left(server: Sshd, tmp_path: Path) -> None:
    make_key(tmp_path / "stranger")
    connect(server.target()).close()
    settle()
    threads, descriptors = threading.active_count(), len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(5):
        connect(server.target()).close()
        with pytest.raises(Denied):
            connect(server.target(key_file=str(tmp_path / "stranger")))
    settle()
    assert threading.active_count() <= threads
    assert len(list(Path("/proc/self/fd").iterdir())) <= descriptors


def settle() -> None:
    until = time.monotonic() + 30
    while any(
        "paramiko" in str(type(thread)).lower() or "_Transport" in type(thread).__name__
        for thread in threading.enumerate()
    ):
        assert time.monotonic() < until
        time.sleep(0.02)


def test_nothing_is_written_to_the_error_stream(server: Sshd, capfd: pytest.CaptureFixture[str]) -> None:
    with Proxy(server.port, cut_after=700) as proxy:
        server.pin(proxy.port)
        with pytest.raises(StoreError):
            connect(server.target(port=proxy.port))
    assert capfd.readouterr().err == ""
    assert shutil.which("sshd")
