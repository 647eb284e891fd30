"""The notify action against a real HTTP server and a real SMTP conversation on loopback."""

import json
import socketserver
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from actions import notify
from actions.notify import Channel, Notify, Options
from contracts.action import Command, Result
from contracts.errors import Unavailable, UsageError, Why
from contracts.event import Event, Severity
from contracts.outcome import Failed, Ok
from contracts.proof import Verb

EVENT = Event(kind="ports.listener_opened", key="tcp/22", severity=Severity.HIGH, fields={"port": 22})


class DiskHost:
    """The two things that the action asks of a host."""

    dry = False

    @property
    def files(self) -> "DiskHost":
        return self

    def read(self, path: str, max_bytes: int = 1 << 20) -> bytes:
        try:
            return Path(path).read_bytes()
        except FileNotFoundError as error:
            raise Unavailable(Why.NOT_PRESENT, f"{path} is not there") from error

    def now(self) -> datetime:
        return datetime(2026, 1, 1, tzinfo=UTC)


class HttpSink(HTTPServer):
    def __init__(self) -> None:
        self.bodies: list[dict[str, Any]] = []
        self.answer = 200
        super().__init__(("127.0.0.1", 0), Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass


class Handler(BaseHTTPRequestHandler):
    server: HttpSink

    def do_POST(self) -> None:
        self.server.bodies.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(self.server.answer)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


class SmtpSink(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True

    def __init__(self) -> None:
        self.messages: list[str] = []
        super().__init__(("127.0.0.1", 0), SmtpTalk)


class SmtpTalk(socketserver.StreamRequestHandler):
    server: SmtpSink

    def handle(self) -> None:
        self.say("220 sink")
        while words := self.rfile.readline().decode().strip():
            verb = words.split()[0].upper()
            if verb == "DATA":
                self.say("354 go on")
                lines = []
                while (line := self.rfile.readline().decode().rstrip("\r\n")) != ".":
                    lines.append(line)
                self.server.messages.append("\n".join(lines))
            self.say("221 bye" if verb == "QUIT" else "250 sink")
            if verb == "QUIT":
                return

    def say(self, line: str) -> None:
        self.wfile.write(f"{line}\r\n".encode())


@pytest.fixture
def http() -> Iterator[HttpSink]:
    with HttpSink() as sink:
        threading.Thread(target=sink.serve_forever, daemon=True).start()
        yield sink
        sink.shutdown()


@pytest.fixture
def smtp() -> Iterator[SmtpSink]:
    with SmtpSink() as sink:
        threading.Thread(target=sink.serve_forever, daemon=True).start()
        yield sink
        sink.shutdown()


def tell(
    folder: Path,
    urls: dict[str, str],
    channel: str = "",
    dry_run: bool = False,
    timeout: float = 60.0,
    **arguments: str,
) -> Result:
    for name, url in urls.items():
        (folder / name).write_text(f"{url}\n")
    channels = {name: Channel(url=f"file:{folder / name}", timeout=timeout) for name in urls}
    command = Command(
        id="1", action="notify", arguments={"channel": channel, **arguments}, dry_run=dry_run, event=EVENT
    )
    return Notify(Options(channels=channels)).do(DiskHost(), command, lambda *_, **__: None)  # type: ignore[arg-type]


def test_a_message_reaches_an_http_service_and_that_is_proved(tmp_path: Path, http: HttpSink) -> None:
    url = f"json://127.0.0.1:{http.server_port}/hook"
    result = tell(tmp_path, {"admins": url}, "admins", title="A port opened")
    assert result.outcome == Ok()
    assert http.bodies[0]["title"] == "A port opened"
    assert "port: 22" in http.bodies[0]["message"]
    assert result.proof is not None
    assert (result.proof.subject, result.proof.verb) == ("notify/admins", Verb.REACHED)


def test_a_message_reaches_a_mail_server(tmp_path: Path, smtp: SmtpSink) -> None:
    url = f"mailto://127.0.0.1:{smtp.server_address[1]}/?from=agent@example.org&to=root@example.org&mode=insecure"
    result = tell(tmp_path, {"mail": url}, title="A port opened")
    assert result.outcome == Ok(), result.summary
    assert "A port opened" in smtp.messages[0]


def test_a_refusal_is_a_failure_without_proof_and_does_not_quote_the_url(tmp_path: Path, http: HttpSink) -> None:
    http.answer = 403
    result = tell(tmp_path, {"admins": f"json://user:s3cret@127.0.0.1:{http.server_port}/t0ken"})
    assert isinstance(result.outcome, Failed)
    assert "403" in result.summary
    assert "s3cret" not in str(result) and "t0ken" not in str(result)
    assert result.proof is None
    assert [event.kind for event in result.events] == ["notify.undelivered"]


def test_one_dead_channel_does_not_keep_the_others_from_hearing(tmp_path: Path, http: HttpSink) -> None:
    urls = {"dead": "json://127.0.0.1:1/x", "live": f"json://127.0.0.1:{http.server_port}/hook"}
    result = tell(tmp_path, urls)
    assert isinstance(result.outcome, Failed)
    assert len(http.bodies) == 1
    assert [event.fields["channel"] for event in result.events] == ["dead"]
    assert result.proof is not None and result.proof.detail == "live"


def test_a_service_that_hangs_is_given_up_on(tmp_path: Path) -> None:
    import socket

    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        result = tell(tmp_path, {"slow": f"json://127.0.0.1:{silent.getsockname()[1]}/x"}, timeout=0.5)
    assert isinstance(result.outcome, Failed)


def test_a_dry_run_tells_nobody_and_still_finds_a_missing_secret(tmp_path: Path, http: HttpSink) -> None:
    result = tell(tmp_path, {"admins": f"json://127.0.0.1:{http.server_port}/hook"}, dry_run=True)
    assert "would tell admins" in result.summary
    assert not http.bodies
    lost = Notify(Options(channels={"gone": Channel(url=f"file:{tmp_path}/none")}))
    with pytest.raises(Unavailable):
        lost.do(DiskHost(), Command(id="1", action="notify"), lambda *_, **__: None)  # type: ignore[arg-type]


@pytest.mark.parametrize("url", ["nonsense://x", "not a url", "json://"])
def test_what_is_no_channel_is_said_in_a_sentence(tmp_path: Path, url: str) -> None:
    assert isinstance(tell(tmp_path, {"admins": url}).outcome, Failed)


def test_an_unknown_channel_is_named_with_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="name one of admins"):
        tell(tmp_path, {"admins": "json://127.0.0.1"}, "adimns")
    with pytest.raises(UsageError, match="no channel is configured"):
        tell(tmp_path, {})


def test_a_hostile_title_stays_one_line(tmp_path: Path, smtp: SmtpSink) -> None:
    url = f"mailto://127.0.0.1:{smtp.server_address[1]}/?from=agent@example.org&to=root@example.org&mode=insecure"
    tell(tmp_path, {"mail": url}, title="x\r\nBcc: thief@example.org\r\n\r\nbody")
    headers = smtp.messages[0].partition("\n\n")[0]
    assert not any(line.startswith("Bcc:") for line in headers.splitlines())


def test_a_credential_without_systemd_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    action = Notify(Options(channels={"admins": Channel(url="credential:admins")}))
    result = action.do(DiskHost(), Command(id="1", action="notify", dry_run=False), lambda *_, **__: None)  # type: ignore[arg-type]
    assert "systemd passed no credential" in result.summary


def test_everything_sending_takes_can_be_imported_ahead() -> None:
    notify.prepare()
