"""Proof that a change was meant: it came from our own page, and carries that page's token.

Two independent hurdles. The browser says where a request came from (`Sec-Fetch-Site`, `Origin`): anything but our own origin is
refused. And the request repeats a token that another site cannot know: the session's, or before login the one in the door cookie.
"""

import hmac
import secrets
from urllib.parse import urlsplit

from litestar.connection import ASGIConnection, Request
from litestar.datastructures import Cookie
from litestar.exceptions import PermissionDeniedException

from console.store.records import Session

DOOR_COOKIE = "__Host-holdfast-door"
HEADER = "x-csrf-token"
FIELD = "csrf"
_ADVICE = "reload the page and try again"


async def check_forgery(connection: ASGIConnection, session: Session | None) -> None:  # type: ignore[type-arg]
    """Raise `PermissionDeniedException` unless the request comes from our own page and carries its token."""
    if session is not None and session.program:
        return  # no browser sends a bearer token by itself
    if not _same_origin(connection):
        raise PermissionDeniedException(f"this request came from another site; {_ADVICE}")
    expected = session.csrf if session else connection.cookies.get(DOOR_COOKIE, "")
    given = await _given(connection)
    if not expected or not hmac.compare_digest(expected.encode(), given.encode("utf-8", "replace")):
        raise PermissionDeniedException(f"the form's token does not match; {_ADVICE}")


def door_cookie() -> Cookie:
    """Return a fresh cookie whose value the login form repeats."""
    return Cookie(
        key=DOOR_COOKIE,
        value=secrets.token_urlsafe(24),
        path="/",
        secure=True,
        httponly=True,
        samesite="strict",
        max_age=3600,
    )


def _same_origin(connection: ASGIConnection) -> bool:  # type: ignore[type-arg]
    site = connection.headers.get("sec-fetch-site", "none")
    if site not in ("same-origin", "none"):
        return False
    origin = connection.headers.get("origin")
    return origin is None or urlsplit(origin).netloc == connection.headers.get("host", "")


async def _given(connection: ASGIConnection) -> str:  # type: ignore[type-arg]
    header = connection.headers.get(HEADER)
    if header is not None:
        return header
    if not isinstance(connection, Request) or not _is_form(connection):
        return ""
    value = (await connection.form()).get(FIELD, "")
    return value if isinstance(value, str) else ""


def _is_form(connection: ASGIConnection) -> bool:  # type: ignore[type-arg]
    return connection.headers.get("content-type", "").partition(";")[0].strip() == "application/x-www-form-urlencoded"
