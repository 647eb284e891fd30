"""Puts the people's listener together: routes, guard, sessions, headers and errors, as one ASGI application."""

import socket
from collections.abc import Callable
from typing import Any

from litestar import Litestar, Router
from litestar.di import Provide
from litestar.exceptions import HTTPException
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin

from console import tokens
from console.accounts import Accounts
from console.hub import Hub
from console.metrics import CONTENT_TYPE, Metrics
from console.settings import ConsoleSettings, split_address
from console.store.interface import Store
from console.tokens import NewToken
from console.web import live, pages_about, pages_door, pages_events, pages_fleet, pages_host, pages_people, pages_tokens
from console.web.access import guard
from console.web.api import admin, agents, events
from console.web.context import Console
from console.web.headers import add_security_headers
from console.web.login_session import LoginSession
from console.web.problems import admit, explain, refuse
from console.web.streams import Streams
from contracts.errors import HoldfastError

WILDCARDS = frozenset({"0.0.0.0", "::"})
MAX_BODY = 64 << 10
PAGES: tuple[Any, ...] = (
    pages_fleet.fleet,
    *pages_host.HANDLERS,
    *pages_events.HANDLERS,
    *pages_door.HANDLERS,
    *pages_people.HANDLERS,
    *pages_tokens.HANDLERS,
    *pages_about.HANDLERS,
    live.live,
)
API: tuple[Any, ...] = (*agents.HANDLERS, *events.HANDLERS, *admin.HANDLERS)


def make_app(
    store: Store,
    hub: Hub,
    accounts: Accounts,
    settings: ConsoleSettings,
    metrics: Metrics,
    *,
    pin: bytes,
    version: str,
    now_ms: Callable[[], int],
    metrics_token: str = "",
) -> Litestar:
    """Return the application of the people's listener. `pin` is the authority's, for the enrolment tokens that its pages make."""

    async def make_token(note: str, who: str, valid_s: float, hostname: str = "") -> NewToken:
        return await tokens.create(store, pin, now_ms, who=who, lifetime_s=valid_s, hostname=hostname, note=note)

    async def render() -> tuple[bytes, str]:
        return metrics.render(), CONTENT_TYPE

    return make_web(
        Console(
            store=store,
            hub=hub,
            accounts=accounts,
            now_ms=now_ms,
            agents_url=agents_url(settings),
            make_token=make_token,
            version=version,
            streams=Streams(),
            metrics=render,
            metrics_token=metrics_token,
        )
    )


def agents_url(settings: ConsoleSettings) -> str:
    """Return the address for the enrolment command: where agents are listened to, by a name that other machines know."""
    host, port = split_address(settings.agents.listen)
    if host in WILDCARDS:
        host = settings.agents.names[0] if settings.agents.names else socket.gethostname()
    return f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"


def make_web(console: Console) -> Litestar:
    """Return the application that serves `console` to people and programs."""
    app = Litestar(
        [*PAGES, Router("/api/v1", route_handlers=list(API))],
        dependencies={"console": Provide(lambda: console, sync_to_thread=False, use_cache=True)},
        guards=[guard],
        middleware=[LoginSession],
        before_send=[add_security_headers],
        exception_handlers={HTTPException: refuse, HoldfastError: explain, Exception: admit},
        openapi_config=OpenAPIConfig(
            title="Holdfast console",
            version=console.version,
            description="What the console holds, for programs. Answers to errors are RFC 9457 problems.",
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
