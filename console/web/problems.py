"""What is answered when something is refused or breaks: a page for people, `application/problem+json` (RFC 9457) for programs."""

import logging
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

import msgspec
from litestar import Response
from litestar.exceptions import HTTPException
from litestar.response import Redirect

from console.web.context import PeopleRequest
from console.web.drawing import draw
from contracts.errors import HoldfastError, UsageError

log = logging.getLogger(__name__)
PROBLEM_JSON = "application/problem+json"


class Problem(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """RFC 9457: what went wrong. `advice` says what would do."""

    title: str
    status: int
    detail: str = ""
    advice: str = ""
    errors: list[dict[str, str]] = []


def refuse(request: PeopleRequest, error: HTTPException) -> Response[Any]:
    """Answer an HTTP error."""
    status = error.status_code
    if status == HTTPStatus.UNAUTHORIZED and not _is_api(request):
        return _to_login(request)
    # The router's own words only repeat the title.
    detail = (
        "there is nothing at this address"
        if error.detail == HTTPStatus(status).phrase == "Not Found"
        else str(error.detail)
    )
    return _answer(request, status, detail, "", _errors(error))


def explain(request: PeopleRequest, error: HoldfastError) -> Response[Any]:
    """Answer a condition a person can act on."""
    status = HTTPStatus.BAD_REQUEST if isinstance(error, UsageError) else HTTPStatus.SERVICE_UNAVAILABLE
    return _answer(request, status, error.message, error.advice)


def too_deep(request: PeopleRequest, error: RecursionError) -> Response[Any]:  # noqa: ARG001 - says nothing more
    """Answer a body whose lists and objects are nested without end."""
    return _answer(
        request, HTTPStatus.BAD_REQUEST, "the body is nested too deeply", "send what the OpenAPI document says"
    )


def admit(request: PeopleRequest, error: Exception) -> Response[Any]:
    """Answer a defect of ours: logged with its trace, told without."""
    log.error("%s %s broke", request.method, request.url.path, exc_info=error)
    return _answer(
        request, HTTPStatus.INTERNAL_SERVER_ERROR, "The console made a mistake; its log has the details.", "try again"
    )


def _answer(
    request: PeopleRequest, status: int, detail: str, advice: str, errors: list[dict[str, str]] | None = None
) -> Response[Any]:
    title = HTTPStatus(status).phrase
    if _is_api(request):
        problem = Problem(title=title, status=status, detail=detail, advice=advice, errors=errors or [])
        return Response(msgspec.json.encode(problem), status_code=status, media_type=PROBLEM_JSON)
    if status == HTTPStatus.NOT_FOUND:
        title = "Not found"
    text = f"{detail[:1].upper()}{detail[1:]}".rstrip(".")
    said = f"{text}. {advice[:1].upper()}{advice[1:]}." if advice else f"{text}."
    return draw(request, "problem.html", title=title, detail=said, status=status)


def _to_login(request: PeopleRequest) -> Response[Any]:
    target = request.url.path
    if request.url.query:
        target += f"?{request.url.query}"
    query = f"?{urlencode({'next': target})}" if request.method == "GET" and target not in ("/", "/live") else ""
    return Redirect(f"/login{query}", status_code=303)


def _is_api(request: PeopleRequest) -> bool:
    return request.url.path.startswith("/api/")


def _errors(error: HTTPException) -> list[dict[str, str]]:
    extra = error.extra if isinstance(error.extra, list) else []
    return [{str(name): str(value) for name, value in item.items()} for item in extra if isinstance(item, dict)]
