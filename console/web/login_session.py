"""Who is asking: turns the session cookie or the bearer token of a request into a session, before any route is reached."""

import hashlib

from litestar.connection import ASGIConnection
from litestar.datastructures import Cookie
from litestar.middleware import AbstractAuthenticationMiddleware, AuthenticationResult

from console.web.context import Console

COOKIE = "__Host-holdfast"
LIVE_HEADER = "x-holdfast-live"
"""Set by the page's script when it refreshes by itself: an open page must not keep a forgotten login alive for ever."""
MAX_SECRET = 128
FOR_PROGRAMS = ("/api/", "/metrics")


class LoginSession(AbstractAuthenticationMiddleware):
    """Puts the `Session` (or None) into the scope; refuses nothing, that is the guard's work."""

    async def authenticate_request(self, connection: ASGIConnection) -> AuthenticationResult:  # type: ignore[type-arg]
        """Return the session behind the cookie and the cookie's secret; where programs come, a bearer token counts alone."""
        scheme, _, text = connection.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and connection.url.path.startswith(FOR_PROGRAMS):
            program: Console = connection.app.state.console
            return AuthenticationResult(user=await program.api_tokens.session(text.strip()), auth="")
        secret = connection.cookies.get(COOKIE, "")
        if not secret or len(secret) > MAX_SECRET:
            return AuthenticationResult(user=None, auth="")
        console: Console = connection.app.state.console
        if LIVE_HEADER in connection.headers:
            session = await console.store.session(digest(secret), console.now_ms())
        else:
            session = await console.accounts.session(secret)
        return AuthenticationResult(user=session, auth=secret if session else "")


def digest(secret: str) -> bytes:
    """Return what the store knows a session by."""
    return hashlib.sha256(secret.encode("utf-8", "replace")).digest()


def session_cookie(secret: str) -> Cookie:
    """Return the cookie of a fresh login; the store decides when it ends, so that it lasts as long as the browser."""
    return Cookie(key=COOKIE, value=secret, path="/", secure=True, httponly=True, samesite="lax")


def no_cookie() -> Cookie:
    """Return the cookie that removes the login's."""
    return Cookie(key=COOKIE, value="", path="/", secure=True, httponly=True, samesite="lax", max_age=0)
