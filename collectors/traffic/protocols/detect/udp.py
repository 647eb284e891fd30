"""Protocols over UDP by what one datagram looks like."""

from typing import Final

from collectors.traffic.protocols.detect.tcp import first, patterns

_ROWS: Final[tuple[tuple[str, bytes], ...]] = (
    ("sip", rb"SIP/2\.0 [1-6]|(?:INVITE|REGISTER|OPTIONS|ACK|BYE|CANCEL|SUBSCRIBE|NOTIFY|MESSAGE|INFO|PRACK|UPDATE|PUBLISH) sips?:"),
    ("ssdp", rb"(?:M-SEARCH \* HTTP/1\.1|NOTIFY \* HTTP/1\.1)\r\n"),
    ("stun", rb"[\x00-\x3f].[\x00-\xff][\x00\x04\x08\x0c\x10\x14\x18\x1c\x20\x24\x28\x2c\x30-\xff]\x21\x12\xa4\x42"),
    ("bittorrent-dht", rb"d1:[adeqry]"),
    ("dhcp", rb"[\x01\x02]\x01\x06[\x00-\x10].{232}\x63\x82\x53\x63"),
    ("ike", rb"(?:\x00\x00\x00\x00)?.{16}[\x00-\x30](?:\x10|\x20|\x21)[\x00-\x2c].{5}\x00\x00[\x00-\x40]."),
    ("snmp", rb"\x30(?:[\x10-\x7f]|\x81.|\x82..)\x02\x01[\x00\x01\x03](?:\x04|\x30)"),
    ("krb5", rb"[\x6a-\x6f\x7e](?:[\x10-\x7f]|\x81.|\x82..)\x30(?:[\x10-\x7f]|\x81.|\x82..)[\xa0\xa1]\x03\x02\x01\x05"),
    ("tftp", rb"\x00[\x01\x02][\x20-\x7e]{1,255}\x00(?i:netascii|octet|mail)\x00"),
    ("nfs", rb"....\x00\x00\x00\x00\x00\x00\x00\x02\x00\x01\x86\xa3"),
    ("wireguard", rb"\x01\x00\x00\x00.{144}$"),
)  # fmt: skip
_PATTERNS: Final = patterns(*_ROWS)
_BUT_IKE: Final = patterns(*(row for row in _ROWS if row[0] != "ike"))
"""Away from its ports the content does not tell IKE from others."""


def detect(data: bytes, to_client: bool, client_port: int, server_port: int) -> str:
    """Return the protocol that a datagram shows, or ""."""
    del to_client
    ports = (client_port, server_port)
    if 5353 in ports:
        return "mdns" if dns(data, True) else ""
    if dns(data, 53 in ports):
        return "dns"
    if quic(data):
        return "quic"
    if 123 in ports and len(data) >= 48 and data[0] & 7 and 1 <= data[0] >> 3 & 7 <= 4:
        return "ntp"
    on_port = 500 in ports or 4500 in ports
    return first(_PATTERNS if on_port or len(data) < 28 else _BUT_IKE, data)


def dns(data: bytes, on_port: bool) -> bool:
    """Return whether a datagram is a DNS message; away from the usual port its names must hold from end to end."""
    if len(data) < 12:
        return False
    flags = data[2] << 8 | data[3]
    questions, answers = data[4] << 8 | data[5], data[6] << 8 | data[7]
    if flags >> 11 & 0xF > 6 or answers > 256:
        return False
    if on_port:
        return questions <= 32 and (len(data) > 16 or bool(flags & 0x8000))
    if questions != 1 or flags & 0x0040:
        return False
    at = 12
    while at < len(data) and data[at]:
        if data[at] > 63:
            return False
        at += 1 + data[at]
    if at + 5 > len(data):
        return False
    if data[at + 3 : at + 5] not in (b"\x00\x01", b"\x00\x03", b"\x00\xff"):
        return False
    return bool(flags & 0x8000) or (answers == 0 and (data[10] << 8 | data[11] > 0 or at + 5 == len(data)))


def quic(data: bytes) -> bool:
    """Return whether a datagram is a long-header QUIC Initial of a known version (RFC 9000, 9369, drafts, Google's)."""
    if len(data) < 20 or data[0] & 0xC0 != 0xC0:
        return False
    version = data[1:5]
    google = version[:1] in (b"Q", b"T") and version[1:3] == b"05"
    known = version in (b"\x00\x00\x00\x01", b"\x6b\x33\x43\xcf") or version[:3] == b"\xff\x00\x00" or google
    return known and data[5] <= 20
