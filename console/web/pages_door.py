"""The way in and out: password, one-time link, signing out."""

from typing import Any

from litestar import Response, get, post
from litestar.params import FromQuery
from litestar.response import Redirect

from console.accounts import Grant, TooManyFailures
from console.web.context import Console, GivenConsole, PeopleRequest, address_of, session_of
from console.web.drawing import draw
from console.web.forgery import DOOR_COOKIE, door_cookie
from console.web.forms import field
from console.web.login_session import no_cookie, session_cookie

WRONG = "The name or the password is wrong."
SPENT = "This link is unknown, was used already, or is too old."
MAX_TOKEN = 200


@get("/login", include_in_schema=False)
async def login_page(request: PeopleRequest, next: FromQuery[str] = "") -> Response[str]:
    """Show the form."""
    return _form(request, next_path=local_path(next))


@post("/login", include_in_schema=False)
async def login(request: PeopleRequest, console: GivenConsole) -> Response[Any]:
    """Let someone in by password."""
    name = await field(request, "name", 64)
    password = await field(request, "password", 2000)
    target = local_path(await field(request, "next", 2000))
    try:
        grant = await console.accounts.log_in(name, password, address_of(request), _browser(request))
    except TooManyFailures as error:
        return _form(request, problem=_sentence(error), name=name, next_path=target, status=429)
    if grant is None:
        return _form(request, problem=WRONG, name=name, next_path=target, status=401)
    return await _enter(request, console, grant, target)


@get("/login/link", include_in_schema=False)
async def link_page(request: PeopleRequest, token: FromQuery[str] = "") -> Response[str]:
    """Show a button: opening the page uses nothing up, so that link previews cannot burn the link."""
    cookie = door_cookie()
    problem = "" if token and len(token) <= MAX_TOKEN else SPENT
    return draw(
        request, "login_link.html", door=cookie.value, token=token[:MAX_TOKEN], problem=problem, cookies=(cookie,)
    )


@post("/login/link", include_in_schema=False)
async def link(request: PeopleRequest, console: GivenConsole) -> Response[Any]:
    """Let someone in by a one-time link."""
    token = await field(request, "token", MAX_TOKEN)
    try:
        grant = await console.accounts.redeem_link(token, address_of(request), _browser(request))
    except TooManyFailures as error:
        return draw(request, "login_link.html", door="", token="", problem=_sentence(error), status=429)
    if grant is None:
        return draw(request, "login_link.html", door="", token="", problem=SPENT, status=401)
    return await _enter(request, console, grant, "/")


@post("/logout", include_in_schema=False)
async def logout(request: PeopleRequest, console: GivenConsole) -> Redirect:
    """End this login."""
    await console.accounts.log_out(session_of(request))
    return Redirect("/login", status_code=303, cookies=[no_cookie()])


@post("/logout/everywhere", include_in_schema=False)
async def logout_everywhere(request: PeopleRequest, console: GivenConsole) -> Redirect:
    """End every login of this person."""
    await console.accounts.log_out_everywhere(session_of(request))
    return Redirect("/login", status_code=303, cookies=[no_cookie()])


HANDLERS: tuple[Any, ...] = (login_page, login, link_page, link, logout, logout_everywhere)


def local_path(path: str) -> str:
    """Return `path` if it stays on this console, "/" otherwise (never another site's address)."""
    safe = path.startswith("/") and not path.startswith(("//", "/\\", "/login", "/logout"))
    return path if safe and path.isprintable() and path.isascii() and "\\" not in path else "/"


async def _enter(request: PeopleRequest, console: Console, grant: Grant, target: str) -> Response[Any]:
    # A login always makes a new session and ends the one the browser came with, so that a planted cookie gains nothing.
    if request.user is not None:
        await console.accounts.log_out(request.user)
    spent = door_cookie()
    spent.value, spent.max_age = "", 0
    return Redirect(target, status_code=303, cookies=[session_cookie(grant.secret), spent])


def _form(
    request: PeopleRequest, *, problem: str = "", name: str = "", next_path: str = "/", status: int = 200
) -> Response[str]:
    cookie = door_cookie()
    held = request.cookies.get(DOOR_COOKIE, "")
    if 16 <= len(held) <= 64:
        cookie.value = held  # two tabs with the form open both keep working
    return draw(
        request,
        "login.html",
        door=cookie.value,
        problem=problem,
        name=name,
        next=next_path,
        status=status,
        cookies=(cookie,),
    )


def _browser(request: PeopleRequest) -> str:
    return request.headers.get("user-agent", "")[:200]


def _sentence(error: TooManyFailures) -> str:
    return f"{error.message[:1].upper()}{error.message[1:]}: {error.advice}."
