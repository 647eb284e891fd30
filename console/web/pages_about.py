"""The console about itself: its page, health, metrics, and the three files its pages are made of."""

import hmac
import ipaddress
from http import HTTPStatus
from typing import Any

from litestar import Response, get
from litestar.exceptions import NotFoundException, PermissionDeniedException
from litestar.params import FromPath

from console.store.records import Role
from console.web.context import Console, GivenConsole, PeopleRequest, address_of
from console.web.drawing import CONTENT_TYPES, draw, static_file
from contracts.errors import HoldfastError

FOR_EVER = "public, max-age=31536000, immutable"
FAVICON = (
    b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24">'
    b'<path fill="#17559c" d="M12 1.500 21 5v6.400c0 5.200-3.600 9-9 11.100-5.400-2.100-9-5.900-9-11.100V5z"/>'
    b'<path fill="#fff" d="M11 7h2v3.200a2.600 2.600 0 0 1 1.400 3.300L16 17H8l1.600-3.500A2.600 2.600 0 0 1 11 10.200z"/></svg>'
)


@get("/about", include_in_schema=False)
async def about(request: PeopleRequest, console: GivenConsole) -> Response[str]:
    """Show how the console is."""
    health, problem = None, ""
    try:
        health = await console.store.health()
    except HoldfastError as error:
        problem = str(error)
    return draw(
        request,
        "about.html",
        version=console.version,
        health=health,
        problem=problem,
        streams=len(console.streams),
        agents_url=console.agents_url,
    )


@get("/healthz", include_in_schema=False)
async def healthz(console: GivenConsole) -> Response[str]:
    """Say whether the console works, for a load balancer or a watchdog."""
    try:
        await console.store.health()
    except HoldfastError:
        return Response(
            "the store does not answer\n", status_code=HTTPStatus.SERVICE_UNAVAILABLE, media_type="text/plain"
        )
    return Response("ok\n", media_type="text/plain")


@get("/metrics", include_in_schema=False)
async def metrics(request: PeopleRequest, console: GivenConsole) -> Response[bytes]:
    """Answer with Prometheus metrics to an admin, to the bearer of an API token or the configured one, or to this machine when none is."""
    if not _may_read_metrics(request, console):
        raise PermissionDeniedException(
            "metrics are for admins, and for programs with an API token or metrics_token as bearer token"
        )
    if console.metrics is None:
        raise NotFoundException("this console keeps no metrics")
    body, content_type = await console.metrics()
    return Response(body, media_type=content_type)


@get("/static/{name:str}", include_in_schema=False)
async def static(request: PeopleRequest, name: FromPath[str]) -> Response[bytes]:
    """Answer with one of our files."""
    try:
        body = static_file(name)
    except KeyError as error:
        raise NotFoundException("there is no such file") from error
    cache = FOR_EVER if "v" in request.query_params else "public, max-age=300"
    return Response(body, media_type=CONTENT_TYPES[name], headers={"cache-control": cache})


@get("/favicon.ico", include_in_schema=False)
async def favicon() -> Response[bytes]:
    """Answer with the icon of the browser's tab."""
    return Response(FAVICON, media_type="image/svg+xml", headers={"cache-control": "public, max-age=86400"})


HANDLERS: tuple[Any, ...] = (about, healthz, metrics, static, favicon)


def _may_read_metrics(request: PeopleRequest, console: Console) -> bool:
    if request.user is not None and (request.user.role is Role.ADMIN or request.user.program):
        return True
    if console.metrics_token:
        given = request.headers.get("authorization", "").removeprefix("Bearer ")
        return hmac.compare_digest(given.encode("utf-8", "replace"), console.metrics_token.encode())
    # Without a token this machine may; a proxy on this machine would make everyone local, so a forwarded request may not.
    return "x-forwarded-for" not in request.headers and "forwarded" not in request.headers and _is_local(request)


def _is_local(request: PeopleRequest) -> bool:
    try:
        return ipaddress.ip_address(address_of(request)).is_loopback
    except ValueError:
        return False
