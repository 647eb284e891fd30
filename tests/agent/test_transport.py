"""HTTPS to the console: every way it can fail is one sentence with what to do, and none takes long."""

import contextlib
import importlib.util
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agent.transport import Interrupted, NotTrusted, Transport, address, context
from contracts.errors import Unreachable, UsageError

_spec = importlib.util.spec_from_file_location("fake_console", Path(__file__).with_name("fake_console.py"))
fake_console = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(fake_console)
console = fake_console.console


def reach(console, timeout_s: float = 30.0) -> Transport:
    return Transport(console.url, context(console.authority.pem.decode()), timeout_s)


@pytest.fixture
def raw() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener


def test_addresses_have_a_default_port_and_may_be_ipv6() -> None:
    assert address("https://console") == ("console", 8444)
    assert address("https://[::1]:9/") == ("::1", 9)


@pytest.mark.parametrize(
    "url", ["", "http://a", "https://a:99999", "https://u@a", "https://a?b", "ftp://a", "https://[::1"]
)
def test_what_is_no_address_is_said(url: str) -> None:
    with pytest.raises(UsageError, match="is not the address of a console"):
        address(url)


def test_the_connection_is_kept(console) -> None:
    transport = reach(console)
    for _ in range(3):
        transport.post("/v1/report", b"")
    assert len(console.connections) == 1
    transport.close()


def test_a_connection_that_was_closed_while_idle_is_opened_again_unseen(console) -> None:
    transport = reach(console)
    transport.post("/v1/report", b"")
    console.stop()
    console.start()
    transport.post("/v1/report", b"")
    transport.close()


def test_nobody_there_is_said(console) -> None:
    console.stop()
    with pytest.raises(Unreachable, match="connection refused; check that the console runs"):
        reach(console).post("/", b"")


def test_a_name_that_does_not_resolve_is_said(console) -> None:
    transport = Transport("https://console.invalid:1", context(console.authority.pem.decode()), 5)
    with pytest.raises(Unreachable, match="its name does not resolve"):
        transport.post("/", b"")


def test_another_authority_is_not_trusted(console) -> None:
    other = fake_console.Authority("test authority")
    with pytest.raises(NotTrusted, match="was not accepted"):
        Transport(console.url, context(other.pem.decode()), 30).post("/", b"")


def test_another_name_is_not_trusted(console) -> None:
    transport = Transport(console.url.replace("127.0.0.1", "localhost"), context(console.authority.pem.decode()), 30)
    with pytest.raises(NotTrusted, match="was not accepted"):
        transport.post("/", b"")


@pytest.fixture
def over() -> Iterator[threading.Event]:
    """Set at the end of a test: until then a server of it may keep silent, or drip."""
    ended = threading.Event()
    yield ended
    ended.set()


def serve(raw: socket.socket, speak: Callable[[socket.socket], object]) -> None:
    """Let `speak` answer the one who connects to `raw`, in a thread."""

    def run() -> None:
        with contextlib.suppress(OSError), raw.accept()[0] as peer:
            speak(peer)

    threading.Thread(target=run, daemon=True).start()


def to(raw: socket.socket, console, timeout_s: float) -> Transport:
    url = f"https://127.0.0.1:{raw.getsockname()[1]}"
    return Transport(url, context(console.authority.pem.decode()), timeout_s)


def test_something_that_does_not_speak_tls_is_said(raw, console, over) -> None:
    # It stays: one that closes with unread bytes before it resets the connection, and nobody reads what it has said.
    serve(raw, lambda peer: (peer.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n"), over.wait(60)))
    with pytest.raises(Unreachable, match="does not speak TLS"):
        to(raw, console, 30).post("/", b"")


def test_silence_is_given_up_in_time(raw, console) -> None:
    begun = time.monotonic()
    with pytest.raises(Unreachable, match="does not answer in time"):
        to(raw, console, 0.3).post("/", b"")
    assert time.monotonic() - begun < 30


def test_an_answer_that_drips_is_given_up_in_time(console, over) -> None:
    def drip(handler) -> str:
        handler.send_response(200)
        handler.send_header("Content-Length", "100000")
        handler.end_headers()
        while not over.wait(0.02):
            handler.wfile.write(b"x")
        return "drop"

    console.faults = [drip, drip]
    begun = time.monotonic()
    with pytest.raises(Unreachable, match="does not answer in time"):
        reach(console, 0.5).post("/v1/report", b"")
    assert time.monotonic() - begun < 30


def test_a_handshake_that_drips_is_given_up_in_time(raw, console, over) -> None:
    def drip(peer: socket.socket) -> None:
        peer.sendall(b"\x16\x03\x03\x40\x00\x02\x00\x3f\xfc\x03\x03")  # the first bytes of a long ServerHello
        while not over.wait(0.02):
            peer.sendall(b"\x00")

    serve(raw, drip)
    begun = time.monotonic()
    with pytest.raises(Unreachable, match="does not answer in time"):
        to(raw, console, 0.5).post("/", b"")
    assert time.monotonic() - begun < 30


def test_a_connection_that_took_all_the_time_is_not_used(console, monkeypatch) -> None:
    """Resolving a name has no time-out of its own."""
    connect, transport = socket.create_connection, reach(console)

    def slowly(*words: object) -> socket.socket:
        made = connect(*words)
        transport._give_up()
        return made

    monkeypatch.setattr(socket, "create_connection", slowly)
    with pytest.raises(Unreachable, match="does not answer in time"):
        transport.post("/v1/report", b"")
    assert console.received == []
    monkeypatch.undo()
    transport.post("/v1/report", b"")
    transport.close()


def test_an_answer_beyond_all_measure_is_refused(console) -> None:
    def flood(handler) -> str:
        handler.send_response(200)
        handler.send_header("Content-Length", str(4 << 20))
        handler.end_headers()
        handler.wfile.write(bytes(4 << 20))
        return "drop"

    console.faults = [flood]
    with pytest.raises(Unreachable, match="is not whole"):
        reach(console).post("/v1/report", b"")


def test_an_interrupted_exchange_ends_at_once(console, over) -> None:
    transport = reach(console, 100)

    def hang(_handler) -> str:
        transport.interrupt()
        over.wait(60)
        return "drop"

    console.faults = [hang]
    begun = time.monotonic()
    for _ in range(2):
        with pytest.raises(Interrupted):
            transport.post("/v1/report", b"")
    assert time.monotonic() - begun < 30


def test_an_interrupted_handshake_ends_at_once(raw, console, over) -> None:
    transport = to(raw, console, 100)
    serve(
        raw, lambda peer: (peer.recv(1), transport.interrupt(), over.wait(60))
    )  # a byte of the client's hello is there
    begun = time.monotonic()
    with pytest.raises(Interrupted):
        transport.post("/", b"")
    assert time.monotonic() - begun < 30


def test_certificate_files_that_do_not_fit_are_said(console, tmp_path: Path) -> None:
    with pytest.raises(NotTrusted, match="enrol this agent again"):
        context("no certificate")
    with pytest.raises(NotTrusted):
        context(console.authority.pem.decode(), str(tmp_path / "none"), str(tmp_path / "none"))
    assert context(console.authority.pem.decode()).minimum_version == ssl.TLSVersion.TLSv1_3
