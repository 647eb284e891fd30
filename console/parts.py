"""The parts that the command line and the listeners share: the store, the accounts and the authority in one state directory.

Apart from `console.wiring`, so that a command is there soon: nothing of a listener is imported here.
"""

import datetime as dt
import socket
import time
from dataclasses import dataclass
from pathlib import Path

from console.accounts import AccountPolicy, Accounts
from console.authority import Authority, generations
from console.listening import check_state_directory
from console.settings import ConsoleSettings, split_address
from console.store.interface import Store
from console.store.sql import open_sqlite

DATABASE = "console.db"
AUTHORITY = "ca"


def now_ms() -> int:
    """Return Unix time in milliseconds."""
    return time.time_ns() // 1_000_000


def now() -> dt.datetime:
    """Return the wall time in UTC."""
    return dt.datetime.now(dt.UTC)


@dataclass(frozen=True)
class Parts:
    """What the command line works with: the store, the accounts and the authority, without any listener."""

    state: Path
    settings: ConsoleSettings
    store: Store
    accounts: Accounts
    authority: Authority


def open_parts(settings: ConsoleSettings) -> Parts:
    """Open the store and the authority in the state directory, making them at the first start; raises `HoldfastError`."""
    state = Path(settings.state)
    check_state_directory(state)
    folder = state / AUTHORITY
    authority = Authority.load(folder) if generations(folder) or folder.exists() else _first_authority(state, folder)
    store: Store = open_sqlite(state / DATABASE, settings.heartbeats.grace)
    policy = AccountPolicy(session_idle_s=settings.sessions.idle, session_max_s=settings.sessions.longest)
    return Parts(
        state=state, settings=settings, store=store, accounts=Accounts(store, now_ms, policy), authority=authority
    )


def _first_authority(state: Path, folder: Path) -> Authority:
    """Make the authority, unless a database says that there was one: agents enrolled with it must not be shut out silently."""
    if (state / DATABASE).exists():
        return Authority.load(folder)  # raises with the advice to restore it
    return Authority.create(folder, now())


def agents_url(settings: ConsoleSettings, listening: str) -> str:
    """Return the URL that agents are told to use."""
    host, port = split_address(listening)
    named = settings.agents.names[0] if settings.agents.names else socket.gethostname()
    host = named if host in ("0.0.0.0", "::") else host
    return f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"


def people_url(settings: ConsoleSettings, listening: str) -> str:
    """Return the URL that people are told to use."""
    return settings.people.url.rstrip("/") or agents_url(settings, listening)
