"""One SSH connection with an SFTP channel on it: made by paramiko, to a server whose key is pinned, every wait bounded."""

import logging
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

import paramiko
from paramiko.common import MSG_CHANNEL_EXTENDED_DATA, MSG_CHANNEL_FAILURE

from actions.backup.stores.known_hosts import check_host_key, fingerprint, host_name, pinned_keys
from actions.backup.stores.sftp_packets import CHANNEL_DATA, FastPacketizer, Parts
from actions.backup.stores.sftp_target import SftpTarget, load_client_key
from actions.backup.stores.store import Buffer, Denied, StoreError

CIPHERS = ("aes128-gcm@openssh.com", "aes256-gcm@openssh.com", "aes128-ctr", "aes192-ctr", "aes256-ctr")
"""In order of preference: hardware does AES-GCM at gigabytes a second, and only it takes the short way of `sftp_packets`."""

WINDOW = 1 << 31
"""What the server may send unasked; what it does send is bounded by what we ask for."""
REOPEN = 1 << 30
PACKET = 128 << 10
RSA = ("rsa-sha2-512", "rsa-sha2-256")
_SAID = 2048

_LOGGING_IN_TOOK_LONG = "Authentication timeout."
"""How paramiko says so (`auth_handler.wait_for_response`): it has no type for it."""


class LinkBroken(StoreError):
    """The connection ended or does not answer; a new one may do."""

    permanent = False


class Link:
    """A connection whose channel carries SFTP. `send` is for one thread at a time; the sink is called in another."""

    def __init__(self, where: str, transport: "_Transport", channel: paramiko.Channel, timeout_s: float) -> None:
        self._where = where
        self._transport = transport
        self._channel = channel
        self._timeout_s = timeout_s
        self._packets: FastPacketizer = transport.packetizer
        self._came = 0
        self._reopened = 0
        channel.settimeout(timeout_s)

    @property
    def is_alive(self) -> bool:
        """Whether the connection stands, as far as this side knows."""
        return self._transport.is_active() and not self._channel.closed

    @property
    def cipher(self) -> str:
        """The cipher that was agreed upon."""
        return str(self._transport.local_cipher)

    @property
    def idle_s(self) -> float:
        """For how long no byte moved in either direction."""
        return time.monotonic() - self._packets.moved_at

    def attach(self, sink: Callable[[memoryview], None], ended: Callable[[], None]) -> None:
        """Who gets what comes, and who is told of the end; both are called in the transport's thread and must not wait."""

        def take(data: memoryview) -> None:
            self._came += len(data)
            try:
                sink(data)
            except Exception as error:
                raise paramiko.SSHException(f"{error}") from error

        self._transport.ended = ended
        self._transport.take = take
        self._packets.sink_channel = self._channel.chanid
        self._packets.sink = take
        if not self.is_alive:
            ended()

    def send(self, *buffers: Buffer) -> None:
        """Send all bytes; LinkBroken when the connection ends or nothing moves for the time limit."""
        parts = Parts(buffers)
        try:
            if not self._packets.takes_data:
                self._channel.sendall(b"".join(buffers))
                return
            while parts.left:
                self._send_when_clear(parts, self._take_window(parts.left))
        except (OSError, EOFError, paramiko.SSHException, LinkBroken) as error:
            broken = error if isinstance(error, LinkBroken) else self.broken()
            self.close()
            raise broken from error

    def reopen_window(self) -> None:
        """Let the server send more; to be called now and then by the thread that waits for data."""
        if (count := self._came - self._reopened) >= REOPEN:
            self._reopened += count
            message = paramiko.Message()
            message.add_byte(paramiko.common.cMSG_CHANNEL_WINDOW_ADJUST)
            message.add_int(self._channel.remote_chanid)
            message.add_int(count)
            self._transport._send_user_message(message)

    def broken(self) -> LinkBroken:
        """The error that says why the connection is of no use any more."""
        reason = self._transport.get_exception()
        said = self._transport.said.decode(errors="replace").strip()
        if self.is_alive:
            why = f"no answer for {self._timeout_s:.0f} seconds"
        elif reason is None or isinstance(reason, EOFError):
            why = "the connection ended"
        else:
            why = f"the connection broke: {reason}"
        return LinkBroken(f"{self._where}: {why}{f' (it said: {said})' if said else ''}")

    def close(self) -> None:
        """End the connection."""
        self._transport.close()

    def _take_window(self, size: int) -> int:
        """Wait until the server takes something, and take as much of its window as there is, at most `size`."""
        channel = self._channel
        until = time.monotonic() + self._timeout_s
        with channel.lock:
            while not channel.out_window_size:
                if channel.closed or not channel.out_buffer_cv.wait(max(0.0, until - time.monotonic())):
                    raise self.broken()
            if channel.closed:
                raise self.broken()
            size = min(size, channel.out_window_size)
            channel.out_window_size -= size
        return size

    def _send_when_clear(self, parts: Parts, size: int) -> None:
        """As paramiko's `_send_user_message`: not while keys are exchanged."""
        transport = self._transport
        until = time.monotonic() + self._timeout_s
        while True:
            if not transport.clear_to_send.wait(0.1) and time.monotonic() > until:
                raise self.broken()
            if not transport.active:
                raise self.broken()
            with transport.clear_to_send_lock:
                if transport.clear_to_send.is_set():
                    channel = self._channel
                    self._packets.send_data(channel.remote_chanid, parts, size, channel.out_max_packet_size - 64)
                    return


