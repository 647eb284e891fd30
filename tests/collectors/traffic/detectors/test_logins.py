"""Guessed logins: failures in words, sessions that were none, successes after failures, and many clients together."""

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
