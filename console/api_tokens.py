"""Bearer tokens for programs that use the JSON API: `hfa1.<secret>`, with a role and an end. Stored only as SHA-256, shown once."""

import hashlib
import re
import secrets
from collections.abc import Callable

from console.store.interface import AccountStore
from console.store.records import ApiToken, Role, Session
from contracts.errors import UsageError
from contracts.record import Record

PREFIX = "hfa1."
SECRET_BYTES = 32
LONGEST_S = 366 * 86400.0
TOUCH_EVERY_MS = 60_000
MAX_TEXT = 100
_NAME = re.compile(r"[^\x00-\x1f\x7f]{1,100}")


class NewApiToken(Record):
    """A token that was just made; `text` is shown once and stored nowhere."""

    id: str
    text: str
    expires_ms: int


class ApiTokens:
    """Makes, revokes and recognises them. Deeds are written to the audit log here."""

    def __init__(self, store: AccountStore, now_ms: Callable[[], int]) -> None:
        self._store = store
        self._now_ms = now_ms

    async def create(self, name: str, role: Role, lifetime_s: float, who: str, address: str = "") -> NewApiToken:
        """Make a token for the program called `name`; raises `UsageError`."""
        if not _NAME.fullmatch(name.strip()):
            raise UsageError(
                "a token needs a name of at most 100 characters", advice="name the program that will use it"
            )
        if not 0 < lifetime_s <= LONGEST_S:
            raise UsageError("a token for the API lives for at most 366 days", advice="choose a shorter time")
        now = self._now_ms()
        text = PREFIX + secrets.token_urlsafe(SECRET_BYTES)
        token = ApiToken(
            id=secrets.token_hex(6),
            digest=_digest(text),
            name=name.strip(),
            role=role,
            created_ms=now,
            created_by=who,
            expires_ms=now + int(lifetime_s * 1000),
        )
        await self._store.add_api_token(token)
        detail = f"{token.name}, role {role}"
        await self._store.audit(now, who, "api_token.created", f"api-token:{token.id}", detail, address)
        return NewApiToken(id=token.id, text=text, expires_ms=token.expires_ms)

    async def revoke(self, token_id: str, who: str, address: str = "") -> None:
        """Let its bearer in no more; raises `UsageError`."""
        now = self._now_ms()
        if not await self._store.revoke_api_token(token_id, now):
            raise UsageError(
                f"there is no token {token_id[:40]} that could be revoked", advice="see the list of tokens for the API"
            )
        await self._store.audit(now, who, "api_token.revoked", f"api-token:{token_id}", "", address)

    async def session(self, text: str) -> Session | None:
        """Return what the bearer of `text` may do, or None."""
        if not text.startswith(PREFIX) or len(text) > MAX_TEXT:
            return None
        now = self._now_ms()
        token = await self._store.api_token(_digest(text))
        if token is None or token.revoked_ms or token.expires_ms <= now:
            return None
        if now - token.used_ms >= TOUCH_EVERY_MS:
            await self._store.touch_api_token(token.id, now)
        return Session(
            digest=token.digest,
            user=token.id,
            role=token.role,
            csrf="",
            created_ms=token.created_ms,
            expires_ms=token.expires_ms,
            seen_ms=now,
            program=True,
        )


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "replace")).digest()
