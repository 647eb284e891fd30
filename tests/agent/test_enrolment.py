"""Enrolment: the token goes only to the console that made it; a key and its certificate are always together."""

import importlib.util
import random
import ssl
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest
import zstandard

from agent import enrolment
from agent.clock import SystemClock
from agent.enrolment import BadToken, Input, enrol, own_context, pin_of, renew
from agent.identity import Identity
from agent.transport import NotTrusted, Transport
from contracts.errors import Refused, Unreachable, UsageError
from contracts.wire import Batch

_spec = importlib.util.spec_from_file_location("fake_console", Path(__file__).with_name("fake_console.py"))
fake_console = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(fake_console)
console, facts, authority = fake_console.console, fake_console.facts, fake_console.authority

CLOCK = SystemClock()
EMPTY = zstandard.compress(msgspec.msgpack.encode(Batch(agent="x")))


@pytest.fixture
def identity(tmp_path: Path) -> Identity:
    (tmp_path / "state").mkdir(mode=0o700)
    return Identity(tmp_path / "state", CLOCK)


def asked(console, facts, token: str = "") -> Input:
    return Input(url=console.url, token=token or console.authority.token(), facts=facts, version="1")


def admit(console) -> None:
    console.tokens[console.authority.token()] = (b"", b"")


def test_an_enrolled_agent_is_accepted_with_its_certificate(console, identity, facts) -> None:
    admit(console)
    done = enrol(identity, asked(console, facts), CLOCK)
    assert (done.agent, done.url) == (identity.agent, console.url)
    transport = Transport(console.url, own_context(identity.credentials()), 60)
    assert transport.post("/v1/report", EMPTY).status == 200
    transport.close()


def test_the_files_are_private(console, identity, facts) -> None:
    admit(console)
    enrol(identity, asked(console, facts), CLOCK)
    for path in (identity.directory, *identity.directory.rglob("*")):
        if not path.is_symlink():
            assert path.stat().st_mode & 0o077 == 0, path


def test_a_wrong_pin_is_noticed_before_the_token_is_sent(console, identity, facts, authority) -> None:
    token = authority("test authority").token()
    with pytest.raises(NotTrusted, match="is not the console that made this token"):
        enrol(identity, asked(console, facts, token), CLOCK)
    assert console.received == []


def test_a_server_that_shows_the_pinned_authority_but_is_not_signed_by_it_gets_nothing(
    console, identity, facts, authority, tmp_path
) -> None:
    console.stop()
    other = authority("test authority")
    console.files = other.server_files(console.folder, chain=console.authority.pem)
    console.start()
    with pytest.raises(NotTrusted, match="was not accepted"):
        enrol(identity, asked(console, facts), CLOCK)
    assert console.received == []


def test_an_expired_token_is_said_in_one_sentence(console, identity, facts) -> None:
    with pytest.raises(Refused, match="this enrolment token has expired; make a new one"):
        enrol(identity, asked(console, facts), CLOCK)
    assert identity.credentials() is None


def test_a_used_token_with_another_key_is_refused(console, identity, facts, tmp_path) -> None:
    admit(console)
    enrol(identity, asked(console, facts), CLOCK)
    (tmp_path / "other").mkdir()
    with pytest.raises(Refused, match="used with another key"):
        enrol(Identity(tmp_path / "other", CLOCK), asked(console, facts), CLOCK)


def test_a_repeat_after_a_lost_answer_gives_the_same_certificate(console, identity, facts) -> None:
    admit(console)
    enrol(identity, asked(console, facts), CLOCK)
    first = Path(identity.credentials().certificate).read_bytes()
    # As if the answer had never come: only the key that was kept before is there.
    key = Path(identity.credentials().key).read_bytes()
    identity.keep_pending("enrol", key)
    (identity.directory / "current").unlink()
    enrol(identity, asked(console, facts), CLOCK)
    assert Path(identity.credentials().certificate).read_bytes() == first
    assert identity.pending_key("enrol") is None


def test_a_console_that_is_not_there_is_said(console, identity, facts) -> None:
    console.stop()
    with pytest.raises(Unreachable, match="is not reachable: connection refused"):
        enrol(identity, asked(console, facts), CLOCK)


@pytest.mark.parametrize("token", ["", "hf1", "hf2.YWE.YWE", "hf1.!!.??", "hf1.YWE.YWE"])
def test_what_is_no_token_is_said_before_anything_is_connected(token: str) -> None:
    with pytest.raises(BadToken):
        pin_of(token)


