"""Guessed logins: failures in words, sessions that were none, successes after failures, and many clients together."""

import pytest

from collectors.traffic.detectors.options import DetectorOptions, LoginOptions
from tests.collectors.traffic.detectors.benign import _ssh_session
from tests.collectors.traffic.detectors.crowd import Packet, Talk, hear, http, kinds
from tests.collectors.traffic.detectors.labelled import _ssh_failure

US, THEM = "10.0.0.10", "203.0.113.9"


def ftp(passwords: int, at: float = 0.0, succeeds: bool = False, sport: int = 2000) -> list[Packet]:
    """Return a connection with so many failures, and a success behind them."""
    talk = Talk(THEM, US, 21, at, sport).open().answer(b"220 x\r\n")
    for _ in range(passwords):
        talk.ask(b"USER a\r\n").answer(b"331 x\r\n").ask(b"PASS b\r\n").answer(b"530 no\r\n")
    if succeeds:
        talk.ask(b"USER a\r\n").answer(b"331 x\r\n").ask(b"PASS c\r\n").answer(b"230 yes\r\n")
    return talk.close()


def logins(packets: list[Packet], options: DetectorOptions | None = None) -> list[str]:
    """Return the kinds of login findings, in order."""
    names = [one.kind.name.removeprefix("traffic.") for one in hear(packets, options, 50)]
    return [name for name in names if "login" in name]


def test_failures_in_words_count_up_to_the_limit() -> None:
    assert logins(ftp(9)) == []
    assert logins(ftp(10)) == ["logins_guessed"]
    assert logins(ftp(5) + ftp(5, 10.0, sport=2001)) == ["logins_guessed"], "over several connections"
    assert logins(ftp(5) + ftp(5, 70.0, sport=2001)) == []


def test_guessing_that_takes_its_time_is_found_over_the_long_window() -> None:
    failing = [packet for number in range(90) for packet in _ssh_failure(THEM, number * 30.0, 3000 + number)]
    (found,) = [one for one in hear(failing, size=50) if "login" in one.kind.name]
    assert (found.sender, found.window_s, found.numbers) == (THEM, 3600.0, {"tries_without_a_session": 90.0})
    mistyped = [p for n in range(40) for p in ftp(1, n * 80.0, succeeds=True, sport=2000 + n)]
    assert logins(mistyped) == []


def test_a_refusal_that_nobody_logged_in_for_is_no_failure() -> None:
    talk = Talk(THEM, US, 21, 0.0).open().answer(b"220 x\r\n")
    for _ in range(30):
        talk.ask(b"FEAT\r\n").answer(b"530 Please log in\r\n")
    assert logins(talk.close()) == []


def test_a_success_after_guessing_is_critical() -> None:
    found = [one for one in hear(ftp(12, succeeds=True), size=50) if "login" in one.kind.name]
    assert [one.kind.name for one in found] == ["traffic.logins_guessed", "traffic.login_succeeded_after_guessing"]
    assert found[-1].severity.name == "CRITICAL" and found[-1].numbers["successful_logins"] == 1
    assert logins(ftp(3, succeeds=True)) == []