class _Transport(paramiko.Transport):  # type: ignore[misc]
    """paramiko's Transport, with the data of its one channel going to a sink instead of a pipe."""

    def __init__(self, sock: socket.socket, patience_s: float) -> None:
        super().__init__(sock, packetizer_class=FastPacketizer)
        self.packetizer.patience_s = patience_s
        self.take: Callable[[memoryview], None] = lambda _: None
        self.ended: Callable[[], None] = lambda: None
        self.said = b""
        self.refused = False
        self.set_log_channel(_quiet_log())

    def run(self) -> None:
        try:
            super().run()
        finally:
            self.ended()

    def _take_data(self: Any, message: paramiko.Message) -> None:
        """Called by paramiko with the channel as `self`, when data does not take the short way."""
        self.transport.take(memoryview(message.get_binary()))

    def _take_said(self: Any, message: paramiko.Message) -> None:
        """What the server writes to the error stream: kept for a message, as far as a message goes."""
        message.get_int()
        self.transport.said = (self.transport.said + message.get_binary())[:_SAID]

    def _take_refusal(self: Any, message: paramiko.Message) -> None:
        """The server says no to what the channel asked for."""
        self.transport.refused = True
        self._request_failed(message)

    _channel_handler_table = {
        **paramiko.Transport._channel_handler_table,
        MSG_CHANNEL_FAILURE: _take_refusal,
        CHANNEL_DATA: _take_data,
        MSG_CHANNEL_EXTENDED_DATA: _take_said,
    }


def connect(target: SftpTarget) -> Link:
    """A link to the SFTP server of a target.

    Denied (with subclass HostKeyRefused) for what only a person can change: key files, a host key that is not pinned, a key that the server
    does not take, no SFTP there. LinkBroken for what may pass: no route, refused, dropped while greeting, too slow.
    """
    where = str(target)
    pinned = pinned_keys(target.known_hosts, target.host, target.port)
    key = load_client_key(target.key_file)
    sock = _socket(target, where)
    transport = _Transport(sock, target.timeout_s)
    try:
        shown = _greet(transport, target, [one.type for one in pinned if not one.revoked], where)
        check_host_key(
            pinned,
            shown.get_name(),
            shown.asbytes(),
            where=where,
            path=target.known_hosts,
            host=host_name(target.host, target.port),
        )
        _log_in(transport, target, key, where)
        return Link(where, transport, _open_channel(transport, target, where), target.timeout_s)
    except BaseException:
        transport.close()
        sock.close()
        raise


def _socket(target: SftpTarget, where: str) -> socket.socket:
    try:
        sock = socket.create_connection((target.host, target.port), timeout=target.connect_timeout_s)
    except socket.gaierror as error:
        raise LinkBroken(f"{where}: the name cannot be resolved: {error.strerror}") from error
    except OSError as error:
        raise LinkBroken(f"{where}: {error.strerror or 'no answer'}") from error
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(target.timeout_s * 1000))
    return sock


