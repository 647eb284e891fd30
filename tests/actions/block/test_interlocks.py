"""What must never be banned is not, each for its own reason, on a real namespace and on machines made of files."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from actions.block import sessions
from actions.block.address import parse
from actions.block.interlocks import ALWAYS, Interlocks
from actions.block.saved import Entry, Offences, Saved
from contracts.errors import Unavailable, Why
from host.fake import FakeHost
from tests.actions.block.conftest import HOST, HOST6, INNER, INSIDE, OUTSIDE, Net

ADDRESSES = '[{"ifname": "eth0", "addr_info": [{"family": "inet", "local": "198.51.100.1", "prefixlen": 24}]}]'
ROUTES = (
    '[{"dst": "default", "gateway": "198.51.100.254", "dev": "eth0"},'
    ' {"dst": "10.0.0.0/8", "nexthops": [{"gateway": "198.51.100.253"}]}]'
)
SESSION = (
    "USER=root\nACTIVE=1\nSTATE=active\nREMOTE=1\nREMOTE_HOST=203.0.113.50\nSERVICE=sshd\nREALTIME=1767225600000000\n"
)


@pytest.fixture
def fake(tmp_path: Path) -> FakeHost:
    host = FakeHost(tmp_path)
    answers = {
        "ip -j addr show": ADDRESSES,
        "ip -j -4 route show table all": ROUTES,
        "ip -j -6 route show table all": "[]",
    }
    host.commands.answers = {line: {"stdout": text.encode()} for line, text in answers.items()}
    plant(
        tmp_path,
        "/etc/resolv.conf",
        "nameserver 198.51.100.53\nnameserver 2001:db8::53%eth0\n# nameserver 192.0.2.99\n",
    )
    return host


def plant(folder: Path, path: str, text: str | bytes) -> None:
    place = folder / "files" / path.lstrip("/")
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(text if isinstance(text, bytes) else text.encode())


def why_not(
    host: FakeHost, word: str, never: Mapping[str, str] | None = None, saved: Saved | None = None, by_rule: bool = True
) -> str:
    return Interlocks().why_not(host, parse(word), never or {}, saved or Saved(), 3600.0, by_rule)


@pytest.mark.parametrize(("network", "reason"), ALWAYS)
def test_what_is_nobody_s_address_is_never_banned(fake: FakeHost, network: str, reason: str) -> None:
    assert reason in why_not(fake, network)


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("198.51.100.1", "it is an address of this host"),
        ("198.51.100.254", "it is a gateway of this host"),
        ("198.51.100.253", "it is a gateway of this host"),
        ("198.51.100.53", "it is a resolver of this host"),
        ("2001:db8::53", "it is a resolver of this host"),
        ("198.51.100.0/24", "it holds 198.51.100.1, and it is an address of this host"),
        ("192.0.2.99", ""),
        ("203.0.113.7", ""),
    ],
)
def test_what_this_host_needs_is_not_banned(fake: FakeHost, word: str, reason: str) -> None:
    assert why_not(fake, word) == reason


def test_the_configuration_and_the_allowlist_have_the_last_word(fake: FakeHost) -> None:
    assert (
        why_not(fake, "192.0.2.10", {"192.0.2.0/24": "backup target"}) == "the configuration says never: backup target"
    )
    allowed = Saved(allowed={"192.0.2.0/24": Entry(since_ms=1, owner="ops", reason="office")})
    assert why_not(fake, "192.0.2.10", saved=allowed) == "it is on the allowlist: office (owner ops)"
    over = Saved(allowed={"192.0.2.0/24": Entry(since_ms=1, until_ms=2, owner="ops", reason="office")})
    assert why_not(fake, "192.0.2.10", saved=over) == ""


def test_what_a_person_unbanned_is_not_banned_for_a_while(fake: FakeHost) -> None:
    until_ms = int(fake.now().timestamp() * 1000) + 1000
    kept = Saved(unbanned={"192.0.2.10": Entry(since_ms=1, until_ms=until_ms, who="eva")})
    assert why_not(fake, "192.0.2.10", saved=kept) == "eva unbanned it, and that sticks for a while"
    fake.advance(2)
    assert why_not(fake, "192.0.2.10", saved=kept) == ""


def test_the_peer_of_a_session_is_not_banned(fake: FakeHost, tmp_path: Path) -> None:
    plant(tmp_path, "/run/systemd/sessions/5", SESSION)
    assert why_not(fake, "203.0.113.50") == "root is logged in from there over SSH"
    assert why_not(fake, "203.0.113.0/24") == "it holds 203.0.113.50, and root is logged in from there over SSH"


def test_a_session_from_a_source_that_we_banned_before_it_began_protects_nobody(fake: FakeHost, tmp_path: Path) -> None:
    plant(tmp_path, "/run/systemd/sessions/5", SESSION)
    guilty = Saved(offences={"203.0.113.50": Offences(count=1, last_ms=1_767_225_600_000 - 60_000)})
    assert why_not(fake, "203.0.113.50", saved=guilty) == ""


def test_a_rule_bans_nobody_while_it_cannot_be_told_what_this_host_needs(fake: FakeHost) -> None:
    del fake.commands.answers["ip -j addr show"]
    fake.commands.answers["ip -j addr show"] = {"unavailable": Why.TIMEOUT, "message": "ip did not answer"}
    reason = why_not(fake, "203.0.113.7")
    assert reason.startswith("it cannot be told whether this host needs it: its own addresses: ip did not answer")
    assert why_not(fake, "203.0.113.7", by_rule=False) == ""


def test_whose_failures_are_not_all_known_is_protected_and_that_is_said(
    fake: FakeHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions, "MAX_BTMP", 0)
    plant(tmp_path, "/run/systemd/sessions/5", SESSION)
    plant(tmp_path, "/var/log/btmp", b"x" * 384)
    words = "root is logged in from there over SSH (failed logins before it are not all known: "
    assert why_not(fake, "203.0.113.50").startswith(words)


def test_sessions_that_cannot_be_read_are_not_taken_for_none(fake: FakeHost, tmp_path: Path) -> None:
    plant(tmp_path, "/run/systemd/sessions/5", SESSION)
    fake.files.denied.add("/run/systemd/sessions/5")
    assert "who is logged in" in why_not(fake, "203.0.113.7")


def test_what_was_told_is_believed_for_seconds_and_asked_again_after_them(fake: FakeHost) -> None:
    locks = Interlocks()
    for _ in range(5):
        locks.why_not(fake, parse("203.0.113.7"), {}, Saved(), 3600.0, True)
    assert len(fake.commands.asked) == 3
    fake.advance(31)
    locks.why_not(fake, parse("203.0.113.7"), {}, Saved(), 3600.0, True)
    assert len(fake.commands.asked) == 6
    locks.refresh(fake)
    assert len(fake.commands.asked) == 6
    fake.advance(11)
    locks.refresh(fake)
    assert len(fake.commands.asked) == 9


def test_a_real_namespace_protects_its_own_addresses_and_gateways(net: Net) -> None:
    net.host.run("ip", "route", "add", "default", "via", OUTSIDE)

    def ask(word: str) -> str:
        return net.host.do(Interlocks().why_not, net.machine, parse(word), {}, Saved(), 3600.0, True)

    for own in (HOST, INNER, HOST6):
        assert ask(own) == "it is an address of this host"
    assert ask(OUTSIDE) == "it is a gateway of this host"
    assert ask(INSIDE) == ""


def test_unavailable_is_what_a_broken_tool_comes_to(fake: FakeHost) -> None:
    fake.commands.answers["ip -j addr show"] = {"stdout": b"not json"}
    assert "its own addresses" in why_not(fake, "203.0.113.7")
    fake.commands.answers["ip -j addr show"] = {"stdout": b"", "code": 1, "stderr": "no such thing"}
    assert "no such thing" in why_not(fake, "203.0.113.7")
    assert issubclass(Unavailable, Exception)


def test_a_tool_that_does_not_answer_for_a_while_takes_no_protection_away_and_stops_no_ban(fake: FakeHost) -> None:
    locks = Interlocks()

    def ask(word: str) -> str:
        return locks.why_not(fake, parse(word), {}, Saved(), 3600.0, True)

    assert ask("203.0.113.7") == ""
    fake.commands.answers["ip -j addr show"] = {"unavailable": Why.TIMEOUT, "message": "ip did not answer"}
    fake.advance(60)
    assert ask("203.0.113.7") == ""
    assert ask("198.51.100.1") == "it is an address of this host"
    fake.advance(601)
    assert "ip did not answer" in ask("203.0.113.7")
