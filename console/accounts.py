"""People and their logins: argon2 passwords, sessions, one-time links. The only user of `argon2` in the console."""

import asyncio
import hashlib
import hmac
import re
import secrets
from collections.abc import Callable

import argon2
import msgspec

from console.limits import source_of
from console.store.interface import AccountStore
from console.store.records import LoginLink, Role, Session, User
from contracts.errors import HoldfastError, Refused, UsageError
from contracts.record import Record

MIN_PASSWORD = 12
MAX_PASSWORD = 1024
TOUCH_EVERY_MS = 60_000
MAX_REMEMBERED = 10_000
"""Addresses with failures, before the ones that are over are forgotten."""
NAME = re.compile(r"[a-z0-9][a-z0-9._@-]{0,63}")
RANKS = {Role.VIEWER: 0, Role.OPERATOR: 1, Role.ADMIN: 2}


def at_least(role: Role, needed: Role) -> bool:
    """Say whether `role` includes what `needed` may do."""
    return RANKS[role] >= RANKS[needed]


class AccountPolicy(Record):
    """How logins behave. Times in seconds."""

    session_idle_s: float = 12 * 3600.0
    session_max_s: float = 7 * 86400.0
    link_s: float = 15 * 60.0
    failures_allowed: int = 5
    """Wrong passwords per user and per address before a wait is imposed."""
    failures_window_s: float = 300.0


class Grant(Record):
    """A fresh login: `secret` goes into the cookie and is stored nowhere."""

    secret: str
    session: Session


class TooManyFailures(Refused):
    """Too many wrong passwords lately; the sentence says how long to wait."""


