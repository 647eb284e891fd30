"""Protocols over TCP by what the first bytes of one side look like."""

import re
from typing import Final

ENOUGH: Final = 512
"""Bytes of one side after which it has shown all that detection looks at."""

_METHODS: Final = (
    rb"GET|POST|HEAD|PUT|DELETE|TRACE|OPTIONS|CONNECT|PATCH|PROPFIND|PROPPATCH|MKCOL|COPY|MOVE|LOCK|UNLOCK|VERSION-CONTROL|CHECKOUT|"
    rb"UNCHECKOUT|CHECKIN|UPDATE|LABEL|REPORT|MKWORKSPACE|MKACTIVITY|BASELINE-CONTROL|MERGE|SEARCH|SUBSCRIBE|UNSUBSCRIBE|NOTIFY|M-SEARCH|"
    rb"BCOPY|BDELETE|BMOVE|BPROPFIND|BPROPPATCH|POLL|ACL|PURGE|LINK|UNLINK|INVALID|RPC_IN_DATA|RPC_OUT_DATA|CCM_POST|BITS_POST|SSTP_DUPLEX_POST"
)

Patterns = tuple[tuple[str, ...], "re.Pattern[bytes]"]
"""Names of protocols, and one expression with a group for each: the first that fits is the one."""


def patterns(*rows: tuple[str, bytes]) -> Patterns:
    """Join the patterns of several protocols (none has groups of its own)."""
    joined = b"|".join(b"(" + pattern + b")" for _, pattern in rows)
    return tuple(name for name, _ in rows), re.compile(joined, re.DOTALL)


def first(known: Patterns, data: bytes) -> str:
    """Return the first protocol whose pattern fits the beginning of `data`, or ""."""
    names, pattern = known
    found = pattern.match(data)
    return names[found.lastindex - 1] if found is not None and found.lastindex else ""


_TO_SERVER: Final = patterns(
    ("http", rb"[\r\n]{0,16}(?i:" + _METHODS + rb")[ \t]"),
    ("tls", rb"\x16\x03[\x00-\x04]..\x01|[\x80-\xbf].\x01(?:\x00\x02|\x03[\x00-\x04])"),
    ("ssh", rb"(?:[\x20-\x7e]{0,255}\r?\n){0,4}SSH-[12]\."),
    ("http2", rb"PRI \* HTTP/2\.0\r\n\r\nSM"),
    ("smtp", rb"(?i:EHLO|HELO|LHLO)[ \r\n]"),
    ("smb", rb"\x00[\x00\x01]..[\xff\xfe\xfd]SMB|\x81\x00\x00\x44"),
    ("rdp", rb"\x03\x00..[\x02-\xff]\xe0"),
    ("dcerpc", rb"\x05[\x00\x01][\x00\x0b\x0e\x10][\x00-\x7f](?:\x10\x00|\x00\x00)\x00\x00"),
    ("rfb", rb"RFB 00[0-9]\.[0-9]{3}\n"),
    ("mqtt", rb"\x10[\x0c-\xff][\x00-\x7f]{0,3}\x00(?:\x04MQTT|\x06MQIsdp)[\x03-\x05]"),
    ("pgsql", rb"\x00\x00..(?:\x00\x03\x00\x00(?:user|database|application_name|client_encoding|options)\x00|\x04\xd2\x16[\x2e\x2f\x30])"),
    ("redis", rb"\*[1-9][0-9]{0,3}\r\n\$[0-9]{1,6}\r\n[A-Za-z]"),
    ("telnet", rb"\xff[\xfb-\xfe][\x00-\x31]"),
    ("irc", rb"(?i:NICK [^\r\n]{1,64}\r?\n(?i:USER) |USER [^\r\n]{1,64} [^\r\n]{1,64} [^\r\n]{1,64} :|CAP LS)"),
    ("imap", rb"[A-Za-z0-9.]{1,16} (?i:CAPABILITY|LOGIN|AUTHENTICATE|STARTTLS|ID|NOOP|LOGOUT)[ \r\n]"),
    ("pop3", rb"(?i:APOP [^\r\n]|CAPA\r\n|STLS\r\n|UIDL|STAT\r\n)"),
    ("ftp", rb"(?i:USER |PASS |AUTH (?:SSL|TLS)|FEAT\r?\n|SYST\r?\n|PORT [0-9]|EPSV|PASV\r?\n|OPTS UTF8)"),
    ("bittorrent", rb"\x13BitTorrent protocol"),
    ("sip", rb"(?:INVITE|REGISTER|OPTIONS|ACK|BYE|CANCEL|SUBSCRIBE|NOTIFY|MESSAGE|INFO|PRACK|UPDATE|PUBLISH) sips?:"),
    ("ldap", rb"\x30(?:[\x05-\x7f]|\x81.|\x82..|\x84....)\x02[\x01-\x04].{1,4}(?:\x60|\x63|\x77|\x42)"),
    ("krb5", rb"\x00\x00..[\x6a\x6c](?:[\x00-\x7f]|\x81.|\x82..)\x30"),
    ("mssql", rb"\x12\x01\x00[\x1a-\xff]\x00\x00.\x00\x00"),
    ("dnp3", rb"\x05\x64[\x05-\xff][\x00-\xff]"),
    ("enip", rb"(?:\x65\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00|\x63\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00)"),
    ("socks", rb"\x05[\x01-\x09](?:\x00|\x01|\x02|\x80){1,9}$|\x04\x01..[^\x00]...[\x20-\x7e]{0,64}\x00"),
    ("xmpp", rb"(?:<\?xml[^>]{0,64}\?>\s*)?<stream:stream"),
    ("nfs", rb"\x80[\x00-\x01]......\x00\x00\x00\x00\x00\x00\x00\x02\x00\x01\x86\xa3"),
    ("mongodb", rb"..[\x00\x01]\x00....\x00\x00\x00\x00(?:\xd4\x07|\xdd\x07)\x00\x00"),
)  # fmt: skip

