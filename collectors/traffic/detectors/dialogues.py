"""What a login looks like in protocols that say it in plain words: the attempt, its failure, its success; which show the password.

Sources: RFC 959 (FTP), 4954 (SMTP AUTH), 1939 and 5034 (POP3), 9051 (IMAP), 4511 (LDAP), 6143 (RFB), the documents of MySQL, PostgreSQL
(error codes of class 28), Redis, MongoDB, [MS-TDS] and [MS-SMB2] (STATUS_LOGON_FAILURE).
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
    """One protocol, by patterns at the beginning of what one side says.

    `attempt` is a login by the client (None: whatever it says), `plain` one whose password can be read; `failed` and `got_in` are the
    server's words after it; what the client says after a `prompt` is a password that can be read. `word` is in every failure.
    """

    failed: re.Pattern[bytes]
    word: bytes = b""
    got_in: re.Pattern[bytes] | None = None
    attempt: re.Pattern[bytes] | None = None
    plain: re.Pattern[bytes] | None = None
    prompt: re.Pattern[bytes] | None = None

    def outcome(self, data: bytes) -> int:
        """Return what a server's words say: `FAILED`, `GOT_IN`, or 0."""
        if self.word in data and self.failed.match(data) is not None:
            return FAILED
        return GOT_IN if self.got_in is not None and self.got_in.match(data) is not None else 0


def _made(
    word: bytes, failed: bytes, got_in: bytes = b"", attempt: bytes = b"", plain: bytes = b"", prompt: bytes = b""
) -> Dialogue:
    made = [re.compile(text, re.DOTALL) if text else None for text in (failed, got_in, attempt, plain, prompt)]
    first, second, third, fourth, fifth = made
    return Dialogue(
        word=word, failed=first or re.compile(rb"(?!)"), got_in=second, attempt=third, plain=fourth, prompt=fifth
    )


_LINES = rb"(?:[^\n]*\n)*?"
_REDIS = rb"(?:\*[23]\r\n\$4\r\n)?(?i:AUTH)[ \r]"
_LDAP = rb"\x30.{1,5}\x02.{1,5}"

DIALOGUES: Mapping[str, Dialogue] = {
    "ftp": _made(b"530", rb"530[ -]", rb"230[ -]", rb"(?i:PASS )", rb"(?i:PASS )"),
    "smtp": _made(b"535", rb"535[ -]", rb"235[ -]", rb"(?i:AUTH )", rb"(?i:AUTH (?:PLAIN|LOGIN))"),
    "pop3": _made(b"-ERR", rb"-ERR", rb"\+OK", rb"(?i:PASS |APOP |AUTH [A-Z])", rb"(?i:PASS |AUTH (?:PLAIN|LOGIN))"),
    "imap": _made(
        b" NO ",
        _LINES + rb"[A-Za-z0-9.]+ NO ",
        _LINES + rb"[A-Za-z0-9.]+ OK ",
        rb"[A-Za-z0-9.]+ (?i:LOGIN|AUTHENTICATE) ",
        rb"[A-Za-z0-9.]+ (?i:LOGIN |AUTHENTICATE (?:PLAIN|LOGIN))",
    ),
    "telnet": _made(
        b"",
        rb".{0,256}(?i:login incorrect|login failed|authentication failed|bad password)",
        rb".{0,256}(?i:last login:)",
        prompt=rb"(?i:pass(?:word|code)[^\n]{0,40}:[ \t]*\Z)",
    ),
    "mysql": _made(b"\xff", rb"...[\x01-\xff]\xff(?:\x15\x04|\xa2\x06)", rb"...[\x02-\x09]\x00\x00\x00[\x02\x03]\x00"),
    "pgsql": _made(b"C28", rb"E....S[A-Z]+\x00(?:V[A-Z]+\x00)?C28[0P]\w\w\x00", rb"R\x00\x00\x00\x08\x00\x00\x00\x00"),
    "redis": _made(b"-", rb"-(?:WRONGPASS|ERR invalid password)", rb"\+OK", _REDIS, _REDIS),
    "mssql": _made("Login failed".encode("utf-16-le"), rb".*" + "Login failed for user".encode("utf-16-le")),
    "mongodb": _made(b"uthentication", rb".*(?:AuthenticationFailed|Authentication failed)"),
    "rfb": _made(b"", rb"\x00\x00\x00[\x01\x02](?:\x00\x00..[ -~]+)?\Z"),
    "ldap": _made(
        b"\x0a\x01\x31",
        _LDAP + rb"\x61.{1,5}\x0a\x01\x31",
        _LDAP + rb"\x61.{1,5}\x0a\x01\x00",
        b"",
        _LDAP + rb"\x60.{1,5}\x02\x01\x03\x04[\x01-\x7f].{1,127}\x80[\x01-\x7f]",
    ),
    "smb": _made(b"\x00\xc0", rb"....(?:\xfeSMB\x40\x00..|\xffSMB\x73)\x6d\x00\x00\xc0"),
}  # fmt: skip
"""By the protocol's name as conversations have it."""