class Accounts:
    """Everything pages and the command line do with people. Deeds are written to the audit log here."""

    def __init__(self, store: AccountStore, now_ms: Callable[[], int], policy: AccountPolicy | None = None) -> None:
        self._store = store
        self._now_ms = now_ms
        self._policy = policy or AccountPolicy()
        self._hasher = argon2.PasswordHasher()
        self._unknown = ""
        self._failures: dict[str, list[int]] = {}
        self._hashing = asyncio.Semaphore(2)

    async def log_in(self, name: str, password: str, address: str, browser: str = "") -> Grant | None:
        """Return a new session, or None for a wrong name or password (which takes as long as a right one).

        Raises `TooManyFailures`.
        """
        self._check_rate(name, address)
        attempt = self._count_failure(name, address)  # before the slow look, or many at once would all be let try
        if (
            not self._unknown
        ):  # made at the first login whoever comes: a quarter of a second that no command should wait
            self._unknown = await self._hash(secrets.token_hex(16))
        user = await self._store.user(name) if NAME.fullmatch(name) else None
        right = await self._verify(user.password if user and user.password else self._unknown, password)
        if user is None or not user.password or not right or user.disabled:
            await self._audit(f"user:{name[:64]}", "login.failed", address=address)
            return None
        self._forgive(name, address, attempt)
        if self._hasher.check_needs_rehash(user.password):
            await self._rehash(user.name, password)
        await self._audit(f"user:{name}", "login.done", address=address)
        return await self._open(user, address, browser)

    async def session(self, secret: str) -> Session | None:
        """Return the session behind a cookie's secret, prolonged, or None."""
        now = self._now_ms()
        session = await self._store.session(_digest(secret), now)
        if session is None or now - session.seen_ms < TOUCH_EVERY_MS:
            return session
        ends = self._ends(session.created_ms, now)
        await self._store.touch_session(session.digest, now, ends)
        return msgspec.structs.replace(session, seen_ms=now, expires_ms=ends)

    async def log_out(self, session: Session) -> None:
        """End a session."""
        await self._store.end_session(session.digest)
        await self._audit(f"user:{session.user}", "login.ended", address=session.address)

    async def log_out_everywhere(self, session: Session) -> None:
        """End every session of a session's user, and the links not used yet."""
        ended = await self._store.end_sessions(session.user)
        who = f"user:{session.user}"
        await self._audit(who, "login.ended_everywhere", about=who, detail=f"{ended} ended", address=session.address)

    def csrf_matches(self, session: Session, given: str) -> bool:
        """Say whether a form carries this session's token."""
        return hmac.compare_digest(session.csrf.encode(), given.encode("utf-8", "replace"))

    async def make_link(self, user: str, who: str) -> str:
        """Return the secret of a new one-time link that logs `user` in; raises `UsageError` for an unknown user."""
        await self._known(user)
        now = self._now_ms()
        secret = secrets.token_urlsafe(32)
        ends = now + int(self._policy.link_s * 1000)
        await self._store.add_link(LoginLink(digest=_digest(secret), user=user, created_ms=now, expires_ms=ends))
        await self._audit(who, "link.created", about=f"user:{user}")
        return secret

    async def redeem_link(self, secret: str, address: str, browser: str = "") -> Grant | None:
        """Return a new session for a one-time link, or None when it is unknown, used or too old. Raises `TooManyFailures`."""
        self._check_rate("", address)
        attempt = self._count_failure("", address)
        link = await self._store.take_link(_digest(secret), self._now_ms())
        user = await self._store.user(link.user) if link else None
        if user is None or user.disabled:
            await self._audit("console", "login.link_refused", address=address)
            return None
        self._forgive("", address, attempt)
        await self._audit(f"user:{user.name}", "login.by_link", address=address)
        return await self._open(user, address, browser)

    async def add(self, name: str, role: Role, password: str, who: str) -> None:
        """Add a person; `password` "" means that only login links let this person in. Raises `UsageError`."""
        if not NAME.fullmatch(name):
            raise UsageError(
                f"{name!r} is not a user name",
                advice="use 1 to 64 of a-z, 0-9 and . _ @ -, beginning with a letter or digit",
            )
        hashed = await self._hash(password) if password else ""
        user = User(name=name, role=role, password=hashed, created_ms=self._now_ms())
        if not await self._store.add_user(user):
            raise UsageError(f"there is already a user {name}", advice="choose another name or change this user")
        await self._audit(who, "user.added", about=f"user:{name}", detail=f"role {role}")

    async def set_password(self, name: str, password: str, who: str) -> None:
        """Give a person another password and end the person's sessions. Raises `UsageError`."""
        await self._known(name)
        await self._store.set_password(name, await self._hash(password))
        await self._audit(who, "user.password_changed", about=f"user:{name}")

    async def set_role(self, name: str, role: Role, who: str) -> None:
        """Change what a person may do; the last admin who can still log in stays one. Raises `UsageError`."""
        if role is not Role.ADMIN:
            await self._keep_an_admin(name)
        await self._known(name)
        await self._store.set_role(name, role)
        await self._audit(who, "user.role_changed", about=f"user:{name}", detail=f"role {role}")

    async def set_disabled(self, name: str, disabled: bool, who: str) -> None:
        """Lock a person out, or in again; the last admin cannot be locked out. Raises `UsageError`."""
        if disabled:
            await self._keep_an_admin(name)
        await self._known(name)
        await self._store.set_disabled(name, disabled)
        await self._audit(who, "user.disabled" if disabled else "user.enabled", about=f"user:{name}")

    async def _known(self, name: str) -> None:
        if await self._store.user(name) is None:
            raise UsageError(f"there is no user {name}", advice="see holdfast console user list")

    async def _keep_an_admin(self, name: str) -> None:
        admins = [user.name for user in await self._store.users() if user.role is Role.ADMIN and not user.disabled]
        if admins == [name]:
            raise UsageError(f"{name} is the last admin", advice="make another user admin first")

    async def _open(self, user: User, address: str, browser: str) -> Grant:
        now = self._now_ms()
        secret = secrets.token_urlsafe(32)
        session = Session(
            digest=_digest(secret),
            user=user.name,
            role=user.role,
            csrf=secrets.token_urlsafe(24),
            created_ms=now,
            expires_ms=self._ends(now, now),
            seen_ms=now,
            address=address[:64],
            browser=browser[:200],
        )
        await self._store.add_session(session)
        return Grant(secret=secret, session=session)

    def _ends(self, created_ms: int, now_ms: int) -> int:
        return min(
            now_ms + int(self._policy.session_idle_s * 1000), created_ms + int(self._policy.session_max_s * 1000)
        )

    async def _hash(self, password: str) -> str:
        if not MIN_PASSWORD <= len(password) <= MAX_PASSWORD:
            raise UsageError(
                f"the password has {len(password)} characters", advice=f"use {MIN_PASSWORD} to {MAX_PASSWORD}"
            )
        async with self._hashing:
            return await asyncio.to_thread(self._hasher.hash, password)

    async def _rehash(self, name: str, password: str) -> None:
        try:
            hashed = await self._hash(password)
        except HoldfastError:
            return  # an old password shorter than today's rule keeps its old hash
        await self._store.set_password(name, hashed)

    async def _verify(self, hashed: str, password: str) -> bool:
        if len(password) > MAX_PASSWORD:
            return False
        async with self._hashing:
            try:
                return await asyncio.to_thread(self._hasher.verify, hashed, password)
            except (argon2.exceptions.VerificationError, argon2.exceptions.InvalidHashError):
                return False

    def _check_rate(self, name: str, address: str) -> None:
        oldest = self._now_ms() - int(self._policy.failures_window_s * 1000)
        for key in _rate_keys(name, address):
            recent = [at for at in self._failures.get(key, ()) if at > oldest]
            if recent:
                self._failures[key] = recent
            else:
                self._failures.pop(key, None)
            if len(recent) >= self._policy.failures_allowed:
                wait_s = max(1, (recent[-self._policy.failures_allowed] - oldest) // 1000)
                raise TooManyFailures("too many failed logins", advice=f"wait {wait_s} s and try again")

    def _count_failure(self, name: str, address: str) -> int:
        """Count an attempt as failed until `_forgive` is called with the time that is returned."""
        now = self._now_ms()
        if len(self._failures) > MAX_REMEMBERED:
            oldest = now - int(self._policy.failures_window_s * 1000)
            self._failures = {key: times for key, times in self._failures.items() if times[-1] > oldest}
        for key in _rate_keys(name, address):
            self._failures.setdefault(key, []).append(now)
        return now

    def _forgive(self, name: str, address: str, attempt_ms: int) -> None:
        """Take a right attempt back; whoever knows the name's password has the name's failures from there forgiven, too."""
        everywhere, *named = _rate_keys(name, address)
        times = self._failures.get(everywhere, [])
        if attempt_ms in times:
            times.remove(attempt_ms)
        if not times:
            self._failures.pop(everywhere, None)
        for key in named:
            self._failures.pop(key, None)

    async def _audit(self, who: str, what: str, about: str = "", detail: str = "", address: str = "") -> None:
        await self._store.audit(self._now_ms(), who, what, about, detail, address[:64])


def _rate_keys(name: str, address: str) -> list[str]:
    """Return what failures are counted by: the address, and the name at that address.

    Not the name alone, so that a stranger cannot lock an admin out by failing in the admin's name from elsewhere.
    """
    source = source_of(address)
    return [f"from {source}"] + ([f"user {name} from {source}"] if name else [])


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "replace")).digest()
