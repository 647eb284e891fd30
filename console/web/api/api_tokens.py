"""Tokens of the programs that use this API. Only people make them, so that a program cannot outlive its own token."""

from typing import Any

from litestar import get, post
from litestar.exceptions import PermissionDeniedException
from litestar.params import FromPath, JSONBody

from console.store.records import Role
from console.web.api.schemas import ApiTokenMadeShape, ApiTokensPage, NewApiTokenShape, Revoked
from console.web.api.shapes import api_token_shape
from console.web.context import GivenConsole, PeopleRequest, address_of, session_of
from console.web.words import iso

TAG = ["administration"]


@get("/api-tokens", tags=TAG, summary="Tokens for programs")
async def api_tokens(console: GivenConsole) -> ApiTokensPage:
    """Return the tokens of programs, without their secrets."""
    now = console.now_ms()
    return ApiTokensPage(items=[api_token_shape(token, now) for token in await console.store.api_tokens()])


@post("/api-tokens", tags=TAG, summary="Make a token for a program")
async def make_api_token(
    request: PeopleRequest, console: GivenConsole, data: JSONBody[NewApiTokenShape]
) -> ApiTokenMadeShape:
    """Make a token; its text is answered only this once. Needs a person's login: a token makes no tokens."""
    session = session_of(request)
    if session.program:
        raise PermissionDeniedException(
            "a program makes no tokens for programs; a person does, on the page or the console"
        )
    made = await console.api_tokens.create(data.name, Role(data.role), data.valid_s, session.who, address_of(request))
    return ApiTokenMadeShape(id=made.id, token=made.text, expires=iso(made.expires_ms))


@post("/api-tokens/{token:str}/revoke", tags=TAG, summary="Let a program in no more", status_code=200)
async def revoke_api_token(request: PeopleRequest, console: GivenConsole, token: FromPath[str]) -> Revoked:
    """Revoke a token at once."""
    await console.api_tokens.revoke(token, session_of(request).who, address_of(request))
    return Revoked(changed=True)


HANDLERS: tuple[Any, ...] = (api_tokens, make_api_token, revoke_api_token)
