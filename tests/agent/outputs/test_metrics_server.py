"""Prometheus gets its metrics over a Unix socket or loopback, and nobody can hold the loop up."""

import http.client
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.loop import Loop
from agent.outputs import metrics_server
from agent.outputs.metrics_server import AddressRefused, MetricsServer

BODY = b"holdfast_up 1\n" * 40_000


@pytest.fixture
def loop() -> Iterator[Loop]:
    """A loop that runs in a thread of its own."""
    running = Loop()
    yield running
    running.close()


@pytest.fixture
def serve(loop: Loop) -> Iterator[Callable[[str], MetricsServer]]:
    servers: list[MetricsServer] = []
    thread = threading.Thread(target=loop.run)

    def start(address: str) -> MetricsServer:
        servers.append(MetricsServer(loop, address, lambda: BODY))
        thread.start()
        return servers[0]

    yield start
    loop.stop()
    if thread.ident:
        thread.join(10)
    for server in servers:
        server.close()


def get(port: int, path: str = "/metrics", method: str = "GET", host: str = "127.0.0.1") -> tuple[int, bytes, str]:
    connection = http.client.HTTPConnection(host, port, timeout=60)
    connection.request(method, path)
    answer = connection.getresponse()
    return answer.status, answer.read(), answer.headers["Content-Type"]


@pytest.mark.parametrize(("address", "host"), [("127.0.0.1:0", "127.0.0.1"), ("[::1]:0", "::1")])
def test_metrics_are_served_on_loopback(serve: Callable[[str], MetricsServer], address: str, host: str) -> None:
    port = serve(address).port
    assert get(port, host=host) == (200, BODY, "text/plain; version=0.0.4; charset=utf-8")


def test_other_requests_get_their_status(serve: Callable[[str], MetricsServer]) -> None:
    port = serve("127.0.0.1:0").port
    assert get(port, "/")[0] == 404
    assert get(port, method="POST")[0] == 405
    assert get(port, method="HEAD")[:2] == (200, b"")
    with socket.create_connection(("127.0.0.1", port), 60) as raw:
        raw.sendall(b"nonsense\r\n\r\n")
        assert raw.recv(100).startswith(b"HTTP/1.1 400 ")


def test_metrics_are_served_on_a_unix_socket(serve: Callable[[str], MetricsServer], tmp_path: Path) -> None:
    path = tmp_path / "metrics.sock"
    left_behind = socket.socket(socket.AF_UNIX)
    left_behind.bind(str(path))
    left_behind.close()
    serve(f"unix:{path}")
    assert path.stat().st_mode & 0o777 == 0o660
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
        client.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
        answer = b"".join(iter(lambda: client.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert answer.endswith(BODY)


def test_a_request_without_end_is_cut_off(serve: Callable[[str], MetricsServer]) -> None:
    with socket.create_connection(("127.0.0.1", serve("127.0.0.1:0").port), 60) as raw:
        raw.sendall(b"G" * (metrics_server.MAX_REQUEST + 1))
        assert _rest(raw) == b""


def test_a_silent_client_is_dropped_and_others_are_served(
    serve: Callable[[str], MetricsServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    limits = iter([0.5])  # for the one that is silent; the others may take their time
    accepted = metrics_server._Connection

    def connection(*words: Any) -> Any:
        monkeypatch.setattr(metrics_server, "TIMEOUT_S", next(limits, 60.0))
        return accepted(*words)

    monkeypatch.setattr(metrics_server, "_Connection", connection)
    port = serve("127.0.0.1:0").port
    with socket.create_connection(("127.0.0.1", port), 60) as silent:
        assert get(port)[0] == 200
        assert _rest(silent) == b""


def test_too_many_connections_are_turned_away(
    serve: Callable[[str], MetricsServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metrics_server, "TIMEOUT_S", 60.0)  # those that are held are not dropped meanwhile
    port = serve("127.0.0.1:0").port
    held = [socket.create_connection(("127.0.0.1", port), 60) for _ in range(metrics_server.MAX_CONNECTIONS)]
    with socket.create_connection(("127.0.0.1", port), 60) as one_more:
        assert _rest(one_more) == b""
    for each in held:
        each.close()


@pytest.mark.parametrize(
    "address", ["0.0.0.0:9464", "192.0.2.1:1", "localhost:9", "127.0.0.1:99999", "127.0.0.1:x", "9464"]
)
def test_no_other_address_is_taken(loop: Loop, address: str) -> None:
    with pytest.raises(AddressRefused, match="is not a loopback address; write unix:/path"):
        MetricsServer(loop, address, lambda: b"")


def test_a_port_in_use_is_one_sentence(loop: Loop) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(
            AddressRefused, match=r"address already in use; choose another port in outputs\.prometheus\.listen"
        ):
            MetricsServer(loop, f"127.0.0.1:{port}", lambda: b"")


def _rest(raw: socket.socket) -> bytes:
    """Read until the other side ends, be it orderly or not."""
    found = b""
    try:
        while data := raw.recv(4096):
            found += data
    except ConnectionResetError:
        return found
    return found
