"""A prepared ruleset as bytes to be kept: sealed with a key, because a damaged database of Hyperscan may load and do anything.

Whoever keeps the key seals and opens (the core); a file that was changed, made for other rules, or by another version is not opened.
"""

import hashlib
import hmac
import platform

import msgspec

from collectors.traffic.rules.engine.patterns import VERSION
from collectors.traffic.rules.engine.prepared import Prepared

FORMAT = b"holdfast prepared rules 9\n"
"""Changes whenever what is worked out of rules changes, so that what an older version kept is not taken."""

DIGEST = 32


class NotOpened(Exception):
    """Sealed bytes that are not to be used; the message says why. What would do: prepare the rules again."""


def seal(prepared: Prepared, key: bytes, made_of: str) -> bytes:
    """Return a prepared ruleset as bytes. `made_of` names the rules and variables that it was made of (a digest of theirs)."""
    body = msgspec.msgpack.encode(prepared)
    return FORMAT + _mark(body, key, made_of) + body


def unseal(sealed: bytes, key: bytes, made_of: str) -> Prepared:
    """Return the ruleset that was sealed; raises `NotOpened` unless it is whole, of this version and machine, and of the same rules."""
    begin = len(FORMAT) + DIGEST
    if len(sealed) < begin or not sealed.startswith(FORMAT):
        raise NotOpened("these are no prepared rules, or those of another version")
    body = memoryview(sealed)[begin:]
    if not hmac.compare_digest(sealed[len(FORMAT) : begin], _mark(body, key, made_of)):
        raise NotOpened("the prepared rules were changed, or made of other rules, elsewhere, or with another key")
    try:
        return msgspec.msgpack.decode(body, type=Prepared)
    except msgspec.MsgspecError as error:
        raise NotOpened(f"the prepared rules have another form: {error}") from None


def _mark(body: bytes | memoryview, key: bytes, made_of: str) -> bytes:
    """Return the keyed digest of everything that has to be the same; databases of Hyperscan are for one kind of machine."""
    digest = hashlib.blake2b(key=hashlib.sha256(key).digest(), digest_size=DIGEST, person=b"holdfast rules")
    for part in (FORMAT, VERSION.encode(), platform.machine().encode(), made_of.encode()):
        digest.update(len(part).to_bytes(8) + part)
    digest.update(body)
    return digest.digest()
