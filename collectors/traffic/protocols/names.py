"""The names that rules may use of protocols: protocols, sticky buffers, numbers and events, as in Suricata 8, and what is known of each."""

from dataclasses import dataclass
from typing import Final

SERVER: Final = 1
CLIENT: Final = 2
BOTH: Final = 3
"""Which way the bytes of a buffer go: to the server, to the client, either."""


@dataclass(frozen=True, slots=True)
class Buffer:
    """A sticky buffer: of which `protocols`, which `sides`, `whole` from which progress of its side on (0: as soon as it is there);
    `multi`: may have several contents, each matched by itself."""

    name: str
    protocols: tuple[str, ...]
    sides: int
    whole: int
    multi: bool = False


def _table(*rows: tuple[str, str, int, int, bool]) -> dict[str, Buffer]:
    return {row[0]: Buffer(row[0], tuple(row[1].split()), row[2], row[3], row[4]) for row in rows}


PROTOCOLS: Final[dict[str, frozenset[str]]] = {
    name: frozenset((meaning or name).split())
    for name, meaning in {
        "http": "http http2 doh2", "http1": "http", "http2": "http2 doh2",
        "dns": "dns doh2", "doh2": "", "mdns": "", "tls": "", "ssl": "tls",
        "ssh": "", "smtp": "", "ftp": "", "ftp-data": "", "smb": "", "smb2": "smb", "dcerpc": "", "nfs": "", "rdp": "", "mqtt": "",
        "quic": "", "pgsql": "", "mysql": "", "redis": "", "tftp": "", "snmp": "", "sip": "", "krb5": "", "dhcp": "", "ntp": "",
        "ike": "", "ikev2": "ike", "telnet": "", "pop3": "", "imap": "", "ldap": "", "rfb": "", "modbus": "", "enip": "", "dnp3": "",
        "websocket": "", "bittorrent-dht": "", "msn": "", "irc": "", "template": "", "socks": "", "mssql": "", "mongodb": "",
        "memcached": "",
        "openvpn": "", "wireguard": "", "stun": "", "ssdp": "", "xmpp": "", "vnc": "rfb", "bittorrent": "", "failed": "", "unknown": "",
    }.items()
}  # fmt: skip
"""The protocols that a rule's header or `app-layer-protocol` may name, and the conversations' `protocol` that each stands for."""

PROGRESS: Final[dict[str, tuple[tuple[str, ...], tuple[str, ...]]]] = {
    "http": (
        ("request_started", "request_line", "request_headers", "request_body", "request_trailer", "request_complete"),
        ("response_started", "response_line", "response_headers", "response_body", "response_trailer", "response_complete"),
    ),
    "http2": (
        ("request_started", "request_line", "request_headers", "request_body", "request_trailer", "request_complete"),
        ("response_started", "response_line", "response_headers", "response_body", "response_trailer", "response_complete"),
    ),
    "tls": (
        ("client_in_progress", "client_hello_done", "client_cert_done", "client_handshake_done", "client_finished"),
        ("server_in_progress", "server_hello", "server_cert_done", "server_hello_done", "server_handshake_done", "server_finished"),
    ),
    "ssh": (
        ("request_in_progress", "request_banner_done", "request_key_exchange", "request_finished"),
        ("response_in_progress", "response_banner_done", "response_key_exchange", "response_finished"),
    ),
}  # fmt: skip
PROGRESS["doh2"] = PROGRESS["http2"]
PROGRESS["quic"] = PROGRESS["tls"]
"""The names of the steps of each side, by protocol: the number is the index. A protocol that is not here has `STEPS`."""

STEPS: Final = (("request_started", "request_complete"), ("response_started", "response_complete"))


