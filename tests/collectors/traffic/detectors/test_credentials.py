"""Credentials in plain text are named once, never shown."""

import pytest

from tests.collectors.traffic.detectors.crowd import Packet, Talk, hear, http

US, THEM = "10.0.0.10", "203.0.113.9"


def ftp(password: bytes, client: str = THEM, at: float = 0.0) -> list[Packet]:
    """Return an FTP login."""
    talk = Talk(client, US, 21, at).open().answer(b"220 x\r\n").ask(b"USER anna\r\n").answer(b"331 x\r\n")
    return talk.ask(b"PASS " + password + b"\r\n").answer(b"230 yes\r\n").close()


def test_a_login_is_told_once_for_a_client_and_service() -> None:
    found = hear(ftp(b"hunter2") + ftp(b"hunter2", at=20.0) + ftp(b"hunter2", "203.0.113.10", 30.0))
    assert [(one.sender, one.method, one.severity.name) for one in found] == [
        (THEM, "ftp", "MEDIUM"),
        ("203.0.113.10", "ftp", "MEDIUM"),
    ]
    assert "hunter2" not in repr(found) and "anna" not in repr(found)


def test_inside_our_networks_it_is_less_urgent() -> None:
    assert [one.severity.name for one in hear(ftp(b"hunter2", "10.0.0.99"))] == ["LOW"]


def test_anonymous_ftp_and_loopback_are_nobodys_credentials() -> None:
    assert hear(ftp(b"anonymous@example.org") + ftp(b"ftp@", at=3.0)) == []
    assert hear(http("127.0.0.1", "127.0.0.1", 0.0, ["/"], headers={"Authorization": "Basic YTpi"})) == []


def test_http_basic_and_forms_count_tokens_do_not() -> None:
    assert [one.method for one in hear(http(THEM, US, 0.0, ["/"], headers={"Authorization": "Basic YTpi"}))] == [
        "http basic"
    ]
    assert hear(http(THEM, US, 0.0, ["/"], headers={"Authorization": "Bearer YTpi"})) == []
    body = b"user=anna&password=hunter2"
    post = (
        b"POST /login HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n"
        % len(body)
    )
    talk = (
        Talk(THEM, US, 80, 0.0)
        .open()
        .ask(post + body)
        .answer(b"HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n")
    )
    assert [one.method for one in hear(talk.close())] == ["http form"]


@pytest.mark.parametrize(
    ("port", "protocol", "said"),
    [
        (110, "pop3", [b"+OK ready", b"CAPA", b"+OK\r\nSASL PLAIN\r\n.", b"AUTH PLAIN AGEAYg==", b"+OK"]),
        (110, "pop3", [b"+OK ready", b"AUTH PLAIN", b"+ ", b"AGEAYg==", b"+OK"]),
        (143, "imap", [b"* OK ready", b"a AUTHENTICATE PLAIN", b"+ ", b"AGEAYg==", b"a OK"]),
        (143, "imap", [b"* OK ready", b"a AUTHENTICATE LOGIN AGEAYg==", b"a OK"]),
        (25, "smtp", [b"220 mx ESMTP", b"EHLO a", b"250 AUTH LOGIN", b"AUTH LOGIN", b"334 VXNlcm5hbWU6"]),
    ],
)
def test_logins_of_mailboxes_by_sasl_count_too(port: int, protocol: str, said: list[bytes]) -> None:
    talk = Talk(THEM, US, port, 0.0).open()
    for line in said:
        server = line[:1] in b"+*2" or line.startswith((b"334", b"a OK"))
        talk = (talk.answer if server else talk.ask)(line + b"\r\n")
    assert [one.method for one in hear(talk.close())] == [protocol]


def test_what_is_typed_after_a_prompt_of_telnet_can_be_read() -> None:
    talk = Talk(THEM, US, 23, 0.0).open().answer(b"\xff\xfd\x18").ask(b"\xff\xfb\x18").answer(b"host login: ")
    for letter in (b"b", b"o", b"b"):
        talk.ask(letter).answer(letter)
    talk.ask(b"\r\x00").answer(b"\r\nPassword: ").ask(b"\xff\xfc\x01")
    assert hear(list(talk.packets)) == []
    for letter in (b"s", b"\r\x00"):
        talk.ask(letter)
    assert [one.method for one in hear(talk.close())] == ["telnet"]
