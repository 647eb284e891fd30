"""What a login looks like in protocols that say it in plain words: the attempt, its failure, its success; and which attempts show the password.

Sources: RFC 959 (FTP), 4954 (SMTP AUTH), 1939 (POP3), 9051 (IMAP), 4511 (LDAP), 6143 (RFB), the protocol documents of MySQL, PostgreSQL (error codes of
class 28), Redis, MongoDB, [MS-TDS] and [MS-SMB2] (STATUS_LOGON_FAILURE).
"""

import re
from collections.abc import Mapping

from contracts.record import Record

FAILED, GOT_IN = 1, 2

NEW_KEYS = b"\x00\x00\x00\x0c\x0a\x15"
"""How an SSH packet with nothing but SSH_MSG_NEWKEYS begins: its length, its padding's length, its number."""

MAILBOX_PORTS = frozenset((465, 636, 990, 992, 993, 995, 5986))
"""Ports on which TLS holds nothing but a login at first."""


class Dialogue(Record):
    """One protocol: patterns on what the client says (`attempt`; None: whatever it says; `plain`: with the password to be read), and on what the server says."""

    failed: re.Pattern[bytes]
    got_in: re.Pattern[bytes] | None = None
    attempt: re.Pattern[bytes] | None = None
    plain: re.Pattern[bytes] | None = None

    def outcome(self, data: bytes) -> int:
        """Return what a server's words say: `FAILED`, `GOT_IN`, or 0."""
        if self.failed.search(data) is not None:
            return FAILED
        return GOT_IN if self.got_in is not None and self.got_in.search(data) is not None else 0


def _made(failed: bytes, got_in: bytes = b"", attempt: bytes = b"", plain: bytes = b"") -> Dialogue:
    compiled = [re.compile(text, re.DOTALL) if text else None for text in (got_in, attempt, plain)]
    return Dialogue(failed=re.compile(failed, re.DOTALL), got_in=compiled[0], attempt=compiled[1], plain=compiled[2])


DIALOGUES: Mapping[str, Dialogue] = {
    "ftp": _made(rb"(?m:^530[ -])", rb"(?m:^230[ -])", rb"(?i:\A|\n)(?i:PASS )", rb"(?:\A|\n)(?i:PASS )"),
    "smtp": _made(rb"(?m:^535[ -])", rb"(?m:^235[ -])", b"", rb"(?:\A|\n)(?i:AUTH (?:PLAIN|LOGIN))"),
    "pop3": _made(rb"\A-ERR", rb"\A\+OK", rb"(?:\A|\n)(?i:PASS |APOP )", rb"(?:\A|\n)(?i:PASS )"),
    "imap": _made(
        rb"(?m:^[A-Za-z0-9.]+ NO )",
        rb"(?m:^[A-Za-z0-9.]+ OK )",
        rb"(?m:^[A-Za-z0-9.]+ (?i:LOGIN|AUTHENTICATE) )",
        rb"(?m:^[A-Za-z0-9.]+ (?i:LOGIN ))",
    ),
    "telnet": _made(rb"(?i:login incorrect|login failed|authentication failed|access denied|bad password)", rb"(?i:last login:)"),
    "mysql": _made(rb"\A...[\x01-\xff]\xff(?:\x15\x04|\xa2\x06)", rb"\A...[\x02-\x09]\x00\x00\x00[\x02\x03]\x00"),
    "pgsql": _made(rb"\AE....S[A-Z]+\x00(?:V[A-Z]+\x00)?C28[0P]\w\w\x00", rb"\AR\x00\x00\x00\x08\x00\x00\x00\x00"),
    "redis": _made(rb"\A-(?:WRONGPASS|ERR invalid password)", rb"\A\+OK", rb"\r\n(?i:AUTH)\r\n|\A(?i:AUTH )", rb"\r\n(?i:AUTH)\r\n|\A(?i:AUTH )"),
    "mssql": _made("Login failed for user".encode("utf-16-le")),
    "mongodb": _made(rb"AuthenticationFailed|Authentication failed"),
    "rfb": _made(rb"\A\x00\x00\x00[\x01\x02](?:\x00\x00..[ -~]+)?\Z"),
    "ldap": _made(rb"\A\x30.{1,5}\x02.{1,5}\x61.{1,5}\x0a\x01\x31", rb"\A\x30.{1,5}\x02.{1,5}\x61.{1,5}\x0a\x01\x00", b"", rb"\A\x30.{1,5}\x02.{1,5}\x60.{1,5}\x02\x01\x03\x04[\x01-\x7f].{1,127}\x80[\x01-\x7f]"),
    "smb": _made(rb"\xfeSMB\x40\x00..\x6d\x00\x00\xc0|\xffSMB\x73\x6d\x00\x00\xc0"),
}  # fmt: skip
"""By the protocol's name as conversations have it."""
