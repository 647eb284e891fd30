"""Enrolment: making one-time tokens, and the command that uses one."""

import re
import shlex
from typing import Any, NamedTuple

from litestar import Response, get, post
from litestar.params import FromPath
from litestar.response import Redirect

from console.store.records import Token
from console.tokens import NewToken
from console.web.context import Console, GivenConsole, PeopleRequest, address_of, session_of
from console.web.drawing import draw
from console.web.forms import field
from contracts.errors import HoldfastError, UsageError

HOSTNAME = re.compile(r"[0-9A-Za-z_]([0-9A-Za-z_.-]{0,251}[0-9A-Za-z_])?")
SPANS_S = frozenset({3600, 86400, 604800})


class TokenRow(NamedTuple):
    """One token and how it stands."""

    token: Token
    word: str
    tone: str
    shape: str
    open: bool


@get("/tokens", include_in_schema=False)
async def tokens(request: PeopleRequest, console: GivenConsole) -> Response[str]:
    """List the tokens."""
    return await _page(request, console)


@post("/tokens", include_in_schema=False)
async def make_token(request: PeopleRequest, console: GivenConsole) -> Response[str]:
    """Make a token and show the command that uses it, this once."""
    note = (await field(request, "note", 200)).strip()
    hostname = (await field(request, "hostname", 253)).strip()
    valid = await field(request, "valid", 10)
    try:
        check_hostname(hostname)
        if not valid.isascii() or not valid.isdigit() or int(valid) not in SPANS_S:
            raise UsageError("that is not one of the spans offered", advice="choose one from the list")
        who = session_of(request).who
        made = await console.make_token(note, who, float(valid), hostname)
    except HoldfastError as error:
        return await _page(request, console, problem=f"{error.message[:1].upper()}{error.message[1:]}; {error.advice}.")
    return await _page(request, console, made=made, hostname=hostname)


@post("/tokens/{token:str}/revoke", include_in_schema=False)
async def revoke_token(request: PeopleRequest, console: GivenConsole, token: FromPath[str]) -> Redirect:
    """Make an unused token useless."""
    now = console.now_ms()
    if await console.store.revoke_token(token, now):
        who = session_of(request).who
        await console.store.audit(now, who, "token.revoked", f"token:{token}", "", address_of(request))
    return Redirect("/tokens", status_code=303)


HANDLERS: tuple[Any, ...] = (tokens, make_token, revoke_token)


def enrol_command(agents_url: str, text: str) -> str:
    """Return the exact command to run on the server."""
    return f"sudo holdfast enroll {shlex.quote(agents_url)} --token {shlex.quote(text)}"


def check_hostname(hostname: str) -> None:
    """Raise `UsageError` for what no server can be called."""
    if hostname and not HOSTNAME.fullmatch(hostname):
        raise UsageError(
            f"{hostname!r} is not a host name", advice="write it as the server's hostname command prints it"
        )


def token_state(token: Token, now_ms: int) -> TokenRow:
    """Return how a token stands at `now_ms`."""
    if token.used_ms:
        return TokenRow(token, "used", "good", "up", False)
    if token.revoked_ms:
        return TokenRow(token, "revoked", "", "revoked", False)
    if token.expires_ms <= now_ms:
        return TokenRow(token, "ended unused", "", "late", False)
    return TokenRow(token, "waiting", "warn", "late", True)


async def _page(
    request: PeopleRequest, console: Console, *, made: NewToken | None = None, hostname: str = "", problem: str = ""
) -> Response[str]:
    now = console.now_ms()
    shown = None
    if made is not None:
        shown = {
            "command": enrol_command(console.agents_url, made.text),
            "hostname": hostname,
            "expires_ms": made.expires_ms,
        }
    return draw(
        request,
        "tokens.html",
        # A page that answers a form cannot be fetched again by the script, so it does not follow changes.
        live="" if made or problem else "/live",
        made=shown,
        problem=problem,
        tokens=[token_state(token, now) for token in await console.store.tokens()],
        status=400 if problem else 200,
    )
