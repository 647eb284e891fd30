"""The page of tokens for programs that use the JSON API."""

from typing import Any, NamedTuple

from litestar import Response, get, post
from litestar.params import FromPath
from litestar.response import Redirect

from console.api_tokens import NewApiToken
from console.store.records import ApiToken, Role
from console.web.context import Console, GivenConsole, PeopleRequest, address_of, session_of
from console.web.drawing import draw
from console.web.forms import field
from contracts.errors import HoldfastError, UsageError

SPANS = (("30", "30 days"), ("90", "90 days"), ("365", "1 year"))
_DAYS = {days for days, _ in SPANS}


class ApiTokenRow(NamedTuple):
    """One token and how it stands."""

    token: ApiToken
    word: str
    tone: str
    shape: str
    open: bool


@get("/api-tokens", include_in_schema=False)
async def api_tokens(request: PeopleRequest, console: GivenConsole) -> Response[str]:
    """List the tokens."""
    return await _page(request, console)


@post("/api-tokens", include_in_schema=False)
async def make_api_token(request: PeopleRequest, console: GivenConsole) -> Response[str]:
    """Make a token and show it, this once."""
    name = await field(request, "name", 100)
    role = await field(request, "role", 20)
    days = await field(request, "days", 4)
    try:
        if role not in set(Role) or days not in _DAYS:
            raise UsageError("that is not one of the choices offered", advice="choose from the lists")
        made = await console.api_tokens.create(
            name, Role(role), int(days) * 86400.0, session_of(request).who, address_of(request)
        )
    except HoldfastError as error:
        return await _page(request, console, problem=f"{error.message[:1].upper()}{error.message[1:]}; {error.advice}.")
    return await _page(request, console, made=made)


@post("/api-tokens/{token:str}/revoke", include_in_schema=False)
async def revoke_api_token(request: PeopleRequest, console: GivenConsole, token: FromPath[str]) -> Redirect:
    """Let a program in no more."""
    await console.api_tokens.revoke(token, session_of(request).who, address_of(request))
    return Redirect("/api-tokens", status_code=303)


HANDLERS: tuple[Any, ...] = (api_tokens, make_api_token, revoke_api_token)


def api_token_state(token: ApiToken, now_ms: int) -> ApiTokenRow:
    """Return how a token stands at `now_ms`."""
    if token.revoked_ms:
        return ApiTokenRow(token, "revoked", "", "revoked", False)
    if token.expires_ms <= now_ms:
        return ApiTokenRow(token, "ended", "", "late", False)
    return ApiTokenRow(token, "valid", "good", "up", True)


async def _page(
    request: PeopleRequest, console: Console, *, made: NewApiToken | None = None, problem: str = ""
) -> Response[str]:
    now = console.now_ms()
    return draw(
        request,
        "api_tokens.html",
        made=made,
        problem=problem,
        roles=[role.value for role in Role],
        spans=SPANS,
        tokens=[api_token_state(token, now) for token in await console.store.api_tokens()],
        status=400 if problem else 200,
    )
