"""Nobody in: what clients get that have no certificate, a wrong one, a revoked one, or another agent's name; over real TLS on loopback."""

import datetime as dt
import socket
import ssl
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest

from console.authority import Authority
from console.parts import now_ms
from contracts.wire import Ack, Batch, Enrolled, Problem, RenewRequest


def _gets_nothing(console: Any, agent: Any) -> None:
    with pytest.raises((ssl.SSLError, ConnectionError)), console.connect(agent) as tls:
        tls.sendall(b"POST /v1/report HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n")
        if tls.recv(1) == b"":
            raise ConnectionResetError


def test_an_enrolled_agent_reports_and_is_acknowledged(console: Any, agent: Any, beat: Any, lanes: Any) -> None:
    lane = lanes(agent.name)
    ack = console.report(agent, Batch(agent=agent.name, heartbeat=beat(), lanes=(lane.part(3),)))
    assert isinstance(ack, Ack)
    assert ack.lanes == {"normal": 3}
    assert console.do(console.parts.store.agent(agent.name, now_ms())).agent.state == "up"


def test_without_a_certificate_nothing_but_enrolment_is_answered(console: Any) -> None:
    for line in (b"POST /v1/report HTTP/1.1\r\n", b"GET / HTTP/1.1\r\n", b"\x00\xff", b"POST /v1/enrol HTTP/1.0\r\n"):
        with console.connect() as tls:
            tls.sendall(line + b"host: x\r\ncontent-length: 0\r\n\r\n")
            assert _answer(tls) == b""


def test_a_certificate_of_another_authority_is_refused(
    console: Any, stranger: Any, tmp_path: Path, moment: dt.datetime
) -> None:
    other = Authority.create(tmp_path / "other", moment)
    stranger.keep(other.issue_agent(stranger.csr(), stranger.name, dt.timedelta(days=1), moment).pem)
    _gets_nothing(console, stranger)


def test_an_expired_certificate_is_refused(console: Any, stranger: Any, moment: dt.datetime) -> None:
    authority = console.parts.authority
    began = moment - dt.timedelta(days=40)
    stranger.keep(authority.issue_agent(stranger.csr(), stranger.name, dt.timedelta(days=30), began).pem)
    _gets_nothing(console, stranger)


def test_the_consoles_own_server_certificate_is_not_an_agents(console: Any, stranger: Any) -> None:
    tls = Path(console.settings.state) / "tls"
    stranger.file.write_bytes((tls / "agents.crt").read_bytes() + (tls / "agents.key").read_bytes())
    _gets_nothing(console, stranger)


def test_a_certificate_the_store_does_not_know_is_refused(console: Any, stranger: Any, moment: dt.datetime) -> None:
    issued = console.parts.authority.issue_agent(stranger.csr(), stranger.name, dt.timedelta(days=1), moment)
    stranger.keep(issued.pem)
    status, body = console.post("/v1/report", b"x", stranger)
    assert status == 403
    assert "not known" in msgspec.msgpack.decode(body, type=Problem).error


def test_a_revoked_agent_is_cut_off_while_connected_and_kept_out(console: Any, agent: Any, beat: Any) -> None:
    with console.connect(agent) as tls:
        assert console.do(console.parts.store.revoke_agent(agent.name, now_ms()))
        tls.settimeout(100)
        began = time.monotonic()
        with pytest.raises((ConnectionError, ssl.SSLError)):
            if tls.recv(1) == b"":
                raise ConnectionResetError
        assert time.monotonic() - began < 60
    refused = console.report(agent, Batch(agent=agent.name, heartbeat=beat()))
    assert refused[0] == 403
    assert "revoked" in refused[1].error
    assert console.do(console.parts.store.agent(agent.name, now_ms())).agent.heartbeat_ms == 0


def test_an_agent_cannot_speak_in_anothers_name(console: Any, agent: Any, beat: Any, lanes: Any) -> None:
    other = "f" * 32
    assert console.report(agent, Batch(agent=other, heartbeat=beat()))[0] == 403
    inside = console.report(agent, Batch(agent=agent.name, lanes=(lanes(other).part(1),)))
    assert inside[0] == 403
    found = console.do(console.parts.store.findings(agent.name))
    assert {one.kind for one in found} == {"impersonation"}


def test_a_renewed_certificate_works_and_carries_only_its_own_name(console: Any, agent: Any, beat: Any) -> None:
    wrong = msgspec.msgpack.encode(RenewRequest(csr=agent.csr("e" * 32)))
    assert console.post("/v1/renew", wrong, agent)[0] == 403
    status, body = console.post("/v1/renew", msgspec.msgpack.encode(RenewRequest(csr=agent.csr())), agent)
    assert status == 200
    agent.keep(msgspec.msgpack.decode(body, type=Enrolled).certificate)
    assert isinstance(console.report(agent, Batch(agent=agent.name, heartbeat=beat())), Ack)


def test_a_cloned_identity_is_noticed(console: Any, agent: Any, beat: Any) -> None:
    for instance in ("one", "two", "one"):
        assert isinstance(console.report(agent, Batch(agent=agent.name, heartbeat=beat(instance))), Ack)
    assert console.do(console.parts.store.agent(agent.name, now_ms())).agent.state == "duplicate"
    assert "agent.duplicate" in [entry.what for entry in console.do(console.parts.store.audit_log())]


def test_a_head_that_never_ends_is_cut_off(console: Any, agent: Any) -> None:
    with console.connect(agent) as tls, pytest.raises((ConnectionError, ssl.SSLError)):
        tls.sendall(b"POST /v1/report HTTP/1.1\r\n")
        for number in range(2000):
            tls.sendall(b"x-%d: %s\r\n" % (number, b"y" * 100))
        if tls.recv(1) == b"":
            raise ConnectionResetError


def test_a_body_over_the_limit_is_refused_by_its_announcement(console: Any, agent: Any) -> None:
    with console.connect(agent) as tls:
        tls.sendall(b"POST /v1/report HTTP/1.1\r\nhost: x\r\ncontent-length: 9999999999\r\n\r\n")
        assert _answer(tls).startswith(b"HTTP/1.1 413")


def test_plain_text_on_the_port_gets_nothing(console: Any) -> None:
    with socket.create_connection(("127.0.0.1", console.port), timeout=60) as plain:
        plain.sendall(b"GET / HTTP/1.1\r\n\r\n")
        try:
            received = plain.recv(4096)
        except ConnectionError:
            received = b""
        assert b"HTTP" not in received


def _answer(tls: ssl.SSLSocket) -> bytes:
    received = b""
    try:
        while chunk := tls.recv(4096):
            received += chunk
            if b"\r\n\r\n" in received:
                break
    except (ConnectionError, ssl.SSLError):
        pass
    return received
