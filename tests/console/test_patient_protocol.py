"""No client makes a listener wait or remember without bound; asked of the people's listener, which anybody reaches."""

import socket
import ssl
import time
from types import SimpleNamespace
from typing import Any

import pytest

from console.patient_protocol import MAX_HEAD, Patience, PatientProtocol

GET = b"GET /healthz HTTP/1.1\r\nhost: x\r\n"


@pytest.mark.parametrize(
    ("busy", "asked", "age_s", "overdue"),
    [
        (True, True, 11, True),
        (True, True, 9, False),
        (False, False, 21, True),
        (False, False, 19, False),
        (False, True, 99, False),
    ],
)
def test_a_request_must_come_to_its_end(busy: bool, asked: bool, age_s: float, overdue: bool) -> None:
    patience = Patience(first_request_s=20.0, request_s=10.0)
    protocol: Any = SimpleNamespace(patience=patience, _busy=busy, _asked=asked, _since=100.0)
    assert PatientProtocol.overdue(protocol, 100.0 + age_s) is overdue


def _connect(console: Any) -> ssl.SSLSocket:
    host, _, port = console.serving.people.rpartition(":")
    return console.context().wrap_socket(socket.create_connection((host, int(port)), timeout=100), server_hostname=host)


def _ended(tls: ssl.SSLSocket) -> bool:
    try:
        return tls.recv(1) == b""
    except (ConnectionError, ssl.SSLError):
        return True


@pytest.mark.parametrize(
    "piece", [b"y" * 1000, b"x: y\r\n" * 100, b"x" * 1000], ids=["one long value", "many fields", "one long name"]
)
def test_a_head_that_never_ends_is_cut_off(console: Any, piece: bytes) -> None:
    sent = 0
    with _connect(console) as tls, pytest.raises((ConnectionError, ssl.SSLError)):
        tls.sendall(GET + (b"" if b"\r" in piece else b"x: " if b"y" in piece else b""))
        while sent < 100 * MAX_HEAD:
            tls.sendall(piece)
            sent += len(piece)
            time.sleep(0.001)
    assert sent < 100 * MAX_HEAD


def test_fields_after_a_body_count_as_a_head(console: Any) -> None:
    with _connect(console) as tls, pytest.raises((ConnectionError, ssl.SSLError)):
        tls.sendall(b"POST /login HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n0\r\n")
        for _ in range(2000):
            tls.sendall(b"x: " + b"y" * 1000 + b"\r\n")
        while not _ended(tls):  # what was sent may all have fitted into the buffers on the way
            pass
        raise ConnectionResetError


def test_who_says_nothing_or_only_a_little_is_cut_off(
    run_console: Any, console_settings: Any, monkeypatch: Any
) -> None:
    monkeypatch.setattr("console.serve.PEOPLE", Patience(first_request_s=3.0, request_s=3.0, max_connections=50))
    console = run_console(console_settings)
    with _connect(console) as silent, _connect(console) as slow:
        slow.sendall(GET)
        began = time.monotonic()
        assert _ended(silent)
        assert _ended(slow)
        assert time.monotonic() - began < 60


def test_requests_that_follow_one_another_are_answered_in_order(console: Any) -> None:
    with _connect(console) as tls:
        tls.sendall((GET + b"\r\n") * 2 + b"GET /nothing HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        received = b""
        while chunk := tls.recv(65536):
            received += chunk
    assert received.count(b"HTTP/1.1 200 OK") == 2
    assert received.rindex(b"HTTP/1.1 404") > received.rindex(b"HTTP/1.1 200")


@pytest.mark.parametrize(
    "fields",
    [
        b"content-length: 5\r\ntransfer-encoding: chunked\r\n",
        b"content-length: 5\r\ncontent-length: 6\r\n",
        b"transfer-encoding: xchunked\r\n",
        b"content-length : 5\r\n",
        b"content-length: +5\r\n",
    ],
)
def test_a_request_with_two_possible_ends_is_refused(console: Any, fields: bytes) -> None:
    with _connect(console) as tls:
        tls.sendall(b"POST /login HTTP/1.1\r\nhost: x\r\n" + fields + b"\r\n0\r\n\r\nGET /healthz HTTP/1.1\r\n\r\n")
        received = b""
        while chunk := tls.recv(65536):
            received += chunk
    assert received.startswith(b"HTTP/1.1 400")
    assert b"200 OK" not in received