_TO_CLIENT: Final = patterns(
    ("http", rb"[\r\n]{0,4}HTTP/(?:0\.9|1\.[01])[ \t]"),
    ("tls", rb"\x16\x03[\x00-\x04]..\x02|\x15\x03[\x00-\x04]\x00\x02[\x01\x02]"),
    ("ssh", rb"(?:[\x20-\x7e]{0,255}\r?\n){0,4}SSH-[12]\."),
    ("http2", rb"\x00\x00[\x00\x06\x0c\x12\x18\x1e\x24\x2a\x30]\x04[\x00\x01]\x00\x00\x00\x00"),
    ("smtp", rb"220[ -](?=[^\r\n]{0,300}(?i:E?SMTP|mail))"),
    ("ftp", rb"220[ -](?=[^\r\n]{0,300}(?i:FTP))|220 \("),
    ("smb", rb"\x00[\x00\x01]..[\xff\xfe\xfd]SMB"),
    ("rfb", rb"RFB 00[0-9]\.[0-9]{3}\n"),
    ("pop3", rb"\+OK[ \r\n]"),
    ("imap", rb"\* (?:OK|PREAUTH|BYE)[ \r\n]"),
    ("mysql", rb".\x00\x00\x00[\x09\x0a][3-9][0-9]?\.[0-9]{1,3}\.[^\x00]{0,48}\x00|.\x00\x00\x00\xff..(?:#?.{5})?Host"),
    ("telnet", rb"\xff[\xfb-\xfe][\x00-\x31]"),
    ("dcerpc", rb"\x05[\x00\x01][\x02\x03\x0c\x0d\x0f][\x00-\x7f](?:\x10\x00|\x00\x00)\x00\x00"),
    ("rdp", rb"\x03\x00..[\x02-\xff]\xd0"),
    ("bittorrent", rb"\x13BitTorrent protocol"),
    ("sip", rb"SIP/2\.0 [1-6]"),
    ("mqtt", rb"\x20\x02[\x00\x01][\x00-\x05]$"),
    ("nfs", rb"\x80\x00......\x00\x00\x00\x01\x00\x00\x00[\x00\x01]$"),
)  # fmt: skip

_PORTS: Final[dict[int, tuple[str, bytes, bytes]]] = {
    21: ("ftp", rb"[A-Za-z]{3,4}(?: |\r?\n)", rb"220"),
    23: ("telnet", rb"", rb""),
    25: ("smtp", rb"[A-Za-z]{4}[ \r\n]", rb"220"),
    587: ("smtp", rb"[A-Za-z]{4}[ \r\n]", rb"220"),
    502: ("modbus", rb"..\x00\x00\x00[\x02-\xff]", rb"..\x00\x00\x00[\x02-\xff]"),
    3306: ("mysql", rb"...\x01", rb"...\x00\x0a"),
}
"""Where the port decides among what the content leaves open: protocol, what a side must look like at least."""
_BY_PORT: Final = {
    port: (name, re.compile(server, re.DOTALL) if server else None, re.compile(client, re.DOTALL) if client else None)
    for port, (name, server, client) in _PORTS.items()
}


def detect(data: bytes, to_client: bool, port: int) -> tuple[str, bool]:
    """Return the protocol that one side's first bytes show, or "", and whether more bytes could show one."""
    name = first(_TO_CLIENT if to_client else _TO_SERVER, data)
    if name:
        return name, False
    if port == 53 and (name := _dns(data)):
        return name, False
    hint = _BY_PORT.get(port)
    if hint is not None:
        least = hint[2] if to_client else hint[1]
        if least is not None and least.match(data):
            return hint[0], False
    if len(data) >= 14 and _dns(data):
        return "dns", False
    return "", len(data) < 16 or (len(data) < ENOUGH and data.isascii() and b"\n" not in data)


def _dns(data: bytes) -> str:
    """Return "dns" when the bytes begin with a length and a plausible DNS header with one question."""
    if len(data) < 14:
        return ""
    length = data[0] << 8 | data[1]
    flags, questions, answers = data[4] << 8 | data[5], data[6] << 8 | data[7], data[8] << 8 | data[9]
    if length < 17 or questions != 1 or answers > 256 or flags & 0x7840 or flags & 0xF > 11:
        return ""
    named = len(data) > 14 and 0 < data[14] <= 63
    return "dns" if named or (len(data) >= 19 and data[14] == 0) else ""
