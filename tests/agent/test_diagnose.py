"""`diagnose` names what is wrong with the agent itself: configuration, workers, view, console."""

import datetime
import os
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from agent import control, diagnose
from agent.diagnosis import Check
from agent.identity import Credentials, Enrolment
from agent.settings import AgentSettings, Vocabulary, compose
from contracts.errors import Unreachable

VOCABULARY = Vocabulary(settings=compose({}, {}), kinds={}, actions={})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "state").mkdir(mode=0o700)
    file = tmp_path / "agent.yaml"
    file.write_text(f"directories: {{state: {tmp_path}/state, runtime: {tmp_path}}}\n")
    return file


def by_name(checks: Iterator[Check]) -> dict[str, Check]:
    return {check.name: check for check in checks}


def answer(
    monkeypatch: pytest.MonkeyPatch, status: Mapping[str, Any], coverage: Mapping[str, Any] | None = None
) -> None:
    monkeypatch.setattr(
        control,
        "ask",
        lambda path, verb, arguments=None, timeout_s=0: {"status": status, "coverage": coverage or {}}[verb],
    )


def test_without_an_agent_the_rest_is_still_checked(path: Path) -> None:
    checks = by_name(diagnose.everything(path, VOCABULARY))
    assert checks[f"configuration {path}"].state == "ok"
    assert checks[f"state folder {path.parent}/state"].state == "ok"
    stopped = checks[f"agent at {path.parent}/control.sock"]
    assert stopped.state == "failed"
    assert "systemctl start holdfast-agent" in stopped.fix
    assert checks["enrolment"].state == "noted"
    assert all(check.fix for check in checks.values() if check.state == "failed")


def test_a_wrong_configuration_is_named_line_by_line(path: Path) -> None:
    path.write_text("heartbeet: {}\nspool: {max_size: 3}\n")
    found = [check for check in diagnose.everything(path, VOCABULARY) if check.name.startswith("configuration ")]
    assert [check.found.split(": ")[1] for check in found] == ["heartbeet", "spool.max_size"]


def test_diagnosing_makes_no_identity(path: Path) -> None:
    list(diagnose.everything(path, VOCABULARY))
    assert list((path.parent / "state").iterdir()) == []


def test_workers_views_and_outputs_are_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    blind = {"what": "the nftables rules", "why": "permission", "detail": "no CAP_NET_ADMIN", "fix": "Give it back."}
    answer(
        monkeypatch,
        {
            "version": "0.1.0",
            "workers": [
                {"name": "reader", "state": "backing_off", "detail": "ended with 1"},
                {"name": "netfilter", "state": "running", "pid": 0},
            ],
            "outputs": [
                {"name": "ndjson", "problem": "no space left on device"},
                {"name": "journald", "written": 3, "problem": ""},
            ],
            "config": {"refused": ["x"]},
        },
        {
            "sights": [
                {"subject": "ports", "state": "seen", "blind": []},
                {"subject": "firewall", "state": "unseen", "blind": [blind]},
                {"subject": "new", "state": "unknown"},
                {"subject": "partly", "state": "partial", "blind": [{"what": "x", "why": "other"}]},
            ]
        },
    )
    running = diagnose.Running(AgentSettings())
    checks = by_name(iter([*running.configuration(), *running.workers(), *running.outputs(), *running.sights()]))
    assert checks["worker reader"].found == "is backing off: ended with 1"
    assert checks["worker netfilter"].state == "ok"
    assert checks["output ndjson"].state == "failed"
    assert checks["output journald"].state == "ok"
    assert checks["view of ports"].state == "ok"
    assert (checks["view of firewall"].found, checks["view of firewall"].fix) == (
        "cannot see the nftables rules: no CAP_NET_ADMIN",
        "Give it back.",
    )
    assert checks["view of new"].state == "noted"
    assert checks["view of partly"].state == "noted"
    assert checks["configuration in use"].state == "failed"


def test_a_running_worker_without_its_capabilities_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(diagnose.privileges, "names", lambda mask: frozenset())
    answer(monkeypatch, {"workers": [{"name": "netfilter", "state": "running", "pid": 1}]})
    (check,) = diagnose.Running(AgentSettings()).workers()
    assert check.found == "runs without CAP_DAC_READ_SEARCH, CAP_NET_ADMIN, CAP_NET_RAW"


def test_outside_an_installation_no_fix_speaks_of_units(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(diagnose.privileges, "names", lambda mask: frozenset())
    workers = [{"name": "netfilter", "state": "running", "pid": 1}, {"name": "reader", "state": "backing_off"}]
    answer(monkeypatch, {"pid": 7, "workers": workers, "config": {"pending": True}})
    running = diagnose.Running(AgentSettings(), installed=False)
    fixes = [check.fix for check in (*running.workers(), *running.configuration())]
    assert "run the agent as root" in fixes[0] and fixes[2] == "run: kill -HUP 7"
    assert not any("systemctl" in fix or "journalctl" in fix or ".service" in fix for fix in fixes)


def test_reports_and_clock_are_judged_by_what_the_agent_says() -> None:
    checks = by_name(
        diagnose._reports({"connected": False, "last_error": "refused", "advice": "Enrol again.", "skew_ms": -90_000})
    )
    assert (checks["reports"].state, checks["reports"].fix) == ("failed", "Enrol again.")
    assert (checks["clock skew"].state, checks["clock skew"].found) == (
        "failed",
        "this clock and the console's differ by 90 s",
    )
    assert (
        by_name(diagnose._reports({"connected": True, "last_error": "old", "skew_ms": 20}))["clock skew"].state == "ok"
    )


def test_an_agent_that_does_not_answer_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: Any, **__: Any) -> Any:
        raise Unreachable("no agent answers", advice="start it")

    monkeypatch.setattr(control, "ask", away)
    running = diagnose.Running(AgentSettings())
    assert (running.check.state, running.check.fix) == ("failed", "start it")
    assert list(running.workers()) == []


