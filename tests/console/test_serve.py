"""The whole console: first start, second start, an orderly end, and one clear sentence for everything a person can mend."""

import asyncio
import datetime as dt
import os
import signal
import ssl
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import msgspec
import pytest

from console import wiring
from console.authority import Authority
from console.listening import ListenerCertificate
from console.parts import now_ms, open_parts
from console.serve import renew_certificates, take_up_certificate
from contracts.errors import HoldfastError
from contracts.wire import Ack, Batch


def test_the_first_start_makes_everything_and_the_second_keeps_it(
    run_console: Any, console_settings: Any, stranger: Any, beat: Any
) -> None:
    first = run_console(console_settings)
    pin = first.parts.authority.pin
    first.enrol(stranger)
    first.stop()
    second = run_console(console_settings)
    assert second.parts.authority.pin == pin
    assert isinstance(second.report(stranger, Batch(agent=stranger.name, heartbeat=beat())), Ack)
    modes = {path.name: path.stat().st_mode & 0o077 for path in Path(console_settings.state).rglob("*")}
    assert [name for name in ("ca", "tls", "ca-1.key", "agents.key", "console.db") if modes[name]] == []


def test_people_reach_the_pages_over_https(run_console: Any, console_settings: Any) -> None:
    console = run_console(console_settings)
    context = ssl.create_default_context(cadata=console.parts.authority.trusted().decode())
    with urllib.request.urlopen(f"https://{console.serving.people}/login", context=context, timeout=60) as page:
        assert page.status == 200


def test_a_silent_agent_becomes_late_and_down(
    run_console: Any, console_settings: Any, stranger: Any, beat: Any
) -> None:
    console = run_console(console_settings)
    console.enrol(stranger)
    began = now_ms()
    console.report(stranger, Batch(agent=stranger.name, heartbeat=beat(every_s=2.0)))
    reported = now_ms()
    seen: list[str] = []
    for at in range(began, reported + 10_000, 200):
        state = console.do(console.parts.store.agents(at))[0].state.value
        seen += [state] if state not in seen else []
    assert seen == ["up", "late", "down"]


def test_a_renewed_authority_is_taken_up_without_a_restart(
    console_settings: Any, stranger: Any, tmp_path: Path, moment: dt.datetime
) -> None:
    parts = open_parts(console_settings)
    server = wiring.make_server(parts, "127.0.0.1:1", "127.0.0.1:2")
    server.agents_certificate.ensure(parts.authority, moment)
    before = server.agents_certificate.chain.read_bytes()
    renewed = parts.authority.renew(moment)
    renew_certificates(server, ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), None)
    assert server.authority().pin == renewed.pin
    assert server.agents_certificate.chain.read_bytes() != before
    assert server.agents_certificate.chain.read_bytes().endswith(renewed.trusted())
    asyncio.run(parts.store.close())


def test_a_database_without_its_authority_is_not_given_another(console_settings: Any) -> None:
    parts = open_parts(console_settings)
    asyncio.run(parts.store.close())
    for entry in (Path(console_settings.state) / "ca").iterdir():
        entry.unlink()
    with pytest.raises(HoldfastError, match="no certificate authority") as caught:
        open_parts(console_settings)
    assert "ca restore" in caught.value.advice


def test_a_port_in_use_is_one_sentence(run_console: Any, console_settings: Any, tmp_path: Path) -> None:
    console = run_console(console_settings)
    taken = msgspec.structs.replace(
        console_settings,
        state=str(tmp_path / "other"),
        agents=msgspec.structs.replace(console_settings.agents, listen=console.serving.agents),
    )
    with pytest.raises(HoldfastError, match="is in use by another program") as caught:
        run_console(taken)
    assert caught.value.exit_code == 69
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_in_an_orderly_way(tmp_path: Path, number: signal.Signals) -> None:
    holdfast = str(Path(sys.executable).with_name("holdfast"))
    listening = ("--people", "127.0.0.1:0", "--agents", "127.0.0.1:0", "--login-link")
    started = subprocess.Popen(
        [holdfast, "console", "serve", "--state-dir", str(tmp_path / "state"), *listening],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "HOLDFAST_CONSOLE_CONFIG": ""},
        text=True,
    )
    assert started.stdout is not None
    lines = [started.stdout.readline() for _ in range(3)]
    assert [line.split()[0] for line in lines] == ["people", "agents", "log"]
    started.send_signal(number)
    _, complaint = started.communicate(timeout=60)
    assert (started.returncode, complaint) == (0, "")


def test_listener_certificates_are_kept_until_they_will_not_do(tmp_path: Path, moment: dt.datetime) -> None:
    authority = Authority.create(tmp_path / "ca", moment)
    certificate = ListenerCertificate(tmp_path / "tls", "agents", ("localhost",))
    assert certificate.ensure(authority, moment)
    assert not certificate.ensure(authority, moment)
    assert ListenerCertificate(tmp_path / "tls", "agents", ("localhost", "more.test")).ensure(authority, moment)
    assert certificate.ensure(authority, moment)
    assert certificate.ensure(authority, moment + dt.timedelta(days=61))
    certificate.key.write_bytes(b"garbage")
    assert certificate.ensure(authority, moment)


def test_a_certificate_that_others_renew_is_taken_up_unless_it_does_not_fit(
    tmp_path: Path, moment: dt.datetime
) -> None:
    class Pages:
        taken: list[tuple[str, str]] = []

        def load_cert_chain(self, chain: str, key: str) -> None:
            self.taken.append((chain, key))

    authority = Authority.create(tmp_path / "ca", moment)
    chain, key = tmp_path / "c.pem", tmp_path / "k.pem"
    first, second = (authority.issue_server(("localhost",), moment) for _ in range(2))
    key.write_bytes(first[0])
    chain.write_bytes(first[1])
    pages: Any = Pages()
    take_up_certificate(pages, str(chain), str(key))
    assert pages.taken == [(str(chain), str(key))]
    chain.write_bytes(second[1])  # half renewed: the key is still the one before
    with pytest.raises(HoldfastError, match="the one before stays in use"):
        take_up_certificate(pages, str(chain), str(key))
    assert len(pages.taken) == 1
    key.write_bytes(second[0])
    take_up_certificate(pages, str(chain), str(key))
    assert len(pages.taken) == 2
