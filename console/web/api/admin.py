"""Tokens, users and the audit log: for admins."""

from typing import Any

from litestar import get, post
from litestar.exceptions import NotFoundException
from litestar.params import FromPath, FromQuery, JSONBody

from console.web.api.paging import Limit, page_after
from console.web.api.schemas import AuditPage, NewToken, Revoked, TokenMadeShape, TokensPage, UsersPage
from console.web.api.shapes import audit_shape, token_shape, user_shape
from console.web.context import GivenConsole, PeopleRequest, address_of, session_of
from console.web.pages_tokens import check_hostname, enrol_command
from console.web.words import iso
from contracts.errors import UsageError

TAG = ["administration"]


@get("/tokens", tags=TAG, summary="Enrolment tokens")
async def tokens(console: GivenConsole, limit: Limit = 100, cursor: FromQuery[str] = "") -> TokensPage:
    """Return enrolment tokens, without their secrets."""
    now = console.now_ms()
    found = sorted(await console.store.tokens(), key=lambda token: token.id)
    rows, following = page_after(found, cursor, limit, lambda token: token.id)
    return TokensPage(items=[token_shape(token, now) for token in rows], next=following)


@post("/tokens", tags=TAG, summary="Make an enrolment token")
async def make_token(request: PeopleRequest, console: GivenConsole, data: JSONBody[NewToken]) -> TokenMadeShape:
    """Make a one-time token; its text and the command that uses it are answered only this once."""
    who = session_of(request).who
    check_hostname(data.hostname)
    made = await console.make_token(data.note, who, data.valid_s, data.hostname)
    return TokenMadeShape(
        token=made.text,
        command=enrol_command(console.agents_url, made.text),
        id=made.id,
        expires=iso(made.expires_ms),
    )


@post("/tokens/{token:str}/revoke", tags=TAG, summary="Make a token useless", status_code=200)
async def revoke_token(request: PeopleRequest, console: GivenConsole, token: FromPath[str]) -> Revoked:
    """Revoke an unused token."""
    if not any(row.id == token for row in await console.store.tokens()):
        raise NotFoundException("there is no token with this id")
    now = console.now_ms()
    changed = await console.store.revoke_token(token, now)
    if changed:
        who = session_of(request).who
        await console.store.audit(now, who, "token.revoked", f"token:{token}", "by API", address_of(request))
    return Revoked(changed=changed)


@get("/users", tags=TAG, summary="Users")
async def users(console: GivenConsole) -> UsersPage:
    """Return all users, without their passwords."""
    return UsersPage(items=[user_shape(user) for user in await console.store.users()])


@get("/audit", tags=TAG, summary="The audit log")
async def audit(
    console: GivenConsole, what: FromQuery[str] = "", limit: Limit = 100, cursor: FromQuery[str] = ""
) -> AuditPage:
    """Return the audit log, newest first; `what` is a prefix of the deed."""
    if cursor and not (cursor.isascii() and cursor.isdigit() and len(cursor) < 19):
        raise UsageError(f"{cursor[:60]!r} is not a cursor", advice="use the one that came with the page before")
    entries = await console.store.audit_log(limit=limit + 1, before=int(cursor or 0), what=what)
    following = str(entries[limit - 1].number) if len(entries) > limit else ""
    return AuditPage(items=[audit_shape(entry) for entry in entries[:limit]], next=following)


HANDLERS: tuple[Any, ...] = (tokens, make_token, revoke_token, users, audit)