@pytest.mark.parametrize("url", ["http://a", "console", "https://a/path", "https://", "https://a:b"])
def test_what_is_no_address_is_said(url: str, identity, facts, authority) -> None:
    with pytest.raises(UsageError, match="is not the address of a console"):
        enrol(identity, Input(url=url, token=authority().token(), facts=facts, version="1"), CLOCK)


def test_a_certificate_for_another_key_is_not_installed(console, identity, facts, monkeypatch) -> None:
    admit(console)
    stranger = enrolment._request(enrolment._new_key(), identity.agent)
    monkeypatch.setattr(enrolment, "_request", lambda key, agent: stranger)
    with pytest.raises(NotTrusted, match="another key"):
        enrol(identity, asked(console, facts), CLOCK)
    assert identity.credentials() is None


def test_renewal_changes_key_and_certificate_together(console, identity, facts) -> None:
    admit(console)
    enrol(identity, asked(console, facts), CLOCK)
    before = identity.credentials()
    renew(identity, CLOCK)
    after = identity.credentials()
    assert Path(before.key).read_bytes() != Path(after.key).read_bytes()
    own_context(before)
    own_context(after)


def test_renewing_without_being_enrolled_is_said(identity) -> None:
    with pytest.raises(Refused, match="not enrolled"):
        renew(identity, CLOCK)


def usable(identity: Identity) -> None:
    """Read key and certificate as whoever connects does; those of before the last renewal are there, older ones are not."""
    while True:
        credentials = identity.credentials()
        try:
            own_context(credentials)
        except NotTrusted:
            if identity.current() == credentials.directory:
                raise
            continue
        return


def test_a_kill_in_the_middle_of_a_renewal_leaves_a_working_certificate(console, identity, facts, tmp_path) -> None:
    admit(console)
    enrol(identity, asked(console, facts), CLOCK)
    # The child renews over and over, so that a kill meets every stage of it.
    script = (
        "import sys; from pathlib import Path; from agent.clock import SystemClock; from agent.enrolment import renew;"
        "from agent.identity import Identity; identity = Identity(Path(sys.argv[1]), SystemClock()); print('up', flush=True)\n"
        "while True: renew(identity, SystemClock())"
    )
    dice = random.Random(3)
    for _ in range(8):
        child = subprocess.Popen([sys.executable, "-c", script, str(tmp_path / "state")], stdout=subprocess.PIPE)
        assert child.stdout.readline() == b"up\n"
        before = console.renewals
        while console.renewals < before + 2:
            time.sleep(dice.uniform(0.001, 0.02))
            usable(Identity(tmp_path / "state", CLOCK))
        child.kill()
        child.communicate()
        credentials = Identity(tmp_path / "state", CLOCK).credentials()
        transport = Transport(console.url, own_context(credentials), 60)
        assert transport.post("/v1/report", EMPTY).status == 200
        transport.close()
    assert console.renewals >= 16


def test_the_child_says_what_failed_in_one_line_and_by_its_exit_code(tmp_path, facts, console) -> None:
    run = [sys.executable, "-m", "agent.enrolment"]
    done = subprocess.run([*run, "renew", "--state", str(tmp_path)], capture_output=True, text=True)
    assert (done.returncode, done.stderr.count("\n")) == (77, 1)
    spoken = msgspec.json.encode(asked(console, facts))
    done = subprocess.run([*run, "enrol", "--state", str(tmp_path)], input=spoken, capture_output=True)
    assert done.returncode == 77
    admit(console)
    assert subprocess.run([*run, "enrol", "--state", str(tmp_path)], input=spoken).returncode == 0
    for nonsense in (b"{", b'{"console":"\xff"}'):
        done = subprocess.run([*run, "enrol", "--state", str(tmp_path)], input=nonsense, capture_output=True)
        assert (done.returncode, done.stderr.count(b"\n")) == (2, 1)
    assert subprocess.run([*run, "nonsense"], capture_output=True).returncode == 2


def test_the_context_accepts_nothing_below_tls_1_3(console, identity, facts) -> None:
    admit(console)
    enrol(identity, asked(console, facts), CLOCK)
    context = own_context(identity.credentials())
    assert context.minimum_version == ssl.TLSVersion.TLSv1_3
    assert context.verify_mode == ssl.CERT_REQUIRED
    assert context.check_hostname
    assert len(context.get_ca_certs()) == 1
