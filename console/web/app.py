"""Puts the people's listener together: routes, guard, sessions, headers and errors, as one ASGI application."""

from typing import Any

from litestar import Litestar, Router
from litestar.di import Provide
from litestar.exceptions import HTTPException
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.openapi.spec import Components, SecurityScheme

from console.web import (
    live,
    pages_about,
    pages_api_tokens,
    pages_door,
    pages_events,
    pages_fleet,
    pages_host,
    pages_people,
    pages_tokens,
)
from console.web.access import guard
from console.web.api import admin, agents, api_tokens, events
from console.web.context import Console
from console.web.headers import add_security_headers
from console.web.login_session import LoginSession
from console.web.problems import admit, explain, refuse, too_deep
from contracts.errors import HoldfastError

MAX_BODY = 64 << 10
PAGES: tuple[Any, ...] = (
    pages_fleet.fleet,
    *pages_host.HANDLERS,
    *pages_events.HANDLERS,
    *pages_door.HANDLERS,
    *pages_people.HANDLERS,
    *pages_tokens.HANDLERS,
    *pages_api_tokens.HANDLERS,
    *pages_about.HANDLERS,
    live.live,
)
API: tuple[Any, ...] = (*agents.HANDLERS, *events.HANDLERS, *admin.HANDLERS, *api_tokens.HANDLERS)


def make_web(console: Console) -> Litestar:
    """Return the application that serves `console` to people and programs."""
    app = Litestar(
        [*PAGES, Router("/api/v1", route_handlers=list(API))],
        dependencies={"console": Provide(lambda: console, sync_to_thread=False, use_cache=True)},
        guards=[guard],
        middleware=[LoginSession],
        before_send=[add_security_headers],
        exception_handlers={HTTPException: refuse, HoldfastError: explain, RecursionError: too_deep, Exception: admit},
        openapi_config=OpenAPIConfig(
            title="Holdfast console",
            version=console.version,
            description="What the console holds, for programs. Answers to errors are RFC 9457 problems.",
            components=Components(
                security_schemes={
                    "token": SecurityScheme(
                        type="http", scheme="bearer", description="A token made on the page API tokens."
                    )
                }
            ),
            security=[{"token": []}],
            path="/api",
            render_plugins=[JsonRenderPlugin(path="/openapi.json")],
            use_handler_docstrings=True,
        ),
        request_max_body_size=MAX_BODY,
        signature_types=[Console],
        logging_config=None,
    )
    app.state.console = console
    return app
