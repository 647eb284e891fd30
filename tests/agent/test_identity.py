"""The agent's identity on disk: made once, private, replaced whole."""

import os
from pathlib import Path

import pytest

from agent.clock import SystemClock
from agent.identity import Enrolment, Identity, IdentityBroken

CLOCK = SystemClock()


def enrolment(identity: Identity, url: str = "https://c:1") -> Enrolment:
    return Enrolment(agent=identity.agent, url=url, renew_after_ms=1, enrolled_ms=1)


def test_the_id_is_made_once_and_kept(tmp_path: Path) -> None:
    first = Identity(tmp_path, CLOCK).agent
    assert Identity(tmp_path, CLOCK).agent == first
    assert len(first) == 32
    assert (tmp_path / "agent-id").stat().st_mode & 0o777 == 0o600


def test_a_damaged_id_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "agent-id").write_bytes(os.urandom(40))
    assert Identity(tmp_path, CLOCK).agent == Identity(tmp_path, CLOCK).agent


def test_what_was_installed_last_is_valid_and_the_one_before_stays_readable(tmp_path: Path) -> None:
    identity = Identity(tmp_path, CLOCK)
    assert identity.credentials() is None
    assert identity.current() == ""
    held = []
    for number in range(4):
        identity.install("enrol", enrolment(identity, f"https://c:{number}"), b"key%d" % number, b"c", b"a")
        held.append(identity.credentials())
    assert held[-1].enrolment.url == "https://c:3"
    assert Path(held[-2].key).read_bytes() == b"key2"
    assert not Path(held[0].key).exists()


def test_one_that_is_renewed_twice_while_it_is_read_is_still_there(tmp_path: Path, monkeypatch) -> None:
    identity = Identity(tmp_path, CLOCK)
    identity.install("enrol", enrolment(identity), b"k", b"c", b"a")
    read = Path.read_bytes

    def late(path: Path) -> bytes:
        monkeypatch.undo()
        for number in range(2):
            identity.install("renew", enrolment(identity, f"https://c:{number}"), b"k", b"c", b"a")
        return read(path)

    monkeypatch.setattr(Path, "read_bytes", late)
    assert identity.credentials().enrolment.url == "https://c:1"


def test_beginning_anew_makes_another_agent(tmp_path: Path) -> None:
    identity = Identity(tmp_path, CLOCK)
    before = identity.agent
    identity.install("enrol", enrolment(identity), b"k", b"c", b"a")
    identity.begin_anew()
    assert identity.agent != before
    assert identity.credentials() is None
    assert Identity(tmp_path, CLOCK).agent == identity.agent


def test_damage_is_said_with_what_to_do(tmp_path: Path) -> None:
    identity = Identity(tmp_path, CLOCK)
    identity.install("enrol", enrolment(identity), b"k", b"c", b"a")
    (tmp_path / "identity" / "1" / "enrolled.json").write_bytes(b"{")
    with pytest.raises(IdentityBroken, match="enrol this agent again"):
        identity.credentials()


def test_root_gives_the_files_to_whom_the_state_belongs(tmp_path: Path) -> None:
    os.chown(tmp_path, 12345, 12345)
    identity = Identity(tmp_path, CLOCK)
    identity.install("enrol", enrolment(identity), b"k", b"c", b"a")
    found = [tmp_path / "agent-id", identity.directory, *identity.directory.rglob("*")]
    assert {path.lstat().st_uid for path in found} == {12345}
