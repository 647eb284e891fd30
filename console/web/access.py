"""Who may call what: one table for every route, checked by one guard. A route that is not in the table lets nobody in."""

from collections.abc import Mapping
from enum import StrEnum

from litestar.connection import ASGIConnection
from litestar.exceptions import NotAuthorizedException, PermissionDeniedException
from litestar.handlers import BaseRouteHandler

from console.accounts import at_least
from console.store.records import Role, Session
from console.web.forgery import check_forgery


class Public(StrEnum):
    """Routes that need no login, and why."""

    DOOR = "door"
    """How one gets in."""
    FILE = "file"
    """Style, script and icons: nothing of any fleet."""
    HEALTH = "health"
    """Whether the console answers: one word."""
    OWN = "own"
    """Decides by itself (metrics: a bearer token, an admin, or this machine)."""


ACCESS: Mapping[str, Role | Public] = {
    "GET /healthz": Public.HEALTH,
    "GET /metrics": Public.OWN,
    "GET /favicon.ico": Public.FILE,
    "GET /static/{name}": Public.FILE,
    "GET /login": Public.DOOR,
    "POST /login": Public.DOOR,
    "GET /login/link": Public.DOOR,
    "POST /login/link": Public.DOOR,
    "POST /logout": Role.VIEWER,
    "POST /logout/everywhere": Role.VIEWER,
    "GET /": Role.VIEWER,
    "GET /live": Role.VIEWER,
    "GET /agents/{agent}": Role.VIEWER,
    "GET /agents/{agent}/firewall": Role.VIEWER,
    "POST /agents/{agent}/name": Role.OPERATOR,
    "POST /agents/{agent}/revoke": Role.ADMIN,
    "POST /findings/{number}/acknowledge": Role.OPERATOR,
    "GET /events": Role.VIEWER,
    "GET /events/{event}": Role.VIEWER,
    "GET /tokens": Role.ADMIN,
    "POST /tokens": Role.ADMIN,
    "POST /tokens/{token}/revoke": Role.ADMIN,
    "GET /users": Role.ADMIN,
    "POST /users": Role.ADMIN,
    "POST /users/{name}/role": Role.ADMIN,
    "POST /users/{name}/password": Role.ADMIN,
    "POST /users/{name}/disabled": Role.ADMIN,
    "GET /api-tokens": Role.ADMIN,
    "POST /api-tokens": Role.ADMIN,
    "POST /api-tokens/{token}/revoke": Role.ADMIN,
    "GET /account": Role.VIEWER,
    "POST /account/password": Role.VIEWER,
    "GET /audit": Role.ADMIN,
    "GET /about": Role.VIEWER,
    "GET /api": Role.VIEWER,
    "GET /api/{path}": Role.VIEWER,
    "GET /api/openapi.json": Role.VIEWER,
    "GET /api/v1/agents": Role.VIEWER,
    "GET /api/v1/agents/{agent}": Role.VIEWER,
    "GET /api/v1/agents/{agent}/coverage": Role.VIEWER,
    "GET /api/v1/agents/{agent}/subjects/{subject}": Role.VIEWER,
    "POST /api/v1/agents/{agent}/revoke": Role.ADMIN,
    "GET /api/v1/events": Role.VIEWER,
    "GET /api/v1/events/{event}": Role.VIEWER,
    "GET /api/v1/findings": Role.VIEWER,
    "GET /api/v1/tokens": Role.ADMIN,
    "POST /api/v1/tokens": Role.ADMIN,
    "POST /api/v1/tokens/{token}/revoke": Role.ADMIN,
    "GET /api/v1/api-tokens": Role.ADMIN,
    "POST /api/v1/api-tokens": Role.ADMIN,
    "POST /api/v1/api-tokens/{token}/revoke": Role.ADMIN,
    "GET /api/v1/users": Role.ADMIN,
    "GET /api/v1/audit": Role.ADMIN,
}

CHANGING = frozenset({"POST", "PUT", "PATCH", "DELETE"})


async def guard(connection: ASGIConnection, _: BaseRouteHandler) -> None:  # type: ignore[type-arg]
    """Let a request pass if the table allows it to whoever sent it, and if a change was really meant by that person."""
    method = connection.scope.get("method", "GET")
    rule = ACCESS.get(f"{'GET' if method == 'HEAD' else method} {connection.scope.get('path_template', '')}")
    session: Session | None = connection.scope.get("user")
    if rule is None:
        raise PermissionDeniedException("no one is allowed this; the route has no declared role")
    if isinstance(rule, Role):
        if session is None:
            raise NotAuthorizedException("log in first")
        if not at_least(session.role, rule):
            raise PermissionDeniedException(f"this needs the role {rule}; you have the role {session.role}")
    if method in CHANGING:
        await check_forgery(connection, session)
