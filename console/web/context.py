"""What every page and endpoint is given: the store, the hub, the accounts, and how to draw a page."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from litestar.connection import Request
from litestar.datastructures import State
from litestar.di import NamedDependency

from console.accounts import Accounts
from console.api_tokens import ApiTokens
from console.challenges import Challenges
from console.hub import Hub
from console.store.interface import Store
from console.store.records import Session
from console.tokens import NewToken
from console.web.streams import Streams

PeopleRequest = Request[Session | None, str, State]
"""A request with who sent it: the session, or None before login."""

MetricsText = Callable[[], Awaitable[tuple[bytes, str]]]
"""Returns the console's metrics and their content type."""


class MakeToken(Protocol):
    """Makes enrolment tokens."""

    async def __call__(self, note: str, who: str, valid_s: float, hostname: str = "") -> NewToken:
        """Make, store and audit one; raises `UsageError`."""


@dataclass(frozen=True)
class Console:
    """The parts a handler may use. `metrics` is None where none are kept."""

    store: Store
    hub: Hub
    accounts: Accounts
    now_ms: Callable[[], int]
    agents_url: str
    make_token: MakeToken
    version: str
    streams: Streams
    metrics: MetricsText | None = None
    metrics_token: str = ""
    challenges: Challenges | None = None

    @property
    def api_tokens(self) -> ApiTokens:
        """Tokens of programs."""
        return ApiTokens(self.store, self.now_ms)


GivenConsole = NamedDependency[Console]
"""How a handler asks for the parts."""


def session_of(request: PeopleRequest) -> Session:
    """Return the session of a request that the guard has let pass to someone logged in."""
    session = request.user
    if session is None:
        raise AssertionError("this route is declared public but needs a person")
    return session


def address_of(connection: PeopleRequest) -> str:
    """Return the peer's address, "" where the server does not say."""
    return connection.client.host if connection.client else ""
