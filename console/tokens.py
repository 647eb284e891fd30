"""Enrolment tokens: `hf1.<secret>.<pin>`, both base64url. The secret is stored only as SHA-256; the pin names the console's authority."""

import base64
import binascii
import hashlib
import secrets
from collections.abc import Callable

from console.store.interface import Store
from console.store.records import Token
from contracts.errors import HoldfastError, UsageError
from contracts.record import Record

PREFIX = "hf1"
SECRET_BYTES = 32
MAX_TOKEN = 200
LONGEST_S = 30 * 86400.0


class BadToken(HoldfastError):
    """Text that is not a token."""


class NewToken(Record):
    """A token that was just made; `text` is shown once and stored nowhere."""

    id: str
    text: str
    expires_ms: int


def encode(secret: bytes, pin: bytes) -> str:
    """Return the token's text."""
    return f"{PREFIX}.{_b64(secret)}.{_b64(pin)}"


def decode(text: str) -> tuple[bytes, bytes]:
    """Return secret and pin of a token; raises `BadToken`."""
    parts = text.split(".") if len(text) <= MAX_TOKEN else []
    if len(parts) != 3 or parts[0] != PREFIX:
        raise BadToken("this is not an enrolment token", advice="copy the whole token, beginning with hf1.")
    try:
        secret, pin = (
            base64.b64decode(part + "=" * (-len(part) % 4), altchars=b"-_", validate=True) for part in parts[1:]
        )
    except (binascii.Error, ValueError) as error:
        raise BadToken("the enrolment token is damaged", advice="copy the whole token again") from error
    if len(secret) != SECRET_BYTES or len(pin) != hashlib.sha256().digest_size:
        raise BadToken("the enrolment token is cut short", advice="copy the whole token again")
    return secret, pin


def digest(secret: bytes) -> bytes:
    """Return what is stored of a secret."""
    return hashlib.sha256(secret).digest()


async def create(
    store: Store,
    pin: bytes,
    now_ms: Callable[[], int],
    *,
    who: str,
    lifetime_s: float,
    hostname: str = "",
    note: str = "",
) -> NewToken:
    """Make a one-time token and note who did; `hostname` restricts whom it enrols. Raises `UsageError`."""
    if not 0 < lifetime_s <= LONGEST_S:
        raise UsageError("a token lives for at most 30 days", advice="choose a shorter time")
    secret = secrets.token_bytes(SECRET_BYTES)
    at_ms = now_ms()
    token = Token(
        id=secrets.token_hex(6),
        digest=digest(secret),
        note=note[:200],
        created_ms=at_ms,
        created_by=who,
        expires_ms=at_ms + int(lifetime_s * 1000),
        hostname=hostname,
    )
    await store.add_token(token)
    await store.audit(at_ms, who, "token.created", about=f"token:{token.id}", detail=note[:200])
    return NewToken(id=token.id, text=encode(secret, pin), expires_ms=token.expires_ms)


def _b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