def test_ssh_connections_without_a_session_are_guesses() -> None:
    failing = [packet for number in range(8) for packet in _ssh_failure(THEM, number * 2.0, 3000 + number)]
    (found,) = [one for one in hear(failing, size=50) if "login" in one.kind.name]
    assert (found.sender, found.method, found.forgeable) == (THEM, "ssh", False)
    assert logins(failing[: len(failing) // 4]) == []


def test_ssh_sessions_are_no_guesses_however_many() -> None:
    assert logins([p for n in range(60) for p in _ssh_session(THEM, n * 0.5, 3000 + n, 900, keys=5)]) == []


def test_a_failing_program_amid_working_ones_is_no_guesser() -> None:
    working = [p for n in range(40) for p in _ssh_session(THEM, n * 1.0, 3000 + n, 2000)]
    failing = [p for n in range(4) for p in _ssh_failure(THEM, n * 10.0, 4000 + n)]
    assert logins(working + failing) == []


def test_http_basic_counts_only_with_credentials() -> None:
    assert logins(http(THEM, US, 0.0, ["/a"] * 30, "401 Unauthorized")) == []
    assert logins(http(THEM, US, 0.0, ["/a"] * 30, "401 Unauthorized", headers={"Authorization": "Basic YTpi"})) == [
        "logins_guessed"
    ]


def test_a_token_that_has_expired_is_no_guess() -> None:
    assert (
        logins(http(THEM, US, 0.0, ["/a"] * 30, "401 Unauthorized", headers={"Authorization": "Bearer e30.e30.x"}))
        == []
    )


def test_many_clients_that_fail_a_little_are_one_finding_without_a_sender() -> None:
    options = DetectorOptions(logins=LoginOptions(spray=30, spray_clients=5))
    packets: list[Packet] = []
    for number in range(12):
        client = f"198.51.100.{number}"
        talk = Talk(client, US, 21, number * 3.0).open().answer(b"220 x\r\n")
        for _ in range(3):
            talk.ask(b"USER a\r\n").answer(b"331 x\r\n").ask(b"PASS b\r\n").answer(b"530 no\r\n")
        packets += talk.close()
    found = [one for one in hear(packets, options) if one.kind.name == "traffic.logins_sprayed"]
    assert [(one.sender, len(one.senders), one.subject) for one in found] == [("", 8, f"{US}:21/tcp")]
    assert "logins_sprayed" not in kinds(hear(ftp(40), options)), "one client is not many"


def dialogue(steps: list[tuple[str, str]], count: int) -> list[Packet]:
    """Return so many connections in which each of `steps` is asked and answered."""
    packets: list[Packet] = []
    for number in range(count):
        talk = Talk(THEM, US, 80, number * 2.0, 2000 + number).open()
        for asked, answered in steps:
            talk.ask(f"{asked}\r\n".encode()).answer(f"HTTP/1.1 {answered}".encode())
        packets += talk.close()
    return packets


@pytest.mark.parametrize("scheme", ["NTLM", "Negotiate"])
def test_the_steps_of_a_login_are_no_failures(scheme: str) -> None:
    ask = f"GET / HTTP/1.1\r\nHost: a\r\nAuthorization: {scheme} TlRMTVNTUAAB\r\n"
    no = "401 Unauthorized\r\nContent-Length: 0\r\nWWW-Authenticate: "
    good = [(ask, f"{no}{scheme} TlRMTVNTUAACAAAACAAI\r\n\r\n"), (ask, "200 OK\r\nContent-Length: 0\r\n\r\n")]
    assert logins(dialogue(good, 20)) == []
    bad = [good[0], (ask, f"{no}{scheme}\r\n\r\n")]
    assert logins(dialogue(bad, 20)) == ["logins_guessed"]


def test_a_nonce_that_has_grown_old_is_no_failure() -> None:
    ask = 'GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Digest username="u", nonce="1", response="0"\r\n'
    no = '401 Unauthorized\r\nContent-Length: 0\r\nWWW-Authenticate: Digest realm="r", nonce="2"'
    good = [(ask, f"{no}, stale=true\r\n\r\n"), (ask, "200 OK\r\nContent-Length: 0\r\n\r\n")]
    assert logins(dialogue(good, 20)) == []
    assert logins(dialogue([(ask, f"{no}\r\n\r\n")], 20)) == ["logins_guessed"]


@pytest.mark.parametrize(
    ("status", "kind", "text", "guessed"),
    [
        ("200 OK", "application/json", '{"access_token": "abc"}', False),
        ("200 OK", "application/json", '{"error": "invalid_grant"}', True),
        ("200 OK", "text/html; charset=utf-8", "<form><input type=password>", True),
        ("401 Unauthorized", "application/json", "{}", True),
        ("302 Found", "text/html", "", False),
        ("502 Bad Gateway", "text/html", "<h1>Bad Gateway</h1>", False),
    ],
)
def test_what_a_form_with_a_password_is_answered_decides(status: str, kind: str, text: str, guessed: bool) -> None:
    body = "grant_type=password&username=u&password=p"
    ask = "POST /login HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-www-form-urlencoded\r\n"
    ask += f"Content-Length: {len(body)}\r\n"
    answer = f"{status}\r\nContent-Type: {kind}\r\nContent-Length: {len(text)}\r\n\r\n{text}"
    packets: list[Packet] = []
    for number in range(12):
        talk = Talk(THEM, US, 80, number * 2.0, 2000 + number).open()
        packets += talk.ask(f"{ask}\r\n{body}".encode()).answer(f"HTTP/1.1 {answer}".encode()).close()
    assert logins(packets) == (["logins_guessed"] if guessed else [])