def progress(protocol: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the names of the steps of both sides of a protocol."""
    return PROGRESS.get(protocol, STEPS)


_HTTP: Final = "http http2 doh2"
_FILES: Final = "http http2 doh2 smtp ftp-data ftp smb nfs"

BUFFERS: Final = _table(
    ("http.uri", _HTTP, SERVER, 1, False),
    ("http.uri.raw", _HTTP, SERVER, 1, False),
    ("http.method", _HTTP, SERVER, 1, False),
    ("http.request_line", _HTTP, SERVER, 1, False),
    ("http.protocol", _HTTP, BOTH, 1, False),
    ("http.start", _HTTP, BOTH, 2, False),
    ("http.header", _HTTP, BOTH, 2, False),
    ("http.header.raw", _HTTP, BOTH, 2, False),
    ("http.header_names", _HTTP, BOTH, 2, False),
    ("http.request_header", _HTTP, SERVER, 2, True),
    ("http.response_header", _HTTP, CLIENT, 2, True),
    ("http.cookie", _HTTP, BOTH, 2, False),
    ("http.user_agent", _HTTP, SERVER, 2, False),
    ("http.host", _HTTP, SERVER, 2, False),
    ("http.host.raw", _HTTP, SERVER, 2, False),
    ("http.referer", _HTTP, SERVER, 2, False),
    ("http.accept", _HTTP, SERVER, 2, False),
    ("http.accept_lang", _HTTP, SERVER, 2, False),
    ("http.accept_enc", _HTTP, SERVER, 2, False),
    ("http.connection", _HTTP, BOTH, 2, False),
    ("http.content_type", _HTTP, BOTH, 2, False),
    ("http.content_len", _HTTP, BOTH, 2, False),
    ("http.stat_code", _HTTP, CLIENT, 1, False),
    ("http.stat_msg", _HTTP, CLIENT, 1, False),
    ("http.response_line", _HTTP, CLIENT, 1, False),
    ("http.server", _HTTP, CLIENT, 2, False),
    ("http.location", _HTTP, CLIENT, 2, False),
    ("http.request_body", _HTTP, SERVER, 3, False),
    ("http.response_body", _HTTP, CLIENT, 3, False),
    ("http2.header_name", "http2 doh2", BOTH, 0, True),
    ("websocket.payload", "websocket", BOTH, 0, False),
    ("file.data", _FILES, BOTH, 0, True),
    ("file.name", _FILES, BOTH, 0, True),
    ("file.magic", _FILES, BOTH, 0, True),
    ("file.md5", _FILES, BOTH, 0, True),
    ("file.sha1", _FILES, BOTH, 0, True),
    ("file.sha256", _FILES, BOTH, 0, True),
    ("dns.query", "dns doh2", SERVER, 1, True),
    ("dns.query.name", "dns doh2", BOTH, 1, True),
    ("dns.queries.rrname", "dns doh2", BOTH, 1, True),
    ("dns.answer.name", "dns doh2", BOTH, 1, True),
    ("dns.answers.rrname", "dns doh2", BOTH, 1, True),
    ("dns.authorities.rrname", "dns doh2", BOTH, 1, True),
    ("dns.additionals.rrname", "dns doh2", BOTH, 1, True),
    ("dns.response.rrname", "dns doh2", CLIENT, 1, True),
    ("mdns.queries.rrname", "mdns", BOTH, 1, True),
    ("mdns.answers.rrname", "mdns", BOTH, 1, True),
    ("mdns.authorities.rrname", "mdns", BOTH, 1, True),
    ("mdns.additionals.rrname", "mdns", BOTH, 1, True),
    ("mdns.response.rrname", "mdns", BOTH, 1, True),
    ("tls.sni", "tls", SERVER, 1, False),
    ("tls.alpn", "tls", BOTH, 1, True),
    ("tls.random", "tls", BOTH, 1, False),
    ("tls.random_time", "tls", BOTH, 1, False),
    ("tls.random_bytes", "tls", BOTH, 1, False),
    ("tls.certs", "tls", BOTH, 2, True),
    ("tls.cert_subject", "tls", BOTH, 2, False),
    ("tls.cert_issuer", "tls", BOTH, 2, False),
    ("tls.cert_serial", "tls", BOTH, 2, False),
    ("tls.cert_fingerprint", "tls", BOTH, 2, False),
    ("tls.subjectaltname", "tls", BOTH, 2, True),
    ("ja3.hash", "tls quic", SERVER, 1, False),
    ("ja3.string", "tls quic", SERVER, 1, False),
    ("ja3s.hash", "tls quic", CLIENT, 1, False),
    ("ja3s.string", "tls quic", CLIENT, 1, False),
    ("ja4.hash", "tls quic", SERVER, 1, False),
    ("quic.sni", "quic", SERVER, 0, False),
    ("quic.ua", "quic", SERVER, 0, False),
    ("quic.version", "quic", BOTH, 0, False),
    ("quic.cyu.hash", "quic", SERVER, 0, True),
    ("quic.cyu.string", "quic", SERVER, 0, True),
    ("ssh.proto", "ssh", BOTH, 1, False),
    ("ssh.software", "ssh", BOTH, 1, False),
    ("ssh.hassh", "ssh", SERVER, 3, False),
    ("ssh.hassh.string", "ssh", SERVER, 3, False),
    ("ssh.hassh.server", "ssh", CLIENT, 3, False),
    ("ssh.hassh.server.string", "ssh", CLIENT, 3, False),
    ("smtp.helo", "smtp", SERVER, 0, False),
    ("smtp.mail_from", "smtp", SERVER, 0, False),
    ("smtp.rcpt_to", "smtp", SERVER, 0, True),
    *((f"email.{name}", "smtp", SERVER, 0, False) for name in
      ("from", "subject", "to", "cc", "date", "message_id", "x_mailer", "body_md5", "command")),
    ("email.url", "smtp", SERVER, 0, True),
    ("email.received", "smtp", SERVER, 0, True),
    ("ftp.command", "ftp", SERVER, 0, False),
    ("ftp.command_data", "ftp", SERVER, 0, False),
    ("ftp.reply", "ftp", CLIENT, 0, True),
    ("ftp.completion_code", "ftp", CLIENT, 0, True),
    ("smb.named_pipe", "smb", BOTH, 0, False),
    ("smb.share", "smb", BOTH, 0, False),
    ("smb.ntlmssp_user", "smb", SERVER, 0, False),
    ("smb.ntlmssp_domain", "smb", SERVER, 0, False),
    ("dcerpc.stub_data", "dcerpc smb", BOTH, 0, False),
    ("krb5.cname", "krb5", BOTH, 0, True),
    ("krb5.sname", "krb5", BOTH, 0, True),
    *((f"sip.{name}", "sip", SERVER, 0, False) for name in ("method", "uri", "request_line")),
    *((f"sip.{name}", "sip", CLIENT, 0, False) for name in ("stat_code", "stat_msg", "response_line")),
    *((f"sip.{name}", "sip", BOTH, 0, True) for name in ("from", "to", "via", "user_agent", "content_type", "content_length")),
    ("sip.protocol", "sip", BOTH, 0, False),
    *((f"sdp.{name}", "sip", BOTH, 0, True) for name in (
        "session_name", "session_info", "origin", "uri", "email", "phone_number", "connection_data", "bandwidth", "time", "repeat_time",
        "timezone", "encryption_key", "attribute", "media.media", "media.session_info", "media.connection_data", "media.encryption_key")),
    ("snmp.community", "snmp", BOTH, 0, False),
    ("snmp.usm", "snmp", BOTH, 0, False),
    ("rfb.name", "rfb", CLIENT, 0, False),
    *((f"mqtt.connect.{name}", "mqtt", SERVER, 0, False) for name in
      ("clientid", "username", "password", "willtopic", "willmessage", "protocol_string")),
    ("mqtt.publish.topic", "mqtt", BOTH, 0, False),
    ("mqtt.publish.message", "mqtt", BOTH, 0, False),
    ("mqtt.subscribe.topic", "mqtt", SERVER, 0, True),
    ("mqtt.unsubscribe.topic", "mqtt", SERVER, 0, True),
    ("ike.init_spi", "ike", SERVER, 0, False),
    ("ike.resp_spi", "ike", CLIENT, 0, False),
    ("ike.key_exchange_payload", "ike", BOTH, 0, False),
    ("ike.nonce_payload", "ike", BOTH, 0, False),
    ("ike.vendor", "ike", SERVER, 0, True),
    ("enip.product_name", "enip", CLIENT, 0, False),
    ("enip.service_name", "enip", CLIENT, 0, False),
    ("ldap.request.dn", "ldap", SERVER, 0, False),
    ("ldap.responses.dn", "ldap", CLIENT, 0, True),
    ("ldap.responses.message", "ldap", CLIENT, 0, True),
    ("ldap.request.attribute_type", "ldap", SERVER, 0, True),
    ("ldap.responses.attribute_type", "ldap", CLIENT, 0, True),
    ("pgsql.query", "pgsql", SERVER, 0, False),
    ("dnp3.data", "dnp3", BOTH, 0, False),
)  # fmt: skip
"""All sticky buffers that the parsers may fill, by name."""

_UNFILLED: Final = frozenset({"email.body_md5", "email.command"})
"""Buffers of protocols that are parsed, which their parsers leave empty."""
_PARSED: Final = frozenset({"http", "http2", "dns", "mdns", "tls", "ssh", "smtp", "ftp", "ftp-data"})
"""The protocols that have a parser (`registry.py`); the others are recognised, and rules see their stream."""

FILLED: Final = frozenset(
    name for name, buffer in BUFFERS.items() if _PARSED & set(buffer.protocols) and name not in _UNFILLED
)
"""The buffers that some parser here fills: a rule that asks for what is in any other one never matches."""

INTEGERS: Final[dict[str, tuple[tuple[str, ...], int]]] = {
    "dns.opcode": (("dns", "doh2"), BOTH),
    "dns.rcode": (("dns", "doh2"), CLIENT),
    "dns.rrtype": (("dns", "doh2"), BOTH),
    "tls.version": (("tls",), BOTH),
    "ssl_version": (("tls",), BOTH),
    "ssl_state": (("tls",), BOTH),
    "tls.cert_chain_len": (("tls",), BOTH),
    "tls_cert_notbefore": (("tls",), BOTH),
    "tls_cert_notafter": (("tls",), BOTH),
    **{
        f"http2.{name}": (("http2", "doh2"), BOTH)
        for name in ("frametype", "errorcode", "priority", "window", "size_update", "settings")
    },
    "ftp.reply_received": (("ftp",), CLIENT),
    "ftp.dynamic_port": (("ftp",), BOTH),
    "ftp.mode": (("ftp",), BOTH),
    "ftpbounce": (("ftp",), SERVER),
}
"""Keywords that compare `Transaction.integers`: protocols and sides. Versions are the wire's (0x0303); times are Unix seconds;
`ssl_state` is bits (1 client hello, 2 server hello, 4 client key exchange, 8 server key exchange, 16 unknown); `ftp.reply_received` and
`ftpbounce` are 1 or 0; `ftp.mode` is 0 (active) or 1 (passive); those of `http2.settings` are the setting's number, shifted
left by 32 bits, and its value."""
