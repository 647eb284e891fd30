"""What a transaction says, as the objects that EVE JSON has for it: `http`, `dns` and `tls`."""

from collections.abc import Callable
from typing import Any

from collectors.traffic.protocols.news import Transaction

_RECORD_TYPES = {
    1: "A",
    2: "NS",
    5: "CNAME",
    6: "SOA",
    12: "PTR",
    15: "MX",
    16: "TXT",
    28: "AAAA",
    33: "SRV",
    35: "NAPTR",
    41: "OPT",
    43: "DS",
    46: "RRSIG",
    48: "DNSKEY",
    64: "SVCB",
    65: "HTTPS",
    252: "AXFR",
    255: "ANY",
    257: "CAA",
}
_RESULTS = (
    "NOERROR",
    "FORMERR",
    "SERVFAIL",
    "NXDOMAIN",
    "NOTIMP",
    "REFUSED",
    "YXDOMAIN",
    "YXRRSET",
    "NXRRSET",
    "NOTAUTH",
)
_TLS = {0x0200: "SSLv2", 0x0300: "SSLv3", 0x0301: "TLSv1", 0x0302: "TLS 1.1", 0x0303: "TLS 1.2", 0x0304: "TLS 1.3"}


def objects(transaction: Transaction) -> dict[str, Any]:
    """Return the objects of a transaction by their name in a record, {} for a protocol that has none here, or nothing seen yet."""
    make = _OBJECTS.get(transaction.protocol)
    found = make(transaction) if make is not None else {}
    return {_NAMES.get(transaction.protocol, transaction.protocol): found} if found else {}


def _text(transaction: Transaction, name: str, to_client: bool) -> str | None:
    values = transaction.buffers(name, to_client)
    return bytes(values[0]).decode("utf-8", "backslashreplace") if values else None


def _texts(transaction: Transaction, fields: tuple[tuple[str, str, bool], ...]) -> dict[str, Any]:
    found = {key: _text(transaction, name, to_client) for key, name, to_client in fields}
    return {key: value for key, value in found.items() if value is not None}


def _http(transaction: Transaction) -> dict[str, Any]:
    found = _texts(
        transaction,
        (
            ("hostname", "http.host", False),
            ("url", "http.uri.raw", False),
            ("http_user_agent", "http.user_agent", False),
            ("http_content_type", "http.content_type", True),
            ("http_refer", "http.referer", False),
            ("http_method", "http.method", False),
            ("protocol", "http.protocol", False),
            ("redirect", "http.location", True),
        ),
    )
    if "http_content_type" in found:
        found["http_content_type"] = found["http_content_type"].partition(";")[0].strip()
    status = _text(transaction, "http.stat_code", True)
    if status is not None and status.isascii() and status.isdigit():
        found["status"] = int(status)
    return found


def _dns(transaction: Transaction) -> dict[str, Any]:
    """Return one message: a question, or an answer with its result. Record types are told when they are as many as the names."""
    for to_client in (False, True):
        opcodes = transaction.integers("dns.opcode", to_client)
        if not opcodes:
            continue
        results = transaction.integers("dns.rcode", to_client)
        found: dict[str, Any] = {"version": 3, "type": "response" if results else "request", "opcode": opcodes[0]}
        if results:
            found["rcode"] = _RESULTS[results[0]] if results[0] < len(_RESULTS) else str(results[0])
        kinds = transaction.integers("dns.rrtype", to_client)
        asked = transaction.buffers("dns.queries.rrname", to_client)
        found["queries"] = [
            {"rrname": bytes(name).decode("utf-8", "backslashreplace")}
            | ({"rrtype": _RECORD_TYPES.get(kinds[place], f"TYPE{kinds[place]}")} if place < len(kinds) else {})
            for place, name in enumerate(asked)
        ]
        return found
    return {}


def _tls(transaction: Transaction) -> dict[str, Any]:
    found = _texts(
        transaction,
        (
            ("subject", "tls.cert_subject", True),
            ("issuerdn", "tls.cert_issuer", True),
            ("serial", "tls.cert_serial", True),
            ("fingerprint", "tls.cert_fingerprint", True),
            ("sni", "tls.sni", False),
        ),
    )
    versions = transaction.integers("tls.version", True)
    if versions:
        found["version"] = _TLS.get(versions[-1], f"0x{versions[-1]:04x}")
    for key, name, to_client in (("ja3", "ja3", False), ("ja3s", "ja3s", True)):
        digest, words = _text(transaction, f"{name}.hash", to_client), _text(transaction, f"{name}.string", to_client)
        if digest is not None:
            found[key] = {"hash": digest, "string": words or ""}
    ja4 = _text(transaction, "ja4.hash", False)
    if ja4 is not None:
        found["ja4"] = ja4
    return found


_OBJECTS: dict[str, Callable[[Transaction], dict[str, Any]]] = {
    "http": _http,
    "http2": _http,
    "dns": _dns,
    "doh2": _dns,
    "tls": _tls,
}
_NAMES = {"doh2": "dns", "http2": "http"}
