"""DNS over HTTPS (RFC 8484) in streams of HTTP/2: a message is a request's query or body, or an answer's body."""

import binascii
import re
from typing import Final

from collectors.traffic.protocols.dns import DnsTransaction
from collectors.traffic.protocols.http2.transaction import Http2Transaction

TYPE: Final = b"application/dns-message"
MAX_MESSAGE: Final = 65_535
STANDARD: Final = bytes.maketrans(b"-_", b"+/")
"""From Base64 as it is written in targets to the usual one."""
_QUERY: Final = re.compile(rb"[?&]dns=([A-Za-z0-9_-]+)")


def asks(tx: Http2Transaction, to_client: bool) -> bool:
    """Return whether the fields of a side say that it carries DNS; a query in the target is read at once."""
    if not to_client and tx.method == b"GET" and tx.target is not None:
        found = _QUERY.search(tx.target)
        if found is not None and len(found[1]) <= 2 * MAX_MESSAGE:
            text = found[1]
            try:
                data = binascii.a2b_base64(text.translate(STANDARD) + b"=" * (-len(text) % 4))
            except binascii.Error:
                return False
            return _read(tx, False, data)
    return _is_message(tx, to_client)


def reads(tx: Http2Transaction, to_client: bool) -> bool:
    """Read the message that is a whole body, where it is one; returns whether it was."""
    body = tx.message(to_client).body
    if not body.size or not _is_message(tx, to_client):
        return False
    if body.size > MAX_MESSAGE:
        tx.event("dns_response_too_long" if to_client else "dns_request_too_long", to_client)
        return False
    return _read(tx, to_client, body.beginning(MAX_MESSAGE))


def _is_message(tx: Http2Transaction, to_client: bool) -> bool:
    field = tx.message(to_client).headers.get(b"content-type")
    return field is not None and field.partition(b";")[0].strip().lower() == TYPE


def _read(tx: Http2Transaction, to_client: bool, data: bytes) -> bool:
    if len(data) < 12:
        return False
    message = DnsTransaction(tx.number, "doh2", to_client)
    message.read(data)
    tx.dns.append(message)
    return True