class Certificates:
    """An authority with a server's certificate for loopback, as files."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test authority")])
        self.authority = folder / "authority.pem"
        root = self._made(name, name, self.key).add_extension(
            x509.BasicConstraints(ca=True, path_length=None), critical=True
        )
        root = root.add_extension(x509.SubjectKeyIdentifier.from_public_key(self.key.public_key()), critical=False)
        root = root.add_extension(
            x509.KeyUsage(True, False, False, False, False, True, True, False, False), critical=True
        )
        self.authority.write_bytes(root.sign(self.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
        leaf_key = ec.generate_private_key(ec.SECP256R1())
        leaf = self._made(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "console")]), name, leaf_key)
        leaf = leaf.add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        leaf = leaf.add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False
        )
        self.certificate, self.leaf_key = folder / "leaf.pem", folder / "leaf.key"
        self.certificate.write_bytes(leaf.sign(self.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
        self.leaf_key.write_bytes(
            leaf_key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )

    def _made(self, subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
        now = datetime.datetime.now(datetime.UTC)
        builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key.public_key())
        builder = builder.serial_number(x509.random_serial_number())
        return builder.not_valid_before(now - datetime.timedelta(days=1)).not_valid_after(
            now + datetime.timedelta(days=1)
        )


@pytest.fixture
def console(tmp_path: Path) -> Iterator[tuple[int, Certificates]]:
    """A TLS server on loopback."""
    made = Certificates(tmp_path / "tls")
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(made.certificate, made.leaf_key)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        ended = threading.Event()

        def serve() -> None:
            while not ended.is_set():
                raw, _ = listener.accept()
                try:
                    tls.wrap_socket(raw, server_side=True).close()
                except OSError:  # the client did not like us, which is what a test wanted
                    raw.close()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1], made
        ended.set()
        socket.create_connection(listener.getsockname()).close()
        thread.join(30)


def credentials(port: int, certificates: Certificates, authority: Path) -> Credentials:
    enrolment = Enrolment(agent="a" * 32, url=f"https://localhost:{port}", renew_after_ms=1, enrolled_ms=0)
    return Credentials(
        directory="1",
        enrolment=enrolment,
        key=str(certificates.leaf_key),
        certificate=str(certificates.certificate),
        authority=str(authority),
    )


def test_a_console_with_the_pinned_authority_is_reached(console: tuple[int, Certificates]) -> None:
    port, made = console
    assert diagnose.reach(credentials(port, made, made.authority)).state == "ok"


def test_a_console_with_another_authority_is_told_apart(console: tuple[int, Certificates], tmp_path: Path) -> None:
    port, made = console
    other = Certificates(tmp_path / "other")
    check = diagnose.reach(credentials(port, made, other.authority))
    assert check.state == "failed"
    assert "is not the pinned one" in check.found


def test_a_console_that_is_not_there_says_what_to_check(console: tuple[int, Certificates]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    check = diagnose.reach(credentials(port, console[1], console[1].authority))
    assert check.found == "cannot be reached: connection refused"
    assert "check the address" in check.fix


def test_a_port_that_speaks_no_tls_is_named(console: tuple[int, Certificates]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as plain:

        def greet() -> None:
            raw, _ = plain.accept()
            raw.sendall(b"SSH-2.0-x\r\n" * 20)
            raw.close()

        thread = threading.Thread(target=greet, daemon=True)
        thread.start()
        check = diagnose.reach(credentials(plain.getsockname()[1], console[1], console[1].authority))
        thread.join(30)
    assert check.state == "failed"


def test_a_certificate_long_due_fails() -> None:
    enrolment = Enrolment(agent="a" * 32, url="https://x:1", renew_after_ms=0, enrolled_ms=0)
    found = Credentials(directory="1", enrolment=enrolment, key="", certificate="", authority="")
    assert diagnose._certificate(found, 10 * 86400.0).found == "should have been renewed 10 days ago"
    assert diagnose._certificate(found, 86400.0).state == "ok"


def test_a_process_whose_name_is_not_utf_8_is_no_obstacle() -> None:
    odd = subprocess.Popen(
        [sys.executable, "-c", "import ctypes; ctypes.CDLL(None).prctl(15, b'\\xff\\xfe'); print(flush=True); input()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with odd:
        assert odd.stdout is not None
        odd.stdout.readline()
        assert diagnose._missing("reader", os.getpid()) == diagnose._missing("reader", odd.pid)
        odd.communicate()