def _greet(transport: _Transport, target: SftpTarget, pinned: list[str], where: str) -> paramiko.PKey:
    """Exchange keys, asking for a host key of a type that is pinned; returns the one that the server has."""
    options = transport.get_security_options()
    options.ciphers = tuple(cipher for cipher in CIPHERS if cipher in options.ciphers)
    wanted = [type for name in dict.fromkeys(pinned) for type in (RSA if name == "ssh-rsa" else (name,))]
    offered = tuple(type for type in wanted if type in options.key_types)
    if pinned and not offered:
        raise Denied(
            f"{where}: {target.known_hosts} pins keys of types {sorted(set(pinned))}", advice="pin the ed25519 key"
        )
    if offered:
        options.key_types = offered
    transport.banner_timeout = transport.handshake_timeout = transport.auth_timeout = target.connect_timeout_s
    try:
        transport.start_client(timeout=target.connect_timeout_s)
        return transport.get_remote_server_key()  # also fails when the time was up
    except paramiko.IncompatiblePeer as error:
        raise Denied(
            f"{where}: the SSH server and we have no key or cipher in common: {error}",
            advice=f"pinned are keys of type {', '.join(pinned)}; ciphers are {', '.join(CIPHERS)}",
        ) from error
    except (paramiko.SSHException, EOFError, OSError) as error:
        raise LinkBroken(f"{where}: the server does not greet as an SSH server: {error or 'it hung up'}") from error


def _log_in(transport: _Transport, target: SftpTarget, key: paramiko.Ed25519Key, where: str) -> None:
    try:
        left = transport.auth_publickey(target.user, key)
    except paramiko.AuthenticationException as error:
        if not transport.is_active():
            raise LinkBroken(f"{where}: the server hung up while we logged in") from error
        if str(error) == _LOGGING_IN_TOOK_LONG:  # it has said nothing about the key
            raise LinkBroken(
                f"{where}: the server let us wait for more than {target.connect_timeout_s:g} seconds while we logged in"
            ) from error
        raise Denied(
            f"{where}: the server does not take the key {fingerprint(key.asbytes())} ({target.key_file}) for {target.user}",
            advice=f"add to that user's authorized keys there: restrict {key.get_name()} {key.get_base64()}",
        ) from error
    except (paramiko.SSHException, EOFError, OSError) as error:
        raise LinkBroken(f"{where}: the connection broke while we logged in: {error}") from error
    if left:
        raise Denied(
            f"{where}: the server wants more than the key: {', '.join(left)}",
            advice="let the key alone do for this user",
        )


def _open_channel(transport: _Transport, target: SftpTarget, where: str) -> paramiko.Channel:
    try:
        channel = transport.open_session(window_size=WINDOW, max_packet_size=PACKET, timeout=target.connect_timeout_s)
        channel.settimeout(target.timeout_s)
        _start_sftp(channel, target.connect_timeout_s)
    except (paramiko.SSHException, EOFError, OSError) as error:
        # Whether the connection stands is no answer: paramiko wakes who waits before it notes that it is gone.
        if transport.refused or isinstance(error, paramiko.ChannelException):
            raise Denied(
                f"{where}: the server offers no SFTP to {target.user}: {error}", advice="see `Subsystem sftp` there"
            ) from error
        why = str(error) or "it hung up"
        raise LinkBroken(f"{where}: the connection broke while SFTP was started: {why}") from error
    return channel


def _start_sftp(channel: paramiko.Channel, timeout_s: float) -> None:
    """paramiko waits for the answer without limit: a timer closes the channel."""
    timer = threading.Timer(timeout_s, channel.transport.close)
    timer.daemon = True
    timer.start()
    try:
        channel.invoke_subsystem("sftp")
    finally:
        timer.cancel()


def _quiet_log() -> str:
    """The log channel for paramiko: what matters is raised and told; its tracebacks are for nobody."""
    log = logging.getLogger("holdfast.sftp")
    log.propagate = False
    log.setLevel(logging.CRITICAL)
    if not log.handlers:
        log.addHandler(logging.NullHandler())
    return log.name
