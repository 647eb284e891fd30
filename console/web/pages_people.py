"""Pages about people: users for admins, one's own account for everyone, and the audit log."""

from typing import Any
from urllib.parse import urlencode

from litestar import Response, get, post
from litestar.params import FromPath, FromQuery
from litestar.response import Redirect

from console.accounts import MIN_PASSWORD, TooManyFailures
from console.store.records import Role
from console.web.context import Console, GivenConsole, PeopleRequest, address_of, session_of
from console.web.drawing import draw
from console.web.forms import field
from console.web.login_session import no_cookie
from contracts.errors import HoldfastError, UsageError

AUDIT_PAGE = 100


@get("/users", include_in_schema=False)
async def users(request: PeopleRequest, console: GivenConsole) -> Response[str]:
    """List the users."""
    return await _users(request, console)


@post("/users", include_in_schema=False)
async def add_user(request: PeopleRequest, console: GivenConsole) -> Response[str]:
    """Add a user."""
    name = await field(request, "name", 64)
    password = await field(request, "password", 2000)
    try:
        await console.accounts.add(name, _role(await field(request, "role", 20)), password, _who(request))
    except UsageError as error:
        return await _users(request, console, problem=_sentence(error))
    return await _users(request, console, done=f"{name} may sign in now.")


@post("/users/{name:str}/role", include_in_schema=False)
async def set_role(request: PeopleRequest, console: GivenConsole, name: FromPath[str]) -> Response[str]:
    """Change what a user may do."""
    try:
        role = _role(await field(request, "role", 20))
        await console.accounts.set_role(name, role, _who(request))
    except UsageError as error:
        return await _users(request, console, problem=_sentence(error))
    return await _users(request, console, done=f"{name} is {role.value} now.")


@post("/users/{name:str}/password", include_in_schema=False)
async def set_password(request: PeopleRequest, console: GivenConsole, name: FromPath[str]) -> Response[str]:
    """Give a user another password."""
    try:
        await console.accounts.set_password(name, await field(request, "password", 2000), _who(request))
    except UsageError as error:
        return await _users(request, console, problem=_sentence(error))
    return await _users(request, console, done=f"{name} has a new password; every login of {name} has ended.")


@post("/users/{name:str}/disabled", include_in_schema=False)
async def set_disabled(request: PeopleRequest, console: GivenConsole, name: FromPath[str]) -> Response[str]:
    """Lock a user out or let the user in again."""
    disabled = await field(request, "disabled", 3) == "yes"
    try:
        await console.accounts.set_disabled(name, disabled, _who(request))
    except UsageError as error:
        return await _users(request, console, problem=_sentence(error))
    return await _users(request, console, done=f"{name} is {'locked out' if disabled else 'let in again'}.")


@get("/account", include_in_schema=False)
async def account(request: PeopleRequest, console: GivenConsole) -> Response[str]:
    """Show one's own account."""
    return await _account(request, console)


@post("/account/password", include_in_schema=False)
async def own_password(request: PeopleRequest, console: GivenConsole) -> Response[Any]:
    """Change one's own password, after proving the present one."""
    name = session_of(request).user
    user = await console.store.user(name)
    if user is not None and user.password:
        old = await field(request, "old", 2000)
        try:
            # A login proves the password under the same throttle as the door; the new session ends with all the others below.
            grant = await console.accounts.log_in(name, old, address_of(request))
        except TooManyFailures as error:
            return await _account(request, console, problem=_sentence(error), status=429)
        if grant is None:
            return await _account(request, console, problem="The present password is wrong.", status=403)
        await console.accounts.log_out(grant.session)
    try:
        await console.accounts.set_password(name, await field(request, "new", 2000), _who(request))
    except UsageError as error:
        return await _account(request, console, problem=_sentence(error), status=400)
    return Redirect("/login", status_code=303, cookies=[no_cookie()])


@get("/audit", include_in_schema=False)
async def audit(
    request: PeopleRequest, console: GivenConsole, what: FromQuery[str] = "", before: FromQuery[int] = 0
) -> Response[str]:
    """Show the audit log."""
    entries = await console.store.audit_log(limit=AUDIT_PAGE + 1, before=max(0, before), what=what[:100])
    query = {"what": what[:100]} if what else {}
    following = ""
    if len(entries) > AUDIT_PAGE:
        following = "/audit?" + urlencode(query | {"before": str(entries[AUDIT_PAGE - 1].number)})
    return draw(
        request,
        "audit.html",
        entries=entries[:AUDIT_PAGE],
        what=what,
        following=following,
        newest=f"/audit?{urlencode(query)}" if before else "",
    )


HANDLERS: tuple[Any, ...] = (
    users,
    add_user,
    set_role,
    set_password,
    set_disabled,
    account,
    own_password,
    audit,
)


async def _users(request: PeopleRequest, console: Console, *, problem: str = "", done: str = "") -> Response[str]:
    return draw(
        request,
        "users.html",
        users=await console.store.users(),
        roles=[role.value for role in Role],
        min_password=MIN_PASSWORD,
        problem=problem,
        done=done,
        status=400 if problem else 200,
    )


async def _account(request: PeopleRequest, console: Console, *, problem: str = "", status: int = 200) -> Response[str]:
    user = await console.store.user(session_of(request).user)
    return draw(
        request,
        "account.html",
        has_password=user is not None and bool(user.password),
        min_password=MIN_PASSWORD,
        problem=problem,
        status=status,
    )


def _role(text: str) -> Role:
    try:
        return Role(text)
    except ValueError as error:
        raise UsageError(f"{text!r} is not a role", advice="choose viewer, operator or admin") from error


def _who(request: PeopleRequest) -> str:
    return session_of(request).who


def _sentence(error: HoldfastError) -> str:
    return f"{error.message[:1].upper()}{error.message[1:]}; {error.advice}." if error.advice else f"{error.message}."
