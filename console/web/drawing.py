"""Draws pages: one Jinja environment that escapes everything, refuses undefined names and makes hidden characters visible."""

import hashlib
from functools import cache
from importlib.resources import files
from typing import Any

import jinja2
from litestar import Response
from litestar.datastructures import Cookie
from markupsafe import Markup

from console.accounts import at_least
from console.store.records import Role, Session
from console.web import words
from console.web.context import Console, PeopleRequest
from console.web.visible import finalize

CONTENT_TYPES = {
    "console.css": "text/css",
    "console.js": "text/javascript",
    "icons.svg": "image/svg+xml",
}


def draw(
    request: PeopleRequest, template: str, *, status: int = 200, cookies: tuple[Cookie, ...] = (), **context: Any
) -> Response[str]:
    """Return the page that `template` makes of `context` for whoever asks."""
    console: Console = request.app.state.console
    now = console.now_ms()
    session: Session | None = request.scope.get("user")
    given = {
        "session": session,
        "path": request.url.path,
        "now_ms": now,
        "may": lambda role: session is not None and at_least(session.role, Role(role)),
        "age": lambda at_ms: _age(at_ms, now),
        "live": "",
    }
    html = environment().get_template(template).render(given | context)
    return Response(html, status_code=status, media_type="text/html", cookies=list(cookies))


@cache
def environment() -> jinja2.Environment:
    """Return the templates' environment."""
    made = jinja2.Environment(
        loader=jinja2.PackageLoader("console", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=finalize,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    made.globals.update(words=words, static=static_url)
    made.filters.update(
        duration=words.duration, iso=words.iso, moment=words.moment, size=words.size, why=words.why_words
    )
    return made


def static_url(name: str) -> str:
    """Return the address of a file under console/static, with its digest so that caches never serve an old one."""
    return f"/static/{name}?v={hashlib.sha256(static_file(name)).hexdigest()[:12]}"


@cache
def static_file(name: str) -> bytes:
    """Return the content of a file under console/static; raises `KeyError` for any other name."""
    if name not in CONTENT_TYPES:
        raise KeyError(name)
    return files("console").joinpath("static", name).read_bytes()


def _age(at_ms: int, now_ms: int) -> Markup:
    if not at_ms:
        return Markup("never")
    return Markup('<time datetime="{}" title="{}" data-age>{}</time>').format(
        words.iso(at_ms), words.moment(at_ms), words.age(at_ms, now_ms)
    )
