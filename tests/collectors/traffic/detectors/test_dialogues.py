"""What servers say of logins, protocol by protocol."""

import pytest

from collectors.traffic.detectors.dialogues import DIALOGUES, FAILED, GOT_IN

CASES = [
    ("ftp", b"530 Login incorrect.\r\n", FAILED),
    ("ftp", b"230 Login successful.\r\n", GOT_IN),
    ("ftp", b"226 530 files\r\n", 0),
    ("smtp", b"535 5.7.8 Error: authentication failed\r\n", FAILED),
    ("smtp", b"235 2.7.0 ok\r\n", GOT_IN),
    ("smtp", b"250 2.1.0 Ok\r\n", 0),
    ("pop3", b"-ERR [AUTH] no\r\n", FAILED),
    ("pop3", b"+OK Logged in.\r\n", GOT_IN),
    ("imap", b"a1 NO [AUTHENTICATIONFAILED] no\r\n", FAILED),
    ("imap", b"* CAPABILITY IMAP4rev1\r\na1 OK Logged in\r\n", GOT_IN),
    ("telnet", b"\r\nLogin incorrect\r\nhost login: ", FAILED),
    ("telnet", b"Last login: Sun Nov 22\r\n", GOT_IN),
    ("mysql", b"\x48\x00\x00\x02\xff\x15\x04#28000Access denied for user", FAILED),
    ("mysql", b"\x07\x00\x00\x02\x00\x00\x00\x02\x00\x00\x00", GOT_IN),
    ("pgsql", b"E\x00\x00\x00\x65SFATAL\x00VFATAL\x00C28P01\x00Mpassword authentication failed\x00\x00", FAILED),
    ("pgsql", b"R\x00\x00\x00\x08\x00\x00\x00\x00S\x00", GOT_IN),
    ("pgsql", b"E\x00\x00\x00\x65SERROR\x00VERROR\x00C42P01\x00Mno table\x00\x00", 0),
    ("redis", b"-WRONGPASS invalid username-password pair\r\n", FAILED),
    ("redis", b"-ERR unknown command\r\n", 0),
    ("mssql", b"\x04\x01\x00\x80" + bytes(8) + "Login failed for user 'sa'.".encode("utf-16-le"), FAILED),
    ("mongodb", bytes(20) + b"errmsg\x00Authentication failed.\x00code", FAILED),
    ("rfb", b"\x00\x00\x00\x01\x00\x00\x00\x16password check failed!", FAILED),
    ("rfb", b"\x00\x00\x00\x00", 0),
    ("ldap", b"\x30\x0c\x02\x01\x01\x61\x07\x0a\x01\x31\x04\x00\x04\x00", FAILED),
    ("ldap", b"\x30\x0c\x02\x01\x01\x61\x07\x0a\x01\x00\x04\x00\x04\x00", GOT_IN),
    ("smb", b"\x00\x00\x00\x49\xfeSMB\x40\x00\x01\x00\x6d\x00\x00\xc0\x01\x00", FAILED),
]


@pytest.mark.parametrize(("protocol", "said", "expected"), CASES)
def test_what_a_server_says_of_a_login(protocol: str, said: bytes, expected: int) -> None:
    assert DIALOGUES[protocol].outcome(said) == expected


@pytest.mark.parametrize(
    ("protocol", "said"),
    [
        ("ftp", b"PASS secret\r\n"),
        ("smtp", b"AUTH PLAIN AGEAYg==\r\n"),
        ("pop3", b"pass secret\r\n"),
        ("imap", b"a1 LOGIN anna secret\r\n"),
        ("redis", b"*2\r\n$4\r\nAUTH\r\n$6\r\nsecret\r\n"),
        ("ldap", b"\x30\x1c\x02\x01\x01\x60\x17\x02\x01\x03\x04\x0ccn=anna,c=xx\x80\x04pass"),
    ],
)
def test_logins_that_anyone_can_read(protocol: str, said: bytes) -> None:
    plain = DIALOGUES[protocol].plain
    assert plain is not None and plain.match(said)
    assert not plain.match(b"QUIT\r\n")


def test_passwords_that_are_only_proven_are_not_plain() -> None:
    for protocol, said in (("smtp", b"AUTH CRAM-MD5\r\n"), ("pop3", b"APOP anna c4c9334bac560ecc979e58001b3e22fb\r\n")):
        plain = DIALOGUES[protocol].plain
        assert plain is not None and not plain.match(said)
