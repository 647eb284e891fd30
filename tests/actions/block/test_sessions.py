"""Who is logged in, and who only guessed until he was right."""

from pathlib import Path

import pytest

from actions.block import sessions
from actions.block.sessions import Session, trusted
from analysis.logins import RECORD_SIZE
from contracts.errors import Unavailable
from host.fake import FakeHost
from tests.actions.block.test_interlocks import plant
from tests.analysis.test_logins import BEGAN_S, logind, record


@pytest.fixture
def host(tmp_path: Path) -> FakeHost:
    return FakeHost(tmp_path)


def test_a_live_session_over_ssh_is_trusted(host: FakeHost, tmp_path: Path) -> None:
    plant(tmp_path, "/run/systemd/sessions/1", logind())
    assert trusted(host, {}, 3600.0) == [Session(address="203.0.113.50", user="eva", began_ms=BEGAN_S * 1000)]


@pytest.mark.parametrize(
    "text", [logind(state="closing"), logind(service="login"), logind(host=""), logind(host="name.example"), "", "\0"]
)
def test_other_sessions_protect_nobody(host: FakeHost, tmp_path: Path, text: str) -> None:
    plant(tmp_path, "/run/systemd/sessions/1", text)
    assert trusted(host, {}, 3600.0) == []


@pytest.mark.parametrize(
    ("failed_s", "is_trusted"), [(BEGAN_S - 60, False), (BEGAN_S - 7200, True), (BEGAN_S + 60, True)]
)
def test_who_failed_before_he_came_in_is_not_trusted(
    host: FakeHost, tmp_path: Path, failed_s: int, is_trusted: bool
) -> None:
    plant(tmp_path, "/run/systemd/sessions/1", logind())
    plant(
        tmp_path, "/var/log/btmp", record(6, "192.0.2.1", BEGAN_S - 5) + record(6, "203.0.113.50", failed_s) + b"torn"
    )
    assert bool(trusted(host, {}, 3600.0)) is is_trusted


def test_where_logind_does_not_run_utmp_says_who_is_there(host: FakeHost, tmp_path: Path) -> None:
    entries = [
        record(7, "name.example", BEGAN_S, "203.0.113.50"),
        record(8, "192.0.2.9", BEGAN_S),
        record(7, "2001:db8::5", BEGAN_S),
    ]
    plant(tmp_path, "/var/run/utmp", b"".join(entries))
    assert [one.address for one in trusted(host, {}, 3600.0)] == ["203.0.113.50", "2001:db8::5"]


def test_a_log_of_failures_that_may_not_be_read_is_not_taken_for_an_empty_one(host: FakeHost, tmp_path: Path) -> None:
    plant(tmp_path, "/run/systemd/sessions/1", logind())
    plant(tmp_path, "/var/log/btmp", b"")
    host.files.denied.add("/var/log/btmp")
    with pytest.raises(Unavailable):
        trusted(host, {}, 3600.0)


@pytest.mark.parametrize("torn", [0, 1, 383])
def test_of_a_long_log_of_failures_the_end_is_read_and_that_is_said(
    host: FakeHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, torn: int
) -> None:
    plant(tmp_path, "/run/systemd/sessions/1", logind())
    monkeypatch.setattr(sessions, "MAX_BTMP", 3 * RECORD_SIZE + torn)
    others = [record(6, "192.0.2.1", BEGAN_S - 1800 + second) for second in range(9)]
    guess = record(6, "203.0.113.50", BEGAN_S - 60)
    plant(tmp_path, "/var/log/btmp", b"".join([*others, guess, *others[:2]]))
    assert trusted(host, {}, 3600.0) == []
    plant(tmp_path, "/var/log/btmp", b"".join([guess, *others]))
    (kept,) = trusted(host, {}, 3600.0)
    assert kept.unknown.startswith("failed logins before it are not all known: /var/log/btmp is longer than")
    (kept,) = trusted(host, {}, 600.0)  # what is asked for is in the part that was read
    assert kept.unknown == ""


def test_the_torn_beginning_of_the_end_is_no_record(
    host: FakeHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(tmp_path, "/run/systemd/sessions/1", logind())
    guess = record(6, "203.0.113.50", BEGAN_S - 60)
    plant(tmp_path, "/var/log/btmp", guess * 2)
    monkeypatch.setattr(sessions, "MAX_BTMP", RECORD_SIZE - 1)
    assert [one.unknown == "" for one in trusted(host, {}, 3600.0)] == [False]


def test_nobody_is_logged_in_where_no_file_says_so(host: FakeHost) -> None:
    assert trusted(host, {}, 3600.0) == []
